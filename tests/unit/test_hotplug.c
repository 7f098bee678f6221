/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that come and go: the registers as a hostile guest uses them, in every state of a slot; what is
 * left of a device that has gone (nothing); a guest reset; and the saved state.
 */
#include "cmd/vmm/pci/hotplug.h"
#include "cmd/vmm/pci/virtio_pci.h"
#include "lib/base/cleanup.h"
#include "lib/base/units.h"
#include "tests/unit/testtype.h"
#include "tests/unit/testvmm.h"
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <string.h>
#include <sys/socket.h>

#define FIRST HOTPLUG_FIRST_SLOT
#define CHANNEL 3 /* of the first that is plugged */

static struct vmm_virtio disk;

struct fixture {
	struct machine m;
	struct accel accel;
	struct back_end b[HOTPLUG_SLOTS + 1];
	unsigned int n_backs; /* started and not joined */
	uint32_t gone;	      /* bits of slots that were said to be empty */
	unsigned int n_gone;
};

static void on_gone(void *owner, unsigned int slot)
{
	struct fixture *f = owner;

	f->gone |= BIT(slot);
	f->n_gone++;
}

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	disk = (struct vmm_virtio){ .name = "disk", .type = *test_virtio_type(2) };
	test_machine_open(&f->m, &f->accel);
	f->m.n_vcpus = 0; /* none is to be waited for */
	assert_int_equal(bus_add(&f->m.mmio, &(struct bus_range){ IOAPIC_START, IOAPIC_SIZE,
								  &ioapic_bus_ops, &f->m.ioapic }),
			 0);
	assert_int_equal(power_open(&f->m), 0);
	assert_int_equal(pci_host_open(&f->m, &f->m.pci), 0);
	assert_int_equal(hotplug_open(&f->m, &f->m.hotplug), 0);
	hotplug_tell(f->m.hotplug, on_gone, f);
	*state = f;
	return 0;
}

static uint32_t in(struct fixture *f, unsigned int offset)
{
	return (uint32_t)bus_read(&f->m.pio, PORT_HOTPLUG + offset, 4);
}

static void out(struct fixture *f, unsigned int offset, uint32_t value)
{
	bus_write(&f->m.pio, PORT_HOTPLUG + offset, 4, value);
}

static uint8_t event(struct fixture *f)
{
	return (uint8_t)bus_read(&f->m.pio, PORT_GED, 1);
}

static uint32_t cfg(struct fixture *f, unsigned int slot, unsigned int reg, unsigned int width)
{
	return (uint32_t)bus_read(&f->m.mmio, ECAM_START + (slot << 15) + reg, width);
}

static void set_cfg(struct fixture *f, unsigned int slot, unsigned int reg, unsigned int width,
		    uint32_t value)
{
	bus_write(&f->m.mmio, ECAM_START + (slot << 15) + reg, width, value);
}

static void main_thread(struct fixture *f)
{
	assert_int_equal(loop_run_once(&f->m.loop, 0), 0);
}

/* Back end k serves it. */
static int plug(struct fixture *f, unsigned int k)
{
	const char *why = NULL;
	int slot;

	back_end_init(&f->b[k]);
	f->b[k].n_queues = 2;
	slot = hotplug_add(f->m.hotplug, &disk, CHANNEL + k, back_end_start(&f->b[k]), &why);
	if (slot < 0)
		assert_non_null(why);
	return slot;
}

/* A guest that lets go of it, and the end of its back end. */
static void unplug(struct fixture *f, unsigned int slot, unsigned int k)
{
	unsigned int before = f->n_gone;

	out(f, HOTPLUG_EJECT, BIT(slot));
	main_thread(f);
	assert_int_equal(f->n_gone, before + 1);
	back_end_join(&f->b[k]);
	assert_int_equal(f->b[k].n_misuse, 0);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(f->accel.n_faults, 0);
	assert_int_equal(f->accel.n_irqs, 0);
	assert_int_equal(f->accel.n_notifiers, 0);
	close(f->m.hotplug->ejects.fd);
	test_machine_close(&f->m);
	test_free(f);
	return 0;
}

static unsigned int n_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* ---- a driver, as far as it matters here ---- */

#define BAR 0xd0000000U

static void wr(struct fixture *f, unsigned int reg, unsigned int width, uint64_t value)
{
	bus_write(&f->m.mmio, BAR + reg, width, value);
}

