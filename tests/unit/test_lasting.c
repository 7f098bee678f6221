/* SPDX-License-Identifier: Apache-2.0 */
/* What outlasts a server's loss, over a server in memory that loses what was not flushed: hostile and full ones first. */
#include "tests/unit/unit.h"

#include "lib/storagekit/lasting.h"

#include <errno.h>
#include <string.h>

#define SIZE (4U << 20)
#define SECTORS 64U /* that the random test uses */
#define MIB (1U << 20)

static struct image below;
static struct lasting l;
static uint8_t cache[SIZE], stable[SIZE];
static struct image_io pending[64];
static unsigned int n_pending, n_overlaps, n_wholes, n_refusals, n_flushes, n_changes;
static int fails; /* every change's and flush's result */
static uint64_t rng;
static int result[64];
static uint8_t data[8][MIB], heard[MIB];
static struct iovec iov[64];

/* ---- the server ---- */

static bool is_change(const struct image_io *io)
{
	return io->op != IMAGE_READ && io->op != IMAGE_FLUSH;
}

static int below_queue(struct image *image, const struct image_io *io)
{
	int r = image_check(image, io);

	if (r < 0)
		return r;
	assert_true(n_pending < 64);
	for (unsigned int i = 0; i < n_pending && is_change(io); i++)
		n_overlaps += is_change(&pending[i]) &&
			      io->offset < pending[i].offset + pending[i].len &&
			      pending[i].offset < io->offset + io->len;
	pending[n_pending++] = *io;
	return 0;
}

static int nothing(struct image *image)
{
	(void)image;
	return 0;
}

static void close_nothing(struct image *image)
{
	(void)image;
}

static const struct image_ops ops = { .queue = below_queue,
				      .submit = nothing,
				      .reap = nothing,
				      .wait = nothing,
				      .close = close_nothing };

static void carry_out(const struct image_io *io)
{
	uint64_t at = io->offset;

	n_changes += is_change(io);
	n_flushes += io->op == IMAGE_FLUSH;
	if (fails && io->op != IMAGE_READ)
		return;
	for (size_t i = 0; i < io->n_iov; at += io->iov[i++].iov_len)
		memcpy(io->op == IMAGE_READ ? io->iov[i].iov_base : cache + at,
		       io->op == IMAGE_READ ? cache + at : io->iov[i].iov_base, io->iov[i].iov_len);
	if (io->op == IMAGE_ZERO)
		memset(cache + io->offset, 0, io->len);
	if (io->op == IMAGE_FLUSH)
		memcpy(stable, cache, SIZE);
	else if (io->sync)
		memcpy(stable + io->offset, cache + io->offset, io->len);
}

/* Of any of what is pending. */
static void complete(unsigned int i)
{
	struct image_io io = pending[i];

	pending[i] = pending[--n_pending];
	carry_out(&io);
	below.done(below.owner, io.handle, io.op == IMAGE_READ ? 0 : fails);
}

static void reap(void)
{
	assert_int_equal(image_reap(&l.image), 0);
}

static void complete_all(void)
{
	while (n_pending) {
		complete(0);
		reap();
	}
}

static void lose(void)
{
	lasting_lost(&l);
	while (n_pending)
		below.done(below.owner, pending[--n_pending].handle, -ENOTCONN);
}

/* The server is killed; comes back without what it had not flushed. */
static void crash(void)
{
	lose();
	memcpy(cache, stable, SIZE);
}

static void come_back(void)
{
	lasting_found(&l);
	complete_all();
}

/* ---- the owner ---- */

static void on_done(void *owner, uint64_t handle, int r)
{
	(void)owner;
	assert_int_equal(result[handle], 1);
	result[handle] = r;
}

static void on_whole(void *owner)
{
	(void)owner;
	n_wholes++;
}

static void on_refused(void *owner, int error)
{
	(void)owner;
	assert_true(error < 0);
	n_refusals++;
	lose();
}

static int begin(void **state)
{
	(void)state;
	below = (struct image){ .ops = &ops,
				.capacity = SIZE,
				.block = 4096,
				.cached = true,
				.can_discard = true,
				.fd = -1,
				.other_fd = -1 };
	memset(cache, 0, SIZE);
	memset(stable, 0, SIZE);
	n_pending = n_overlaps = n_refusals = n_flushes = n_changes = 0;
	fails = 0;
	lasting_open(&l, &below);
	l.image.done = on_done;
	l.whole = on_whole;
	l.refused = on_refused;
	lasting_found(&l);
	n_wholes = 0;
	for (unsigned int i = 0; i < 64; i++)
		result[i] = 0;
	return 0;
}

