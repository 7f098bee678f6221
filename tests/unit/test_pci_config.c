/* SPDX-License-Identifier: Apache-2.0 */
/* PCI configuration spaces, ECAM and BARs: every register at every width, masks, placement. */
#include "cmd/vmm/pci/function.h"
#include "tests/unit/testvmm.h"
#include "tests/unit/unit.h"

#include <linux/pci_regs.h>
#include <string.h>

#define BAR_SIZE 0x8000U

struct fixture {
	struct machine m;
	struct accel accel;
	struct pci_function fn[2];
	uint64_t moved[2];
	unsigned int n_accesses;
};

static uint64_t bar_read(void *owner, uint64_t offset, unsigned int width)
{
	struct fixture *f = owner;

	assert_true(offset + width <= BAR_SIZE);
	f->n_accesses++;
	return offset;
}

static void bar_write(void *owner, uint64_t offset, unsigned int width, uint64_t value)
{
	(void)value;
	(void)bar_read(owner, offset, width);
}

static const struct bus_ops bar_ops = { .read = bar_read, .write = bar_write };

static void moved(struct pci_function *fn, uint64_t base)
{
	struct fixture *f = fn->owner;

	f->moved[fn - f->fn] = base;
}

static int reset(void *object)
{
	struct pci_function *fn = object;

	pci_config_reset(&fn->config);
	return 0;
}

static const struct state_ops fn_state = { .name = "function", .reset = reset };
static const struct pci_function_ops fn_ops = { .bar_moved = moved, .state = &fn_state };

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	test_machine_open(&f->m, &f->accel);
	assert_int_equal(pci_host_open(&f->m, &f->m.pci), 0);
	for (int i = 0; i < 2; i++) {
		f->fn[i] = (struct pci_function){ .m = &f->m,
						  .ops = &fn_ops,
						  .owner = f,
						  .bar = { .size = BAR_SIZE, .ops = &bar_ops } };
		pci_config_init(&f->fn[i].config, 0x1234, (uint16_t)(0x10 + i), 0x010000, 1);
		assert_int_equal(pci_host_add(f->m.pci, &f->fn[i]), 0);
	}
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	test_machine_close(&f->m);
	test_free(f);
	return 0;
}

static uint64_t ecam(unsigned int slot, unsigned int fn, unsigned int reg)
{
	return ECAM_START + (slot << 15) + (fn << 12) + reg;
}

#define N_SLOTS (PCI_FUNCTIONS / PCI_SLOT_FUNCTIONS)

static uint32_t get(struct fixture *f, unsigned int slot, unsigned int reg, unsigned int width)
{
	return (uint32_t)bus_read(&f->m.mmio, ecam(slot, 0, reg), width);
}

static void set(struct fixture *f, unsigned int slot, unsigned int reg, unsigned int width,
		uint32_t value)
{
	bus_write(&f->m.mmio, ecam(slot, 0, reg), width, value);
}

static void the_bridge_and_two_functions_are_there(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(get(f, 0, PCI_CLASS_REVISION, 4) >> 16, 0x0600);
	assert_int_equal(get(f, 1, PCI_VENDOR_ID, 4), 0x00101234);
	assert_int_equal(get(f, 2, PCI_VENDOR_ID, 4), 0x00111234);
	for (unsigned int slot = 3; slot < N_SLOTS; slot++)
		assert_int_equal(get(f, slot, PCI_VENDOR_ID, 4), 0xffffffff);
	for (unsigned int fn = 1; fn < 8; fn++)
		assert_int_equal(bus_read(&f->m.mmio, ecam(1, fn, 0), 4), 0xffffffff);
	assert_int_equal(get(f, 1, PCI_INTERRUPT_PIN, 1), 0);
}

