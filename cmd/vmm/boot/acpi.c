/* SPDX-License-Identifier: Apache-2.0 */
/* The tables, one after the other from ACPI_START on; see acpi.h. ACPI 6.4, 5.2. */
#include "cmd/vmm/boot/acpi.h"

#include "cmd/vmm/boot/acpi_dsdt.h"
#include "cmd/vmm/layout.h"

#include <assert.h>
#include <errno.h>

#define IMAGE_MAX KIB(8)
#define TABLE_ALIGN 16
#define HEADER_LEN 36
#define LENGTH_AT 4
#define CHECKSUM_AT 9

#define OEM_ID "BULKHD"
#define OEM_TABLE_ID "BULKHEAD"
#define CREATOR_ID "BLKH"

#define RSDP_LEN 36
#define RSDP_V1_LEN 20
#define RSDP_CHECKSUM_AT 8
#define RSDP_EXTENDED_CHECKSUM_AT 32

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

static_assert(IMAGE_MAX <= RESET_VECTOR - ACPI_START);

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
static size_t table_begin(struct bytes_writer *w, const char *signature, uint8_t revision)
{
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

static uint64_t table_end(struct bytes_writer *w, size_t start)
{
	size_t len = w->at - start;

	if (!w->failed) {
		for (unsigned int i = 0; i < 4; i++)
			w->data[start + LENGTH_AT + i] = (uint8_t)(len >> (8 * i));
		set_checksum(w, start, len, CHECKSUM_AT);
	}
	return ACPI_START + start;
}

static void put_port(struct bytes_writer *w, uint16_t port)
{
	bytes_put8(w, GAS_IO);
	bytes_put8(w, 8); /* bits */
	bytes_put8(w, 0);
	bytes_put8(w, GAS_BYTE);
	bytes_put64(w, port);
}

static uint64_t put_dsdt(struct bytes_writer *w, const struct acpi_config *cfg)
{
	size_t start = table_begin(w, "DSDT", 2);

	acpi_dsdt_build(w, cfg);
	return table_end(w, start);
}

/* Of the fixed hardware only reset and sleep registers exist; all other fields are 0. */
static uint64_t put_fadt(struct bytes_writer *w, uint64_t dsdt)
{
	size_t start = table_begin(w, "FACP", 6);

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
	bytes_put64(w, dsdt);
	put_zeroes(w, 244 - 148);
	put_port(w, PORT_SLEEP_CONTROL);
	put_port(w, PORT_SLEEP_STATUS);
	bytes_put(w, OEM_TABLE_ID, 8); /* hypervisor vendor identity */
	return table_end(w, start);
}

static uint64_t put_madt(struct bytes_writer *w, const struct acpi_config *cfg)
{
	size_t start = table_begin(w, "APIC", 5);

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
	return table_end(w, start);
}

static uint64_t put_mcfg(struct bytes_writer *w)
{
	size_t start = table_begin(w, "MCFG", 1);

	put_zeroes(w, 8);
	bytes_put64(w, ECAM_START);
	bytes_put16(w, 0); /* segment */
	bytes_put8(w, 0);  /* first bus */
	bytes_put8(w, (uint8_t)(ECAM_SIZE / MIB(1) - 1));
	put_zeroes(w, 4);
	return table_end(w, start);
}

static uint64_t put_xsdt(struct bytes_writer *w, const uint64_t *tables, size_t n)
{
	size_t start = table_begin(w, "XSDT", 1);

	for (size_t i = 0; i < n; i++)
		bytes_put64(w, tables[i]);
	return table_end(w, start);
}

/* Comes first; where the XSDT is is known last. */
static void write_rsdp(struct bytes_writer *image, uint64_t xsdt)
{
	struct bytes_writer w = bytes_writer(image->data, RSDP_LEN);

	bytes_put(&w, "RSD PTR ", 8);
	bytes_put8(&w, 0);
	bytes_put(&w, OEM_ID, 6);
	bytes_put8(&w, 2);  /* revision */
	bytes_put32(&w, 0); /* no RSDT */
	bytes_put32(&w, RSDP_LEN);
	bytes_put64(&w, xsdt);
	put_zeroes(&w, 4);
	set_checksum(&w, 0, RSDP_V1_LEN, RSDP_CHECKSUM_AT);
	set_checksum(&w, 0, RSDP_LEN, RSDP_EXTENDED_CHECKSUM_AT);
}

int acpi_build(const struct guestmem *mem, const struct acpi_config *cfg, gpa_t *ret_rsdp)
{
	uint8_t image[IMAGE_MAX] = { 0 };
	struct bytes_writer w = bytes_writer(image, sizeof(image));
	uint64_t dsdt, xsdt, tables[3];
	int r;

	put_zeroes(&w, RSDP_LEN);
	dsdt = put_dsdt(&w, cfg);
	tables[0] = put_fadt(&w, dsdt);
	tables[1] = put_madt(&w, cfg);
	tables[2] = put_mcfg(&w);
	xsdt = put_xsdt(&w, tables, 3);
	if (w.failed)
		return -ENOSPC;
	write_rsdp(&w, xsdt);
	r = guest_write(mem, GPA(ACPI_START), image, w.at);
	if (r < 0)
		return r;
	*ret_rsdp = GPA(ACPI_START);
	return 0;
}