static int end(void **state)
{
	(void)state;
	assert_int_equal(n_overlaps, 0);
	return 0;
}

static int ask(unsigned int handle, enum image_op op, bool sync, uint64_t offset, uint64_t len,
	       void *bytes)
{
	iov[handle] = (struct iovec){ bytes, (size_t)len };
	result[handle] = 1;
	return image_queue(&l.image, &(struct image_io){ .op = op,
							 .sync = sync,
							 .offset = offset,
							 .len = len,
							 .iov = &iov[handle],
							 .n_iov = bytes != NULL,
							 .handle = handle });
}

static uint8_t *full_of(unsigned int i, uint8_t byte)
{
	return memset(data[i], byte, MIB);
}

/* One that is done at once. */
static void change(enum image_op op, bool sync, uint64_t offset, uint64_t len, uint8_t byte)
{
	assert_int_equal(ask(0, op, sync, offset, len, op == IMAGE_WRITE ? full_of(0, byte) : NULL),
			 0);
	complete_all();
	assert_int_equal(result[0], 0);
	full_of(0, 0xee); /* the buffer is its owner's again */
}

static void flush(void)
{
	assert_int_equal(ask(1, IMAGE_FLUSH, false, 0, 0, NULL), 0);
	complete_all();
	assert_int_equal(result[1], 0);
}

static void assert_full_of(const uint8_t *at, uint64_t len, uint8_t byte)
{
	for (uint64_t i = 0; i < len; i++)
		assert_int_equal(at[i], byte);
}

/* ---- what is lost ---- */

static void what_was_lost_is_there_again(void **state)
{
	(void)state;
	change(IMAGE_WRITE, false, 0, 4096, 1);
	change(IMAGE_WRITE, false, 512, 1024, 2);
	change(IMAGE_ZERO, false, 1024, 512, 0);
	crash();
	come_back();
	assert_int_equal(n_wholes, 1);
	flush();
	assert_full_of(stable, 512, 1);
	assert_full_of(stable + 512, 512, 2);
	assert_full_of(stable + 1024, 512, 0);
	assert_full_of(stable + 1536, 2560, 1);
	n_changes = 0;
	crash();
	come_back();
	assert_int_equal(n_changes, 0); /* what was flushed is not */
}

static void what_is_stable_is_not_written_over(void **state)
{
	(void)state;
	change(IMAGE_WRITE, false, 0, 4096, 1);
	change(IMAGE_WRITE, true, 0, 512, 2);
	crash();
	assert_int_equal(stable[0], 2);
	come_back();
	flush();
	assert_int_equal(stable[0], 2);
	assert_int_equal(stable[512], 1);
}

static void what_is_stable_alone_needs_no_record(void **state)
{
	(void)state;
	change(IMAGE_WRITE, true, 0, 512, 2);
	assert_true(journal_is_empty(&l.journal));
	below.cached = false;
	change(IMAGE_WRITE, false, 0, 512, 3);
	assert_true(journal_is_empty(&l.journal));
	assert_int_equal(l.journal.promised + l.journal.n_promised, 0);
}

static void reads_wait_for_what_was_lost(void **state)
{
	(void)state;
	change(IMAGE_WRITE, false, 0, 512, 1);
	assert_int_equal(ask(2, IMAGE_READ, false, 0, 512, heard), 0);
	crash();
	assert_int_equal(ask(3, IMAGE_FLUSH, false, 0, 0, NULL), 0);
	lasting_found(&l);
	reap();
	assert_int_equal(n_pending, 1);
	assert_int_equal(pending[0].op, IMAGE_WRITE);
	complete(0);
	assert_int_equal(result[2], 1);
	reap();
	complete_all();
	assert_int_equal(result[2], 0);
	assert_int_equal(heard[511], 1);
	assert_int_equal(stable[511], 1);
}

static void it_is_lost_once_more_before_all_is_there(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 20; i++)
		change(IMAGE_WRITE, false, i * 512U, 512, (uint8_t)(i + 1));
	crash();
	for (unsigned int n = 0; n < 5; n++) {
		lasting_found(&l);
		reap();
		assert_int_equal(n_pending, LASTING_AGAIN);
		for (unsigned int i = 0; i < n; i++)
			complete(i);
		reap();
		crash();
		assert_int_equal(n_wholes, 0);
	}
	come_back();
	flush();
	for (unsigned int i = 0; i < 20; i++)
		assert_int_equal(stable[i * 512U], i + 1);
}