/* Nothing but the masks changes, whatever is written where; and nothing is out of bounds. */
static void only_masked_bits_are_written(void **state)
{
	struct fixture *f = *state;
	static const unsigned int widths[] = { 1, 2, 4, 8 };
	uint8_t allowed[4096] = { 0 };

	memset(allowed + PCI_COMMAND, 0xff, 2);
	memset(allowed + PCI_CACHE_LINE_SIZE, 0xff, 1);
	memset(allowed + PCI_BASE_ADDRESS_0, 0xff, 4);
	for (unsigned int w = 0; w < ARRAY_SIZE(widths); w++)
		for (unsigned int reg = 0; reg < 4096; reg++) {
			uint8_t before[4096];

			for (unsigned int i = 0; i < 4096; i++)
				before[i] = (uint8_t)get(f, 1, i, 1);
			if (reg >= 0x60 && reg % 509) /* the rest is the same all over */
				continue;
			bus_write(&f->m.mmio, ecam(1, 0, reg), widths[w], UINT64_MAX);
			bus_write(&f->m.mmio, ecam(1, 0, reg), widths[w], 0);
			bus_write(&f->m.mmio, ecam(1, 0, reg), widths[w], UINT64_MAX);
			for (unsigned int i = 0; i < 4096; i++)
				if (!allowed[i])
					assert_int_equal(get(f, 1, i, 1), before[i]);
		}
	assert_int_equal(get(f, 2, PCI_VENDOR_ID, 4), 0x00111234);
}

static void accesses_across_functions_float(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(bus_read(&f->m.mmio, ecam(1, 0, 4094), 4), 0xffffffff);
	assert_int_equal(bus_read(&f->m.mmio, ecam(1, 0, 4095), 2), 0xffff);
	assert_true(bus_read(&f->m.mmio, ecam(1, 0, 0), 8) == UINT64_MAX);
	assert_int_equal(bus_read(&f->m.mmio, ECAM_START + ECAM_SIZE - 2, 4), 0xffffffff);
	assert_int_equal(get(f, 1, 0x100, 4), 0); /* no extended capability */
	assert_int_equal(get(f, 1, 0xfe, 4), 0xffffffff);
}

static void a_bar_says_its_size(void **state)
{
	struct fixture *f = *state;
	uint32_t at = get(f, 1, PCI_BASE_ADDRESS_0, 4);

	set(f, 1, PCI_BASE_ADDRESS_0, 4, 0xffffffff);
	assert_int_equal(get(f, 1, PCI_BASE_ADDRESS_0, 4), ~(BAR_SIZE - 1));
	assert_true(f->moved[0] == 0);
	set(f, 1, PCI_BASE_ADDRESS_0, 4, at);
	assert_true(f->moved[0] == at);
	assert_int_equal(get(f, 1, PCI_BASE_ADDRESS_1, 4), 0);
}

static void firmware_has_placed_bars(void **state)
{
	struct fixture *f = *state;

	for (unsigned int slot = 1; slot < 3; slot++) {
		uint32_t at = get(f, slot, PCI_BASE_ADDRESS_0, 4);

		assert_true(at >= PCI_MMIO32_START && at % BAR_SIZE == 0);
		assert_int_equal(bus_read(&f->m.mmio, at + 8, 4), 8);
		assert_true(f->moved[slot - 1] == at);
	}
}

