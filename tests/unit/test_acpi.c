/* SPDX-License-Identifier: Apache-2.0 */
/* The ACPI tables as a guest finds them: checksums, lengths, the fields that Linux goes by. */
#include "cmd/vmm/boot/acpi.h"
#include "cmd/vmm/boot/aml.h"
#include "lib/tpm/tpm.h"
#include "tests/unit/bootenv.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static uint8_t table[KIB(64)];

static uint64_t number(size_t at, size_t width)
{
	uint64_t v = 0;

	memcpy(&v, table + at, width);
	return v;
}

static uint8_t sum(size_t len)
{
	uint8_t s = 0;

	for (size_t i = 0; i < len; i++)
		s += table[i];
	return s;
}

/* Into `table`; returns its length. */
static size_t read_table(const struct bootenv *e, uint64_t address, const char *signature)
{
	size_t len;

	assert_in_range(address, ACPI_START, ACPI_END - 36);
	assert_int_equal(guest_read(&e->mem, GPA(address), table, 36), 0);
	len = number(4, 4);
	assert_in_range(len, 36, sizeof(table));
	assert_in_range(address + len, ACPI_START, ACPI_END);
	assert_int_equal(guest_read(&e->mem, GPA(address), table, len), 0);
	assert_int_equal(sum(len), 0);
	assert_memory_equal(table, signature, 4);
	return len;
}

struct found {
	uint64_t fadt, madt, mcfg, dsdt;
};

static struct found find_tables(struct bootenv *e, unsigned int n_vcpus, bool serial)
{
	const struct acpi_config cfg = { .n_vcpus = n_vcpus,
					 .serial = serial,
					 .pci_start = PCI_MMIO32_START,
					 .pci_end = PCI_MMIO32_END };
	struct found f;
	gpa_t rsdp;

	assert_int_equal(acpi_build(&e->mem, &cfg, &rsdp), 0);
	assert_int_equal(guest_read(&e->mem, rsdp, table, 36), 0);
	assert_memory_equal(table, "RSD PTR ", 8);
	assert_int_equal(sum(20), 0);
	assert_int_equal(sum(36), 0);
	assert_int_equal(number(15, 1), 2);
	assert_int_equal(read_table(e, number(24, 8), "XSDT"), 36 + 3 * 8);
	f = (struct found){ number(36, 8), number(44, 8), number(52, 8), 0 };
	assert_int_equal(read_table(e, f.fadt, "FACP"), 276);
	f.dsdt = number(140, 8);
	return f;
}

static void the_fadt_is_hardware_reduced(void **state)
{
	struct bootenv e;
	struct found f;

	(void)state;
	bootenv_open(&e, MIB(64));
	f = find_tables(&e, 1, true);
	read_table(&e, f.fadt, "FACP");
	assert_true(number(112, 4) & 1 << 20);	       /* HW_REDUCED_ACPI */
	assert_true(number(112, 4) & 1 << 10);	       /* RESET_REG_SUP */
	assert_int_equal(number(109, 2) & 0x27, 0x24); /* no VGA, no RTC; no legacy, no 8042 */
	assert_int_equal(number(116, 1), 1);
	assert_int_equal(number(120, 8), PORT_RESET);
	assert_int_equal(number(128, 1), RESET_VALUE);
	assert_int_equal(number(244, 1), 1);
	assert_int_equal(number(248, 8), PORT_SLEEP_CONTROL);
	assert_int_equal(number(256, 1), 1);
	assert_int_equal(number(260, 8), PORT_SLEEP_STATUS);
	bootenv_close(&e);
}

static void the_madt_lists_every_cpu_once(void **state)
{
	struct bootenv e;

	(void)state;
	bootenv_open(&e, MIB(64));
	for (unsigned int n = 1; n <= VCPUS_MAX; n++) {
		struct found f = find_tables(&e, n, true);
		size_t len = read_table(&e, f.madt, "APIC");
		unsigned int cpus = 0, ioapics = 0;
		size_t at = 44;

		assert_int_equal(number(36, 4), LAPIC_START);
		while (at < len) {
			if (table[at] == 0) {
				assert_int_equal(table[at + 3], cpus);
				assert_int_equal(number(at + 4, 4), 1);
				cpus++;
			} else {
				assert_int_equal(table[at], 1);
				assert_int_equal(number(at + 4, 4), IOAPIC_START);
				assert_int_equal(number(at + 8, 4), 0);
				ioapics++;
			}
			assert_true(table[at + 1] >= 8);
			at += table[at + 1];
		}
		assert_int_equal(at, len);
		assert_int_equal(cpus, n);
		assert_int_equal(ioapics, 1);
	}
	bootenv_close(&e);
}

static void the_mcfg_has_one_bus(void **state)
{
	struct bootenv e;
	struct found f;

	(void)state;
	bootenv_open(&e, MIB(64));
	f = find_tables(&e, 1, true);
	assert_int_equal(read_table(&e, f.mcfg, "MCFG"), 60);
	assert_int_equal(number(44, 8), ECAM_START);
	assert_int_equal(number(52, 4), 0);
	bootenv_close(&e);
}

static bool dsdt_has(size_t len, const void *what, size_t n)
{
	return memmem(table, len, what, n) != NULL;
}

