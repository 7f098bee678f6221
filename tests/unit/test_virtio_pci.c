/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-pci as a guest sees it, through ECAM and BAR 0, with a back end in a thread: a driver's
 * life, what each state takes (CVE-2026-5747), refusals, wild notifications (CVE-2011-2512), the
 * window, and random accesses against a model of the state table.
 */
#include "cmd/vmm/event.h"
#include "cmd/vmm/pci/virtio_pci.h"
#include "lib/base/fd.h"
#include "tests/unit/testtype.h"
#include "tests/unit/testvmm.h"
#include "tests/unit/unit.h"

#include "lib/base/fd.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <string.h>

#define ACK 1U
#define DRV 2U
#define DRV_OK 4U
#define FEAT_OK 8U
#define NEEDS 0x40U
#define FAILED 0x80U
#define COMMAND_ON (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER)
#define SLOT 1

struct fixture {
	struct machine m;
	struct accel accel;
	struct back_end b;
	struct virtio_pci *v;
	uint64_t bar;
	bool joined;
};

static uint64_t ecam(unsigned int reg)
{
	return ECAM_START + (SLOT << 15) + reg;
}

static uint32_t cfg(struct fixture *f, unsigned int reg, unsigned int width)
{
	return (uint32_t)bus_read(&f->m.mmio, ecam(reg), width);
}

static void set_cfg(struct fixture *f, unsigned int reg, unsigned int width, uint32_t value)
{
	bus_write(&f->m.mmio, ecam(reg), width, value);
}

static uint64_t rd(struct fixture *f, uint64_t offset, unsigned int width)
{
	return bus_read(&f->m.mmio, f->bar + offset, width);
}

static void wr(struct fixture *f, uint64_t offset, unsigned int width, uint64_t value)
{
	bus_write(&f->m.mmio, f->bar + offset, width, value);
}

static int make(struct fixture *f, unsigned int type)
{
	const char *why = NULL;
	int r;

	test_machine_open(&f->m, &f->accel);
	assert_int_equal(pci_host_open(&f->m, &f->m.pci), 0);
	r = virtio_pci_add(&f->m, test_virtio_type(type), 0, back_end_start(&f->b), PCI_SLOT_COLD,
			   &why);
	assert_true(r == 0 || why);
	if (r < 0)
		return r;
	f->v = f->m.pci->functions[SLOT * PCI_SLOT_FUNCTIONS]->owner;
	f->bar = cfg(f, PCI_BASE_ADDRESS_0, 4);
	set_cfg(f, PCI_COMMAND, 2, COMMAND_ON);
	return 0;
}

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	back_end_init(&f->b);
	f->b.n_queues = 4;
	for (unsigned int i = 0; i < VU_MAX_CONFIG; i++)
		f->b.config[i] = (uint8_t)(i + 1);
	assert_int_equal(make(f, 2), 0);
	*state = f;
	return 0;
}

static void end(struct fixture *f)
{
	if (!f->joined) {
		vhost_front_close(&f->v->front);
		back_end_join(&f->b);
	}
	f->joined = true;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct virtio_pci *v = f->v;

	end(f);
	assert_int_equal(f->b.n_misuse, 0);
	assert_int_equal(f->accel.n_faults, 0);
	for (unsigned int i = 0; i < v->n_queues; i++) {
		close(v->queues[i].kick_fd);
		close(v->queues[i].call_fd);
	}
	close(v->config_fd);
	close(v->err_fd);
	free(v);
	test_machine_close(&f->m);
	test_free(f);
	return 0;
}

/* ---- a driver ---- */

static void set_status(struct fixture *f, uint8_t status)
{
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, status);
}

static uint8_t get_status(struct fixture *f)
{
	return (uint8_t)rd(f, VIRTIO_PCI_COMMON_STATUS, 1);
}

