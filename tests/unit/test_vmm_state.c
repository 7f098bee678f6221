/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's objects by their rows of the state contract: each comes back as it was saved, and
 * takes of damaged bytes either nothing, in one line, or a legal state as a whole.
 */
#include "cmd/vmm/pci/virtio_pci.h"
#include "tests/unit/testtype.h"
#include "tests/unit/testvmm.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <string.h>

#define DISK_BAR (PCI_MMIO32_START + MIB(1))
#define WALK 3000

static struct fixture {
	struct machine m;
	struct accel accel;
	struct back_end b;
	struct virtio_pci *v;
} f;

static const char *const names[] = { "ioapic", "power", "pci-host", "pci-bridge", "virtio-pci" };

static int setup(void **state)
{
	const char *why = NULL;

	(void)state;
	memset(&f, 0, sizeof(f));
	test_machine_open(&f.m, &f.accel);
	assert_int_equal(machine_add_object(&f.m, &ioapic_state, &f.m.ioapic), 0);
	assert_int_equal(bus_add(&f.m.mmio, &(struct bus_range){ IOAPIC_START, IOAPIC_SIZE,
								 &ioapic_bus_ops, &f.m.ioapic }),
			 0);
	assert_int_equal(power_open(&f.m), 0);
	assert_int_equal(pci_host_open(&f.m, &f.m.pci), 0);
	back_end_init(&f.b);
	f.b.n_queues = 3;
	assert_int_equal(virtio_pci_add(&f.m, test_virtio_type(2), 0, back_end_start(&f.b),
					PCI_SLOT_COLD, &why),
			 0);
	f.v = f.m.pci->functions[PCI_SLOT_FUNCTIONS]->owner;
	return 0;
}

static int teardown(void **state)
{
	struct virtio_pci *v = f.v;

	(void)state;
	vhost_front_close(&v->front);
	back_end_join(&f.b);
	assert_int_equal(f.accel.n_faults, 0);
	for (unsigned int i = 0; i < v->n_queues; i++) {
		close(v->queues[i].kick_fd);
		close(v->queues[i].call_fd);
	}
	close(v->config_fd);
	close(v->err_fd);
	free(v);
	test_machine_close(&f.m);
	return 0;
}

/* ---- a guest that writes everywhere ---- */

static uint64_t next64(uint64_t *seed)
{
	uint64_t high = next_random(seed);

	return high << 32 | next_random(seed);
}

/* But to the status, which would have rings where there is no RAM. */
static void walk(uint64_t seed, unsigned int steps)
{
	while (steps--) {
		unsigned int width = 1U << next_random(&seed) % 3;
		uint64_t value = next64(&seed);

		switch (next_random(&seed) % 5) {
		case 0:
			bus_write(&f.m.mmio, ECAM_START + (next_random(&seed) & 0x80ff), width,
				  value);
			break;
		case 1:
			virtio_bar_write(f.v, VPCI_MSIX_TABLE + next_random(&seed) % 64 * 4, 4,
					 value);
			break;
		case 2:
			ioapic_bus_ops.write(&f.m.ioapic, 0, 4, next_random(&seed) % 64);
			ioapic_bus_ops.write(&f.m.ioapic, 0x10, 4, value);
			ioapic_set_line(&f.m.ioapic, value % IOAPIC_PINS, value >> 63);
			break;
		case 3:
			bus_write(&f.m.pio, 0xcf8, 4, value);
			if (value & 1)
				power_event(&f.m, GED_POWER_BUTTON);
			break;
		default:
			if (next_random(&seed) % 64 == 0)
				virtio_bar_write(f.v, VIRTIO_PCI_COMMON_STATUS, 1, 3);
			width = next_random(&seed) % 0x38;
			if (width != VIRTIO_PCI_COMMON_STATUS)
				virtio_bar_write(f.v, width & ~1U, width & 8 ? 4 : 2, value % 513);
		}
	}
	f.m.request = MACHINE_RUN;
}