static void decoding_follows_command(void **state)
{
	struct fixture *f = *state;
	uint32_t at = get(f, 1, PCI_BASE_ADDRESS_0, 4);

	set(f, 1, PCI_COMMAND, 2, 0);
	assert_int_equal(bus_read(&f->m.mmio, at, 4), 0xffffffff);
	assert_true(f->moved[0] == 0);
	set(f, 1, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(bus_read(&f->m.mmio, at + 4, 4), 4);
}

/* Everywhere that a BAR may not be. */
static void a_misplaced_bar_is_not_decoded(void **state)
{
	static const uint32_t bad[] = {
		0,	    0x8000,	0x00100000, 0xbfff8000, 0xe0000000, 0xe8000000,
		0xe80f8000, 0xfec00000, 0xfee00000, 0xfffc0000, 0xffff8000,
	};
	struct fixture *f = *state;
	uint32_t home = get(f, 1, PCI_BASE_ADDRESS_0, 4);

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		set(f, 1, PCI_BASE_ADDRESS_0, 4, bad[i]);
		assert_true(f->moved[0] == 0);
		f->n_accesses = 0;
		(void)bus_read(&f->m.mmio, bad[i], 4);
		(void)bus_read(&f->m.mmio, home, 4);
		assert_int_equal(f->n_accesses, 0);
		assert_int_equal(get(f, 1, PCI_VENDOR_ID, 4), 0x00101234);
	}
	set(f, 1, PCI_BASE_ADDRESS_0, 4, 0xdfff8000); /* the window's last place */
	assert_true(f->moved[0] == 0xdfff8000);
	assert_int_equal(bus_read(&f->m.mmio, 0xdfff8000 + BAR_SIZE - 2, 4), 0xffffffff);
}

/* Firmware's window goes on to the IOAPIC: ECAM, which lies in it, stays what it is. */
static void a_bar_is_not_decoded_over_ecam(void **state)
{
	static const uint32_t bad[] = { 0xe8000000, 0xe80f8000, 0xfec00000 };
	static const uint32_t good[] = { 0xe0000000, 0xe7ff8000, 0xe8100000, 0xfebf8000 };
	struct fixture *f = *state;

	f->m.pci->window_end = PCI_FIRMWARE_END;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		set(f, 1, PCI_BASE_ADDRESS_0, 4, bad[i]);
		assert_true(f->moved[0] == 0);
		assert_int_equal(get(f, 1, PCI_VENDOR_ID, 4), 0x00101234);
	}
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		set(f, 1, PCI_BASE_ADDRESS_0, 4, good[i]);
		assert_true(f->moved[0] == good[i]);
		assert_int_equal(bus_read(&f->m.mmio, good[i] + 8, 4), 8);
		assert_int_equal(get(f, 1, PCI_VENDOR_ID, 4), 0x00101234);
	}
}

static void of_two_bars_in_one_place_the_first_stays(void **state)
{
	struct fixture *f = *state;
	uint32_t first = get(f, 1, PCI_BASE_ADDRESS_0, 4);

	set(f, 2, PCI_BASE_ADDRESS_0, 4, first);
	assert_true(f->moved[0] == first && f->moved[1] == 0);
	set(f, 1, PCI_BASE_ADDRESS_0, 4, first + MIB(4));
	assert_true(f->moved[0] == first + MIB(4) && f->moved[1] == first);
	assert_int_equal(machine_reset(&f->m), 0);
	assert_true(f->moved[0] == first && f->moved[1] == PCI_MMIO32_START + MIB(2));
}

static void a_bar_moves_byte_by_byte(void **state)
{
	struct fixture *f = *state;

	set(f, 1, PCI_BASE_ADDRESS_0 + 3, 1, 0xd0);
	assert_true(f->moved[0] == 0xd0100000);
	set(f, 1, PCI_BASE_ADDRESS_0 + 2, 2, 0xd123);
	assert_true(f->moved[0] == 0xd1230000);
	set(f, 1, PCI_BASE_ADDRESS_0 - 1, 4, 0); /* straddles: two bytes of the BAR's lowest */
	assert_true(f->moved[0] == 0xd1000000);
}

static void slots_run_out(void **state)
{
	struct fixture *f = *state;
	static struct pci_function more[N_SLOTS];

	for (unsigned int i = 3; i < N_SLOTS; i++) {
		more[i] = (struct pci_function){ .m = &f->m, .ops = &fn_ops, .owner = f };
		more[i].ops = f->m.pci->bridge.ops;
		pci_config_init(&more[i].config, 1, 1, 0, 0);
		assert_int_equal(pci_host_add(f->m.pci, &more[i]), 0);
	}
	assert_int_equal(pci_host_add(f->m.pci, &more[3]), -28 /* ENOSPC */);
}