static void the_dsdt_names_what_is_there(void **state)
{
	struct bootenv e;

	(void)state;
	bootenv_open(&e, MIB(64));
	for (unsigned int serial = 0; serial < 2; serial++) {
		struct found f = find_tables(&e, 4, serial);
		size_t len = read_table(&e, f.dsdt, "DSDT");

		assert_true(dsdt_has(len, "PCI0", 4) && dsdt_has(len, "PWRB", 4));
		assert_true(dsdt_has(len, "QEMU0001", 9) && dsdt_has(len, "ACPI0013", 9));
		for (unsigned int slot = 0; slot < PCI_SLOTS; slot++) {
			char name[8];

			snprintf(name, sizeof(name), "S%02X_", slot & 0xff);
			assert_int_equal(dsdt_has(len, name, 4),
					 slot >= HOTPLUG_FIRST_SLOT &&
						 slot < HOTPLUG_FIRST_SLOT + HOTPLUG_SLOTS);
		}
		assert_true(dsdt_has(len, "C003", 4) && !dsdt_has(len, "C004", 4));
		assert_int_equal(dsdt_has(len, "COM1", 4), serial);
		assert_true(dsdt_has(len, "\x41\xd0\x0a\x08", 4)); /* PNP0A08 */
	}
	bootenv_close(&e);
}

/* TCG ACPI Specification 1.2, table 2: where the control area is, and that commands start by it. */
static void a_tpm_is_told_of(void **state)
{
	const struct acpi_config cfg = { .n_vcpus = 1, .tpm = true, .pci_start = PCI_MMIO32_START };
	uint64_t tpm2, fadt;
	struct bootenv e;
	gpa_t rsdp;
	size_t len;

	(void)state;
	bootenv_open(&e, MIB(64));
	assert_int_equal(acpi_build(&e.mem, &cfg, &rsdp), 0);
	assert_int_equal(guest_read(&e.mem, rsdp, table, 36), 0);
	assert_int_equal(read_table(&e, number(24, 8), "XSDT"), 36 + 4 * 8);
	fadt = number(36, 8);
	tpm2 = number(60, 8);
	assert_int_equal(read_table(&e, tpm2, "TPM2"), 52);
	assert_int_equal(number(40, 8), TPM_CRB_BASE + TPM_CTRL_REQ);
	assert_int_equal(number(48, 4), 7);
	assert_int_equal(read_table(&e, fadt, "FACP"), 276);
	len = read_table(&e, number(140, 8), "DSDT");
	assert_true(dsdt_has(len, "MSFT0101", 9));
	bootenv_close(&e);
}

static void no_room_is_an_error(void **state)
{
	const struct acpi_config many = { .n_vcpus = 400,
					  .pci_start = PCI_MMIO32_START,
					  .pci_end = PCI_MMIO32_END },
				 cfg = { .n_vcpus = 1,
					 .pci_start = PCI_MMIO32_START,
					 .pci_end = PCI_MMIO32_END };
	struct guestmem nothing;
	struct bootenv e;
	gpa_t rsdp = GPA(1);

	(void)state;
	bootenv_open(&e, MIB(64));
	assert_int_equal(acpi_build(&e.mem, &many, &rsdp), -ENOSPC);
	guestmem_init(&nothing);
	assert_int_equal(acpi_build(&nothing, &cfg, &rsdp), -EFAULT);
	assert_int_equal(rsdp.v, 1);
	bootenv_close(&e);
}

/* PkgLength changes its size at 63 and 4095 bytes, itself included. */
static void package_lengths_at_their_steps(void **state)
{
	static const size_t bodies[] = { 4, 62, 63, 4093, 4094, 8000 };
	uint8_t out[9000];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		struct bytes_writer w = bytes_writer(out, sizeof(out));
		aml_mark scope = aml_scope(&w, "_SB_");
		size_t n = bodies[i] <= 62 ? 1 : bodies[i] <= 4093 ? 2 : 3, got;

		for (size_t k = 4; k < bodies[i]; k++)
			bytes_put8(&w, 0xa3);
		aml_end(&w, scope);
		assert_int_equal(bytes_written(&w), 1 + n + bodies[i]);
		assert_int_equal(out[1] >> 6, n - 1);
		got = n == 1 ? out[1] : (out[1] & 0xf) | (size_t)out[2] << 4;
		got |= n == 3 ? (size_t)out[3] << 12 : 0;
		assert_int_equal(got, n + bodies[i]);
		assert_memory_equal(out + 1 + n, "_SB_", 4);
	}
}

static void a_full_buffer_is_not_overrun(void **state)
{
	uint8_t out[64];

	(void)state;
	for (size_t cap = 0; cap <= 40; cap++) {
		struct bytes_writer w = bytes_writer(out, cap);
		aml_mark device, crs;

		memset(out, 0xee, sizeof(out));
		device = aml_device(&w, "PCI0");
		aml_name(&w, "_CRS");
		crs = aml_resources(&w);
		aml_res_io(&w, 0x505, 1);
		aml_resources_end(&w, crs);
		aml_end(&w, device);
		assert_int_equal(bytes_written(&w), cap < 27 ? -EMSGSIZE : 27);
		for (size_t i = cap; i < sizeof(out); i++)
			assert_int_equal(out[i], 0xee);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_fadt_is_hardware_reduced),
		cmocka_unit_test(the_madt_lists_every_cpu_once),
		cmocka_unit_test(the_mcfg_has_one_bus),
		cmocka_unit_test(the_dsdt_names_what_is_there),
		cmocka_unit_test(a_tpm_is_told_of),
		cmocka_unit_test(no_room_is_an_error),
		cmocka_unit_test(package_lengths_at_their_steps),
		cmocka_unit_test(a_full_buffer_is_not_overrun),
	};

	return cmocka_run_group_tests_name("acpi", tests, NULL, NULL);
}