static void a_flush_under_way_is_done_again(void **state)
{
	(void)state;
	change(IMAGE_WRITE, false, 0, 512, 1);
	assert_int_equal(ask(1, IMAGE_FLUSH, false, 0, 0, NULL), 0);
	assert_int_equal(ask(2, IMAGE_WRITE, false, 0, 512, full_of(2, 2)), 0);
	assert_int_equal(n_pending, 2);
	crash();
	come_back();
	assert_int_equal(result[1], 0);
	assert_int_equal(result[2], 0);
	assert_int_equal(cache[0], 2);
}

/* A flush is not about what was acknowledged after it began. */
static void a_flush_drops_what_it_was_about(void **state)
{
	(void)state;
	change(IMAGE_WRITE, false, 0, 512, 1);
	assert_int_equal(ask(1, IMAGE_FLUSH, false, 0, 0, NULL), 0);
	assert_int_equal(ask(2, IMAGE_WRITE, false, 512, 512, full_of(2, 2)), 0);
	complete(1);
	complete(0);
	assert_int_equal(l.journal.next - l.journal.first, 1);
	memset(stable + 512, 0, 512); /* it need not have written that */
	crash();
	come_back();
	assert_int_equal(cache[512], 2);
}

static void a_flush_that_fails_drops_nothing(void **state)
{
	(void)state;
	change(IMAGE_WRITE, false, 0, 512, 1);
	fails = -EIO;
	assert_int_equal(ask(1, IMAGE_FLUSH, false, 0, 0, NULL), 0);
	complete_all();
	assert_int_equal(result[1], -EIO);
	fails = 0;
	crash();
	come_back();
	assert_int_equal(cache[0], 1);
}

/* ---- servers that refuse ---- */

static void a_server_that_does_not_take_it_again(void **state)
{
	(void)state;
	change(IMAGE_WRITE, false, 0, 512, 1);
	crash();
	assert_int_equal(ask(2, IMAGE_READ, false, 0, 512, heard), 0);
	fails = -ENOSPC;
	come_back();
	assert_int_equal(n_refusals, 1);
	assert_int_equal(n_wholes, 0);
	assert_int_equal(result[2], 1);
	lasting_fail(&l, -EIO);
	assert_int_equal(result[2], -EIO);
	fails = 0;
	come_back();
	assert_int_equal(n_wholes, 1);
	assert_int_equal(cache[0], 1);
}

static void a_hint_that_is_not_taken_again_is_none(void **state)
{
	(void)state;
	change(IMAGE_DISCARD, false, 0, 512, 0);
	crash();
	fails = -EIO;
	come_back();
	assert_int_equal(n_wholes, 1);
	crash();
	below.can_discard = false;
	come_back();
	assert_int_equal(n_wholes, 2);
	assert_int_equal(n_refusals, 0);
}

static void errors_while_it_is_away_lose_nothing(void **state)
{
	(void)state;
	change(IMAGE_WRITE, false, 0, 512, 1);
	assert_int_equal(ask(2, IMAGE_WRITE, false, 0, 512, full_of(2, 2)), 0);
	crash();
	lasting_fail(&l, -EIO);
	assert_int_equal(result[2], -EIO);
	come_back();
	assert_int_equal(cache[0], 1);
	assert_int_equal(l.journal.promised + l.journal.n_promised, 0);
	lasting_fail(&l, -EIO); /* there is one: nothing waits for it */
}

static void what_the_client_refuses_is_answered(void **state)
{
	(void)state;
	assert_int_equal(ask(2, IMAGE_WRITE, false, SIZE, 512, data[2]), -EINVAL);
	crash();
	assert_int_equal(ask(2, IMAGE_DISCARD, false, 0, 512, NULL), 0);
	below.can_discard = false;
	come_back();
	assert_int_equal(result[2], -EOPNOTSUPP);
	assert_int_equal(l.journal.promised + l.journal.n_promised, 0);
}