static void features_ok(void)
{
	virtio_bar_write(f.v, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	virtio_bar_write(f.v, VIRTIO_PCI_COMMON_STATUS, 1, 3);
	virtio_bar_write(f.v, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	virtio_bar_write(f.v, VIRTIO_PCI_COMMON_GF, 4, 1);
	virtio_bar_write(f.v, VIRTIO_PCI_COMMON_STATUS, 1, 11);
	assert_int_equal(f.v->status, 11);
}

struct saved {
	uint8_t wire[STATE_IMAGE_MAX];
	size_t len;
};

static void save(const struct state_object *o, struct saved *ret)
{
	int r = state_object_save(o, ret->wire, sizeof(ret->wire));

	assert_int_equal(r, state_wire_len(o->ops->schema));
	ret->len = (size_t)r;
}

static void load(const struct state_object *o, const struct saved *s)
{
	char why[STATE_WHY_MAX] = "";

	if (state_object_load(o, s->wire, s->len, why) < 0)
		fail_msg("%s: %s", o->ops->name, why);
}

static void is_as(const struct state_object *o, const struct saved *s)
{
	static struct saved now;

	save(o, &now);
	assert_int_equal(now.len, s->len);
	assert_memory_equal(now.wire, s->wire, s->len);
}

static void test_every_object_is_a_row(void **state)
{
	(void)state;
	assert_int_equal(f.m.n_objects, ARRAY_SIZE(names));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct state_ops *ops = f.m.objects[i].ops;

		assert_string_equal(ops->name, names[i]);
		assert_string_equal(ops->schema->name, names[i]);
		assert_true(ops->reset && ops->save && ops->load);
		assert_in_range(ops->schema->size, 1, STATE_IMAGE_MAX);
		assert_in_range(state_wire_len(ops->schema), 1, STATE_IMAGE_MAX);
	}
}

static void test_round_trips(void **state)
{
	static struct saved fresh[ARRAY_SIZE(names)], kept[4][ARRAY_SIZE(names)];

	(void)state;
	for (size_t i = 0; i < f.m.n_objects; i++)
		save(&f.m.objects[i], &fresh[i]);
	for (size_t k = 0; k < 4; k++) {
		if (k & 1)
			features_ok();
		walk(k + 1, WALK);
		for (size_t i = 0; i < f.m.n_objects; i++)
			save(&f.m.objects[i], &kept[k][i]);
	}
	for (size_t i = 0; i < f.m.n_objects; i++)
		assert_memory_not_equal(kept[0][i].wire, fresh[i].wire, fresh[i].len);
	assert_int_equal(machine_reset(&f.m), 0);
	for (size_t i = 0; i < f.m.n_objects; i++)
		is_as(&f.m.objects[i], &fresh[i]);
	for (size_t k = 0; k < 8; k++) {
		for (size_t i = 0; i < f.m.n_objects; i++)
			load(&f.m.objects[i], &kept[k % 4][i]);
		for (size_t i = 0; i < f.m.n_objects; i++)
			is_as(&f.m.objects[i], &kept[k % 4][i]);
	}
}

/* What a guest then finds: its BAR where it was, its vectors bound. */
static void test_a_loaded_function_is_at_work(void **state)
{
	static struct saved s;
	const struct state_object *o = &f.m.objects[4];

	(void)state;
	features_ok();
	bus_write(&f.m.mmio, ECAM_START + 0x8000 + PCI_BASE_ADDRESS_0, 4, 0xd0000000);
	bus_write(&f.m.mmio, ECAM_START + 0x8000 + PCI_COMMAND, 2, 6);
	bus_write(&f.m.mmio, ECAM_START + 0x8000 + (uint64_t)f.v->msix_cap + PCI_MSIX_FLAGS, 2,
		  PCI_MSIX_FLAGS_ENABLE);
	virtio_bar_write(f.v, VPCI_MSIX_TABLE + 16, 8, 0xfee00000);
	virtio_bar_write(f.v, VPCI_MSIX_TABLE + 24, 8, 0x41);
	virtio_bar_write(f.v, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	assert_int_equal(f.accel.n_irqs, 1);
	save(o, &s);
	assert_int_equal(machine_reset(&f.m), 0);
	assert_int_equal(f.accel.n_irqs, 0);
	assert_int_equal(bus_read(&f.m.mmio, DISK_BAR + VIRTIO_PCI_COMMON_STATUS, 1), 0);
	load(o, &s);
	assert_int_equal(f.accel.n_irqs, 1);
	assert_int_equal(bus_read(&f.m.mmio, 0xd0000000 + VIRTIO_PCI_COMMON_STATUS, 1), 11);
	assert_int_equal(bus_read(&f.m.mmio, DISK_BAR + VIRTIO_PCI_COMMON_STATUS, 1), 0xff);
	assert_int_equal(bus_read(&f.m.mmio, 0xd0000000 + VPCI_MSIX_TABLE + 24, 4), 0x41);
}

/* ---- rings ---- */

static void queue_at(uint64_t desc)
{
	const struct {
		uint16_t reg;
		uint64_t value;
	} parts[] = { { VIRTIO_PCI_COMMON_Q_DESCLO, desc },
		      { VIRTIO_PCI_COMMON_Q_AVAILLO, 0x21000 },
		      { VIRTIO_PCI_COMMON_Q_USEDLO, 0x22000 } };

	virtio_bar_write(f.v, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		virtio_bar_write(f.v, parts[i].reg, 4, (uint32_t)parts[i].value);
		virtio_bar_write(f.v, parts[i].reg + 4U, 4, parts[i].value >> 32);
	}
	virtio_bar_write(f.v, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	virtio_bar_write(f.v, VIRTIO_PCI_COMMON_STATUS, 1, 15);
	assert_true(f.v->running);
}

static void use_requests(uint16_t n)
{
	assert_int_equal(guest_write(&f.m.mem, GPA(0x22002), &n, sizeof(n)), 0);
}

/* The back end, which was reset, gets all of it again: from the first request that is not done. */
static void test_rings_go_on(void **state)
{
	static struct saved s;
	const struct state_object *o = &f.m.objects[4];

	(void)state;
	features_ok();
	virtio_bar_write(f.v, VPCI_CONFIG + 32, 1, 0); /* what the driver has written */
	queue_at(0x20000);
	use_requests(5);
	save(o, &s);
	assert_false(f.v->running);
	assert_int_equal(state_resume_all(o, 1), 0); /* of the same machine */
	assert_true(f.v->running && f.accel.n_notifiers == 1);
	assert_int_equal(f.b.base[0], 5);
	assert_int_equal(f.b.addr[0].addr.desc, 0x20000);
	assert_true(f.b.running[0]);
	assert_int_equal(machine_reset(&f.m), 0);
	use_requests(7);
	load(o, &s);
	assert_false(f.v->running);
	assert_int_equal(state_resume_all(o, 1), 0); /* of one that was reset */
	assert_true(f.v->running);
	assert_int_equal(f.b.base[0], 7);
	assert_int_equal(f.b.got_features & ~(1ULL << 30), f.v->driver_features);
	assert_int_equal(state_resume_all(o, 1), 0); /* runs already */
	assert_int_equal(f.b.n_misuse, 0);
	assert_int_equal(machine_reset(&f.m), 0);
}

/* A damaged state's rings are a guest's that are not in RAM. */
static void test_rings_that_are_nowhere(void **state)
{
	static const uint64_t nowhere[] = { TEST_RAM, TEST_RAM - 16, UINT64_MAX - 15, 0x20008 };
	static struct saved s;
	const struct state_object *o = &f.m.objects[4];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(nowhere); i++) {
		unsigned int before;

		features_ok();
		queue_at(0x20000);
		assert_int_equal(virtio_stop(f.v), 0);
		f.v->queues[0].desc = nowhere[i];
		save(o, &s);
		assert_int_equal(machine_reset(&f.m), 0);
		load(o, &s);
		before = back_end_count(&f.b, VHOST_USER_SET_VRING_ADDR);
		assert_int_equal(state_resume_all(o, 1), 0);
		assert_false(f.v->running);
		assert_int_equal(f.v->status & 0x40, 0x40); /* NEEDS_RESET */
		assert_int_equal(back_end_count(&f.b, VHOST_USER_SET_VRING_ADDR), before);
		assert_int_equal(machine_reset(&f.m), 0);
	}
}

/* ---- damage ---- */

/* Taken as a whole, or refused in a line that names the object and left as it was. Returns whether it
 * was taken. */
static bool try_damaged(const struct state_object *o, const struct saved *before,
			const struct saved *damaged)
{
	char why[STATE_WHY_MAX] = "";
	int r = state_object_load(o, damaged->wire, damaged->len, why);

	if (r < 0) {
		assert_non_null(strstr(why, o->ops->name));
		is_as(o, before);
		return false;
	}
	is_as(o, damaged);
	load(o, before);
	return true;
}

static void test_every_byte_damaged(void **state)
{
	static const uint8_t flips[] = { 0x01, 0x10, 0x80, 0xff };
	static struct saved before, damaged;

	(void)state;
	features_ok();
	walk(9, WALK);
	for (size_t i = 0; i < f.m.n_objects; i++) {
		const struct state_object *o = &f.m.objects[i];
		size_t n_taken = 0;

		save(o, &before);
		for (size_t at = 0; at < before.len; at++)
			for (size_t k = 0; k < ARRAY_SIZE(flips); k++) {
				damaged = before;
				damaged.wire[at] ^= flips[k];
				n_taken += try_damaged(o, &before, &damaged);
			}
		assert_in_range(n_taken, 1, ARRAY_SIZE(flips) * (before.len - STATE_HEADER_LEN));
		for (size_t len = 0; len <= before.len + 1; len++) {
			damaged = before;
			damaged.len = len;
			if (len != before.len)
				assert_false(try_damaged(o, &before, &damaged));
		}
	}
}

/* Every element of every field at its bounds and just past them, and at all ones. */
static void try_bounds(const struct state_object *o, const struct saved *before,
		       const struct state_field *field, size_t at)
{
	static struct saved damaged;
	const uint64_t top = field->width == 8 ? UINT64_MAX : (1ULL << (8 * field->width)) - 1;
	const uint64_t values[] = { field->min,
				    field->max & top,
				    field->min - 1,
				    field->max + 1,
				    ~field->mask,
				    field->mask & top,
				    top,
				    0 };

	for (size_t k = 0; k < ARRAY_SIZE(values); k++) {
		uint64_t v = values[k] & top;
		bool legal = v >= field->min && v <= field->max && !(v & ~field->mask), taken;

		damaged = *before;
		memcpy(damaged.wire + at, &v, field->width);
		taken = try_damaged(o, before, &damaged);
		assert_false(taken && !legal);
	}
}

static void test_every_field_at_its_bounds(void **state)
{
	static struct saved before;

	(void)state;
	features_ok();
	for (size_t i = 0; i < f.m.n_objects; i++) {
		const struct state_object *o = &f.m.objects[i];
		size_t at = STATE_HEADER_LEN;

		save(o, &before);
		for (size_t k = 0; k < o->ops->schema->n_fields; k++) {
			const struct state_field *field = &o->ops->schema->fields[k];

			for (uint32_t n = 0; n < field->count; n++, at += field->width)
				try_bounds(o, &before, field, at);
		}
		assert_int_equal(at, before.len);
	}
}

/* An object's bytes are no other's. */
static void test_states_of_others(void **state)
{
	static struct saved s;
	char why[STATE_WHY_MAX];

	(void)state;
	for (size_t i = 0; i < f.m.n_objects; i++) {
		save(&f.m.objects[i], &s);
		for (size_t k = 0; k < f.m.n_objects; k++)
			if (k != i)
				assert_int_equal(state_object_load(&f.m.objects[k], s.wire, s.len,
								   why),
						 -EPROTONOSUPPORT);
	}
}

static void refused_image(size_t i, const void *image, const char *expected)
{
	const struct state_object *o = &f.m.objects[i];
	char why[STATE_WHY_MAX] = "";
	static struct saved s;
	int r = state_save(o->ops->schema, image, s.wire, sizeof(s.wire));

	assert_true(r > 0);
	assert_true(state_object_load(o, s.wire, (size_t)r, why) < 0);
	assert_non_null(strstr(why, expected));
}

/* What only goes together, or only with this device. */
static void test_fields_against_each_other(void **state)
{
	static uint64_t image[STATE_IMAGE_MAX / 8];
	struct pci_function *fn = &f.v->fn;
	const struct state_ops *disk = f.m.objects[4].ops;

	(void)state;
	features_ok();
#define TRY(nr, change, undo, expected)                                   \
	do {                                                              \
		change;                                                   \
		f.m.objects[nr].ops->save(f.m.objects[nr].object, image); \
		undo;                                                     \
		refused_image(nr, image, expected);                       \
	} while (0)
	TRY(0, f.m.ioapic.redirection[3] = 1 << 14, f.m.ioapic.redirection[3] = 1 << 16,
	    "edge pin");
	TRY(0, (f.m.ioapic.redirection[3] = 0, f.m.ioapic.irr = 8),
	    (f.m.ioapic.redirection[3] = 1 << 16, f.m.ioapic.irr = 0), "nothing held back");
	TRY(3, f.m.pci->bridge.config.bytes[0]++, f.m.pci->bridge.config.bytes[0]--,
	    "another bridge");
	TRY(4, fn->config.bytes[2]++, fn->config.bytes[2]--, "configuration space of another");
	TRY(4, f.v->status = 7, f.v->status = 11, "DRIVER_OK without FEATURES_OK");
	TRY(4, f.v->driver_features = 0, f.v->driver_features = 1ULL << 32, "without VERSION_1");
	TRY(4, f.v->driver_features |= 1ULL << 63, f.v->driver_features = 1ULL << 32, "not offer");
	TRY(4, f.v->queues[1].size = 3, f.v->queues[1].size = 64, "no power of two");
	TRY(4, f.v->queues[1].size = 0, f.v->queues[1].size = 64, "no power of two");
	TRY(4, (f.v->status = 3, f.v->queues[2].enabled = true),
	    (f.v->status = 11, f.v->queues[2].enabled = false), "enabled before FEATURES_OK");
	TRY(4, f.v->n_queues--, f.v->n_queues++, "a queue beyond n_queues");
	TRY(4, f.v->msix.sources[2].vector = 4, f.v->msix.sources[2].vector = MSIX_NO_VECTOR,
	    "vector that is not there");
#undef TRY
	disk->save(fn, image);
	f.v->running = true;
	refused_image(4, image, "its rings run");
	f.v->running = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_object_is_a_row, setup, teardown),
		cmocka_unit_test_setup_teardown(test_round_trips, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_loaded_function_is_at_work, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rings_go_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rings_that_are_nowhere, setup, teardown),
		cmocka_unit_test_setup_teardown(test_every_byte_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_every_field_at_its_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_states_of_others, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fields_against_each_other, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