static uint64_t many_get(struct machine *m, unsigned int slot, unsigned int fn, unsigned int reg,
			 unsigned int width)
{
	return bus_read(&m->mmio, ecam(slot, fn, reg), width);
}

/* What a guest finds that scans as it should: functions beyond 0 only where function 0 says so. Devices
 * are numbered from 1 in the order in which they were added. */
static unsigned int scan(struct machine *m)
{
	unsigned int n = 0;

	for (unsigned int slot = 1; slot < N_SLOTS; slot++) {
		bool many = many_get(m, slot, 0, PCI_HEADER_TYPE, 1) == 0x80;

		for (unsigned int fn = 0; fn < (many ? 8U : 1U); fn++) {
			if (many_get(m, slot, fn, PCI_VENDOR_ID, 2) == 0xffff)
				continue;
			assert_int_equal(many_get(m, slot, fn, PCI_DEVICE_ID, 2), ++n);
		}
	}
	return n;
}

static void slots_take_several_functions(void **state)
{
	static const unsigned int counts[] = { 1, 2, 16, 17, 31, 66, PCI_DEVICES_MAX };
	static struct pci_function fn[PCI_DEVICES_MAX + 1];

	(void)state;
	for (size_t c = 0; c < ARRAY_SIZE(counts); c++) {
		struct fixture *f = test_calloc(1, sizeof(*f));

		test_machine_open(&f->m, &f->accel);
		assert_int_equal(pci_host_open(&f->m, &f->m.pci), 0);
		pci_host_expect(f->m.pci, counts[c]);
		for (unsigned int i = 0; i < counts[c]; i++) {
			fn[i] = (struct pci_function){ .m = &f->m, .ops = &fn_ops, .owner = f };
			fn[i].ops = f->m.pci->bridge.ops;
			pci_config_init(&fn[i].config, 1, (uint16_t)(i + 1), 0, 0);
			assert_int_equal(pci_host_add(f->m.pci, &fn[i]), 0);
		}
		assert_int_equal(scan(&f->m), counts[c]);
		/* also after a reset; and slots are left */
		assert_int_equal(machine_reset(&f->m), 0);
		assert_int_equal(scan(&f->m), counts[c]);
		for (unsigned int slot = PCI_SLOTS_USED + 1; slot < N_SLOTS; slot++)
			assert_int_equal(many_get(&f->m, slot, 0, PCI_VENDOR_ID, 2), 0xffff);
		if (counts[c] == PCI_DEVICES_MAX)
			assert_int_equal(pci_host_add(f->m.pci, &fn[PCI_DEVICES_MAX]), -28);
		test_machine_close(&f->m);
		test_free(f);
	}
}

static void capabilities_chain_and_end(void **state)
{
	struct pci_config c;
	unsigned int n = 0, at;
	int r;

	(void)state;
	pci_config_init(&c, 1, 2, 3, 4);
	do
		r = pci_config_add_cap(&c, 9, 18);
	while (r >= 0 && ++n);
	assert_int_equal(r, -28);
	assert_int_equal(n, (256 - 64) / 20);
	for (at = c.bytes[PCI_CAPABILITY_LIST]; at; at = c.bytes[at + 1], n--)
		assert_int_equal(c.bytes[at], 9);
	assert_int_equal(n, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_bridge_and_two_functions_are_there),
		T(only_masked_bits_are_written),
		T(accesses_across_functions_float),
		T(a_bar_says_its_size),
		T(firmware_has_placed_bars),
		T(decoding_follows_command),
		T(a_misplaced_bar_is_not_decoded),
		T(a_bar_is_not_decoded_over_ecam),
		T(of_two_bars_in_one_place_the_first_stays),
		T(a_bar_moves_byte_by_byte),
		T(slots_run_out),
		cmocka_unit_test(slots_take_several_functions),
		cmocka_unit_test(capabilities_chain_and_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
