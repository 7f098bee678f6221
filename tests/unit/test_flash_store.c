/* SPDX-License-Identifier: Apache-2.0 */
/* The file of a firmware's variables: cut off at every write, with whatever of the last ones lost, it has the store as it
 * was committed once; files that are none; a log that lies; errors of the host; how much is written. */
#include "cmd/dev-flash/store.h"

#include "cmd/dev-flash/crc32.h"
#include "cmd/dev-flash/log.h"
#include "lib/base/bytes.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SIZE (4 * 4096U)
#define ALL (SIZE + FLASH_LOG_LEN(SIZE))
#define OPS_MAX 4000

/* ---- a disk that loses what was not synced ---- */

struct op {
	enum { OP_WRITE, OP_TRUNCATE, OP_SYNC } what;
	uint64_t at;
	size_t len;
	uint8_t *data;
};

struct file {
	uint8_t bytes[ALL];
	uint64_t size;
};

static struct file file;
static struct op ops[OPS_MAX];
static size_t n_ops, fail_from;
static int fail_with;
static uint64_t written;

static void apply(struct file *f, const struct op *o)
{
	if (o->what == OP_TRUNCATE) {
		if (o->at > f->size)
			memset(f->bytes + f->size, 0, o->at - f->size);
		f->size = o->at;
	}
	if (o->what != OP_WRITE)
		return;
	assert_true(o->at + o->len <= f->size);
	memcpy(f->bytes + o->at, o->data, o->len);
}

static int add(int what, uint64_t at, const void *data, size_t len)
{
	struct op *o = &ops[n_ops];

	if (fail_with && n_ops >= fail_from)
		return fail_with;
	assert_true(n_ops++ < OPS_MAX);
	*o = (struct op){ .what = what, .at = at, .len = len };
	if (len) {
		o->data = malloc(len);
		memcpy(o->data, data, len);
	}
	written += len;
	apply(&file, o);
	return 0;
}

static ssize_t read_disk(void *owner, void *to, size_t len, uint64_t at)
{
	(void)owner;
	if (at >= file.size)
		return 0;
	if (len > file.size - at)
		len = file.size - at;
	memcpy(to, file.bytes + at, len);
	return (ssize_t)len;
}

static ssize_t write_disk(void *owner, const void *from, size_t len, uint64_t at)
{
	int r = add(OP_WRITE, at, from, len);

	(void)owner;
	return r < 0 ? r : (ssize_t)len;
}

static int sync_disk(void *owner)
{
	(void)owner;
	return add(OP_SYNC, 0, NULL, 0);
}

static int truncate_disk(void *owner, uint64_t size)
{
	(void)owner;
	return add(OP_TRUNCATE, size, NULL, 0);
}

static const struct store_io io = { read_disk, write_disk, sync_disk, truncate_disk, NULL };

static void clear_ops(void)
{
	for (size_t i = 0; i < n_ops; i++)
		free(ops[i].data);
	n_ops = 0;
	written = 0;
	fail_with = 0;
}

/* ---- a guest that writes ---- */

static struct store store;
static uint8_t now[SIZE];
static uint64_t seed;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(seed >> 33) % below;
}

static void begin_with(uint64_t s)
{
	clear_ops();
	seed = s;
	memset(&file, 0, sizeof(file));
	file.size = SIZE;
	for (size_t i = 0; i < SIZE; i++)
		file.bytes[i] = now[i] = (uint8_t)draw(256);
	assert_int_equal(store_alloc(&store, &io, file.size), 0);
	assert_int_equal(store_read(&store), 0);
	assert_memory_equal(store.saved, now, SIZE);
}

static void change(void)
{
	const uint32_t at = draw(SIZE), len = 1 + draw(draw(8) ? 40 : 5000);

	for (uint32_t i = at; i < at + len && i < SIZE; i++) {
		now[i] = (uint8_t)draw(256);
		store_touch(&store, i);
	}
}

#define SNAPSHOTS_MAX 400
static uint8_t snapshots[SNAPSHOTS_MAX][SIZE];
static size_t n_snapshots,
	durable_at[OPS_MAX]; /* the snapshot that is on the disk for sure behind each op */

static void note(size_t from)
{
	for (size_t i = from; i < n_ops; i++)
		durable_at[i] = i && ops[i].what != OP_SYNC ? durable_at[i - 1] : n_snapshots - 1;
}

static void snapshot(void)
{
	assert_true(n_snapshots < SNAPSHOTS_MAX);
	memcpy(snapshots[n_snapshots++], now, SIZE);
}

