/* SPDX-License-Identifier: Apache-2.0 */
/* The list of an image's snapshots; see shots.h. */
#include "cmd/image-tool/shots.h"

#include "lib/imagekit/process.h"

#include <stdio.h>

#define NS 1000000000U

json_t *shots_json(const struct qcow2_snapshot *s, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *o = json_object();

		json_put_text(o, "id", s[i].id);
		json_put_text(o, "name", s[i].name);
		json_put_number(o, "vm-state-size", s[i].vm_state_size);
		json_put_number(o, "date-sec", s[i].date_s);
		json_put_number(o, "date-nsec", s[i].date_ns);
		json_put_number(o, "vm-clock-sec", s[i].vm_clock_ns / NS);
		json_put_number(o, "vm-clock-nsec", s[i].vm_clock_ns % NS);
		(void)json_array_append_new(list, o);
	}
	return list;
}

/* In UTC, without the C library's time zones, which lie in files. Days since 1970 to a date: years begin in
 * March, so that a leap day is a year's last. */
static void date_text(uint32_t s, char *out, size_t cap)
{
	uint32_t days = s / 86400 + 719468, era = days / 146097, of_era = days % 146097;
	uint32_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	uint32_t of_year = of_era - (365 * year + year / 4 - year / 100);
	uint32_t m = (5 * of_year + 2) / 153, day = of_year - (153 * m + 2) / 5 + 1;
	uint32_t month = m < 10 ? m + 3 : m - 9;

	snprintf(out, cap, "%04u-%02u-%02u %02u:%02u:%02u", year + era * 400 + (month <= 2), month,
		 day, s / 3600 % 24, s / 60 % 60, s % 60);
}

void shots_print(const struct qcow2_snapshot *s, size_t n)
{
	char size[24], date[32], id[65], name[257];

	if (!n)
		return;
	image_print("Snapshot list:\n%-9s %-16s %8s %20s %13s\n", "ID", "TAG", "VM SIZE",
		    "DATE (UTC)", "VM CLOCK");
	for (size_t i = 0; i < n; i++) {
		uint64_t clock = s[i].vm_clock_ns / (NS / 1000);

		date_text(s[i].date_s, date, sizeof(date));
		image_print("%-9s %-16s %8s %20s %02llu:%02llu:%02llu.%03llu\n",
			    text_plain(s[i].id, id, sizeof(id)),
			    text_plain(s[i].name, name, sizeof(name)),
			    image_size_text(s[i].vm_state_size, size, sizeof(size)), date,
			    (unsigned long long)clock / 3600000,
			    (unsigned long long)clock / 60000 % 60,
			    (unsigned long long)clock / 1000 % 60,
			    (unsigned long long)clock % 1000);
	}
}