static uint64_t offered(struct fixture *f)
{
	uint64_t low;

	wr(f, VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
	low = rd(f, VIRTIO_PCI_COMMON_DF, 4);
	wr(f, VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	return low | rd(f, VIRTIO_PCI_COMMON_DF, 4) << 32;
}

static void accept_features(struct fixture *f, uint64_t features)
{
	set_status(f, ACK | DRV);
	wr(f, VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	wr(f, VIRTIO_PCI_COMMON_GF, 4, (uint32_t)features);
	wr(f, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	wr(f, VIRTIO_PCI_COMMON_GF, 4, features >> 32);
	set_status(f, ACK | DRV | FEAT_OK);
}

static void set_queue(struct fixture *f, unsigned int index, unsigned int size, uint64_t desc)
{
	wr(f, VIRTIO_PCI_COMMON_Q_SELECT, 2, index);
	wr(f, VIRTIO_PCI_COMMON_Q_SIZE, 2, size);
	wr(f, VIRTIO_PCI_COMMON_Q_DESCLO, 4, (uint32_t)desc);
	wr(f, VIRTIO_PCI_COMMON_Q_DESCHI, 4, desc >> 32);
	wr(f, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, (uint32_t)desc + 0x1000);
	wr(f, VIRTIO_PCI_COMMON_Q_USEDLO, 4, (uint32_t)desc + 0x2000);
	wr(f, VIRTIO_PCI_COMMON_Q_MSIX, 2, index + 1);
	wr(f, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

static void go_live(struct fixture *f)
{
	accept_features(f, offered(f));
	assert_int_equal(get_status(f), ACK | DRV | FEAT_OK);
	set_queue(f, 0, 128, 0x100000);
	set_queue(f, 2, 64, 0x200000);
	set_status(f, ACK | DRV | FEAT_OK | DRV_OK);
}

static uint64_t take_count(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

/* ---- tests ---- */

static void it_is_a_modern_virtio_device(void **state)
{
	struct fixture *f = *state;
	unsigned int seen = 0, n = 0, at;

	assert_int_equal(cfg(f, PCI_VENDOR_ID, 4), 0x10421af4);
	assert_int_equal(cfg(f, PCI_REVISION_ID, 1), 1);
	assert_int_equal(cfg(f, PCI_INTERRUPT_PIN, 1), 0);
	assert_true(cfg(f, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
	for (at = cfg(f, PCI_CAPABILITY_LIST, 1); at && n < 48; at = cfg(f, at + 1, 1), n++)
		if (cfg(f, at, 1) == PCI_CAP_ID_VNDR)
			seen |= 1U << cfg(f, at + 3, 1);
		else
			assert_int_equal(cfg(f, at, 1), PCI_CAP_ID_MSIX);
	assert_int_equal(n, 6);
	assert_int_equal(seen, 0x3e);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_NUMQ, 2), 4);
	assert_int_equal(cfg(f, (unsigned int)f->v->msix_cap + 2, 2), 4);
}

static void a_drivers_life(void **state)
{
	struct fixture *f = *state;

	for (int life = 0; life < 3; life++) {
		go_live(f);
		assert_int_equal(get_status(f), ACK | DRV | FEAT_OK | DRV_OK);
		assert_int_equal(f->accel.n_notifiers, 2);
		wr(f, VIRTIO_PCI_COMMON_STATUS, 1, 0);
		assert_int_equal(get_status(f), 0);
		assert_int_equal(f->accel.n_notifiers, 0);
		wr(f, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
		assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
		assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_SIZE, 2), QUEUE_SIZE_MAX);
	}
	assert_int_equal(f->m.request, MACHINE_RUN);
	end(f);
	assert_int_equal(back_end_count(&f->b, VHOST_USER_SET_VRING_KICK), 6);
	assert_int_equal(back_end_count(&f->b, VHOST_USER_GET_VRING_BASE), 6);
	assert_int_equal(f->b.num[0], 128);
	assert_int_equal(f->b.num[2], 64);
	assert_true(f->b.addr[2].addr.desc == 0x200000 && f->b.addr[2].addr.used == 0x202000);
	assert_true(f->b.mem.mem.region[0].size == TEST_RAM);
	assert_false(f->b.running[0] || f->b.running[2]);
}

static void features_are_what_both_can(void **state)
{
	struct fixture *f = *state;
	uint64_t all = offered(f);

	assert_true(all == (1ULL << 32 | 1ULL << 28 | 1ULL << 29));
	wr(f, VIRTIO_PCI_COMMON_DFSELECT, 4, 2);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_DF, 4), 0);
	accept_features(f, all | 1ULL << 30);
	assert_int_equal(get_status(f), ACK | DRV);
	set_status(f, 0);
	accept_features(f, all & ~(1ULL << 32));
	assert_int_equal(get_status(f), ACK | DRV);
	set_status(f, 0);
	accept_features(f, 1ULL << 32);
	assert_int_equal(get_status(f), ACK | DRV | FEAT_OK);
	wr(f, VIRTIO_PCI_COMMON_GF, 4, 0xff); /* too late */
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_GF, 4), 1);
	end(f);
	assert_true(f->b.got_features == (1ULL << 32 | 1ULL << 30));
}

static void driver_ok_without_features_ok_is_refused(void **state)
{
	struct fixture *f = *state;

	set_status(f, ACK | DRV | DRV_OK);
	assert_int_equal(get_status(f), ACK | DRV);
	end(f);
	assert_int_equal(back_end_count(&f->b, VHOST_USER_SET_MEM_TABLE), 0);
}

/* CVE-2026-5747: nothing about a queue changes once it is in use. */
static void queues_freeze(void **state)
{
	static const struct {
		uint8_t offset, width;
	} regs[] = {
		/* clang-format off */
		{ VIRTIO_PCI_COMMON_Q_SIZE, 2 },    { VIRTIO_PCI_COMMON_Q_DESCLO, 4 },
		{ VIRTIO_PCI_COMMON_Q_DESCHI, 4 },  { VIRTIO_PCI_COMMON_Q_AVAILLO, 4 },
		{ VIRTIO_PCI_COMMON_Q_AVAILHI, 4 }, { VIRTIO_PCI_COMMON_Q_USEDLO, 4 },
		{ VIRTIO_PCI_COMMON_Q_USEDHI, 4 },  { VIRTIO_PCI_COMMON_Q_ENABLE, 2 },
		/* clang-format on */
	};
	struct fixture *f = *state;

	accept_features(f, offered(f));
	set_queue(f, 0, 128, 0x100000);
	for (int live = 0; live < 2; live++) {
		for (unsigned int q = 0; q < 4; q++)
			for (size_t i = 0; i < ARRAY_SIZE(regs); i++) {
				uint64_t old;

				if (!live && q)
					continue;
				wr(f, VIRTIO_PCI_COMMON_Q_SELECT, 2, q);
				old = rd(f, regs[i].offset, regs[i].width);
				wr(f, regs[i].offset, regs[i].width, 1);
				wr(f, regs[i].offset, regs[i].width, 256);
				wr(f, regs[i].offset, regs[i].width, 0);
				assert_int_equal(rd(f, regs[i].offset, regs[i].width), old);
			}
		set_status(f, ACK | DRV | FEAT_OK | DRV_OK);
	}
	wr(f, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_SIZE, 2), 128);
}

static void sizes_are_powers_of_two_within_bounds(void **state)
{
	static const uint32_t bad[] = { 0, 3, 127, 255, 257, 512, 1024, 0x8000, 0xffff };
	struct fixture *f = *state;

	accept_features(f, offered(f));
	wr(f, VIRTIO_PCI_COMMON_Q_SIZE, 2, 32);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		wr(f, VIRTIO_PCI_COMMON_Q_SIZE, 2, bad[i]);
		assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_SIZE, 2), 32);
	}
}