static void play(unsigned int steps)
{
	n_snapshots = 0;
	snapshot();
	for (unsigned int i = 0; i < steps; i++) {
		size_t from = n_ops;
		int r;

		change();
		r = store_commit(&store, now);
		assert_true(r == 0 || r == -EAGAIN);
		for (size_t k = from; k < n_ops; k++)
			durable_at[k] = k ? durable_at[k - 1] : 0;
		if (r == 0)
			snapshot();
		from = n_ops;
		if (r == -EAGAIN || draw(4) == 0) {
			const size_t before = n_snapshots - 1;

			assert_int_equal(store_tick(&store, now), 0);
			for (size_t k = from; k < n_ops; k++)
				durable_at[k] = ops[k].what == OP_SYNC ? before : durable_at[k - 1];
			if (r == -EAGAIN)
				snapshot();
			if (n_ops > from && ops[n_ops - 1].what == OP_SYNC)
				durable_at[n_ops - 1] = n_snapshots - 1;
		}
	}
	{
		const size_t from = n_ops;

		assert_int_equal(store_close(&store), 0);
		note(from);
	}
}

/* ---- cuts ---- */

/* What is on the disk: all that was synced, and of what came then some writes or pieces of them, as long as no change of
 * the file's size before them is lost. */
static void cut(struct file *f, size_t at, uint64_t how)
{
	size_t synced = 0;
	bool lost = false;

	for (size_t i = 0; i < at; i++)
		if (ops[i].what == OP_SYNC)
			synced = i + 1;
	for (size_t i = 0; i < at && !lost; i++) {
		struct op o = ops[i];
		const bool stays = i < synced || how == 1 || (how > 1 && draw(2));

		if (!stays && o.what == OP_TRUNCATE)
			lost = true;
		if (!stays)
			continue;
		if (i >= synced && how > 2 && o.len > 1)
			o.len = 1 + draw((uint32_t)o.len);
		apply(f, &o);
	}
}

static void check_cut(const struct file *start, size_t at, uint64_t how)
{
	static struct file f, whole;
	struct store again;
	size_t k, least = at ? durable_at[at - 1] : 0;

	f = *start;
	cut(&f, at, how);
	whole = file;
	file = f;
	assert_int_equal(store_alloc(&again, &io, file.size), 0);
	assert_int_equal(store_read(&again), 0);
	for (k = n_snapshots; k > 0; k--)
		if (memcmp(snapshots[k - 1], again.saved, SIZE) == 0)
			break;
	if (k <= least)
		fail_msg("cut at %zu of %zu, %llu: snapshot %zd, at least %zu", at, n_ops,
			 (unsigned long long)how, (ssize_t)k - 1, least);
	store_free(&again);
	file = whole;
}

static void cut_anywhere(void **state)
{
	static struct file start;

	(void)state;
	for (uint64_t run = 1; run <= 12; run++) {
		begin_with(run);
		start = file;
		play(60);
		assert_int_equal(file.size, SIZE);
		assert_memory_equal(file.bytes, now, SIZE);
		for (size_t at = 0; at <= n_ops; at++)
			for (uint64_t how = 0; how < 8; how++)
				check_cut(&start, at, how);
		store_free(&store);
	}
	clear_ops();
}

/* Behind a record that is torn stands one that is whole: neither is ever heard of. */
static void records_behind_a_torn_one(void **state)
{
	static uint8_t before[SIZE];
	struct store again;
	uint64_t len;

	(void)state;
	begin_with(7);
	memcpy(before, now, SIZE);
	change();
	assert_int_equal(store_commit(&store, now), 0);
	len = store.log_len;
	change();
	assert_int_equal(store_commit(&store, now), 0);
	store_free(&store);
	file.bytes[SIZE + len - 1] ^= 1;
	assert_int_equal(store_alloc(&again, &io, file.size), 0);
	assert_int_equal(store_read(&again), 0);
	assert_memory_equal(again.saved, before, SIZE);
	memcpy(now, before, SIZE);
	now[0] ^= 1;
	store_touch(&again, 0);
	assert_int_equal(store_commit(&again, now), -EAGAIN);
	assert_int_equal(store_tick(&again, now), 0);
	store_free(&again);
	assert_int_equal(store_alloc(&again, &io, file.size), 0);
	assert_int_equal(store_read(&again), 0);
	assert_memory_equal(again.saved, now, SIZE);
	store_free(&again);
	clear_ops();
}

/* ---- files ---- */

static void sizes(void **state)
{
	bool has_log;

	(void)state;
	for (uint64_t size = 0; size < 3 << 20; size++) {
		const uint64_t s = flash_size(size, &has_log);

		assert_true(s <= FLASH_SIZE_MAX && s % FLASH_SECTOR == 0);
		if (size && size % FLASH_SECTOR == 0 && size <= FLASH_SIZE_MAX)
			assert_true(s == size && !has_log);
		else if (s)
			assert_true(has_log && s + FLASH_LOG_LEN(s) == size);
	}
	for (uint64_t s = FLASH_SECTOR; s <= FLASH_SIZE_MAX; s += FLASH_SECTOR)
		assert_true(flash_size(s + FLASH_LOG_LEN(s), &has_log) == s && has_log);
	assert_int_equal(store_alloc(&store, &io, 0), -EINVAL);
	assert_int_equal(store_alloc(&store, &io, 4095), -EINVAL);
	assert_int_equal(store_alloc(&store, &io, FLASH_SIZE_MAX + FLASH_SECTOR), -EINVAL);
	assert_true(flash_fits(3653632, 540672) && flash_fits(1966080, 131072));
	assert_false(flash_fits(3653632, 131072) || flash_fits(3653632, 0));
}

