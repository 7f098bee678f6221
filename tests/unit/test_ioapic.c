/* SPDX-License-Identifier: Apache-2.0 */
/* The IOAPIC: masks, edges, levels, EOI, every register at every width. */
#include "cmd/vmm/irq/ioapic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define MASKED (1U << 16)
#define LEVEL (1U << 15)
#define REMOTE_IRR (1U << 14)

/* An accelerator that only counts. */
struct accel {
	unsigned int sent;
	struct msi last;
	bool routed[IOAPIC_PINS];
};

static int count_msi(struct accel *a, const struct msi *msi)
{
	a->sent++;
	a->last = *msi;
	return 0;
}

static int note_pin(struct accel *a, unsigned int pin, const struct msi *msi)
{
	assert_true(pin < IOAPIC_PINS);
	a->routed[pin] = msi != NULL;
	return 0;
}

static const struct accel_ops ops = { .msi_send = count_msi, .set_ioapic_pin = note_pin };

static void reg_write(struct ioapic *io, unsigned int index, uint32_t value)
{
	ioapic_bus_ops.write(io, 0, 4, index);
	ioapic_bus_ops.write(io, 0x10, 4, value);
}

static uint32_t reg_read(struct ioapic *io, unsigned int index)
{
	ioapic_bus_ops.write(io, 0, 4, index);
	return (uint32_t)ioapic_bus_ops.read(io, 0x10, 4);
}

static void set_pin(struct ioapic *io, unsigned int pin, uint32_t low, uint32_t high)
{
	reg_write(io, 0x11 + 2 * pin, high);
	reg_write(io, 0x10 + 2 * pin, low);
}

static void an_edge_is_kept_while_masked(void **state)
{
	struct accel a = { 0 };
	struct ioapic io;

	(void)state;
	ioapic_init(&io, &ops, &a);
	ioapic_pulse(&io, 4);
	ioapic_pulse(&io, 4);
	assert_int_equal(a.sent, 0);
	set_pin(&io, 4, 0x34, 2U << 24);
	assert_int_equal(a.sent, 1);
	assert_int_equal(a.last.address, LAPIC_START | 2U << 12);
	assert_int_equal(a.last.data, 0x34);
	ioapic_set_line(&io, 4, true);
	ioapic_set_line(&io, 4, true);
	assert_int_equal(a.sent, 2);
}

static void a_level_waits_for_its_eoi(void **state)
{
	struct accel a = { 0 };
	struct ioapic io;

	(void)state;
	ioapic_init(&io, &ops, &a);
	set_pin(&io, 9, LEVEL | 0x41, 0);
	ioapic_set_line(&io, 9, true);
	assert_int_equal(a.sent, 1);
	assert_true(reg_read(&io, 0x10 + 18) & REMOTE_IRR);
	ioapic_set_line(&io, 9, true);
	assert_int_equal(a.sent, 1);
	ioapic_eoi(&io, 0x40);
	assert_int_equal(a.sent, 1);
	ioapic_eoi(&io, 0x41);
	assert_int_equal(a.sent, 2);
	ioapic_set_line(&io, 9, false);
	ioapic_bus_ops.write(&io, 0x40, 4, 0x41);
	assert_int_equal(a.sent, 2);
	assert_false(reg_read(&io, 0x10 + 18) & REMOTE_IRR);
}

static void the_guest_cannot_write_status_bits(void **state)
{
	struct accel a = { 0 };
	struct ioapic io;

	(void)state;
	ioapic_init(&io, &ops, &a);
	set_pin(&io, 3, 0xffffffff, 0xffffffff);
	assert_int_equal(reg_read(&io, 0x10 + 6) & (REMOTE_IRR | 1U << 12), 0);
	assert_false(a.routed[3]);
	set_pin(&io, 3, 0x55, 0);
	assert_true(a.routed[3]);
}

static void every_register_at_every_width(void **state)
{
	static const uint64_t values[] = { 0,	 1,    0x7f,	   0x10,      0x3f,
					   0x40, 0xff, UINT32_MAX, UINT64_MAX };
	struct accel a = { 0 };
	struct ioapic io;

	(void)state;
	ioapic_init(&io, &ops, &a);
	for (unsigned int select = 0; select < 256; select++)
		for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
			for (uint64_t offset = 0; offset < 0x50; offset++)
				for (unsigned int width = 1; width <= 8; width *= 2) {
					ioapic_bus_ops.write(&io, 0, 4, select);
					ioapic_bus_ops.write(&io, offset, width, values[i]);
					(void)ioapic_bus_ops.read(&io, offset, width);
					ioapic_pulse(&io, select % IOAPIC_PINS);
				}
	assert_int_equal(ioapic_state.reset(&io), 0);
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++) {
		assert_int_equal(reg_read(&io, 0x10 + 2 * pin), MASKED);
		assert_false(a.routed[pin]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_edge_is_kept_while_masked),
		cmocka_unit_test(a_level_waits_for_its_eoi),
		cmocka_unit_test(the_guest_cannot_write_status_bits),
		cmocka_unit_test(every_register_at_every_width),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
