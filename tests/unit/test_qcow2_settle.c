/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settling: first writes hardly ever wait for stable storage, and what was reserved for them is not lost when
 * the process is killed.
 */
#include "lib/base/cleanup.h"
#include "lib/image/qcow2/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

static struct volume_error why;
static struct store_fd file;

static void make(const struct qcow2_create_options *o)
{
	int fd = memfd_create("test-qcow2", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(store_fd_open(&file, fd, 0), 0);
	assert_int_equal(qcow2_create(&file.store, o, &why), 0);
}

static uint64_t redo[QCOW2_REDO_BYTES / 8];

/* A raw disk of 64 MiB that is not zeroes; one at a time is open. */
static struct volume *open_base(void)
{
	static struct store_fd store;
	static struct volume_raw raw;
	int fd = memfd_create("test-base", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 64 << 20), 0);
	assert_int_equal(store_fd_open(&store, fd, STORE_READONLY), 0);
	assert_int_equal(volume_raw_open(&raw, &store.store), 0);
	return &raw.volume;
}

static struct volume *open_with(struct qcow2_options o)
{
	struct volume *v;
	int r = qcow2_open(&file.store, &o, &v, &why);

	if (r < 0)
		fail_msg("open: %s", why.text);
	return v;
}

static struct volume *open_disk(void)
{
	return open_with((struct qcow2_options){ 0 });
}

static void expect_sound(struct volume *v)
{
	struct qcow2_check_result c;

	assert_int_equal(qcow2_check(v, QCOW2_REPAIR_NOTHING, NULL, NULL, &c, &why), 0);
	assert_int_equal(c.corruptions, 0);
	assert_int_equal(c.leaks, 0);
}

/* The clusters of a disk in an order that jumps. */
static uint64_t jump(uint64_t i, uint64_t n)
{
	return i * 0x9e3779b1U % n;
}

static unsigned int n_flushes;
static const struct store_ops *real_ops;

static int counted_flush(struct store *s)
{
	n_flushes++;
	return real_ops->flush(s);
}

static int failed_flush(struct store *s)
{
	(void)s;
	return -EIO;
}

static void count_flushes(void)
{
	static struct store_ops counting;

	real_ops = file.store.ops;
	counting = *real_ops;
	counting.flush = counted_flush;
	file.store.ops = &counting;
	n_flushes = 0;
}

/* As a device does it: groups of 32 requests, none of them a flush. Clusters [from, to), in jumps. */
static void write_groups(struct volume *v, uint64_t from, uint64_t to)
{
	const uint8_t bytes[512] = { 9 };
	uint64_t n = v->size / v->cluster;

	for (uint64_t i = from; i < to; i++) {
		assert_int_equal(volume_write(v, bytes, sizeof(bytes), jump(i, n) * v->cluster), 0);
		if (i % 32 == 31)
			assert_int_equal(volume_settle(v), 0);
	}
	assert_int_equal(volume_settle(v), 0);
}

/* A process that is killed; the next one goes on from the file. */
static struct volume *kill_and_open(struct volume *v)
{
	qcow2_free(qcow2_of(v));
	file.store.size = (uint64_t)lseek(file.fd, 0, SEEK_END);
	v = open_disk();
	assert_int_equal(volume_settle(v), 0);
	return v;
}

/* Once for each 64 MiB of them, once for the mark; and once where there is a new refcount block. */
static void test_first_writes_do_not_wait(void **state)
{
	struct volume *v;
	uint64_t n;

	(void)state;
	make(&(struct qcow2_create_options){ .size = UINT64_C(1) << 30 });
	count_flushes();
	v = open_disk();
	n = v->size / v->cluster;
	assert_int_equal(volume_settle(v), 0);
	write_groups(v, 0, n);
	printf("%u flushes for 1 GiB\n", n_flushes);
	assert_true(n_flushes <= 1 + (1024 / 64) + 1);
	expect_sound(v);
	volume_close(v);
}

static void test_what_was_reserved_is_found_again(void **state)
{
	struct volume *v;
	uint64_t bound, n;

	(void)state;
	make(&(struct qcow2_create_options){ .size = 64 << 20, .cluster_size = 4096 });
	v = open_disk();
	bound = qcow2_growth_bound(v);
	n = v->size / v->cluster;
	assert_int_equal(volume_settle(v), 0);
	for (uint64_t i = 0; i < 64; i++) {
		write_groups(v, i * n / 64, (i + 1) * n / 64);
		v = kill_and_open(v);
		assert_int_equal(qcow2_growth_bound(v), bound);
	}
	expect_sound(v);
	assert_true(file.store.size <= bound);
	volume_close(v);
}

