/* SPDX-License-Identifier: Apache-2.0 */
/* The tables, one after the other from ACPI_START on; see acpi.h. ACPI 6.4, 5.2. */
#include "cmd/vmm/boot/acpi.h"

#include "cmd/vmm/boot/acpi_dsdt.h"
#include "cmd/vmm/layout.h"
#include "lib/tpm/tpm.h"

#include <assert.h>
#include <errno.h>

#define TABLE_ALIGN 16
#define HEADER_LEN 36

#define OEM_ID "BULKHD"
#define OEM_TABLE_ID "BULKHEAD"
#define CREATOR_ID "BLKH"

#define RSDP_XSDT_AT 24
#define FADT_X_DSDT_AT 140

#define FADT_WBINVD (1U << 0)
#define FADT_PROC_C1 (1U << 2)
#define FADT_NO_FIXED_POWER_BUTTON (1U << 4)
#define FADT_NO_FIXED_SLEEP_BUTTON (1U << 5)
#define FADT_RESET_REG_SUP (1U << 10)
#define FADT_HEADLESS (1U << 12)
#define FADT_HW_REDUCED (1U << 20)
/* No legacy devices and no 8042: their bits stay clear. */
#define IAPC_NO_VGA (1U << 2)
#define IAPC_NO_ASPM (1U << 4)
#define IAPC_NO_CMOS_RTC (1U << 5)

#define GAS_IO 1
#define GAS_BYTE 1

#define MADT_LAPIC 0
#define MADT_IOAPIC 1
#define LAPIC_ENABLED 1

#define TPM2_START_CRB 7

static_assert(ACPI_IMAGE_MAX <= RESET_VECTOR - ACPI_START);
static_assert(ACPI_TABLES_AT == (ACPI_RSDP_LEN + TABLE_ALIGN - 1) / TABLE_ALIGN * TABLE_ALIGN);

/* While it is made. */
struct maker {
	struct bytes_writer w;
	uint64_t base;
	struct acpi_image *image;
};

static void put_zeroes(struct bytes_writer *w, size_t n)
{
	while (n-- > 0)
		bytes_put8(w, 0);
}

static void set_checksum(struct bytes_writer *w, size_t start, size_t len, size_t at)
{
	uint8_t sum = 0;

	if (w->failed)
		return;
	w->data[start + at] = 0;
	for (size_t i = 0; i < len; i++)
		sum += w->data[start + i];
	w->data[start + at] = (uint8_t)-sum;
}

/* Returns the offset of the table in the image. */
static size_t table_begin(struct maker *k, const char *signature, uint8_t revision)
{
	struct bytes_writer *w = &k->w;
	size_t start;

	put_zeroes(w, -w->at & (TABLE_ALIGN - 1));
	start = w->at;
	bytes_put(w, signature, 4);
	bytes_put32(w, 0); /* length and checksum: at the end */
	bytes_put8(w, revision);
	bytes_put8(w, 0);
	bytes_put(w, OEM_ID, 6);
	bytes_put(w, OEM_TABLE_ID, 8);
	bytes_put32(w, 1);
	bytes_put(w, CREATOR_ID, 4);
	bytes_put32(w, 1);
	return start;
}

static uint64_t table_end(struct maker *k, size_t start)
{
	struct bytes_writer *w = &k->w;
	size_t len = w->at - start;

	assert(k->image->n_tables < ACPI_TABLES_MAX);
	k->image->tables[k->image->n_tables++] = start;
	if (!w->failed) {
		for (unsigned int i = 0; i < 4; i++)
			w->data[start + ACPI_LENGTH_AT + i] = (uint8_t)(len >> (8 * i));
		set_checksum(w, start, len, ACPI_CHECKSUM_AT);
	}
	return k->base + start;
}

static void note_pointer(struct maker *k, size_t at)
{
	assert(k->image->n_pointers < ACPI_TABLES_MAX);
	k->image->pointers[k->image->n_pointers++] = at;
}

static void put_port(struct bytes_writer *w, uint16_t port)
{
	bytes_put8(w, GAS_IO);
	bytes_put8(w, 8); /* bits */
	bytes_put8(w, 0);
	bytes_put8(w, GAS_BYTE);
	bytes_put64(w, port);
}

static uint64_t put_dsdt(struct maker *k, const struct acpi_config *cfg)
{
	struct bytes_writer *w = &k->w;
	size_t start = table_begin(k, "DSDT", 2);

	acpi_dsdt_build(w, cfg);
	return table_end(k, start);
}

/* Of the fixed hardware only reset and sleep registers exist; all other fields are 0. */
static uint64_t put_fadt(struct maker *k, uint64_t dsdt)
{
	struct bytes_writer *w = &k->w;
	size_t start = table_begin(k, "FACP", 6);

	put_zeroes(w, 109 - HEADER_LEN);
	bytes_put16(w, IAPC_NO_VGA | IAPC_NO_ASPM | IAPC_NO_CMOS_RTC);
	bytes_put8(w, 0);
	bytes_put32(w, FADT_WBINVD | FADT_PROC_C1 | FADT_NO_FIXED_POWER_BUTTON |
			       FADT_NO_FIXED_SLEEP_BUTTON | FADT_RESET_REG_SUP | FADT_HEADLESS |
			       FADT_HW_REDUCED);
	put_port(w, PORT_RESET);
	bytes_put8(w, RESET_VALUE);
	bytes_put16(w, 0); /* ARM_BOOT_ARCH */
	bytes_put8(w, 4);  /* minor version */
	bytes_put64(w, 0); /* X_FIRMWARE_CTRL: no FACS */
	note_pointer(k, start + FADT_X_DSDT_AT);
	bytes_put64(w, dsdt);
	put_zeroes(w, 244 - 148);
	put_port(w, PORT_SLEEP_CONTROL);
	put_port(w, PORT_SLEEP_STATUS);
	bytes_put(w, OEM_TABLE_ID, 8); /* hypervisor vendor identity */
	return table_end(k, start);
}