static void a_queue_out_of_range_reads_0(void **state)
{
	static const uint16_t bad[] = { 4, 5, 63, 64, 65, 0x7fff, 0x8000, 0xffff };
	struct fixture *f = *state;

	accept_features(f, offered(f));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct virtio_pci old;

		wr(f, VIRTIO_PCI_COMMON_Q_SELECT, 2, bad[i]);
		old = *f->v;
		for (unsigned int at = 0x18; at < 0x40; at++)
			for (unsigned int width = 1; width <= 8; width *= 2) {
				assert_true(rd(f, at, width) == 0);
				wr(f, at, width, UINT64_MAX);
			}
		assert_memory_equal(&old, f->v, sizeof(old));
	}
}

/* CVE-2011-2512 */
static void wild_notifications_do_nothing(void **state)
{
	static const uint64_t values[] = { 0, 1, 4, 0x7fff, 0x8000, 0xffff, UINT64_MAX };
	struct fixture *f = *state;

	for (int live = 0; live < 2; live++) {
		for (uint64_t at = 0; at < VPCI_PAGE_SIZE; at++)
			for (size_t i = 0; i < ARRAY_SIZE(values); i++)
				if (at != 0 && at != 8)
					wr(f, VPCI_NOTIFY + at, 2, values[i]);
		wr(f, VPCI_NOTIFY, 2, 0xffff);
		assert_int_equal(take_count(f->v->queues[0].kick_fd), live);
		for (unsigned int q = 1; q < 4; q++)
			assert_int_equal(take_count(f->v->queues[q].kick_fd), 0);
		wr(f, VPCI_NOTIFY + 8, 2, 2);
		assert_int_equal(take_count(f->v->queues[2].kick_fd), live);
		if (!live)
			go_live(f);
	}
}

static void a_full_kick_does_not_block(void **state)
{
	const uint64_t full = UINT64_MAX - 1;
	struct fixture *f = *state;

	go_live(f);
	assert_int_equal(write(f->v->queues[0].kick_fd, &full, 8), 8);
	wr(f, VPCI_NOTIFY, 2, 0);
	assert_true(take_count(f->v->queues[0].kick_fd) == full);
}

/* A device has taken the flag and the count away between the look and the read. */
static void a_shared_event_cannot_make_a_read_wait(void **state)
{
	struct fixture *f = *state;
	int fd = f->v->queues[0].call_fd;
	const uint64_t five = 5;

	assert_int_equal(fd_set_nonblock(fd, false), 0);
	assert_false(event_take(fd));
	assert_int_equal(write(fd, &five, sizeof(five)), sizeof(five));
	assert_true(event_take(fd));
	assert_false(event_take(fd));
}

