/* SPDX-License-Identifier: Apache-2.0 */
/* What firmware is told of its machine, read as firmware reads it: RAM, CPUs, and ACPI tables that are put together
 * by their orders at an address that nobody knew. */
#include "cmd/vmm/boot/items.h"

#include "cmd/vmm/layout.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TABLES_ADDRESS 0x7ee3d000ULL
#define RSDP_ADDRESS 0xf5b40ULL
#define ORDER_LEN 128

static uint8_t image[FWCFG_IMAGE_SIZE];
static uint8_t tables[FWCFG_IMAGE_SIZE], rsdp[64];

static uint64_t number(const uint8_t *at, unsigned int width)
{
	uint64_t v = 0;

	memcpy(&v, at, width);
	return v;
}

static uint32_t number_be(const uint8_t *at, unsigned int width)
{
	uint32_t v = 0;

	for (unsigned int i = 0; i < width; i++)
		v = v << 8 | at[i];
	return v;
}

static void make(uint64_t ram, unsigned int cpus)
{
	const struct items_source src = { .ram_size = ram, .n_vcpus = cpus, .serial = true };

	memset(image, 0, sizeof(image));
	assert_int_equal(items_make(&src, image), 0);
}

static const uint8_t *item(uint16_t n, uint32_t *ret_len)
{
	struct fwcfg_item i = { 0, 0 };

	assert_int_equal(fwcfg_find(image, n, &i), 0);
	*ret_len = i.len;
	return image + i.offset;
}

static const uint8_t *file(const char *name, uint32_t *ret_len)
{
	uint32_t len, n;
	const uint8_t *directory = item(FWCFG_DIRECTORY, &len);

	n = number_be(directory, 4);
	assert_int_equal(len, 4 + n * 64);
	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *entry = directory + 4 + (size_t)i * 64;
		const uint8_t *bytes = item((uint16_t)number_be(entry + 4, 2), ret_len);

		assert_int_equal(number_be(entry, 4), *ret_len);
		if (strcmp((const char *)entry + 8, name) == 0)
			return bytes;
	}
	fail_msg("no file %s", name);
	return NULL;
}

static void ram_of_every_size(void **state)
{
	static const struct {
		uint64_t ram, low, high;
		uint32_t pci;
	} sizes[] = {
		{ RAM_MIN, RAM_MIN, 0, 0x80000000 },
		{ MIB(256), MIB(256), 0, 0x80000000 },
		{ GIB(2), GIB(2), 0, 0x80000000 },
		{ GIB(2) + KIB(4), GIB(2) + KIB(4), 0, 0x80001000 },
		{ GIB(3) - KIB(4), GIB(3) - KIB(4), 0, 0xbffff000 },
		{ GIB(3), GIB(3), 0, 0xc0000000 },
		{ GIB(3) + MIB(1), GIB(3), MIB(1), 0xc0000000 },
		{ GIB(5), GIB(3), GIB(2), 0xc0000000 },
		{ RAM_MAX, GIB(3), RAM_MAX - GIB(3), 0xc0000000 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		const uint8_t *map, *cmos = image + FWCFG_CMOS_AT;
		uint32_t len;

		make(sizes[i].ram, 1);
		map = file("etc/e820", &len);
		assert_int_equal(len, sizes[i].high ? 40 : 20);
		assert_int_equal(number(map, 8), 0);
		assert_int_equal(number(map + 8, 8), sizes[i].low);
		assert_int_equal(number(map + 16, 4), 1);
		if (sizes[i].high) {
			assert_int_equal(number(map + 20, 8), GIB(4));
			assert_int_equal(number(map + 28, 8), sizes[i].high);
		}
		assert_int_equal(number(cmos + 0x34, 2), (sizes[i].low - MIB(16)) >> 16);
		assert_int_equal(number(cmos + 0x5b, 3), sizes[i].high >> 16);
		assert_int_equal(items_pci_start(sizes[i].ram), sizes[i].pci);
	}
}

static void numbers(void **state)
{
	uint32_t len;

	(void)state;
	for (unsigned int n = 1; n <= VCPUS_MAX; n++) {
		make(MIB(256), n);
		assert_int_equal(number(item(FWCFG_CPUS, &len), 2), n);
		assert_int_equal(len, 2);
		assert_int_equal(number(item(FWCFG_MAX_CPUS, &len), 2), n);
		assert_int_equal(number(item(FWCFG_ID, &len), 4), 1); /* no DMA */
		assert_int_equal(len, 4);
		assert_memory_equal(item(FWCFG_SIGNATURE, &len), "QEMU", 4);
		assert_int_equal(len, 4);
	}
}

/* ---- the ACPI tables ---- */

struct blob {
	const char *name;
	uint8_t *bytes;
	uint32_t len;
	uint64_t address;
	bool allocated;
};

static struct blob blobs[2];

static struct blob *blob_of(const uint8_t *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(blobs); i++)
		if (strcmp((const char *)name, blobs[i].name) == 0)
			return &blobs[i];
	fail_msg("an order of another file");
	return NULL;
}

