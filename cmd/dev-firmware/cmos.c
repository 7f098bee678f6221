/* SPDX-License-Identifier: Apache-2.0 */
/* CMOS memory and clock; see cmos.h. */
#include "cmd/dev-firmware/cmos.h"

#include <stdbool.h>
#include <string.h>

#define NS_PER_S 1000000000U
#define DAY_S 86400U
#define A_POWER_ON 0x26 /* 32.768 kHz; it counts */

enum { SECONDS = 0, MINUTES = 2, HOURS = 4, WEEKDAY = 6, DAY, MONTH, YEAR };

struct date {
	unsigned int year, month, day;
};

/* Of days since 1970 in the Gregorian calendar, whose leap days repeat every 400 years. Years begin in March
 * while it counts, so that the leap day is a year's last. */
static struct date date_of(uint64_t days)
{
	const uint64_t shifted = days + 719468; /* since 0000-03-01 */
	const uint64_t era = shifted / 146097, of_era = shifted % 146097;
	const uint64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	const uint64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	const uint64_t month = (5 * of_year + 2) / 153; /* 0: March */
	const unsigned int m = (unsigned int)(month < 10 ? month + 3 : month - 9);

	return (struct date){ .year = (unsigned int)(era * 400 + year) + (m <= 2),
			      .month = m,
			      .day = (unsigned int)(of_year - (153 * month + 2) / 5 + 1) };
}

static uint8_t digits(const struct cmos *c, uint64_t v)
{
	return (uint8_t)(c->ram[CMOS_B] & CMOS_B_BINARY ? v : v / 10 % 10 << 4 | v % 10);
}

static uint8_t hours(const struct cmos *c, uint64_t h)
{
	if (c->ram[CMOS_B] & CMOS_B_24H)
		return digits(c, h);
	return digits(c, h % 12 ? h % 12 : 12) | (h >= 12 ? CMOS_PM : 0);
}

static bool is_time(uint8_t index)
{
	return index == SECONDS || index == MINUTES || index == HOURS ||
	       (index >= WEEKDAY && index <= YEAR) || index == CMOS_CENTURY;
}

static uint8_t read_time(const struct cmos *c, uint64_t seconds)
{
	const struct date d = date_of(seconds / DAY_S);

	switch (c->index) {
	case SECONDS:
		return digits(c, seconds % 60);
	case MINUTES:
		return digits(c, seconds / 60 % 60);
	case HOURS:
		return hours(c, seconds / 3600 % 24);
	case WEEKDAY: /* the first day of 1970 was a Thursday, 5 */
		return digits(c, (seconds / DAY_S + 4) % 7 + 1);
	case DAY:
		return digits(c, d.day);
	case MONTH:
		return digits(c, d.month);
	case YEAR:
		return digits(c, d.year % 100);
	default:
		return digits(c, d.year / 100);
	}
}

void cmos_reset(struct cmos *c, const uint8_t power_on[FWCFG_CMOS_LEN])
{
	c->index = 0;
	memcpy(c->ram, power_on, sizeof(c->ram));
	c->ram[CMOS_A] = A_POWER_ON;
	c->ram[CMOS_B] = CMOS_B_24H;
	c->ram[CMOS_C] = 0;
	c->ram[CMOS_D] = CMOS_D_VALID;
}

uint8_t cmos_read(const struct cmos *c, uint64_t now_ns)
{
	if (is_time(c->index))
		return read_time(c, now_ns / NS_PER_S);
	if (c->index == CMOS_A && now_ns % NS_PER_S >= NS_PER_S - CMOS_UPDATE_NS)
		return c->ram[CMOS_A] | CMOS_A_UPDATE;
	return c->ram[c->index];
}

void cmos_write(struct cmos *c, uint8_t value)
{
	if (is_time(c->index) || c->index == CMOS_C || c->index == CMOS_D)
		return;
	if (c->index == CMOS_A)
		value &= (uint8_t)~CMOS_A_UPDATE;
	else if (c->index == CMOS_B)
		value &= CMOS_B_KEPT;
	c->ram[c->index] = value;
}
