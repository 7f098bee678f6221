/* SPDX-License-Identifier: Apache-2.0 */
/* Requests in flight outlive the process: a crash at every step of a ring, and damaged memory. */
#include "tests/unit/testfront.h"

#include "lib/devkit/vu_internal.h"

#define SHM 4096U
#define REGION 320U /* 16 + 16 * 16, in units of 64 */
#define DESC(i) (16U + 16U * (i))
#define VERSION_AT 8U
#define LAST_AT 12U
#define USED_AT 14U

static struct front f;
static uint8_t *shm;
static int shm_fd;

/* What an end of the process right here would leave behind. */
static struct snapshot {
	uint8_t ram[TR_RAM], shm[SHM];
} snapshots[24];
static unsigned int n_snapshots;
static bool watching;

static void take_snapshot(void)
{
	if (!watching)
		return;
	assert_true(n_snapshots < 24);
	memcpy(snapshots[n_snapshots].ram, f.ring.ram, TR_RAM);
	memcpy(snapshots[n_snapshots].shm, shm, SHM);
	n_snapshots++;
}

int __real_guest_write(const struct guestmem *mem, gpa_t gpa, const void *data, size_t len);
int __wrap_guest_write(const struct guestmem *mem, gpa_t gpa, const void *data, size_t len);
int __wrap_guest_write(const struct guestmem *mem, gpa_t gpa, const void *data, size_t len)
{
	int r;

	take_snapshot();
	r = __real_guest_write(mem, gpa, data, len);
	take_snapshot();
	return r;
}

int __real_guest_store16(const struct guestmem *mem, gpa_t gpa, uint16_t v);
int __wrap_guest_store16(const struct guestmem *mem, gpa_t gpa, uint16_t v);
int __wrap_guest_store16(const struct guestmem *mem, gpa_t gpa, uint16_t v)
{
	int r;

	take_snapshot();
	r = __real_guest_store16(mem, gpa, v);
	take_snapshot();
	return r;
}

static int setup(void **state)
{
	(void)state;
	memset(&f, 0, sizeof(f));
	n_snapshots = 0;
	watching = false;
	testring_open(&f.ring, TF_SIZE, false, false);
	shm_fd = tf_memfd(SHM, F_SEAL_SHRINK, &shm);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	watching = false;
	tf_die(&f);
	testring_close(&f.ring);
	munmap(shm, SHM);
	closep(&shm_fd);
	return 0;
}

static uint16_t shm16(uint32_t at)
{
	uint16_t v;

	memcpy(&v, shm + at, 2);
	return v;
}

static void set16(uint32_t at, uint16_t v)
{
	memcpy(shm + at, &v, 2);
}

static unsigned int n_in_flight(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < TF_SIZE; i++)
		n += shm[DESC(i)] != 0;
	return n;
}

static int live(uint16_t base)
{
	tf_open(&f);
	tf_negotiate(&f);
	assert_int_equal(tf_inflight(&f, REGION, 1, TF_SIZE, shm_fd), 0);
	return tf_arm(&f, TF_SIZE, base);
}

static void start(void)
{
	assert_int_equal(live(0), 0);
	tf_enable(&f);
}

/* ---- what is noted ---- */

static void notes_what_is_in_flight(void **state)
{
	(void)state;
	start();
	assert_int_equal(shm16(VERSION_AT), 1);
	assert_int_equal(shm16(VERSION_AT + 2), TF_SIZE);
	f.keep = true;
	for (uint16_t i = 0; i < 3; i++)
		tf_offer(&f, (uint16_t)(5 - i));
	tf_kick(&f);
	assert_int_equal(n_in_flight(), 3);
	for (uint16_t i = 0; i < 3; i++) {
		assert_int_equal(shm[DESC(5U - i)], 1);
		assert_int_equal(shm[DESC(5U - i) + 8], i);
	}
	tf_give(&f, 1);
	assert_int_equal(n_in_flight(), 2);
	assert_int_equal(shm[DESC(4)], 0);
	assert_int_equal(shm16(LAST_AT), 4);
	assert_int_equal(shm16(USED_AT), 1);
}