static uint8_t sum(const uint8_t *at, size_t len)
{
	uint8_t s = 0;

	while (len-- > 0)
		s += *at++;
	return s;
}

static void follow(const uint8_t *order)
{
	struct blob *b = blob_of(order + 4);
	const uint8_t *more = order + 4 + 56;
	uint64_t at, v;

	switch (number(order, 4)) {
	case 1:
		assert_false(b->allocated);
		assert_int_equal(b->address % number(more, 4), 0);
		b->allocated = true;
		break;
	case 2:
		at = number(more + 56, 4);
		assert_int_equal(more[60], 8);
		assert_in_range(at + 8, 8, b->len);
		v = number(b->bytes + at, 8);
		assert_in_range(v, 0, blob_of(more)->len - 36);
		v += blob_of(more)->address;
		memcpy(b->bytes + at, &v, 8);
		break;
	case 3:
		at = number(more, 4);
		assert_in_range(number(more + 4, 4) + number(more + 8, 4), 0, b->len);
		assert_int_equal(b->bytes[at], 0); /* what the sum is over has it */
		b->bytes[at] = (uint8_t)-sum(b->bytes + number(more + 4, 4), number(more + 8, 4));
		break;
	default:
		fail_msg("order %u", (unsigned int)number(order, 4));
	}
}

static void load(void)
{
	uint32_t len, n;
	const uint8_t *bytes = file("etc/acpi/tables", &len), *orders;

	memcpy(tables, bytes, len);
	blobs[0] = (struct blob){ "etc/acpi/tables", tables, len, TABLES_ADDRESS, false };
	bytes = file("etc/acpi/rsdp", &len);
	assert_int_equal(len, 36);
	memcpy(rsdp, bytes, len);
	blobs[1] = (struct blob){ "etc/acpi/rsdp", rsdp, len, RSDP_ADDRESS, false };
	orders = file("etc/table-loader", &n);
	assert_int_equal(n % ORDER_LEN, 0);
	for (uint32_t i = 0; i < n; i += ORDER_LEN)
		follow(orders + i);
	assert_true(blobs[0].allocated && blobs[1].allocated);
}

static const uint8_t *table(uint64_t address, const char *signature)
{
	const uint8_t *t = tables + (address - TABLES_ADDRESS);

	assert_in_range(address, TABLES_ADDRESS, TABLES_ADDRESS + blobs[0].len - 36);
	assert_memory_equal(t, signature, 4);
	assert_in_range(number(t + 4, 4), 36, blobs[0].len - (address - TABLES_ADDRESS));
	assert_int_equal(sum(t, number(t + 4, 4)), 0);
	return t;
}

