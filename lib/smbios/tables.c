/* SPDX-License-Identifier: Apache-2.0 */
/* The tables; see tables.h. Numbers of sections are DSP0134's, release 3.0.0. */
#include "lib/smbios/tables.h"

#include "lib/base/bytes.h"

#include <errno.h>
#include <string.h>

#define MAKER "Bulkhead"
#define PRODUCT "Bulkhead virtual machine"
#define RELEASE_DATE \
	"11/28/2026" /* of what is in these tables; kernels take old ones for old hardware */

#define FIRMWARE 0
#define SYSTEM 1
#define CHASSIS 3
#define PROCESSOR 4
#define STRINGS 11
#define MEMORY_ARRAY 16
#define MEMORY_DEVICE 17
#define MEMORY_ADDRESS 19
#define BOOT_STATUS 32
#define END 127

/* Handles: the type, and below it a number. */
#define HANDLE(type, n) ((uint16_t)((unsigned int)(type) << 8 | (n)))
#define NO_HANDLE 0xffff
#define NO_ERROR_HANDLE 0xfffe

#define UNKNOWN 2
#define SAFE 3
#define CHARACTERISTICS_NONE (1U << 3) /* 7.1.1 */
#define EXTENSION_UEFI (1U << 3)       /* 7.1.2.2 */
#define EXTENSION_VM (1U << 4)
#define WAKE_POWER_SWITCH 6
#define CHASSIS_OTHER 1
#define CPU_CENTRAL 3
#define CPU_ENABLED 0x41 /* in its socket, and on */
#define CPU_64_BIT (1U << 2)
#define CPU_MULTI_CORE (1U << 3)
#define ARRAY_SYSTEM 3
#define SIZE_EXTENDED 0x7fffU	      /* 7.18.4 */
#define CAPACITY_EXTENDED 0x80000000U /* 7.17, kilobytes */
#define FORM_DIMM 9
#define MEMORY_RAM 7
#define DETAIL_OTHER 2

#define TEXTS_MAX SMBIOS_STRINGS_MAX
#define STRINGS_LEN 5 /* of such a structure without its strings */

/* A structure while it is written: its strings follow its fields. */
struct structure {
	struct bytes_writer *w;
	size_t start;
	unsigned int n_texts;
	const char *texts[TEXTS_MAX];
};

static struct structure begin(struct bytes_writer *w, uint8_t type, unsigned int n)
{
	const struct structure s = { .w = w, .start = w->at };

	bytes_put8(w, type);
	bytes_put8(w, 0); /* length: at the end */
	bytes_put16(w, HANDLE(type, n));
	return s;
}

/* Notes it, and puts its number; NULL or "": there is none. */
static void put_text(struct structure *s, const char *text)
{
	if (!text || !*text) {
		bytes_put8(s->w, 0);
		return;
	}
	s->texts[s->n_texts++] = text;
	bytes_put8(s->w, (uint8_t)s->n_texts);
}

static void put_zeros(struct structure *s, size_t n)
{
	while (n-- > 0)
		bytes_put8(s->w, 0);
}

static void end(struct structure *s)
{
	struct bytes_writer *w = s->w;

	if (!w->failed)
		w->data[s->start + 1] = (uint8_t)(w->at - s->start);
	for (unsigned int i = 0; i < s->n_texts; i++)
		bytes_put(w, s->texts[i], strlen(s->texts[i]) + 1);
	put_zeros(s, s->n_texts ? 1 : 2);
}

/* 7.1 */
static void put_firmware(struct bytes_writer *w, bool uefi)
{
	struct structure s = begin(w, FIRMWARE, 0);

	put_text(&s, MAKER);
	put_text(&s, "1");
	bytes_put16(w, 0); /* where it runs */
	put_text(&s, RELEASE_DATE);
	bytes_put8(w, 0); /* 64 KiB of ROM */
	bytes_put64(w, CHARACTERISTICS_NONE);
	bytes_put8(w, 0);
	bytes_put8(w, EXTENSION_VM | (uefi ? EXTENSION_UEFI : 0));
	bytes_put16(w, 1);	/* release 1.0 */
	bytes_put16(w, 0xffff); /* no embedded controller */
	end(&s);
}