/* A ring whose memory is new begins where the front end says, at the used index that there is. */
static void begins_anew(void **state)
{
	(void)state;
	testring_store16(&f.ring, TR_USED + 2, 7);
	testring_set_avail_idx(&f.ring, 7);
	assert_int_equal(live(7), 0);
	tf_enable(&f);
	assert_int_equal(shm16(USED_AT), 7);
	tf_offer(&f, 2);
	tf_kick(&f);
	assert_int_equal(tf_used(&f), 8);
}

/* ---- the next process ---- */

static void in_order_before_anything_else(void **state)
{
	static const uint16_t order[] = { 9, 3, 7, 1, 12 };

	(void)state;
	start();
	f.keep = true;
	for (unsigned int i = 0; i < 4; i++)
		tf_offer(&f, order[i]);
	tf_kick(&f);
	tf_die(&f);
	tf_offer(&f, order[4]);
	assert_int_equal(live(0), 0); /* whatever base says */
	tf_enable(&f);
	assert_int_equal(f.n_taken, 5);
	assert_memory_equal(f.order, order, sizeof(order));
	assert_int_equal(tf_used(&f), 5);
	assert_int_equal(n_in_flight(), 0);
}

/* A device that has room for one at a time takes them one at a time, and a second crash in the
 * middle loses nothing either. */
static void paced_and_again(void **state)
{
	(void)state;
	start();
	f.keep = true;
	for (uint16_t i = 0; i < 6; i++)
		tf_offer(&f, i);
	tf_kick(&f);
	tf_die(&f);
	assert_int_equal(live(0), 0);
	f.keep = true;
	f.room = 1;
	tf_enable(&f);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(f.n_kept, 1);
		assert_int_equal(f.kept[0], i);
		tf_give(&f, 0);
		dev_queue_run(&f.dev.queue[0]);
	}
	assert_int_equal(n_in_flight(), 3);
	tf_die(&f);
	assert_int_equal(live(0), 0);
	tf_enable(&f);
	assert_int_equal(f.n_taken, 3);
	assert_int_equal(tf_used(&f), 6);
}

/* Each head is in the used ring once, and the guest has as many answers as it asked for. */
static void check_used(unsigned int n)
{
	uint32_t seen = 0;

	assert_int_equal(tf_used(&f), n);
	for (unsigned int i = 0; i < n; i++) {
		uint32_t id = testring_load32(&f.ring, TR_USED + 4 + 8ULL * i);

		assert_true(id < n && !(seen & (1U << id)));
		seen |= 1U << id;
	}
}

static void crash_at(const struct snapshot *s, unsigned int n)
{
	tf_die(&f);
	memcpy(f.ring.ram, s->ram, TR_RAM);
	memcpy(shm, s->shm, SHM);
	assert_int_equal(live(0), 0);
	tf_enable(&f);
	check_used(n);
	assert_int_equal(n_in_flight(), 0);
	assert_int_equal(shm16(USED_AT), n);
}

static void crash_at_every_step(void **state)
{
	enum { CHAINS = 4 };

	(void)state;
	for (unsigned int given = 0; given < CHAINS; given++) {
		struct snapshot last;

		teardown(state);
		setup(state);
		start();
		f.keep = true;
		for (uint16_t i = 0; i < CHAINS; i++)
			tf_offer(&f, i);
		tf_kick(&f);
		for (unsigned int i = 0; i < given; i++)
			tf_give(&f, 0);
		watching = true;
		tf_give(&f, 0);
		watching = false;
		assert_int_equal(n_snapshots, 4);
		/* given back, and noted so but for the index */
		memcpy(last.ram, f.ring.ram, TR_RAM);
		memcpy(last.shm, shm, SHM);
		last.shm[USED_AT] = (uint8_t)given;
		for (unsigned int i = 0; i < n_snapshots; i++)
			crash_at(&snapshots[i], CHAINS);
		crash_at(&last, CHAINS);
	}
}