/* From behind what is in use up to there. */
static void fill_file(uint64_t to)
{
	static uint8_t bytes[64 << 10];

	memset(bytes, 0xee, sizeof(bytes));
	for (uint64_t at = 6 * sizeof(bytes); at < to; at += sizeof(bytes))
		assert_int_equal(store_write(&file.store, bytes, sizeof(bytes), at), 0);
}

/* Whoever opens it next has new clusters again, which nobody has to fill. */
static void test_what_was_given_back_is_new(void **state)
{
	const uint8_t bytes[512] = { 1 }, zeroes[512] = { 0 };
	uint8_t got[512];
	struct extent x;
	uint64_t size;
	struct volume *v;

	(void)state;
	make(&(struct qcow2_create_options){ .size = UINT64_C(1) << 30 });
	v = open_disk();
	assert_int_equal(volume_settle(v), 0);
	write_groups(v, 0, 1);
	assert_true(qcow2_of(v)->h.incompatible & INCOMPATIBLE_DIRTY);
	size = file.store.size;
	assert_true(size >= 64 << 20);
	expect_sound(v);
	assert_int_equal(reserve_end(qcow2_of(v)), 0);
	assert_false(qcow2_of(v)->h.incompatible & INCOMPATIBLE_DIRTY);
	fill_file((uint64_t)1 << 20); /* as if they had been in use */
	v = kill_and_open(v);
	assert_int_equal(file.store.size, size);
	assert_int_equal(volume_write(v, bytes, sizeof(bytes), 512 << 20), 0);
	assert_true(reserve_left(qcow2_of(v)));
	assert_int_equal(volume_map(v, 512 << 20, 512, &x), 0);
	assert_true(x.offset < 1 << 20);
	assert_int_equal(volume_read(v, got, sizeof(got), (512 << 20) + 4096), 0);
	assert_memory_equal(got, zeroes, sizeof(got));
	assert_false(qcow2_of(v)->unsynced);
	volume_close(v);
}

/* Where nothing can be reserved, settling is what it was. */
static void test_version_2_reserves_nothing(void **state)
{
	struct volume *v;

	(void)state;
	make(&(struct qcow2_create_options){ .size = 64 << 20, .version = 2 });
	v = open_disk();
	assert_int_equal(volume_settle(v), 0);
	write_groups(v, 0, 100);
	assert_false(reserve_left(qcow2_of(v)));
	expect_sound(v);
	v = kill_and_open(v);
	expect_sound(v);
	volume_close(v);
}

static uint64_t incompatible(void)
{
	uint8_t b[8];

	assert_int_equal(store_read(&file.store, b, sizeof(b), H_INCOMPATIBLE), sizeof(b));
	return get_be64(b);
}

/* An image that a process left open is made clean by the next, and only by one that looks. */
static void test_the_mark(void **state)
{
	const struct qcow2_options tool = { .tool = true };
	struct volume *v;
	int other;

	(void)state;
	make(&(struct qcow2_create_options){ .size = 8 << 20, .cluster_size = 4096 });
	v = open_disk();
	assert_int_equal(volume_settle(v), 0);
	assert_int_equal(incompatible(), 0);
	write_groups(v, 0, 40);
	assert_int_equal(incompatible(), INCOMPATIBLE_DIRTY);
	qcow2_free(qcow2_of(v));
	other = dup(file.fd);
	assert_int_equal(qcow2_open(&file.store, &tool, &v, &why), 0);
	assert_int_equal(volume_settle(v), 0);
	volume_close(v); /* it did not set it, and has not looked */
	file.fd = other;
	assert_int_equal(incompatible(), INCOMPATIBLE_DIRTY);
	v = open_disk();
	assert_int_equal(incompatible(), 0);
	expect_sound(v);
	other = dup(file.fd);
	write_groups(v, 40, 80);
	assert_int_equal(incompatible(), INCOMPATIBLE_DIRTY);
	volume_close(v);
	file.fd = other;
	assert_int_equal(incompatible(), 0);
	v = open_disk();
	expect_sound(v);
	volume_close(v);
}