static void tables_are_put_together(void **state)
{
	const uint8_t *xsdt, *fadt;

	(void)state;
	for (unsigned int n = 1; n <= VCPUS_MAX; n++) {
		make(GIB(1), n);
		load();
		assert_memory_equal(rsdp, "RSD PTR ", 8);
		assert_int_equal(sum(rsdp, 20), 0);
		assert_int_equal(sum(rsdp, 36), 0);
		xsdt = table(number(rsdp + 24, 8), "XSDT");
		assert_int_equal(number(xsdt + 4, 4), 36 + 3 * 8);
		fadt = table(number(xsdt + 36, 8), "FACP");
		table(number(xsdt + 44, 8), "APIC");
		table(number(xsdt + 52, 8), "MCFG");
		table(number(fadt + 140, 8), "DSDT");
	}
}

/* As QEMU writes it: a path a line, and a NUL behind the last. */
static void the_order_of_disks(void **state)
{
	static const struct items_place places[] = { { 0x12, 0, false }, { 2, 3, true } };
	static const char want[] = "/pci@i0cf8/scsi@12/disk@0,0\n"
				   "/pci@i0cf8/scsi@2,3/channel@0/disk@0,0\n";
	struct items_source src = {
		.ram_size = MIB(256), .n_vcpus = 1, .boot = places, .n_boot = 2
	};
	uint32_t len = 0;

	(void)state;
	memset(image, 0, sizeof(image));
	assert_int_equal(items_make(&src, image), 0);
	assert_memory_equal(file("bootorder", &len), want, sizeof(want));
	assert_int_equal(len, sizeof(want));
}

/* Of any size that there is, beside all else that firmware may be told. */
static void smbios_beside_all_else(void **state)
{
	static struct smbios_tables t = { .len = SMBIOS_TABLES_MAX };
	struct items_place places[16] = { { .slot = 2 } };
	const struct items_source src = { .ram_size = MIB(256),
					  .n_vcpus = VCPUS_MAX,
					  .serial = true,
					  .boot = places,
					  .n_boot = ARRAY_SIZE(places),
					  .smbios = &t };
	uint32_t len;

	(void)state;
	memset(t.bytes, 0xa5, sizeof(t.bytes));
	memset(image, 0, sizeof(image));
	assert_int_equal(items_make(&src, image), 0);
	assert_memory_equal(file("etc/smbios/smbios-tables", &len), t.bytes, sizeof(t.bytes));
	assert_int_equal(len, SMBIOS_TABLES_MAX);
	assert_memory_equal(file("etc/smbios/smbios-anchor", &len), "_SM3_", 5);
	assert_int_equal(len, SMBIOS_ENTRY_LEN);
	file("bootorder", &len);
	file("etc/table-loader", &len);
}

/* ---- the memfd ---- */

static void nobody_changes_what_was_written(void **state)
{
	const struct items_source src = { .ram_size = MIB(256), .n_vcpus = 2 };
	int fd = memfd_create("items", MFD_CLOEXEC | MFD_ALLOW_SEALING), other;
	uint8_t byte = 1;

	(void)state;
	assert_true(fd >= 0);
	other = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	assert_int_equal(ftruncate(fd, FWCFG_IMAGE_SIZE), 0);
	assert_int_equal(items_write(&src, fd), 0);
	assert_int_equal(close(fd), -1);
	assert_int_equal(pwrite(other, &byte, 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_ptr_equal(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, other, 0), MAP_FAILED);
	assert_int_equal(pread(other, image, sizeof(image), 0), (ssize_t)sizeof(image));
	assert_int_equal(number(image, 4), FWCFG_MAGIC);
	assert_int_equal(items_write(&src, other), -EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ram_of_every_size),
		cmocka_unit_test(numbers),
		cmocka_unit_test(tables_are_put_together),
		cmocka_unit_test(the_order_of_disks),
		cmocka_unit_test(smbios_beside_all_else),
		cmocka_unit_test(nobody_changes_what_was_written),
	};

	return cmocka_run_group_tests_name("items", tests, NULL, NULL);
}