/* While chains are taken: those that are not noted are taken from the ring. */
static void crash_while_taking(void **state)
{
	enum { CHAINS = 5 };

	(void)state;
	start();
	f.keep = true;
	for (uint16_t i = 0; i < CHAINS; i++)
		tf_offer(&f, i);
	watching = true;
	tf_kick(&f);
	watching = false;
	assert_true(n_snapshots >= CHAINS);
	for (unsigned int i = 0; i < n_snapshots; i++)
		crash_at(&snapshots[i], CHAINS);
}

/* The driver may have missed the interrupt. */
static void tells_the_driver(void **state)
{
	uint64_t n = 0;

	(void)state;
	start();
	tf_offer(&f, 1);
	tf_kick(&f);
	tf_die(&f);
	assert_int_equal(live(0), 0);
	tf_enable(&f);
	assert_int_equal(tf_used(&f), 1);
	assert_int_equal(read(f.call_fd, &n, 8), 8);
}

/* ---- ends that leave nothing in flight ---- */

static void kept_then(uint32_t request)
{
	start();
	f.keep = true;
	tf_offer(&f, 1);
	tf_offer(&f, 2);
	tf_kick(&f);
	assert_int_equal(n_in_flight(), 2);
	if (request == VHOST_USER_SET_STATUS)
		assert_int_equal(tf_u64(&f, request, 0), 0);
	else
		assert_int_equal(tf_state(&f, request, 0), 0);
	assert_int_equal(n_in_flight(), 0);
}

static void a_reset_forgets(void **state)
{
	(void)state;
	kept_then(VHOST_USER_SET_STATUS);
}

static void a_stop_forgets_what_was_dropped(void **state)
{
	(void)state;
	kept_then(VHOST_USER_GET_VRING_BASE);
}

/* ... but not what an earlier process took and this one has not taken yet. */
static void a_stop_keeps_what_waits(void **state)
{
	(void)state;
	start();
	f.keep = true;
	for (uint16_t i = 0; i < 3; i++)
		tf_offer(&f, i);
	tf_kick(&f);
	tf_die(&f);
	assert_int_equal(live(0), 0);
	f.keep = true;
	f.room = 1;
	tf_enable(&f);
	tf_give(&f, 0);
	assert_int_equal(tf_state(&f, VHOST_USER_GET_VRING_BASE, 0), 0);
	assert_int_equal(n_in_flight(), 2);
	f.keep = false;
	assert_int_equal(tf_arm(&f, TF_SIZE, 0), 0);
	tf_enable(&f);
	check_used(3);
}

/* A reset that comes before the rings, for a driver that does not know of the old chains. */
static void a_reset_before_the_rings(void **state)
{
	(void)state;
	start();
	f.keep = true;
	tf_offer(&f, 1);
	tf_kick(&f);
	tf_die(&f);
	tf_open(&f);
	tf_negotiate(&f);
	assert_int_equal(tf_inflight(&f, REGION, 1, TF_SIZE, shm_fd), 0);
	assert_int_equal(tf_u64(&f, VHOST_USER_SET_STATUS, 0), 0);
	assert_int_equal(n_in_flight(), 0);
}

/* The driver started over while no process was there, and nobody said so. */
static void a_driver_that_started_over(void **state)
{
	(void)state;
	start();
	f.keep = true;
	for (uint16_t i = 0; i < 3; i++)
		tf_offer(&f, i);
	tf_kick(&f);
	tf_die(&f);
	memset(f.ring.ram + TR_AVAIL, 0, 256);
	memset(f.ring.ram + TR_USED, 0, 256);
	testring_set_avail_idx(&f.ring, 0);
	assert_int_equal(live(0), 0);
	tf_enable(&f);
	assert_int_equal(n_in_flight(), 0);
	tf_offer(&f, 4);
	tf_kick(&f);
	assert_int_equal(f.n_taken, 1);
	assert_int_equal(tf_used(&f), 1);
	assert_false(f.dev.needs_reset);
}

/* ---- hostile memory ---- */