/* 7.2.1: the first three numbers of a UUID are little-endian. */
static void put_uuid(struct bytes_writer *w, const uint8_t uuid[SMBIOS_UUID_LEN])
{
	static const uint8_t order[SMBIOS_UUID_LEN] = { 3, 2, 1,  0,  5,  4,  7,  6,
							8, 9, 10, 11, 12, 13, 14, 15 };

	for (size_t i = 0; i < SMBIOS_UUID_LEN; i++)
		bytes_put8(w, uuid[order[i]]);
}

/* 7.2 */
static void put_system(struct bytes_writer *w, const struct smbios_identity *id)
{
	struct structure s = begin(w, SYSTEM, 0);

	put_text(&s, MAKER);
	put_text(&s, PRODUCT);
	put_text(&s, NULL); /* version */
	put_text(&s, id->serial);
	put_uuid(w, id->uuid);
	bytes_put8(w, WAKE_POWER_SWITCH);
	put_text(&s, NULL); /* SKU */
	put_text(&s, NULL); /* family */
	end(&s);
}

/* 7.4 */
static void put_chassis(struct bytes_writer *w)
{
	struct structure s = begin(w, CHASSIS, 0);

	put_text(&s, MAKER);
	bytes_put8(w, CHASSIS_OTHER);
	put_zeros(&s, 3); /* version, serial number, asset tag */
	for (int i = 0; i < 3; i++)
		bytes_put8(w, SAFE);	  /* boot-up, power supply, thermal */
	bytes_put8(w, UNKNOWN);		  /* security */
	put_zeros(&s, 4 + 1 + 1 + 2 + 1); /* OEM, height, cords, no elements, SKU */
	end(&s);
}

/* 7.5: one package, as CPUID has it. */
static void put_processor(struct bytes_writer *w, unsigned int n)
{
	struct structure s = begin(w, PROCESSOR, 0);

	put_text(&s, "CPU 0");
	bytes_put8(w, CPU_CENTRAL);
	bytes_put8(w, UNKNOWN); /* family: CPUID says more */
	put_text(&s, MAKER);
	put_zeros(&s, 8 + 1 + 1 + 2 + 2 + 2); /* id, version, voltage, clocks */
	bytes_put8(w, CPU_ENABLED);
	bytes_put8(w, UNKNOWN); /* socket */
	for (int i = 0; i < 3; i++)
		bytes_put16(w, NO_HANDLE); /* caches */
	put_zeros(&s, 3);		   /* serial number, asset tag, part number */
	for (int i = 0; i < 3; i++)
		bytes_put8(w, (uint8_t)n); /* cores, those enabled, threads */
	bytes_put16(w, CPU_64_BIT | (n > 1 ? CPU_MULTI_CORE : 0));
	bytes_put16(w, UNKNOWN);
	for (int i = 0; i < 3; i++)
		bytes_put16(w, (uint16_t)n);
	end(&s);
}

/* How many from there on one structure has: at least one, and no more than fit a page. */
static size_t fitting(const struct smbios_identity *id, size_t from)
{
	size_t len = STRINGS_LEN + 1, n = 0;

	while (from + n < id->n_strings) {
		len += strlen(id->strings[from + n]) + 1;
		if (n && len > SMBIOS_STRUCTURE_MAX)
			break;
		n++;
	}
	return n;
}

/* 7.12 */
static void put_strings(struct bytes_writer *w, const struct smbios_identity *id)
{
	unsigned int handle = 0;

	for (size_t at = 0; at < id->n_strings;) {
		const size_t n = fitting(id, at);
		struct structure s = begin(w, STRINGS, handle++);

		bytes_put8(w, (uint8_t)n);
		for (size_t i = 0; i < n; i++)
			s.texts[s.n_texts++] = id->strings[at++];
		end(&s);
	}
}

static uint64_t total(const struct smbios_machine *m)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < m->n_ram; i++)
		bytes += m->ram[i].len;
	return bytes;
}

/* 7.17 */
static void put_array(struct bytes_writer *w, uint64_t bytes)
{
	struct structure s = begin(w, MEMORY_ARRAY, 0);
	const bool extended = bytes >> 10 >= CAPACITY_EXTENDED;

	bytes_put8(w, UNKNOWN); /* location */
	bytes_put8(w, ARRAY_SYSTEM);
	bytes_put8(w, UNKNOWN); /* error correction */
	bytes_put32(w, extended ? CAPACITY_EXTENDED : (uint32_t)(bytes >> 10));
	bytes_put16(w, NO_ERROR_HANDLE);
	bytes_put16(w, 1); /* device */
	bytes_put64(w, extended ? bytes : 0);
	end(&s);
}