/* Whoever repairs cannot cut the file off; what lies behind the last cluster in use takes no space then. */
static void test_repair_gives_the_tail_back(void **state)
{
	uint8_t bytes[4096], zeroes[4096] = { 0 }, dirty[8];
	struct volume *v;
	uint64_t end;

	(void)state;
	make(&(struct qcow2_create_options){ .size = 8 << 20, .cluster_size = sizeof(bytes) });
	end = file.store.size + 16 * sizeof(bytes); /* the tables made anew have room before it */
	memset(bytes, 0xee, sizeof(bytes));
	assert_int_equal(store_write(&file.store, bytes, sizeof(bytes), end), 0);
	put_be64(dirty, INCOMPATIBLE_DIRTY);
	assert_int_equal(store_write(&file.store, dirty, sizeof(dirty), H_INCOMPATIBLE), 0);
	v = open_disk();
	assert_int_equal(incompatible(), 0);
	assert_int_equal(store_read(&file.store, bytes, sizeof(bytes), end), sizeof(bytes));
	volume_close(v);
	assert_memory_equal(bytes, zeroes, sizeof(bytes));
}

/* Behind that, one flush per group again, and no mark: what would repair it could lack the memory. */
static void test_a_file_too_long_to_repair(void **state)
{
	struct volume *v;
	struct qcow2 *q;

	(void)state;
	make(&(struct qcow2_create_options){ .size = 64 << 20, .cluster_size = 4096 });
	v = open_disk();
	q = qcow2_of(v);
	q->reserve_max = 64;
	q->reserve_below = 500;
	assert_int_equal(volume_settle(v), 0);
	write_groups(v, 0, 100);
	assert_true(q->h.incompatible & INCOMPATIBLE_DIRTY);
	assert_true(reserve_left(q));
	write_groups(v, 100, 1000);
	assert_false(reserve_left(q));
	assert_int_equal(incompatible(), 0);
	expect_sound(v);
	volume_close(v);
}

/* Clusters of 4 KiB, all written for the first time in groups of 32. Returns the flushes that took. */
static unsigned int flushes_of_all(struct qcow2_options o)
{
	struct volume *v;

	memset(redo, 0, sizeof(redo));
	count_flushes();
	v = open_with(o);
	assert_int_equal(volume_settle(v), 0);
	write_groups(v, 0, (64 << 20) / 4096);
	printf("%u flushes\n", n_flushes);
	expect_sound(v);
	volume_close(v);
	return n_flushes;
}

/* With a log no group waits, whatever its clusters replace: only where the log is full, or its pages are. */
static void test_a_log_takes_what_replaces(void **state)
{
	struct qcow2_create_options on_base = { .size = 64 << 20,
						.cluster_size = 4096,
						.backing_file = "base" };
	const struct qcow2_options log = { .redo = redo, .redo_bytes = sizeof(redo) };
	struct qcow2_options o = log;
	struct volume *v;
	int other;

	(void)state;
	make(&on_base);
	assert_true(flushes_of_all((struct qcow2_options){ .backing = open_base() }) > 512);
	make(&on_base);
	o.backing = open_base();
	assert_true(flushes_of_all(o) < 32);
	make(&(struct qcow2_create_options){
		.size = 64 << 20, .cluster_size = 4096, .version = 2 });
	assert_true(flushes_of_all(log) < 100); /* and one for each L2 table */
	make(&(struct qcow2_create_options){ .size = 64 << 20, .cluster_size = 4096 });
	v = open_disk();
	write_groups(v, 0, (64 << 20) / 4096);
	assert_int_equal(qcow2_snapshot_create(v, "s", 0, 0, &why), 0);
	other = dup(file.fd);
	volume_close(v);
	file.fd = other;
	assert_true(flushes_of_all(log) < 150); /* and what is given up fills its list */
}

/* What is reserved does not wait, either: only the mark does, until the guest asks for a flush. */
static void test_with_a_log_nothing_waits(void **state)
{
	const struct qcow2_options log = { .redo = redo, .redo_bytes = sizeof(redo) };
	struct volume *v;

	(void)state;
	memset(redo, 0, sizeof(redo));
	make(&(struct qcow2_create_options){ .size = UINT64_C(1) << 30 });
	v = open_with(log);
	count_flushes();
	assert_int_equal(volume_settle(v), 0);
	write_groups(v, 0, 16384 - 512);
	assert_int_equal(n_flushes, 1);
	assert_int_equal(volume_flush(v), 0);
	n_flushes = 0;
	write_groups(v, 16384 - 512, 16384 - 448);
	assert_int_equal(volume_flush(v), 0);
	assert_int_equal(n_flushes, 1); /* and now they are ready */
	expect_sound(v);
	volume_close(v);
}