/* Records of a log that point outside, are longer than the log, or of nothing. */
static void logs_that_lie(void **state)
{
	static const struct {
		uint32_t at, len, says;
	} pieces[] = { { SIZE, 1, 0 },	     { SIZE - 1, 2, 0 },
		       { UINT32_MAX, 1, 0 }, { 0, UINT32_MAX, 0 },
		       { 1, 0, 0 },	     { 0, 4, 3 },
		       { 0, 4, UINT32_MAX }, { 0, 4, FLASH_LOG_LEN(SIZE) } };

	(void)state;
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		uint8_t log[64] = { 0 }, body[12] = { 0 }, sectors[STORE_SECTORS_BYTES] = { 0 };
		uint8_t was[SIZE] = { 0x77 }, is[SIZE] = { 0x77 };
		struct bytes_writer w = bytes_writer(body, sizeof(body));
		struct bytes_writer l = bytes_writer(log, sizeof(log));

		bytes_put32(&w, pieces[i].at);
		bytes_put32(&w, pieces[i].len);
		bytes_put32(&w, 0x5a5a5a5a);
		bytes_put32(&l, 0x56464842);
		bytes_put32(&l, pieces[i].says ? pieces[i].says : sizeof(body));
		bytes_put32(&l, crc32_of(body, pieces[i].says == 3 ? 3 : sizeof(body)));
		bytes_put(&l, body, sizeof(body));
		assert_int_equal(log_replay(log, sizeof(log), is, SIZE, sectors), 0);
		assert_memory_equal(is, was, SIZE);
	}
	assert_int_equal(crc32_of((const uint8_t *)"123456789", 9), 0xcbf43926);
}

/* ---- the host ---- */

/* From an error on nothing is lost that can be tried again. */
static void errors_of_the_host(void **state)
{
	(void)state;
	for (size_t from = 0; from < 14; from++) {
		begin_with(from);
		change();
		fail_from = from;
		fail_with = -ENOSPC;
		for (int i = 0; i < 3; i++) {
			(void)!store_commit(&store, now);
			(void)!store_tick(&store, now);
			change();
		}
		(void)!store_close(&store);
		fail_with = 0;
		(void)!store_commit(&store, now);
		assert_int_equal(store_tick(&store, now), 0);
		assert_int_equal(store_close(&store), 0);
		assert_int_equal(file.size, SIZE);
		assert_memory_equal(file.bytes, now, SIZE);
		store_free(&store);
	}
	clear_ops();
}

static void a_file_that_is_shorter_than_it_was(void **state)
{
	(void)state;
	begin_with(1);
	file.size = SIZE - 1;
	assert_int_equal(store_read(&store), -EIO);
	store_free(&store);
}

/* Between two ticks a guest gets no more out of the host than the log has room for. */
static void what_is_written_is_bounded(void **state)
{
	(void)state;
	begin_with(3);
	for (int i = 0; i < 3000; i++) {
		change();
		(void)!store_commit(&store, now);
	}
	assert_true(written <= FLASH_LOG_LEN(SIZE));
	assert_int_equal(store_tick(&store, now), 0);
	assert_true(written <= 3 * FLASH_LOG_LEN(SIZE) && file.size <= ALL);
	written = 0;
	assert_int_equal(store_commit(&store, now), 0);
	assert_int_equal(written, 0);
	store_free(&store);
	clear_ops();
}

/* What was not committed before the end, and does not fit into what is left of the log. */
static void the_last_one_does_not_fit(void **state)
{
	(void)state;
	begin_with(5);
	while (FLASH_LOG_LEN(SIZE) - store.log_len > 4096) {
		now[draw(SIZE)] ^= 1;
		store_touch_all(&store);
		assert_int_equal(store_commit(&store, now), 0);
		clear_ops();
	}
	memset(now, 0x11, SIZE);
	store_touch_all(&store);
	assert_int_equal(store_tick(&store, now), 0);
	assert_int_equal(store_close(&store), 0);
	assert_int_equal(file.size, SIZE);
	assert_memory_equal(file.bytes, now, SIZE);
	store_free(&store);
	clear_ops();
}

/* Who writes nothing leaves the file alone. */
static void nothing_to_write(void **state)
{
	(void)state;
	begin_with(4);
	store_touch_all(&store);
	assert_int_equal(store_commit(&store, now), 0);
	assert_false(store_wants_tick(&store));
	assert_int_equal(store_tick(&store, now), 0);
	assert_int_equal(store_close(&store), 0);
	assert_int_equal(n_ops, 0);
	store_free(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(records_behind_a_torn_one),
		cmocka_unit_test(sizes),
		cmocka_unit_test(logs_that_lie),
		cmocka_unit_test(errors_of_the_host),
		cmocka_unit_test(a_file_that_is_shorter_than_it_was),
		cmocka_unit_test(what_is_written_is_bounded),
		cmocka_unit_test(the_last_one_does_not_fit),
		cmocka_unit_test(nothing_to_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