static uint64_t put_madt(struct maker *k, const struct acpi_config *cfg)
{
	struct bytes_writer *w = &k->w;
	size_t start = table_begin(k, "APIC", 5);

	bytes_put32(w, LAPIC_START);
	bytes_put32(w, 0); /* no 8259s beside it */
	for (unsigned int i = 0; i < cfg->n_vcpus; i++) {
		bytes_put8(w, MADT_LAPIC);
		bytes_put8(w, 8);
		bytes_put8(w, (uint8_t)i); /* _UID */
		bytes_put8(w, (uint8_t)i); /* APIC id */
		bytes_put32(w, LAPIC_ENABLED);
	}
	bytes_put8(w, MADT_IOAPIC);
	bytes_put8(w, 12);
	bytes_put8(w, 0); /* id */
	bytes_put8(w, 0);
	bytes_put32(w, IOAPIC_START);
	bytes_put32(w, 0); /* GSI base */
	return table_end(k, start);
}

static uint64_t put_mcfg(struct maker *k)
{
	struct bytes_writer *w = &k->w;
	size_t start = table_begin(k, "MCFG", 1);

	put_zeroes(w, 8);
	bytes_put64(w, ECAM_START);
	bytes_put16(w, 0); /* segment */
	bytes_put8(w, 0);  /* first bus */
	bytes_put8(w, (uint8_t)(ECAM_SIZE / MIB(1) - 1));
	put_zeroes(w, 4);
	return table_end(k, start);
}

/* TCG ACPI Specification 1.2, 8: the registers are found by it; firmware's event log by UEFI's protocol. */
static uint64_t put_tpm2(struct maker *k)
{
	struct bytes_writer *w = &k->w;
	size_t start = table_begin(k, "TPM2", 4);

	bytes_put16(w, 0); /* a client */
	bytes_put16(w, 0);
	bytes_put64(w, TPM_CRB_BASE + TPM_CTRL_REQ);
	bytes_put32(w, TPM2_START_CRB);
	return table_end(k, start);
}

static uint64_t put_xsdt(struct maker *k, const uint64_t *tables, size_t n)
{
	struct bytes_writer *w = &k->w;
	size_t start = table_begin(k, "XSDT", 1);

	for (size_t i = 0; i < n; i++) {
		note_pointer(k, w->at);
		bytes_put64(w, tables[i]);
	}
	return table_end(k, start);
}

/* Comes first; where the XSDT is is known last. */
static void write_rsdp(struct maker *k, uint64_t xsdt)
{
	struct bytes_writer w = bytes_writer(k->w.data, ACPI_RSDP_LEN);

	bytes_put(&w, "RSD PTR ", 8);
	bytes_put8(&w, 0);
	bytes_put(&w, OEM_ID, 6);
	bytes_put8(&w, 2);  /* revision */
	bytes_put32(&w, 0); /* no RSDT */
	bytes_put32(&w, ACPI_RSDP_LEN);
	note_pointer(k, RSDP_XSDT_AT);
	bytes_put64(&w, xsdt);
	put_zeroes(&w, 4);
	set_checksum(&w, 0, ACPI_RSDP_V1_LEN, ACPI_RSDP_CHECKSUM_AT);
	set_checksum(&w, 0, ACPI_RSDP_LEN, ACPI_RSDP_EXTENDED_CHECKSUM_AT);
}

int acpi_make(const struct acpi_config *cfg, uint64_t base, struct acpi_image *ret)
{
	struct maker k = { .base = base, .image = ret };
	uint64_t dsdt, xsdt, tables[4];
	size_t n = 0;

	*ret = (struct acpi_image){ .len = 0 };
	k.w = bytes_writer(ret->bytes, sizeof(ret->bytes));
	put_zeroes(&k.w, ACPI_RSDP_LEN);
	dsdt = put_dsdt(&k, cfg);
	tables[n++] = put_fadt(&k, dsdt);
	tables[n++] = put_madt(&k, cfg);
	tables[n++] = put_mcfg(&k);
	if (cfg->tpm)
		tables[n++] = put_tpm2(&k);
	xsdt = put_xsdt(&k, tables, n);
	if (k.w.failed)
		return -ENOSPC;
	write_rsdp(&k, xsdt);
	ret->len = k.w.at;
	return 0;
}

int acpi_build(const struct guestmem *mem, const struct acpi_config *cfg, gpa_t *ret_rsdp)
{
	struct acpi_image image;
	int r = acpi_make(cfg, ACPI_START, &image);

	if (r == 0)
		r = guest_write(mem, GPA(ACPI_START), image.bytes, image.len);
	if (r < 0)
		return r;
	*ret_rsdp = GPA(ACPI_START);
	return 0;
}