/* Nothing is in the file, and the next process has all of it; or without the log nothing, as after a power cut. */
static void test_a_log_is_taken_over(void **state)
{
	const struct qcow2_options log = { .redo = redo, .redo_bytes = sizeof(redo) };
	const uint8_t bytes[512] = { 7 };
	uint8_t got[512] = { 0 };
	struct volume *v;
	bool cut = false;

	(void)state;
	do {
		memset(redo, 0, sizeof(redo));
		make(&(struct qcow2_create_options){ .size = 64 << 20, .cluster_size = 4096 });
		v = open_with(log);
		assert_int_equal(volume_settle(v), 0);
		assert_int_equal(volume_write(v, bytes, sizeof(bytes), 8 << 20), 0);
		assert_int_equal(redo[0], 0);
		assert_int_equal(volume_settle(v), 0);
		assert_int_equal(redo[0], 2); /* of the L1 table, and of the L2 table */
		qcow2_free(qcow2_of(v));
		file.store.size = (uint64_t)lseek(file.fd, 0, SEEK_END);
		if (cut)
			memset(redo, 0, sizeof(redo));
		v = open_with(log);
		assert_int_equal(redo[0], 0);
		assert_int_equal(volume_read(v, got, sizeof(got), 8 << 20), 0);
		assert_int_equal(got[0], cut ? 0 : 7);
		expect_sound(v);
		volume_close(v);
		cut = !cut;
	} while (cut);
}

/* Who wrote it may have been taken over: it makes no file longer, and nothing is read behind it. */
static void test_a_log_that_cannot_be(void **state)
{
	static const uint64_t bad[][2] = {
		{ UINT64_MAX, 0 },   { sizeof(redo) / 16, 0 },
		{ 1, UINT64_MAX },   { 1, UINT64_MAX - 7 },
		{ 1, BIT(63) },	     { 1, UINT64_C(1) << 40 },
		{ 1, 5 * 4096 + 4 }, { 1, 0xffff },
	};
	const struct qcow2_options log = { .redo = redo, .redo_bytes = sizeof(redo) };
	struct volume *v;

	(void)state;
	make(&(struct qcow2_create_options){ .size = 8 << 20, .cluster_size = 4096 });
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const uint64_t size = file.store.size;

		memset(redo, 0, sizeof(redo));
		redo[0] = bad[i][0];
		redo[1] = bad[i][1];
		assert_int_equal(qcow2_open(&file.store, &log, &v, &why), -EBADMSG);
		assert_non_null(strstr(why.text, "before this one left"));
		assert_int_equal(file.store.size, size);
	}
	memset(redo, 0, sizeof(redo));
	v = open_with(log);
	expect_sound(v);
	volume_close(v);
}

/* What a failed flush has lost nobody knows: nothing that was settled since the last one is referred to. */
static void test_a_flush_that_fails_ends_the_log(void **state)
{
	const struct qcow2_options log = { .redo = redo, .redo_bytes = sizeof(redo) };
	static struct store_ops failing;
	const uint8_t bytes[512] = { 7 };
	struct volume *v;

	(void)state;
	memset(redo, 0, sizeof(redo));
	make(&(struct qcow2_create_options){ .size = 8 << 20, .cluster_size = 4096 });
	v = open_with(log);
	assert_int_equal(volume_settle(v), 0);
	assert_int_equal(volume_write(v, bytes, sizeof(bytes), 0), 0);
	assert_int_equal(volume_settle(v), 0);
	assert_int_equal(redo[0], 2);
	failing = *file.store.ops;
	failing.flush = failed_flush;
	file.store.ops = &failing;
	assert_int_equal(volume_flush(v), -EIO);
	assert_int_equal(redo[0], 0);
	assert_int_equal(volume_write(v, bytes, sizeof(bytes), 1 << 20), -EIO);
	assert_int_equal(volume_settle(v), -EIO);
	volume_close(v);
	assert_int_equal(redo[0], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_writes_do_not_wait),
		cmocka_unit_test(test_what_was_reserved_is_found_again),
		cmocka_unit_test(test_what_was_given_back_is_new),
		cmocka_unit_test(test_version_2_reserves_nothing),
		cmocka_unit_test(test_the_mark),
		cmocka_unit_test(test_repair_gives_the_tail_back),
		cmocka_unit_test(test_a_file_too_long_to_repair),
		cmocka_unit_test(test_a_log_takes_what_replaces),
		cmocka_unit_test(test_with_a_log_nothing_waits),
		cmocka_unit_test(test_a_log_is_taken_over),
		cmocka_unit_test(test_a_log_that_cannot_be),
		cmocka_unit_test(test_a_flush_that_fails_ends_the_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