/* 7.18 */
static void put_device(struct bytes_writer *w, uint64_t bytes)
{
	struct structure s = begin(w, MEMORY_DEVICE, 0);
	const uint64_t mib = bytes >> 20;
	const bool extended = mib >= SIZE_EXTENDED;

	bytes_put16(w, HANDLE(MEMORY_ARRAY, 0));
	bytes_put16(w, NO_ERROR_HANDLE);
	bytes_put32(w, 0xffffffff); /* widths: unknown */
	bytes_put16(w, extended ? SIZE_EXTENDED : (uint16_t)mib);
	bytes_put8(w, FORM_DIMM);
	bytes_put8(w, 0); /* of no set */
	put_text(&s, "DIMM 0");
	put_text(&s, NULL); /* bank */
	bytes_put8(w, MEMORY_RAM);
	bytes_put16(w, DETAIL_OTHER);
	bytes_put16(w, 0); /* speed */
	put_text(&s, MAKER);
	put_zeros(&s, 4); /* serial number, asset tag, part number, rank */
	bytes_put32(w, extended ? (uint32_t)mib : 0);
	put_zeros(&s, 2 + 3 * 2); /* configured speed, voltages */
	end(&s);
}

/* 7.20 */
static void put_address(struct bytes_writer *w, unsigned int n, const struct smbios_range *r)
{
	struct structure s = begin(w, MEMORY_ADDRESS, n);
	const uint64_t last = r->start + r->len - 1;
	const bool extended = last >> 10 >= 0xffffffffU;

	bytes_put32(w, extended ? 0xffffffffU : (uint32_t)(r->start >> 10));
	bytes_put32(w, extended ? 0xffffffffU : (uint32_t)(last >> 10));
	bytes_put16(w, HANDLE(MEMORY_ARRAY, 0));
	bytes_put8(w, 1); /* device */
	bytes_put64(w, extended ? r->start : 0);
	bytes_put64(w, extended ? last : 0);
	end(&s);
}

/* 7.33 */
static void put_boot_status(struct bytes_writer *w)
{
	struct structure s = begin(w, BOOT_STATUS, 0);

	put_zeros(&s, 6 + 1); /* no errors detected */
	end(&s);
}

static void put_end(struct bytes_writer *w)
{
	struct structure s = begin(w, END, 0);

	end(&s);
}

int smbios_make(const struct smbios_machine *m, struct smbios_tables *ret)
{
	struct bytes_writer w = bytes_writer(ret->bytes, sizeof(ret->bytes));

	ret->len = 0;
	put_firmware(&w, m->uefi);
	put_system(&w, m->identity);
	put_chassis(&w);
	put_processor(&w, m->n_vcpus);
	put_strings(&w, m->identity);
	put_array(&w, total(m));
	put_device(&w, total(m));
	for (unsigned int i = 0; i < m->n_ram; i++)
		put_address(&w, i, &m->ram[i]);
	put_boot_status(&w);
	put_end(&w);
	if (w.failed)
		return -ENOSPC;
	ret->len = w.at;
	return 0;
}

/* 5.2.2 */
void smbios_entry(const struct smbios_tables *t, uint64_t address, uint8_t ret[SMBIOS_ENTRY_LEN])
{
	struct bytes_writer w = bytes_writer(ret, SMBIOS_ENTRY_LEN);
	uint8_t sum = 0;

	bytes_put(&w, "_SM3_", 5);
	bytes_put8(&w, 0); /* checksum */
	bytes_put8(&w, SMBIOS_ENTRY_LEN);
	bytes_put8(&w, 3); /* 3.0, docrev 0 */
	bytes_put8(&w, 0);
	bytes_put8(&w, 0);
	bytes_put8(&w, 1); /* revision of this entry point */
	bytes_put8(&w, 0);
	bytes_put32(&w, (uint32_t)t->len);
	bytes_put64(&w, address);
	for (size_t i = 0; i < SMBIOS_ENTRY_LEN; i++)
		sum += ret[i];
	ret[5] = (uint8_t)-sum;
}