static void memory_that_is_refused(void **state)
{
	_cleanup_(closep) int unsealed = -1, event = eventfd(0, EFD_CLOEXEC);
	uint8_t *map;
	const struct {
		uint64_t size;
		uint16_t n, queue_size;
		int fd;
	} rows[] = {
		{ REGION, 1, TF_SIZE, (unsealed = tf_memfd(SHM, 0, &map)) },
		{ REGION, 1, TF_SIZE, event },
		{ REGION - 1, 1, TF_SIZE, shm_fd },
		{ SHM + 1, 1, TF_SIZE, shm_fd },
		{ ~0ULL, 1, TF_SIZE, shm_fd },
		{ 0, 1, TF_SIZE, shm_fd },
		{ SHM, 0, TF_SIZE, shm_fd },
		{ SHM, 2, TF_SIZE, shm_fd },
		{ SHM, 0xffff, TF_SIZE, shm_fd },
		{ SHM, 1, 0, shm_fd },
		{ SHM, 1, TF_SIZE + 1, shm_fd },
		{ SHM, 1, 0xffff, shm_fd },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		tf_open(&f);
		tf_negotiate(&f);
		assert_int_equal(tf_inflight(&f, rows[i].size, rows[i].n, rows[i].queue_size,
					     rows[i].fd),
				 -EPROTO);
		tf_die(&f);
	}
	munmap(map, SHM);
}

static void a_ring_larger_than_its_memory(void **state)
{
	(void)state;
	tf_open(&f);
	tf_negotiate(&f);
	assert_int_equal(tf_inflight(&f, SHM, 1, 8, shm_fd), 0);
	assert_int_equal(tf_arm(&f, TF_SIZE, 0), -EPROTO);
	assert_non_null(strstr(f.dev.why, "in flight"));
}

static void another_version(void **state)
{
	(void)state;
	set16(VERSION_AT, 2);
	assert_int_equal(live(0), -EPROTO);
	tf_die(&f);
	set16(VERSION_AT, 1);
	shm[3] = 1;
	assert_int_equal(live(0), -EPROTO);
}

/* The last batch's list: out of the ring at its head, out of it in the middle, in a circle. */
static void batches_that_cannot_be(void **state)
{
	(void)state;
	set16(VERSION_AT, 1);
	testring_store16(&f.ring, TR_USED + 2, 3);
	testring_set_avail_idx(&f.ring, 3);
	set16(LAST_AT, TF_SIZE);
	assert_int_equal(live(3), -EPROTO);
	tf_die(&f);
	set16(LAST_AT, 1);
	set16(DESC(1) + 6, 0xffff);
	assert_int_equal(live(3), -EPROTO);
	tf_die(&f);
	set16(DESC(1) + 6, 1);
	set16(USED_AT, 4); /* 65535 steps */
	shm[DESC(1)] = 1;
	assert_int_equal(live(3), 0);
	assert_int_equal(n_in_flight(), 0);
}

/* Any bytes at all: a session that ends, or a ring that gives back no chain twice. */
static void noise(void **state)
{
	uint32_t random = 12345;

	(void)state;
	for (unsigned int round = 0; round < 400; round++) {
		teardown(state);
		setup(state);
		for (unsigned int i = 0; i < REGION; i++) {
			random = random * 1103515245 + 12345;
			shm[i] = (uint8_t)(random >> 16);
			if (round % 2 && random >> 31)
				shm[i] = 0;
		}
		memset(shm, 0, 8);
		set16(VERSION_AT, 1);
		if (round % 4 < 2)
			set16(LAST_AT, (uint16_t)(round % TF_SIZE));
		if (round % 8 < 4)
			set16(USED_AT, 0);
		for (uint16_t i = 0; i < TF_SIZE; i++)
			tf_offer(&f, i);
		if (live(0) < 0) {
			assert_true(f.dev.why[0]);
			continue;
		}
		tf_enable(&f);
		assert_true(tf_used(&f) <= TF_SIZE);
		assert_int_equal(f.dev.queue[0].vq.n_in_flight, 0);
	}
}

/* The chain is read from the ring anew, and checked as any. */
static void descriptors_that_changed(void **state)
{
	(void)state;
	start();
	f.keep = true;
	tf_offer(&f, 1);
	tf_kick(&f);
	tf_die(&f);
	testring_desc(&f.ring, 1, TR_DATA, 8, D_NEXT, 99);
	assert_int_equal(live(0), 0);
	tf_enable(&f);
	assert_true(f.dev.needs_reset);
	assert_int_equal(tf_used(&f), 0);
}