static void more_than_there_are_slots(void **state)
{
	(void)state;
	lose();
	for (unsigned int i = 0; i < LASTING_SLOTS; i++)
		assert_int_equal(ask(i, IMAGE_READ, false, 0, 512, heard), 0);
	assert_int_equal(ask(LASTING_SLOTS, IMAGE_READ, false, 0, 512, heard), -EBUSY);
	come_back();
	for (unsigned int i = 0; i < LASTING_SLOTS; i++)
		assert_int_equal(result[i], 0);
}

/* ---- what overlaps, and what does not fit ---- */

static void changes_of_the_same_bytes_go_one_by_one(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(ask(i, IMAGE_WRITE, false, i * 512U, 1024,
				     full_of(i, (uint8_t)(i + 1))),
				 0);
	assert_int_equal(n_pending, 1);
	complete_all();
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(cache[i * 512U], i + 1);
	crash();
	come_back();
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(cache[i * 512U], i + 1);
}

static void a_guest_that_never_flushes(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 200; i++) {
		change(IMAGE_WRITE, false, (i % 3) * (MIB + 512U), MIB, (uint8_t)(i + 1));
		assert_true(l.journal.data_next - l.journal.data_first <= JOURNAL_BYTES);
	}
	assert_true(n_flushes > 0);
	for (unsigned int i = 0; i < 3 * JOURNAL_RECORDS; i++)
		change(IMAGE_ZERO, false, SIZE - 512, 512, 0);
	assert_true(l.journal.next - l.journal.first <= JOURNAL_RECORDS);
	crash();
	come_back();
	assert_int_equal(cache[0], 199); /* the last but one */
	assert_int_equal(cache[MIB + 512], 200);
	assert_int_equal(cache[2 * (MIB + 512)], 198);
}

/* Of a piece that lies at both ends of the journal all is written again. */
static void the_journal_goes_round(void **state)
{
	(void)state;
	for (unsigned int i = 1; i < 3 * JOURNAL_BYTES / MIB; i++) {
		assert_int_equal(ask(1, IMAGE_FLUSH, false, 0, 0, NULL), 0);
		assert_int_equal(ask(2, IMAGE_WRITE, false, 0, MIB - 512, full_of(2, (uint8_t)i)),
				 0);
		complete(1);
		complete(0);
		reap();
		assert_int_equal(l.journal.next - l.journal.first, 1);
		memset(stable, 0, SIZE);
		crash();
		come_back();
		assert_int_equal(cache[0], i);
		assert_memory_equal(cache, cache + 1, MIB - 513);
	}
}

/* Nothing is acknowledged that there is no room for, and nobody waits for ever. */
static void a_server_that_cannot_flush(void **state)
{
	unsigned int n = 0;

	(void)state;
	do {
		assert_int_equal(ask(0, IMAGE_WRITE, false, 0, MIB, full_of(0, 1)), 0);
		while (n_pending) {
			fails = pending[0].op == IMAGE_FLUSH ? -EIO : 0;
			complete(0);
			reap();
		}
		n++;
	} while (result[0] == 0 && n < 100);
	assert_int_equal(result[0], -EIO);
	assert_int_equal(n, JOURNAL_BYTES / MIB + 1);
	fails = 0;
	change(IMAGE_WRITE, false, 0, MIB, 2);
}

static void it_is_lost_while_it_makes_room(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < JOURNAL_BYTES / MIB / 2; i++) {
		assert_int_equal(ask(0, IMAGE_WRITE, false, 0, MIB, full_of(0, 1)), 0);
		complete(n_pending - 1);
	}
	assert_int_equal(n_pending, 1);
	assert_int_equal(pending[0].op, IMAGE_FLUSH);
	crash();
	come_back();
	assert_int_equal(cache[0], 1);
	change(IMAGE_WRITE, false, 0, MIB, 3); /* and makes it then */
	assert_int_equal(stable[0], 3);
}

/* ---- anything, in any order ---- */

static struct {
	uint32_t now; /* what was acknowledged last */
	bool busy;    /* one request is about it */
} sector[SECTORS];
static struct {
	enum image_op op;
	unsigned int first, n;
	uint32_t stamp;
	bool busy;
} asked[8];

static void settle(unsigned int i)
{
	uint32_t got;

	if (!asked[i].busy || result[i] == 1)
		return;
	asked[i].busy = false;
	assert_int_equal(result[i], 0);
	for (unsigned int s = asked[i].first; s < asked[i].first + asked[i].n; s++) {
		if (asked[i].op == IMAGE_READ) {
			memcpy(&got, data[i] + (s - asked[i].first) * 512UL, 4);
			assert_int_equal(got, sector[s].now);
		}
		if (asked[i].op != IMAGE_READ)
			sector[s].now = asked[i].stamp;
		sector[s].busy = false;
	}
}