static void rings_outside_of_ram_need_a_reset(void **state)
{
	static const uint64_t bad[] = {
		TEST_RAM - 0x1000, TEST_RAM, 0xc0000000, 0xffffffff00000000ULL, 0x100008,
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		accept_features(f, offered(f));
		set_queue(f, 1, 256, bad[i]);
		set_status(f, ACK | DRV | FEAT_OK | DRV_OK);
		assert_int_equal(get_status(f), ACK | DRV | FEAT_OK | NEEDS);
		wr(f, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
		set_status(f, 0);
		assert_int_equal(get_status(f), 0);
	}
	assert_int_equal(f->m.request, MACHINE_RUN);
	go_live(f);
	assert_int_equal(get_status(f), ACK | DRV | FEAT_OK | DRV_OK);
}

static void a_back_ends_broken_ring_needs_a_reset(void **state)
{
	const uint64_t one = 1;
	struct fixture *f = *state;

	go_live(f);
	wr(f, VIRTIO_PCI_COMMON_MSIX, 2, 0);
	assert_int_equal(write(f->v->err_fd, &one, 8), 8);
	assert_int_equal(loop_run_once(&f->m.loop, 0), 0);
	assert_int_equal(get_status(f), 0xf); /* the back end says that all is well */
	f->b.status = NEEDS;
	assert_int_equal(write(f->v->err_fd, &one, 8), 8);
	assert_int_equal(loop_run_once(&f->m.loop, 0), 0);
	assert_int_equal(get_status(f), 0xf | NEEDS);
	assert_int_equal(take_count(f->v->config_fd), 1);
	assert_int_equal(rd(f, VPCI_ISR, 1), VPCI_ISR_CONFIG);
	assert_int_equal(rd(f, VPCI_ISR, 1), 0);
	f->b.status = 0;
	set_status(f, 0);
	go_live(f);
	assert_int_equal(get_status(f), 0xf);
}

static void configuration_is_read_and_written_within_its_length(void **state)
{
	struct fixture *f = *state;

	for (unsigned int width = 1; width <= 8; width *= 2)
		for (unsigned int at = 0; at < 128; at++) {
			uint64_t want = 0;

			for (unsigned int i = 0; i < width && at + width <= 60; i++)
				want |= (uint64_t)(at + i + 1) << (8 * i);
			assert_true(rd(f, VPCI_CONFIG + at, width) == want);
		}
	wr(f, VPCI_CONFIG + 32, 1, 0x77); /* no features yet: the back end must not see it */
	assert_int_equal(rd(f, VPCI_CONFIG + 32, 1), 33);
	accept_features(f, offered(f));
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_CFGGENERATION, 1), 1);
	wr(f, VPCI_CONFIG + 32, 1, 0x77);
	wr(f, VPCI_CONFIG + 59, 2, 0xffff);
	assert_int_equal(rd(f, VPCI_CONFIG + 32, 1), 0x77);
	assert_int_equal(rd(f, VPCI_CONFIG + 59, 1), 60);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_CFGGENERATION, 1), 2);
}

/* What the supervisor passes on. */
static void change_config(struct fixture *f, uint8_t value)
{
	f->b.config[0] = value;
	assert_int_equal(machine_config_changed(&f->m, f->v->number), 0);
	assert_int_equal(rd(f, VPCI_CONFIG, 1), value);
}

static void a_change_of_configuration_is_told_to_a_live_driver(void **state)
{
	struct fixture *f = *state;

	change_config(f, 0x71);
	assert_int_equal(take_count(f->v->config_fd), 0);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_CFGGENERATION, 1), 2);
	for (int life = 0; life < 2; life++) {
		go_live(f); /* what came before is told now */
		assert_int_equal(take_count(f->v->config_fd), 1);
		assert_int_equal(rd(f, VPCI_ISR, 1), VPCI_ISR_CONFIG);
		change_config(f, (uint8_t)life);
		assert_int_equal(take_count(f->v->config_fd), 1);
		assert_int_equal(rd(f, VPCI_ISR, 1), VPCI_ISR_CONFIG);
		change_config(f, (uint8_t)life); /* the same */
		assert_int_equal(take_count(f->v->config_fd), 0);
		assert_int_equal(rd(f, VIRTIO_PCI_COMMON_CFGGENERATION, 1), 3 + life);
		set_status(f, 0);
	}
}

/* Its channel is in the middle of GET_VRING_BASE, without the lock. */
static void a_change_while_it_drains_is_looked_at_afterwards(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	assert_int_equal(take_count(f->v->config_fd), 0);
	f->b.config[0] = 0x71;
	f->v->draining = true;
	assert_int_equal(machine_config_changed(&f->m, f->v->number), 0);
	f->v->draining = false;
	assert_int_equal(rd(f, VPCI_CONFIG, 1), 1);
	set_status(f, 0);
	assert_int_equal(rd(f, VPCI_CONFIG, 1), 0x71);
	end(f);
	assert_int_equal(back_end_count(&f->b, VHOST_USER_GET_CONFIG), 2);
}

static void channels_without_a_device_have_no_configuration(void **state)
{
	struct fixture *f = *state;

	for (unsigned int i = 0; i < 2 * MACHINE_CHANNELS_MAX; i++)
		if (i != f->v->number)
			assert_int_equal(machine_config_changed(&f->m, i),
					 i < MACHINE_CHANNELS_MAX ? 0 : -EBADMSG);
	assert_int_equal(machine_config_changed(&f->m, ~0U), -EBADMSG);
}

static void a_back_end_that_answers_something_else_ends_the_machine(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	f->b.vice_at = VHOST_USER_GET_CONFIG;
	f->b.vice = BACK_END_WRONG_ID;
	assert_int_equal(machine_config_changed(&f->m, f->v->number), 0);
	assert_int_equal(f->m.request, MACHINE_FAIL);
	assert_int_equal(rd(f, VPCI_CONFIG, 1), 1);
	assert_int_equal(take_count(f->v->config_fd), 0);
}