static void go_live(struct fixture *f, unsigned int slot)
{
	set_cfg(f, slot, PCI_BASE_ADDRESS_0, 4, BAR);
	set_cfg(f, slot, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, 3);
	wr(f, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	wr(f, VIRTIO_PCI_COMMON_GF, 4, 1);
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, 11);
	wr(f, VPCI_MSIX_TABLE + 16, 4, LAPIC_START);
	wr(f, VPCI_MSIX_TABLE + 16 + 8, 4, 0x41);
	wr(f, VPCI_MSIX_TABLE + 16 + 12, 4, 0);
	for (unsigned int at = cfg(f, slot, PCI_CAPABILITY_LIST, 1); at;
	     at = cfg(f, slot, at + 1, 1))
		if (cfg(f, slot, at, 1) == PCI_CAP_ID_MSIX)
			set_cfg(f, slot, at + 2, 2, PCI_MSIX_FLAGS_ENABLE);
	wr(f, VIRTIO_PCI_COMMON_Q_SIZE, 2, 16);
	wr(f, VIRTIO_PCI_COMMON_Q_DESCLO, 4, 0x100000);
	wr(f, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, 0x101000);
	wr(f, VIRTIO_PCI_COMMON_Q_USEDLO, 4, 0x102000);
	wr(f, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	wr(f, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, 15);
	assert_int_equal(bus_read(&f->m.mmio, BAR + VIRTIO_PCI_COMMON_STATUS, 1), 15);
}

/* ---- tests ---- */

static void only_whole_registers_are_there(void **state)
{
	struct fixture *f = *state;
	unsigned int slot = (unsigned int)plug(f, 0);

	assert_int_equal(slot, FIRST);
	hotplug_ask(f->m.hotplug, slot);
	for (unsigned int offset = 0; offset < HOTPLUG_LEN; offset++)
		for (unsigned int width = 1; width <= 8; width *= 2) {
			if (width == 4 && offset % 4 == 0)
				continue;
			if (offset + width <= HOTPLUG_LEN)
				assert_int_equal(bus_read(&f->m.pio, PORT_HOTPLUG + offset, width),
						 0);
			bus_write(&f->m.pio, PORT_HOTPLUG + offset, width, UINT64_MAX);
		}
	assert_int_equal(in(f, HOTPLUG_EJECT), 0);
	out(f, HOTPLUG_UP, UINT32_MAX);
	out(f, HOTPLUG_DOWN, UINT32_MAX);
	main_thread(f);
	assert_int_equal(f->n_gone, 0);
	assert_int_equal(in(f, HOTPLUG_UP), BIT(slot));
	assert_int_equal(in(f, HOTPLUG_UP), 0);
	assert_int_equal(in(f, HOTPLUG_DOWN), BIT(slot));
	assert_int_equal(in(f, HOTPLUG_DOWN), 0);
	assert_int_equal(event(f), GED_PCI_HOTPLUG);
	unplug(f, slot, 0);
}

static void what_comes_has_no_address_yet(void **state)
{
	struct fixture *f = *state;
	unsigned int slot = (unsigned int)plug(f, 0);

	assert_int_equal(cfg(f, slot, PCI_VENDOR_ID, 4), 0x10421af4);
	assert_int_equal(cfg(f, slot, PCI_COMMAND, 2), 0);
	assert_int_equal(cfg(f, slot, PCI_BASE_ADDRESS_0, 4), 0);
	assert_int_equal(event(f), GED_PCI_HOTPLUG);
	assert_int_equal(event(f), 0);
	unplug(f, slot, 0);
	assert_int_equal(cfg(f, slot, PCI_VENDOR_ID, 4), UINT32_MAX);
}

/* The bridge, what was there from the start, and slots in which there is nothing. */
static void only_what_was_plugged_is_ejected(void **state)
{
	struct fixture *f = *state;
	const char *why = NULL;
	struct virtio_pci *cold;

	back_end_init(&f->b[1]);
	assert_int_equal(virtio_pci_add(&f->m, test_virtio_type(4), 0, back_end_start(&f->b[1]),
					PCI_SLOT_COLD, &why),
			 0);
	cold = f->m.pci->functions[PCI_SLOT_FUNCTIONS]->owner;
	out(f, HOTPLUG_EJECT, UINT32_MAX);
	main_thread(f);
	assert_int_equal(f->n_gone, 0);
	assert_int_equal(cfg(f, 0, PCI_VENDOR_ID, 2), 0x1b36);
	assert_int_equal(cfg(f, 1, PCI_VENDOR_ID, 4), 0x10441af4);
	hotplug_ask(f->m.hotplug, 0);
	hotplug_ask(f->m.hotplug, 1);
	hotplug_ask(f->m.hotplug, FIRST);
	hotplug_ask(f->m.hotplug, UINT32_MAX);
	assert_int_equal(in(f, HOTPLUG_DOWN), 0);
	assert_int_equal(event(f), 0);
	cold->fn.ops->remove(pci_host_take(f->m.pci, 1));
	back_end_join(&f->b[1]);
}

/* Gone for the guest at once; the main thread takes the rest, once. */
static void an_eject_is_done_once(void **state)
{
	struct fixture *f = *state;
	unsigned int slot = (unsigned int)plug(f, 0);

	hotplug_ask(f->m.hotplug, slot);
	out(f, HOTPLUG_EJECT, UINT32_MAX);
	assert_int_equal(cfg(f, slot, PCI_VENDOR_ID, 4), UINT32_MAX);
	assert_int_equal(in(f, HOTPLUG_UP) | in(f, HOTPLUG_DOWN), 0);
	hotplug_ask(f->m.hotplug, slot);
	assert_int_equal(in(f, HOTPLUG_DOWN), 0);
	assert_int_equal(plug(f, 1), slot + 1); /* it is not free yet */
	out(f, HOTPLUG_EJECT, BIT(slot));
	main_thread(f);
	main_thread(f);
	assert_int_equal(f->gone, BIT(slot));
	assert_int_equal(f->n_gone, 1);
	back_end_join(&f->b[0]);
	unplug(f, slot + 1, 1);
}

static void a_live_device_is_ended(void **state)
{
	struct fixture *f = *state;
	unsigned int slot = (unsigned int)plug(f, 0);

	go_live(f, slot);
	assert_int_equal(f->accel.n_notifiers, 1);
	assert_int_equal(f->accel.n_irqs, 1);
	out(f, HOTPLUG_EJECT, BIT(slot));
	assert_int_equal(f->accel.n_notifiers, 0);
	assert_int_equal(bus_read(&f->m.mmio, BAR + VIRTIO_PCI_COMMON_STATUS, 1), 0xff);
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	main_thread(f);
	assert_int_equal(f->accel.n_irqs, 0);
	back_end_join(&f->b[0]);
	assert_int_equal(back_end_count(&f->b[0], VHOST_USER_GET_VRING_BASE), 1);
	assert_false(f->b[0].running[0]);
}

/* More often than there are irqfd slots, objects or descriptors. */
static void nothing_is_left(void **state)
{
	struct fixture *f = *state;
	size_t objects = f->m.n_objects;
	unsigned int fds = n_fds();

	for (unsigned int i = 0; i < ACCEL_IRQ_SLOTS; i++) {
		assert_int_equal(plug(f, 0), FIRST);
		if (i % 64 == 0)
			go_live(f, FIRST);
		unplug(f, FIRST, 0);
	}
	assert_int_equal(f->m.n_objects, objects);
	assert_int_equal(n_fds(), fds);
	for (unsigned int i = 0; i < ACCEL_IRQ_SLOTS; i++)
		assert_false(f->m.irq_slots[i]);
}

static void slots_run_out(void **state)
{
	struct fixture *f = *state;

	for (unsigned int i = 0; i < HOTPLUG_SLOTS; i++)
		assert_int_equal(plug(f, i), FIRST + i);
	assert_int_equal(plug(f, HOTPLUG_SLOTS), -ENOSPC);
	back_end_join(&f->b[HOTPLUG_SLOTS]);
	assert_int_equal(in(f, HOTPLUG_UP), (BIT(HOTPLUG_SLOTS) - 1) << FIRST);
	unplug(f, FIRST + 3, 3);
	assert_int_equal(plug(f, 3), FIRST + 3);
	out(f, HOTPLUG_EJECT, UINT32_MAX);
	main_thread(f);
	assert_int_equal(f->n_gone, HOTPLUG_SLOTS + 1);
	for (unsigned int i = 0; i < HOTPLUG_SLOTS; i++)
		back_end_join(&f->b[i]);
}

/* The bus is as before, and so are descriptors. */
static void a_device_that_breaks_the_handshake_is_not_there(void **state)
{
	struct fixture *f = *state;
	const char *why = NULL;
	unsigned int fds;

	(void)plug(f, 1);
	fds = n_fds();
	for (unsigned int vice = BACK_END_CLOSE; vice < BACK_END_N_VICES; vice++) {
		if (vice == BACK_END_NACK)
			continue; /* GET_FEATURES is not acknowledged */
		back_end_init(&f->b[0]);
		f->b[0].vice = vice;
		f->b[0].vice_at = vice == BACK_END_VALUE ? VHOST_USER_GET_QUEUE_NUM :
							   VHOST_USER_GET_FEATURES;
		assert_true(hotplug_add(f->m.hotplug, &disk, CHANNEL, back_end_start(&f->b[0]),
					&why) < 0);
		assert_non_null(why);
		back_end_join(&f->b[0]);
	}
	assert_int_equal(n_fds(), fds);
	assert_int_equal(in(f, HOTPLUG_UP), BIT(FIRST));
	assert_int_equal(cfg(f, FIRST + 1, PCI_VENDOR_ID, 4), UINT32_MAX);
	unplug(f, FIRST, 1);
}

/* As with real hardware, what is plugged stays; what was to go has gone. */
static void a_reset_keeps_what_is_plugged(void **state)
{
	struct fixture *f = *state;
	unsigned int stays = (unsigned int)plug(f, 0), goes = (unsigned int)plug(f, 1);
	unsigned int ejected = (unsigned int)plug(f, 2);

	go_live(f, stays);
	hotplug_ask(f->m.hotplug, goes);
	out(f, HOTPLUG_EJECT, BIT(ejected));
	hotplug_settle(f->m.hotplug);
	assert_int_equal(machine_reset(&f->m), 0);
	assert_int_equal(f->gone, BIT(goes) | BIT(ejected));
	back_end_join(&f->b[1]);
	back_end_join(&f->b[2]);
	main_thread(f);
	assert_int_equal(f->n_gone, 2);
	assert_int_equal(in(f, HOTPLUG_UP) | in(f, HOTPLUG_DOWN), 0);
	assert_int_equal(event(f), 0);
	assert_int_equal(cfg(f, goes, PCI_VENDOR_ID, 4), UINT32_MAX);
	assert_int_equal(cfg(f, stays, PCI_VENDOR_ID, 4), 0x10421af4);
	assert_int_equal(cfg(f, stays, PCI_COMMAND, 2),
			 PCI_COMMAND_MEMORY); /* as firmware leaves it */
	assert_int_equal(cfg(f, stays, PCI_BASE_ADDRESS_0, 4),
			 PCI_MMIO32_START + MIB(PCI_DEVICES_MAX + 1 + FIRST));
	go_live(f, stays);
	unplug(f, stays, 0);
}

static void the_state_is_of_these_slots(void **state)
{
	struct fixture *f = *state;
	struct state_object o = { &hotplug_state, f->m.hotplug };
	uint8_t wire[64], again[64], none[64];
	char why[STATE_WHY_MAX];
	int len = state_object_save(&o, none, sizeof(none));

	(void)plug(f, 0);
	(void)plug(f, 1);
	(void)in(f, HOTPLUG_UP);
	hotplug_ask(f->m.hotplug, FIRST);
	assert_int_equal(state_object_save(&o, wire, sizeof(wire)), len);
	assert_int_equal(hotplug_state.reset(f->m.hotplug), 0);
	assert_int_equal(in(f, HOTPLUG_DOWN), 0);
	assert_int_equal(state_object_load(&o, wire, (size_t)len, why), 0);
	assert_int_equal(state_object_save(&o, again, sizeof(again)), len);
	assert_memory_equal(wire, again, (size_t)len);
	assert_int_equal(in(f, HOTPLUG_DOWN), BIT(FIRST));
	assert_int_equal(state_object_load(&o, none, (size_t)len, why), -EINVAL);
	for (int at = STATE_HEADER_LEN; at < len; at++) {
		memcpy(again, wire, (size_t)len);
		again[at] ^= 0x44; /* slots that are empty, or there are not */
		assert_true(state_object_load(&o, again, (size_t)len, why) < 0);
	}
	out(f, HOTPLUG_EJECT, UINT32_MAX);
	main_thread(f);
	back_end_join(&f->b[0]);
	back_end_join(&f->b[1]);
}

static int channel_end(int *ret_theirs)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	*ret_theirs = pair[1];
	return pair[0];
}