/* Of sectors that nothing else is about; a flush is about all. */
static void ask_any(unsigned int i, uint32_t stamp)
{
	static const enum image_op all[] = { IMAGE_READ,  IMAGE_WRITE, IMAGE_WRITE,
					     IMAGE_WRITE, IMAGE_ZERO,  IMAGE_FLUSH };
	enum image_op op = all[next_random(&rng) % ARRAY_SIZE(all)];
	unsigned int first = next_random(&rng) % SECTORS, n = 1 + next_random(&rng) % 8;

	n = n < SECTORS - first ? n : SECTORS - first;
	n = op == IMAGE_FLUSH ? 0 : n;
	for (unsigned int s = first; s < first + n; s++)
		if (sector[s].busy)
			return;
	for (unsigned int s = first; s < first + n; s++) {
		sector[s].busy = true;
		if (op == IMAGE_WRITE)
			memcpy(data[i] + (s - first) * 512UL, &stamp, 4);
	}
	asked[i].op = op;
	asked[i].first = first;
	asked[i].n = n;
	asked[i].stamp = op == IMAGE_WRITE ? stamp : 0;
	asked[i].busy = true;
	assert_int_equal(ask(i, op, next_random(&rng) % 4 == 0, first * 512UL, n * 512UL,
			     op == IMAGE_READ || op == IMAGE_WRITE ? data[i] : NULL),
			 0);
}

/* Some of what it holds is carried out, and not said. */
static void die(void)
{
	while (n_pending && next_random(&rng) % 2)
		carry_out(&pending[next_random(&rng) % n_pending]);
	for (unsigned int s = 0; s < SECTORS; s++)
		if (next_random(&rng) % 2) /* what a cache writes by itself */
			memcpy(stable + s * 512UL, cache + s * 512UL, 512);
	crash();
}

static void step(uint32_t stamp)
{
	unsigned int i = next_random(&rng) % 8, what = next_random(&rng) % 40;

	if (what == 0)
		die();
	else if (what < 4 && l.state == LASTING_AWAY)
		lasting_found(&l);
	else if (what < 20 && n_pending)
		complete(next_random(&rng) % n_pending);
	else if (!asked[i].busy)
		ask_any(i, stamp);
	reap();
	for (i = 0; i < 8; i++)
		settle(i);
}

/* What was acknowledged is read, whenever the server dies; and is on stable storage after a flush. */
static void whatever_happens_what_was_acknowledged_is_there(void **state)
{
	for (unsigned int run = 0; run < 200; run++) {
		begin(state);
		rng = run;
		memset(sector, 0, sizeof(sector));
		memset(asked, 0, sizeof(asked));
		for (uint32_t stamp = 1; stamp < 500; stamp++)
			step(stamp);
		if (l.state == LASTING_AWAY)
			lasting_found(&l);
		complete_all();
		for (unsigned int i = 0; i < 8; i++)
			settle(i);
		flush();
		crash();
		for (unsigned int s = 0; s < SECTORS; s++) {
			uint32_t got;

			memcpy(&got, stable + s * 512UL, 4);
			assert_int_equal(got, sector[s].now);
		}
		end(state);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_server_that_does_not_take_it_again),
		TEST(a_hint_that_is_not_taken_again_is_none),
		TEST(a_server_that_cannot_flush),
		TEST(a_guest_that_never_flushes),
		TEST(the_journal_goes_round),
		TEST(it_is_lost_once_more_before_all_is_there),
		TEST(it_is_lost_while_it_makes_room),
		TEST(errors_while_it_is_away_lose_nothing),
		TEST(what_the_client_refuses_is_answered),
		TEST(more_than_there_are_slots),
		TEST(what_was_lost_is_there_again),
		TEST(what_is_stable_is_not_written_over),
		TEST(what_is_stable_alone_needs_no_record),
		TEST(reads_wait_for_what_was_lost),
		TEST(a_flush_under_way_is_done_again),
		TEST(a_flush_drops_what_it_was_about),
		TEST(a_flush_that_fails_drops_nothing),
		TEST(changes_of_the_same_bytes_go_one_by_one),
		TEST(whatever_happens_what_was_acknowledged_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