static void notifiers_follow_the_bar(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	assert_int_equal(f->accel.n_notifiers, 2);
	set_cfg(f, PCI_BASE_ADDRESS_0, 4, 0xd0000000);
	assert_int_equal(f->accel.n_notifiers, 2);
	assert_true(f->v->queues[2].notify_gpa == 0xd0000000 + VPCI_NOTIFY + 8);
	set_cfg(f, PCI_BASE_ADDRESS_0, 4, 0);
	assert_int_equal(f->accel.n_notifiers, 0);
	set_cfg(f, PCI_COMMAND, 2, 0);
	set_cfg(f, PCI_BASE_ADDRESS_0, 4, 0xd0000000);
	assert_int_equal(f->accel.n_notifiers, 0);
	set_cfg(f, PCI_COMMAND, 2, COMMAND_ON);
	assert_int_equal(f->accel.n_notifiers, 2);
	f->bar = 0xd0000000;
	assert_int_equal(get_status(f), 0xf);
}

static void interrupts_need_enable_and_bus_master(void **state)
{
	struct fixture *f = *state;
	unsigned int flags = (unsigned int)f->v->msix_cap + 2;

	go_live(f);
	wr(f, VPCI_MSIX_TABLE + 16, 8, 0xfee00000);
	wr(f, VPCI_MSIX_TABLE + 24, 8, 0x40); /* vector 1: queue 0 */
	assert_int_equal(f->accel.n_irqs, 0);
	set_cfg(f, flags, 2, PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(f->accel.n_irqs, 1);
	set_cfg(f, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(f->accel.n_irqs, 0);
	set_cfg(f, PCI_COMMAND, 2, COMMAND_ON);
	assert_int_equal(f->accel.n_irqs, 1);
	set_cfg(f, flags, 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	assert_int_equal(f->accel.n_irqs, 0);
}

static unsigned int window_cap(struct fixture *f)
{
	return (unsigned int)f->v->window_cap;
}

static void aim(struct fixture *f, uint8_t bar, uint32_t offset, uint32_t len)
{
	set_cfg(f, window_cap(f) + 4, 1, bar);
	set_cfg(f, window_cap(f) + 8, 4, offset);
	set_cfg(f, window_cap(f) + 12, 4, len);
}

static void the_window_shows_the_bar(void **state)
{
	static const struct {
		uint8_t bar;
		uint32_t offset, len;
	} bad[] = {
		{ 1, 0, 4 },
		{ 0xff, 0, 4 },
		{ 0, 0x14, 3 },
		{ 0, 0x14, 0 },
		{ 0, 0x14, 8 },
		{ 0, 0x15, 2 },
		{ 0, VPCI_BAR_SIZE, 4 },
		{ 0, 0xfffffffc, 4 },
		{ 0, 0x14, 0xffffffff },
		{ 0, VPCI_BAR_SIZE - 2, 4 },
	};
	struct fixture *f = *state;
	unsigned int data = window_cap(f) + 16;

	set_cfg(f, PCI_COMMAND, 2, 0); /* it works without decoding */
	aim(f, 0, VIRTIO_PCI_COMMON_STATUS, 1);
	set_cfg(f, data, 1, ACK | DRV);
	assert_int_equal(cfg(f, data, 1), ACK | DRV);
	aim(f, 0, VIRTIO_PCI_COMMON_NUMQ, 2);
	assert_int_equal(cfg(f, data, 2), 4);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		aim(f, bad[i].bar, bad[i].offset, bad[i].len);
		set_cfg(f, data, 4, 0xffffffff);
		(void)cfg(f, data, 4);
	}
	aim(f, 0, VIRTIO_PCI_COMMON_STATUS, 1);
	assert_int_equal(cfg(f, data, 1), ACK | DRV);
	set_cfg(f, data, 1, 0);
	assert_int_equal(cfg(f, data, 1), 0);
}

static void a_machine_reset_is_power_on(void **state)
{
	struct fixture *f = *state;
	uint64_t home = f->bar;

	go_live(f);
	wr(f, VPCI_MSIX_TABLE + 16, 8, 0xfee00000);
	set_cfg(f, PCI_BASE_ADDRESS_0, 4, 0xd0000000);
	assert_int_equal(machine_reset(&f->m), 0);
	assert_int_equal(cfg(f, PCI_BASE_ADDRESS_0, 4), home);
	assert_int_equal(cfg(f, PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
	assert_int_equal(get_status(f), 0);
	assert_int_equal(rd(f, VPCI_MSIX_TABLE + 16, 4), 0);
	assert_int_equal(f->accel.n_notifiers + f->accel.n_irqs, 0);
	end(f);
	assert_false(f->b.running[0] || f->b.running[2]);
}

/* By the used rings of the queues that run, whatever they wrap around to. */
static void what_is_given_back_is_seen(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	(void)!virtio_has_served(f->v);
	for (unsigned int q = 0; q <= 2; q += 2) {
		const gpa_t index = GPA(f->v->queues[q].device + 2);

		for (int i = 0; i < 3; i++) {
			const uint16_t values[] = { 1, 0xffff, 0 };

			assert_false(virtio_has_served(f->v));
			assert_int_equal(guest_store16(&f->m.mem, index, values[i]), 0);
			assert_true(virtio_has_served(f->v));
		}
	}
	assert_false(virtio_has_served(f->v));
}

/* ---- a back end that dies, and its successor ---- */

/* What happens in the machine's loop when the back end hangs up. */
static void hang_up(struct fixture *f)
{
	shutdown(f->b.sock, SHUT_RDWR);
	back_end_join(&f->b);
	f->joined = true;
	assert_int_equal(loop_run_once(&f->m.loop, 0), 0);
	assert_true(f->v->away);
}

static void successor(struct back_end *b)
{
	back_end_init(b);
	b->n_queues = 4;
}

/* The next back end is the fixture's from now on, whatever comes of it. */
static int meet(struct fixture *f)
{
	f->joined = false;
	return machine_reconnect(&f->m, 0, back_end_start(&f->b));
}

static void a_back_end_that_dies_is_succeeded(void **state)
{
	struct fixture *f = *state;
	const uint8_t live = ACK | DRV | FEAT_OK | DRV_OK;

	go_live(f);
	assert_int_equal(guest_store16(&f->m.mem, GPA(f->v->queues[0].device + 2), 0xfffe), 0);
	assert_int_equal(guest_store16(&f->m.mem, GPA(f->v->queues[2].device + 2), 7), 0);
	wr(f, VPCI_CONFIG + 32, 1, 0);
	take_count(f->v->queues[0].call_fd);
	hang_up(f);
	assert_int_equal(f->m.request, MACHINE_RUN);
	assert_int_equal(get_status(f), live);
	assert_int_equal(rd(f, VPCI_CONFIG, 1), 1); /* still answered */
	wr(f, VPCI_CONFIG + 33, 1, 9);
	assert_int_equal(f->accel.n_notifiers, 2);

	successor(&f->b);
	assert_int_equal(meet(f), 0);
	assert_false(f->v->away);
	assert_int_equal(f->b.got_features & ~(1ULL << VHOST_USER_F_PROTOCOL_FEATURES),
			 f->v->driver_features);
	assert_int_equal(f->b.base[0], 0xfffe);
	assert_int_equal(f->b.base[2], 7);
	assert_true(f->b.running[0] && !f->b.running[1] && f->b.running[2]);
	assert_int_equal(back_end_count(&f->b, VHOST_USER_GET_INFLIGHT_FD),
			 0); /* the first one's */
	assert_true(f->b.inflight >= 0);
	assert_int_equal(f->b.inflight_as.inflight.size, 4096);
	assert_int_equal(take_count(f->v->queues[0].kick_fd), 1);
	assert_int_equal(take_count(f->v->queues[2].call_fd), 1);
	assert_true(f->b.config[32] == 0 && f->b.config[33] == 9);
	assert_int_equal(get_status(f), live);
}

/* Whatever it leaves in the eventfds, the one after it gets one count and nobody waits. */
static void full_events_do_not_hold_up_a_successor(void **state)
{
	const uint64_t full = UINT64_MAX - 1;
	struct fixture *f = *state;

	go_live(f);
	for (int on = 0; on < 2; on++) {
		int fd = on ? f->v->queues[0].kick_fd : f->v->queues[0].call_fd;

		take_count(fd);
		assert_int_equal(write(fd, &full, sizeof(full)), sizeof(full));
		assert_int_equal(fd_set_nonblock(fd, false), 0);
	}
	hang_up(f);
	successor(&f->b);
	assert_int_equal(meet(f), 0);
	assert_int_equal(take_count(f->v->queues[0].kick_fd), 1);
	assert_int_equal(take_count(f->v->queues[0].call_fd), 1);
}

static void a_reset_while_it_is_away_is_a_new_life(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	hang_up(f);
	set_status(f, 0);
	assert_int_equal(get_status(f), 0);
	assert_int_equal(f->accel.n_notifiers, 0);
	accept_features(f, offered(f)); /* a driver need not wait for it either */
	assert_int_equal(get_status(f), ACK | DRV | FEAT_OK);
	successor(&f->b);
	assert_int_equal(meet(f), 0);
	assert_false(f->b.running[0]);
	set_queue(f, 0, 128, 0x100000);
	set_status(f, ACK | DRV | FEAT_OK | DRV_OK);
	assert_int_equal(back_end_count(&f->b, VHOST_USER_GET_INFLIGHT_FD), 1);
	assert_int_equal(f->b.base[0], 0);
	assert_true(f->b.running[0]);
}

static void a_whole_life_may_begin_while_it_is_away(void **state)
{
	struct fixture *f = *state;

	hang_up(f);
	go_live(f);
	assert_int_equal(get_status(f), ACK | DRV | FEAT_OK | DRV_OK);
	successor(&f->b);
	assert_int_equal(meet(f), 0);
	assert_true(f->b.running[0] && f->b.running[2]);
	hang_up(f);
	assert_int_equal(machine_reset(&f->m), 0);
	assert_int_equal(get_status(f), 0);
	successor(&f->b);
	assert_int_equal(meet(f), 0);
	assert_false(f->b.running[0]);
	assert_int_equal(f->m.request, MACHINE_RUN);
}

static const uint32_t of_a_start[] = {
	VHOST_USER_SET_FEATURES,    VHOST_USER_SET_STATUS,	VHOST_USER_SET_MEM_TABLE,
	VHOST_USER_GET_INFLIGHT_FD, VHOST_USER_SET_INFLIGHT_FD, VHOST_USER_SET_VRING_ENABLE,
};

/* At any request; its successors too, which may be asked for less. */
static void it_may_die_at_any_request(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(of_a_start); i++) {
		f->b.vice = BACK_END_CLOSE;
		f->b.vice_at = of_a_start[i];
		go_live(f);
		assert_true(f->v->away);
		assert_true(f->v->channel.fd >= 0); /* in the loop, which is the main thread's */
		assert_int_equal(f->m.request, MACHINE_RUN);
		assert_int_equal(get_status(f), ACK | DRV | FEAT_OK | DRV_OK);
		for (size_t k = 0; k < ARRAY_SIZE(of_a_start); k++) {
			back_end_join(&f->b);
			successor(&f->b);
			f->b.vice = BACK_END_CLOSE;
			f->b.vice_at = of_a_start[k];
			assert_int_equal(meet(f), 0);
			if (of_a_start[k] == VHOST_USER_GET_INFLIGHT_FD && !f->v->away)
				shutdown(f->b.sock, SHUT_RDWR); /* it was not asked */
		}
		back_end_join(&f->b);
		successor(&f->b);
		assert_int_equal(meet(f), 0);
		assert_false(f->v->away);
		assert_true(f->b.running[0] && f->b.running[2]);
		set_status(f, 0);
	}
}

static void a_successor_must_offer_as_much(void **state)
{
	static const char *const why[] = { "disk: its new process offers fewer features",
					   "disk: its new process has fewer queues",
					   "disk: its process broke the protocol" };

	for (int i = 0; i < 3; i++) {
		struct fixture *f;

		if (i > 0)
			setup(state);
		f = *state;
		go_live(f);
		hang_up(f);
		successor(&f->b);
		if (i == 0)
			f->b.features &= ~(1ULL << 28);
		else if (i == 1)
			f->b.n_queues = 3;
		else
			f->b.n_queues = 0;
		assert_true(meet(f) < 0);
		assert_int_equal(f->m.request, MACHINE_FAIL);
		assert_string_equal(f->m.why, why[i]);
		if (i < 2)
			teardown(state);
	}
}

static void a_channel_that_is_not_there_is_refused(void **state)
{
	struct fixture *f = *state;
	int fds = open_fds();

	assert_int_equal(machine_reconnect(&f->m, 1, make_event()), -EBADMSG);
	assert_int_equal(machine_reconnect(&f->m, UINT32_MAX, make_event()), -EBADMSG);
	assert_int_equal(open_fds(), fds);
	assert_false(f->v->away);
}

static void unusable_back_ends_are_refused(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct fixture *f = test_calloc(1, sizeof(*f));
		int fds = open_fds(), type = i == 3 ? 3 : 2;

		back_end_init(&f->b);
		if (i == 0)
			f->b.features &= ~(1ULL << 32);
		if (i == 1)
			f->b.config_len = 59;
		if (i == 2)
			f->b.n_queues = 0;
		assert_true(make(f, (unsigned int)type) < 0);
		back_end_join(&f->b);
		test_machine_close(&f->m);
		assert_int_equal(open_fds(), fds);
		test_free(f);
	}
}

/* ---- random orders against the state table ---- */

struct model {
	uint8_t status;
	uint64_t features;
	uint16_t select;
	uint32_t feature_select;
	struct {
		uint16_t size;
		bool enabled;
		uint64_t desc;
	} q[4];
};

static void model_reset(struct model *o)
{
	*o = (struct model){ 0 };
	for (int i = 0; i < 4; i++)
		o->q[i].size = 256;
}

static bool model_rings_good(const struct model *o)
{
	for (int i = 0; i < 4; i++)
		if (o->q[i].enabled &&
		    (o->q[i].desc & 15 || o->q[i].desc + 16 * o->q[i].size > TEST_RAM))
			return false;
	return true;
}

static void model_status(struct model *o, uint8_t value, uint64_t all)
{
	bool broken = o->status & (NEEDS | FAILED);
	uint8_t rises = value & (uint8_t)~o->status;

	if (!value) {
		model_reset(o);
		return;
	}
	o->status |= value & (ACK | DRV | FAILED);
	broken |= value & FAILED;
	if ((rises & FEAT_OK) && !broken && !(o->features & ~all) && (o->features >> 32 & 1))
		o->status |= FEAT_OK;
	if ((rises & DRV_OK) && !broken && (o->status & FEAT_OK))
		o->status |= model_rings_good(o) ? DRV_OK : NEEDS;
}

static bool configuring(const struct model *o)
{
	return (o->status & FEAT_OK) && !(o->status & (DRV_OK | NEEDS | FAILED)) && o->select < 4 &&
	       !o->q[o->select].enabled;
}

static void random_step(struct fixture *f, struct model *o, uint64_t *seed, uint64_t all)
{
	static const uint8_t statuses[] = { 0, 1, 3, 3, 11, 11, 11, 15, 15, 15, 0x83, 0x4f, 0xff };
	uint32_t v = next_random(seed);

	switch (next_random(seed) % 8) {
	case 0:
		v = statuses[v % ARRAY_SIZE(statuses)];
		set_status(f, (uint8_t)v);
		model_status(o, (uint8_t)v, all);
		break;
	case 1:
		o->feature_select = v % 3;
		wr(f, VIRTIO_PCI_COMMON_GFSELECT, 4, v % 3);
		break;
	case 2:
		v = o->feature_select == 1 ? v % 8 != 0 : v % 4 ? 0 : 1U << (v % 32);
		wr(f, VIRTIO_PCI_COMMON_GF, 4, v);
		if (o->feature_select < 2 && !(o->status & (FEAT_OK | DRV_OK | NEEDS | FAILED))) {
			unsigned int shift = 32 * o->feature_select;

			o->features &= ~(0xffffffffULL << shift);
			o->features |= (uint64_t)v << shift;
		}
		break;
	case 3:
		o->select = v % 6;
		wr(f, VIRTIO_PCI_COMMON_Q_SELECT, 2, v % 6);
		break;
	case 4:
		wr(f, VIRTIO_PCI_COMMON_Q_SIZE, 2, v % 300);
		if (configuring(o) && v % 300 && !((v % 300) & (v % 300 - 1)) && v % 300 <= 256)
			o->q[o->select].size = (uint16_t)(v % 300);
		break;
	case 5:
		v = (v % 64) * (v % 5 ? 0x1000 : 0x100001);
		wr(f, VIRTIO_PCI_COMMON_Q_DESCLO, 4, v);
		if (configuring(o))
			o->q[o->select].desc = v;
		break;
	case 6:
		wr(f, VIRTIO_PCI_COMMON_Q_ENABLE, 2, v % 3);
		if (configuring(o) && v % 3 == 1)
			o->q[o->select].enabled = true;
		break;
	default: /* a wrong width changes nothing */
		wr(f, v % 0x40, v & 0x40 ? 8 : 1 + (v % 0x40 == VIRTIO_PCI_COMMON_STATUS), v);
	}
}

static void compare(struct fixture *f, const struct model *o)
{
	assert_int_equal(get_status(f), o->status);
	assert_true(f->v->driver_features == o->features);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_SELECT, 2), o->select);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(f->v->queues[i].size, o->q[i].size);
		assert_int_equal(f->v->queues[i].enabled, o->q[i].enabled);
		assert_true(f->v->queues[i].desc == o->q[i].desc);
	}
	assert_int_equal(f->v->running, !!(o->status & DRV_OK));
}

