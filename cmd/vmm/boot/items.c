/* SPDX-License-Identifier: Apache-2.0 */
/* fw_cfg's items; see items.h. Formats: QEMU docs/specs/fw_cfg.rst, and hw/acpi/bios-linker-loader's of orders. */
#include "cmd/vmm/boot/items.h"

#include "cmd/vmm/boot/acpi.h"
#include "cmd/vmm/layout.h"
#include "cmd/vmm/pci/pci.h"
#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ID_PIO 1 /* the ports, and no DMA */

#define RSDP_FILE "etc/acpi/rsdp"
#define TABLES_FILE "etc/acpi/tables"
#define TABLES_ALIGN 64

#define E820_RAM 1

/* etc/table-loader: orders of a fixed length */
#define ORDER_LEN 128
#define ORDERS_MAX 32
#define ORDER_ALLOCATE 1
#define ORDER_ADD_POINTER 2
#define ORDER_ADD_CHECKSUM 3
#define ZONE_HIGH 1
#define ZONE_F_SEGMENT 2

/* CMOS: RAM above 16 MiB, and above 4 GiB, in units of 64 KiB. */
#define CMOS_ABOVE_16M 0x34
#define CMOS_ABOVE_4G 0x5b
#define CMOS_UNIT KIB(64)

static uint64_t low_ram(uint64_t ram_size)
{
	return ram_size < LOW_RAM_MAX ? ram_size : LOW_RAM_MAX;
}

uint32_t items_pci_start(uint64_t ram_size)
{
	const uint64_t low = low_ram(ram_size);

	return (uint32_t)(low > PCI_FIRMWARE_START ? low : PCI_FIRMWARE_START);
}

static void make_cmos(const struct items_source *src, uint8_t cmos[FWCFG_CMOS_LEN])
{
	const uint64_t low = low_ram(src->ram_size), high = src->ram_size - low;

	memset(cmos, 0, FWCFG_CMOS_LEN);
	for (unsigned int i = 0; i < 2; i++)
		cmos[CMOS_ABOVE_16M + i] = (uint8_t)((low - MIB(16)) / CMOS_UNIT >> (8 * i));
	for (unsigned int i = 0; i < 3; i++)
		cmos[CMOS_ABOVE_4G + i] = (uint8_t)(high / CMOS_UNIT >> (8 * i));
}

static void add_number(struct fwcfg_writer *w, uint16_t item, uint32_t v, size_t width)
{
	uint8_t bytes[4];
	struct bytes_writer b = bytes_writer(bytes, sizeof(bytes));

	bytes_put32(&b, v);
	fwcfg_add(w, item, bytes, width);
}

static void put_ram(struct bytes_writer *w, uint64_t start, uint64_t len)
{
	bytes_put64(w, start);
	bytes_put64(w, len);
	bytes_put32(w, E820_RAM);
}

static void add_e820(struct fwcfg_writer *w, uint64_t ram_size)
{
	uint8_t bytes[40];
	struct bytes_writer b = bytes_writer(bytes, sizeof(bytes));

	put_ram(&b, 0, low_ram(ram_size));
	if (ram_size > LOW_RAM_MAX)
		put_ram(&b, HIGH_RAM_START, ram_size - LOW_RAM_MAX);
	fwcfg_add_file(w, "etc/e820", bytes, b.at);
}

/* Where SeaBIOS has its screen, as there is no display (its docs/Runtime_config.md). */
static void add_screen(struct fwcfg_writer *w)
{
	uint8_t bytes[2];
	struct bytes_writer b = bytes_writer(bytes, sizeof(bytes));

	bytes_put16(&b, PORT_SERIAL);
	fwcfg_add_file(w, "etc/sercon-port", bytes, sizeof(bytes));
}

/* Paths of Open Firmware, as QEMU names them: its docs/specs/fw_cfg.rst and bootindex.rst. */
static void add_boot(struct fwcfg_writer *w, const struct items_source *src)
{
	char text[PCI_DEVICES_MAX * 48];
	size_t at = 0;

	for (unsigned int i = 0; i < src->n_boot && at < sizeof(text); i++) {
		const struct items_place *p = &src->boot[i];
		char function[12] = "";

		if (p->function)
			snprintf(function, sizeof(function), ",%x", p->function);
		at += (size_t)snprintf(text + at, sizeof(text) - at,
				       "/pci@i0cf8/scsi@%x%s/%sdisk@0,0\n", p->slot, function,
				       p->scsi ? "channel@0/" : "");
	}
	if (at && at < sizeof(text))
		fwcfg_add_file(w, "bootorder", text, at + 1);
}

/* ---- the ACPI tables, and how they are put together ---- */

static void put_file(struct bytes_writer *w, const char *name)
{
	char file[FWCFG_NAME_LEN] = "";

	strncpy(file, name, sizeof(file) - 1);
	bytes_put(w, file, sizeof(file));
}

static void end_order(struct bytes_writer *w)
{
	while (w->at % ORDER_LEN)
		bytes_put8(w, 0);
}

static void order_allocate(struct bytes_writer *w, const char *file, uint32_t align, uint8_t zone)
{
	bytes_put32(w, ORDER_ALLOCATE);
	put_file(w, file);
	bytes_put32(w, align);
	bytes_put8(w, zone);
	end_order(w);
}