/* A driver that offers a head again which an earlier process has not given back. */
static void a_head_that_waits_is_in_flight(void **state)
{
	(void)state;
	start();
	f.keep = true;
	tf_offer(&f, 1);
	tf_offer(&f, 2);
	tf_kick(&f);
	tf_die(&f);
	assert_int_equal(live(0), 0);
	f.keep = true;
	tf_offer(&f, 2);
	tf_enable(&f);
	assert_int_equal(f.n_taken, 2);
	assert_true(f.dev.needs_reset);
}

/* ---- the memory that the device makes ---- */

static int get(uint16_t n, uint16_t queue_size, struct vu_msg *ret)
{
	int fds[MSG_MAX_FDS] = { -1 };
	size_t n_fds = 0;

	assert_int_equal(tf_tell(&f,
				 (struct vu_msg){ .request = VHOST_USER_GET_INFLIGHT_FD,
						  .inflight = { 0, 0, n, queue_size } },
				 -1),
			 0);
	assert_int_equal(vu_recv(f.sock, ret, fds, &n_fds), 1);
	assert_int_equal(n_fds, 1);
	return fds[0];
}

static void the_devices_own(void **state)
{
	_cleanup_(closep) int fd = -1, again = -1;
	struct vu_msg m;
	uint8_t *map;

	(void)state;
	tf_open(&f);
	tf_negotiate(&f);
	fd = get(1, TF_SIZE, &m);
	assert_int_equal(m.inflight.size, REGION);
	assert_int_equal(m.inflight.n_queues, 1);
	assert_int_equal(m.inflight.queue_size, TF_SIZE);
	assert_true(fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK);
	map = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(map != MAP_FAILED);
	assert_int_equal(tf_inflight(&f, REGION, 1, TF_SIZE, fd), 0);
	assert_int_equal(tf_arm(&f, TF_SIZE, 0), 0);
	tf_enable(&f);
	f.keep = true;
	tf_offer(&f, 4);
	tf_kick(&f);
	assert_int_equal(map[DESC(4)], 1);
	assert_int_equal(tf_state(&f, VHOST_USER_GET_VRING_BASE, 0), 0);
	assert_int_equal(vu_recv(f.sock, &m, (int[MSG_MAX_FDS]){ -1 }, &(size_t){ 0 }), 1);
	again = get(1, 8, &m);
	assert_int_equal(m.inflight.size, 192);
	assert_int_equal(map[VERSION_AT], 0); /* as new */
	munmap(map, REGION);
}

static void memory_for_what_it_has_not(void **state)
{
	static const uint16_t rows[][2] = { { 0, 1 }, { 2, 1 }, { 1, 0 }, { 1, TF_SIZE + 1 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		tf_open(&f);
		tf_negotiate(&f);
		assert_int_equal(
			tf_tell(&f,
				(struct vu_msg){ .request = VHOST_USER_GET_INFLIGHT_FD,
						 .inflight = { 0, 0, rows[i][0], rows[i][1] } },
				-1),
			-EPROTO);
		tf_die(&f);
	}
}

#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(notes_what_is_in_flight),
		CASE(begins_anew),
		CASE(in_order_before_anything_else),
		CASE(paced_and_again),
		CASE(crash_at_every_step),
		CASE(crash_while_taking),
		CASE(tells_the_driver),
		CASE(a_reset_forgets),
		CASE(a_stop_forgets_what_was_dropped),
		CASE(a_stop_keeps_what_waits),
		CASE(a_reset_before_the_rings),
		CASE(a_driver_that_started_over),
		CASE(memory_that_is_refused),
		CASE(a_ring_larger_than_its_memory),
		CASE(another_version),
		CASE(batches_that_cannot_be),
		CASE(noise),
		CASE(descriptors_that_changed),
		CASE(a_head_that_waits_is_in_flight),
		CASE(the_devices_own),
		CASE(memory_for_what_it_has_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