static void random_orders_follow_the_state_table(void **state)
{
	struct fixture *f = *state;
	uint64_t seed = 1, all = offered(f);
	unsigned int lives = 0;
	struct model o;

	model_reset(&o);
	for (int i = 0; i < 100000; i++) {
		bool was_live = o.status & DRV_OK;

		random_step(f, &o, &seed, all);
		compare(f, &o);
		lives += !was_live && (o.status & DRV_OK);
	}
	assert_true(lives > 100);
	assert_int_equal(f->m.request, MACHINE_RUN);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(it_is_a_modern_virtio_device),
		T(a_drivers_life),
		T(features_are_what_both_can),
		T(driver_ok_without_features_ok_is_refused),
		T(queues_freeze),
		T(sizes_are_powers_of_two_within_bounds),
		T(a_queue_out_of_range_reads_0),
		T(wild_notifications_do_nothing),
		T(a_full_kick_does_not_block),
		T(a_shared_event_cannot_make_a_read_wait),
		T(rings_outside_of_ram_need_a_reset),
		T(a_back_ends_broken_ring_needs_a_reset),
		T(configuration_is_read_and_written_within_its_length),
		T(a_change_of_configuration_is_told_to_a_live_driver),
		T(a_change_while_it_drains_is_looked_at_afterwards),
		T(channels_without_a_device_have_no_configuration),
		T(a_back_end_that_answers_something_else_ends_the_machine),
		T(notifiers_follow_the_bar),
		T(interrupts_need_enable_and_bus_master),
		T(the_window_shows_the_bar),
		T(a_machine_reset_is_power_on),
		T(what_is_given_back_is_seen),
		T(a_back_end_that_dies_is_succeeded),
		T(full_events_do_not_hold_up_a_successor),
		T(a_reset_while_it_is_away_is_a_new_life),
		T(a_whole_life_may_begin_while_it_is_away),
		T(it_may_die_at_any_request),
		T(a_successor_must_offer_as_much),
		T(a_channel_that_is_not_there_is_refused),

		cmocka_unit_test(unusable_back_ends_are_refused),
		T(random_orders_follow_the_state_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