/* The 8 bytes there have an offset in the tables, and get an address. */
static void order_pointer(struct bytes_writer *w, const char *file, size_t at)
{
	bytes_put32(w, ORDER_ADD_POINTER);
	put_file(w, file);
	put_file(w, TABLES_FILE);
	bytes_put32(w, (uint32_t)at);
	bytes_put8(w, 8);
	end_order(w);
}

static void order_checksum(struct bytes_writer *w, const char *file, size_t at, size_t start,
			   size_t len)
{
	bytes_put32(w, ORDER_ADD_CHECKSUM);
	put_file(w, file);
	bytes_put32(w, (uint32_t)at);
	bytes_put32(w, (uint32_t)start);
	bytes_put32(w, (uint32_t)len);
	end_order(w);
}

static uint32_t table_len(const struct acpi_image *a, size_t start)
{
	struct bytes_reader r = bytes_reader(a->bytes + start + ACPI_LENGTH_AT, 4);

	return bytes_get32(&r);
}

/* Sums are of the byte itself, too: it is zero before. */
static void put_checksums(struct bytes_writer *w, struct acpi_image *a)
{
	for (size_t i = 0; i < a->n_tables; i++) {
		const size_t start = a->tables[i], in_file = start - ACPI_TABLES_AT;

		a->bytes[start + ACPI_CHECKSUM_AT] = 0;
		order_checksum(w, TABLES_FILE, in_file + ACPI_CHECKSUM_AT, in_file,
			       table_len(a, start));
	}
	a->bytes[ACPI_RSDP_CHECKSUM_AT] = a->bytes[ACPI_RSDP_EXTENDED_CHECKSUM_AT] = 0;
	order_checksum(w, RSDP_FILE, ACPI_RSDP_CHECKSUM_AT, 0, ACPI_RSDP_V1_LEN);
	order_checksum(w, RSDP_FILE, ACPI_RSDP_EXTENDED_CHECKSUM_AT, 0, ACPI_RSDP_LEN);
}

static int add_acpi(struct fwcfg_writer *w, const struct items_source *src)
{
	const struct acpi_config cfg = { .n_vcpus = src->n_vcpus,
					 .serial = src->serial,
					 .tpm = src->tpm,
					 .pci_start = items_pci_start(src->ram_size),
					 .pci_end = PCI_FIRMWARE_END };
	uint8_t orders[ORDERS_MAX * ORDER_LEN];
	struct bytes_writer o = bytes_writer(orders, sizeof(orders));
	struct acpi_image a;
	int r = acpi_make(&cfg, -(uint64_t)ACPI_TABLES_AT, &a);

	if (r < 0)
		return r;
	order_allocate(&o, RSDP_FILE, 16, ZONE_F_SEGMENT);
	order_allocate(&o, TABLES_FILE, TABLES_ALIGN, ZONE_HIGH);
	for (size_t i = 0; i < a.n_pointers; i++)
		if (a.pointers[i] < ACPI_RSDP_LEN)
			order_pointer(&o, RSDP_FILE, a.pointers[i]);
		else
			order_pointer(&o, TABLES_FILE, a.pointers[i] - ACPI_TABLES_AT);
	put_checksums(&o, &a);
	if (o.failed)
		return -ENOSPC;
	fwcfg_add_file(w, RSDP_FILE, a.bytes, ACPI_RSDP_LEN);
	fwcfg_add_file(w, TABLES_FILE, a.bytes + ACPI_TABLES_AT, a.len - ACPI_TABLES_AT);
	fwcfg_add_file(w, "etc/table-loader", orders, o.at);
	return 0;
}

/* Firmware puts them where it likes, and makes an entry point of its own by what this one says. */
static void add_smbios(struct fwcfg_writer *w, const struct smbios_tables *t)
{
	uint8_t entry[SMBIOS_ENTRY_LEN];

	smbios_entry(t, 0, entry);
	fwcfg_add_file(w, "etc/smbios/smbios-anchor", entry, sizeof(entry));
	fwcfg_add_file(w, "etc/smbios/smbios-tables", t->bytes, t->len);
}

int items_make(const struct items_source *src, uint8_t *image)
{
	uint8_t cmos[FWCFG_CMOS_LEN];
	struct fwcfg_writer w;
	int r;

	make_cmos(src, cmos);
	fwcfg_begin(&w, image, cmos);
	fwcfg_add(&w, FWCFG_SIGNATURE, "QEMU", 4);
	add_number(&w, FWCFG_ID, ID_PIO, 4);
	add_number(&w, FWCFG_CPUS, src->n_vcpus, 2);
	add_number(&w, FWCFG_MAX_CPUS, src->n_vcpus, 2);
	add_e820(&w, src->ram_size);
	if (src->serial)
		add_screen(&w);
	add_boot(&w, src);
	if (src->smbios)
		add_smbios(&w, src->smbios);
	r = add_acpi(&w, src);
	return r < 0 ? r : fwcfg_finish(&w);
}

int items_write(const struct items_source *src, int fd)
{
	static uint8_t image[FWCFG_IMAGE_SIZE];
	_cleanup_(closep) int own = fd;
	ssize_t n;
	int r = items_make(src, image);

	if (r < 0)
		return r;
	n = pwrite(own, image, sizeof(image), 0);
	if (n != (ssize_t)sizeof(image))
		return n < 0 ? -errno : -EIO;
	return fcntl(own, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL) < 0 ? -errno : 0;
}