/* Nobody was told anything, and the other end is closed. */
static void assert_closed(int theirs)
{
	char byte;

	assert_int_equal(recv(theirs, &byte, 1, MSG_DONTWAIT), 0);
	close(theirs);
}

static void a_channel_has_a_number_of_its_own(void **state)
{
	static const unsigned int taken[] = { CHANNEL, MACHINE_CHANNELS_MAX, UINT32_MAX };
	struct fixture *f = *state;
	int slot = plug(f, 0), theirs;

	for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
		const char *why = NULL;
		int ours = channel_end(&theirs);

		assert_true(hotplug_add(f->m.hotplug, &disk, taken[i], ours, &why) < 0);
		assert_non_null(why);
		assert_closed(theirs);
	}
	unplug(f, (unsigned int)slot, 0);
	assert_int_equal(plug(f, 0), slot);
	unplug(f, (unsigned int)slot, 0);
}

/* What the supervisor sent before it knew that the guest had let go. */
static void a_successor_that_comes_too_late_is_sent_away(void **state)
{
	struct fixture *f = *state;
	int theirs, ours;

	unplug(f, (unsigned int)plug(f, 0), 0);
	ours = channel_end(&theirs);
	assert_int_equal(machine_reconnect(&f->m, CHANNEL, ours), 0);
	assert_closed(theirs);
	ours = channel_end(&theirs);
	assert_int_equal(machine_reconnect(&f->m, CHANNEL + 1, ours), -EBADMSG);
	assert_closed(theirs);
	assert_int_equal(f->m.request, MACHINE_RUN);
}

/* Its process has died, and no other has come yet. */
static void a_device_that_is_away_is_ended(void **state)
{
	struct fixture *f = *state;
	unsigned int slot = (unsigned int)plug(f, 0);
	struct virtio_pci *v = f->m.pci->functions[slot * PCI_SLOT_FUNCTIONS]->owner;

	go_live(f, slot);
	shutdown(v->front.sock, SHUT_RDWR);
	back_end_join(&f->b[0]);
	main_thread(f);
	assert_true(v->away);
	out(f, HOTPLUG_EJECT, BIT(slot));
	main_thread(f);
	assert_int_equal(f->gone, BIT(slot));
	assert_int_equal(f->m.request, MACHINE_RUN);
}

/* Between the guest's eject and the main thread's look. */
static void a_successor_of_what_was_ejected_is_ended_with_it(void **state)
{
	struct fixture *f = *state;
	unsigned int slot = (unsigned int)plug(f, 0);
	struct virtio_pci *v = f->m.pci->functions[slot * PCI_SLOT_FUNCTIONS]->owner;

	go_live(f, slot);
	shutdown(v->front.sock, SHUT_RDWR);
	back_end_join(&f->b[0]);
	out(f, HOTPLUG_EJECT, BIT(slot));
	back_end_init(&f->b[1]);
	f->b[1].n_queues = 2;
	assert_int_equal(machine_reconnect(&f->m, CHANNEL, back_end_start(&f->b[1])), 0);
	main_thread(f);
	back_end_join(&f->b[1]);
	assert_false(f->b[1].running[0]);
	assert_int_equal(f->n_gone, 1);
	assert_int_equal(f->m.request, MACHINE_RUN);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(only_whole_registers_are_there),
		T(what_comes_has_no_address_yet),
		T(only_what_was_plugged_is_ejected),
		T(an_eject_is_done_once),
		T(a_live_device_is_ended),
		T(nothing_is_left),
		T(slots_run_out),
		T(a_device_that_breaks_the_handshake_is_not_there),
		T(a_reset_keeps_what_is_plugged),
		T(the_state_is_of_these_slots),
		T(a_channel_has_a_number_of_its_own),
		T(a_successor_that_comes_too_late_is_sent_away),
		T(a_device_that_is_away_is_ended),
		T(a_successor_of_what_was_ejected_is_ended_with_it),
	};

	return cmocka_run_group_tests_name("hotplug", tests, NULL, NULL);
}
