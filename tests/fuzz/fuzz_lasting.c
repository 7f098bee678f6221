/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What outlasts a server's loss, against a model of the disk: requests in any order, answers in any order and of any kind, a
 * server that dies at any moment without what it had not flushed and comes back as another one. Nothing that was acknowledged
 * is lost or written over by something older; what was flushed is stable; nothing is answered before all is there again; and
 * once a server behaves, everything is answered.
 *
 * Input: flags, then three bytes for each step: what, where, how much or which way.
 */
#include "tests/fuzz/fuzz.h"

#include "lib/storagekit/lasting.h"

#include <string.h>

#define UNITS 32U
#define SECTORS_MAX (UNITS * 16U) /* of 8 KiB each, or of a sector */
#define DISK_MAX (SECTORS_MAX * IMAGE_SECTOR)
#define MAX_STEPS 256U
#define MAX_MANY 128U /* small changes of one input, */
#define MAX_RECORDS \
	10000U /* or with RECORDS, which takes long: more than the journal has room for */
#define MAX_PENDING (LASTING_SLOTS + LASTING_AGAIN + 1)

enum flags { LARGE = 1, WITHOUT_CACHE = 2, RECORDS = 0xf0 }; /* that: all of its bits */
/* What a server is when it comes back; the low bits of a step's last byte. */
enum server { NO_DISCARD = 1, NOW_READONLY = 2, NO_CACHE = 4, HALF = 8 };
enum doing { COMPLETE = 5, CONNECTION = 6, MANY = 7 }; /* below: an image_op */
enum how { HOW_SYNC = 8, HOW_LATE = 8, HOW_UNMAP = 16 };

/* What the guest was told of a sector. */
static struct {
	uint32_t now;	/* the stamp that was acknowledged last, 0: zeroes */
	uint32_t moved; /* when a change of it was last asked for or answered */
	uint32_t n;	/* changes that are not answered */
	bool unknown;	/* a change failed, or was a discard */
} sector[SECTORS_MAX];

static struct {
	enum image_op op;
	unsigned int first, n; /* sectors */
	uint32_t stamp, when;
	bool busy;
	struct iovec iov;
} asked[LASTING_SLOTS];

static struct image below;
static struct lasting l;
static struct {
	struct image_io io;
	uint32_t when; /* FLUSH: when it began: */
	uint8_t *shot; /* what was in the cache then. It need not write more than that */
} pending[MAX_PENDING];
static unsigned int n_pending, sectors, many; /* many: that may still be */
static uint8_t cache[DISK_MAX], stable[DISK_MAX], data[LASTING_SLOTS][DISK_MAX];
static uint32_t stable_since[SECTORS_MAX];
static uint32_t clock;
static bool failing; /* lasting_fail is under way */

/* ---- bytes of a sector: its stamp and its number, or zeroes ---- */

static void put(uint8_t *at, uint32_t stamp, uint32_t number)
{
	const uint32_t words[2] = { stamp, stamp ? number : 0 };

	memcpy(at, words, sizeof(words));
}

static bool has(const uint8_t *at, uint32_t stamp, uint32_t number)
{
	const uint32_t words[2] = { stamp, stamp ? number : 0 };

	return memcmp(at, words, sizeof(words)) == 0;
}

/* ---- the server ---- */

static bool is_change(enum image_op op)
{
	return op != IMAGE_READ && op != IMAGE_FLUSH;
}

static uint8_t *shoot(void)
{
	uint8_t *shot = malloc(sectors * IMAGE_SECTOR);

	require(shot);
	memcpy(shot, cache, sectors * IMAGE_SECTOR);
	return shot;
}

static int below_queue(struct image *image, const struct image_io *io)
{
	int r = image_check(image, io);

	if (r < 0)
		return r;
	require(n_pending < MAX_PENDING);
	require(io->op != IMAGE_READ || l.state == LASTING_UP);
	for (unsigned int i = 0; i < n_pending && is_change(io->op); i++)
		require(!is_change(pending[i].io.op) ||
			pending[i].io.offset + pending[i].io.len <= io->offset ||
			io->offset + io->len <= pending[i].io.offset);
	pending[n_pending].io = *io;
	pending[n_pending].when = clock;
	pending[n_pending++].shot = io->op == IMAGE_FLUSH ? shoot() : NULL;
	return 0;
}

static int nothing(struct image *image)
{
	(void)image;
	return 0;
}

static const struct image_ops ops = { .queue = below_queue,
				      .submit = nothing,
				      .reap = nothing,
				      .wait = nothing };

static void move(const struct image_io *io)
{
	uint64_t at = io->offset, sum = 0;

	for (size_t i = 0; i < io->n_iov; at += io->iov[i++].iov_len) {
		memcpy(io->op == IMAGE_READ ? io->iov[i].iov_base : cache + at,
		       io->op == IMAGE_READ ? cache + at : io->iov[i].iov_base, io->iov[i].iov_len);
		sum += io->iov[i].iov_len;
	}
	require(sum == io->len);
}

static void make_stable(const uint8_t *from, unsigned int first, unsigned int n, uint32_t since)
{
	for (unsigned int s = first; s < first + n; s++) {
		if (stable_since[s] > since)
			continue;
		memcpy(stable + s * IMAGE_SECTOR, from + s * IMAGE_SECTOR, IMAGE_SECTOR);
		stable_since[s] = since;
	}
}

static void carry_out(const struct image_io *io)
{
	if (io->op == IMAGE_READ || io->op == IMAGE_WRITE)
		move(io);
	else if (io->op == IMAGE_ZERO)
		memset(cache + io->offset, 0, io->len);
	else if (io->op == IMAGE_DISCARD)
		memset(cache + io->offset, 0xdd, io->len);
	if (is_change(io->op) && (io->sync || !below.cached))
		make_stable(cache, (unsigned int)(io->offset / IMAGE_SECTOR),
			    (unsigned int)(io->len / IMAGE_SECTOR), clock);
}

/* Of what is pending: how: an error, and then whether it was carried out all the same. */
static void complete(unsigned int which, unsigned int how)
{
	const unsigned int at = which % n_pending;
	const struct image_io io = pending[at].io;
	const bool done = !(how & 1) || how & 2;
	uint8_t *shot = pending[at].shot;

	clock++;
	if (done && shot)
		make_stable(shot, 0, sectors, pending[at].when);
	else if (done)
		carry_out(&io);
	free(shot);
	pending[at] = pending[--n_pending];
	below.done(below.owner, io.handle, how & 1 ? -EIO : 0);
}

static void reap(void)
{
	require(image_reap(&l.image) == 0);
}

/* As many as its cache writes by itself are stable, and as many as it holds are carried out without being answered. */
static void lose(unsigned int how)
{
	clock++;
	for (unsigned int i = 0; i < n_pending && how & 1; i++)
		carry_out(&pending[i].io);
	for (unsigned int i = 0; i < sectors && how & 2; i += 1 + (how >> 2))
		make_stable(cache, i, 1, clock);
	lasting_lost(&l);
	while (n_pending) {
		free(pending[--n_pending].shot);
		below.done(below.owner, pending[n_pending].io.handle, -ENOTCONN);
	}
	memcpy(cache, stable, sectors * IMAGE_SECTOR);
}

static void find(unsigned int server)
{
	const uint64_t all = sectors * IMAGE_SECTOR;

	below.can_discard = !(server & NO_DISCARD);
	below.readonly = server & NOW_READONLY;
	below.cached = !(server & NO_CACHE);
	below.capacity = server & HALF ? all / 2 : all;
	lasting_found(&l);
}

/* ---- the guest ---- */

static void check_read(unsigned int i)
{
	for (unsigned int s = asked[i].first; s < asked[i].first + asked[i].n; s++)
		if (!sector[s].n && !sector[s].unknown && sector[s].moved < asked[i].when)
			require(has(data[i] + (s - asked[i].first) * IMAGE_SECTOR, sector[s].now,
				    s));
}

/* What was acknowledged before it was asked for. */
static void check_flushed(uint32_t when)
{
	for (unsigned int s = 0; s < sectors; s++)
		if (!sector[s].n && !sector[s].unknown && sector[s].moved < when)
			require(has(stable + s * IMAGE_SECTOR, sector[s].now, s));
}

static void change_ends(unsigned int i, int result)
{
	for (unsigned int s = asked[i].first; s < asked[i].first + asked[i].n; s++) {
		sector[s].n--;
		sector[s].moved = clock;
		sector[s].now = asked[i].stamp;
		sector[s].unknown = result < 0 || asked[i].op == IMAGE_DISCARD;
	}
}

static void on_done(void *owner, uint64_t handle, int result)
{
	(void)owner;
	require(handle < LASTING_SLOTS && asked[handle].busy);
	require(failing ? l.state == LASTING_AWAY : l.state == LASTING_UP);
	clock++;
	asked[handle].busy = false;
	if (is_change(asked[handle].op))
		change_ends((unsigned int)handle, result);
	else if (result == 0 && asked[handle].op == IMAGE_READ)
		check_read((unsigned int)handle);
	else if (result == 0)
		check_flushed(asked[handle].when);
}

static void on_whole(void *owner)
{
	(void)owner;
	require(l.state == LASTING_UP);
}

static void on_refused(void *owner, int error)
{
	(void)owner;
	require(error < 0);
	lose(0);
}

static unsigned int free_one(void)
{
	unsigned int i = 0;

	while (i < LASTING_SLOTS && asked[i].busy)
		i++;
	return i;
}

static void note(unsigned int i, const struct image_io *io)
{
	const unsigned int first = (unsigned int)(io->offset / IMAGE_SECTOR);

	clock++;
	asked[i].op = io->op;
	asked[i].first = first;
	asked[i].n = io->op == IMAGE_FLUSH ? 0 : (unsigned int)(io->len / IMAGE_SECTOR);
	asked[i].stamp = io->op == IMAGE_WRITE ? clock : 0;
	asked[i].when = clock;
	asked[i].busy = true;
	for (unsigned int s = first; s < first + asked[i].n && is_change(io->op); s++) {
		sector[s].n++;
		sector[s].moved = clock;
		if (io->op == IMAGE_WRITE)
			put(data[i] + (s - first) * IMAGE_SECTOR, clock, s);
	}
}

static void take_back(unsigned int i)
{
	asked[i].busy = false;
	for (unsigned int s = asked[i].first; s < asked[i].first + asked[i].n; s++)
		sector[s].n -= is_change(asked[i].op);
}

static void ask(enum image_op op, unsigned int how, uint64_t offset, uint64_t len)
{
	const unsigned int i = free_one();
	struct image_io io = { .op = op,
			       .sync = how & HOW_SYNC && (op == IMAGE_WRITE || op == IMAGE_ZERO),
			       .may_unmap = how & HOW_UNMAP && op == IMAGE_ZERO,
			       .offset = offset,
			       .len = len,
			       .handle = i };

	if (i == LASTING_SLOTS) { /* each is taken */
		require(image_queue(&l.image, &io) < 0);
		return;
	}
	note(i, &io);
	asked[i].iov = (struct iovec){ data[i], (size_t)len };
	io.iov = &asked[i].iov;
	io.n_iov = op == IMAGE_READ || op == IMAGE_WRITE;
	if (image_queue(&l.image, &io) < 0)
		take_back(i);
}

/* Small changes one after another, of which each is answered at once; a flush of its own is not. */
static void ask_many(unsigned int n, unsigned int where)
{
	for (unsigned int i = 0; i < n && many; i++, many--) {
		ask(i % 2 ? IMAGE_WRITE : IMAGE_ZERO, 0, where % UNITS * IMAGE_SECTOR,
		    IMAGE_SECTOR);
		if (n_pending && is_change(pending[n_pending - 1].io.op))
			complete(n_pending - 1, 0);
		reap();
	}
}

/* ---- steps ---- */

static void connection(unsigned int what, unsigned int how)
{
	if (what % 4 == 0 && l.state != LASTING_AWAY)
		lose(how);
	else if (what % 4 == 1 && l.state == LASTING_AWAY)
		find(how);
	else if (what % 4 == 2) {
		failing = true;
		lasting_fail(&l, -EIO);
		failing = false;
	} else if (what % 4 == 3) {
		if (l.state != LASTING_AWAY)
			lose(how >> 4);
		find(how);
	}
}

static void step(const uint8_t *in)
{
	const unsigned int unit = sectors / UNITS * IMAGE_SECTOR, first = in[1] % UNITS;

	switch (in[0] % 8) {
	case COMPLETE:
		if (n_pending)
			complete(in[1], in[2]);
		if (in[0] & HOW_LATE) /* more in one go */
			return;
		break;
	case CONNECTION:
		connection(in[1], in[2]);
		break;
	case MANY:
		ask_many(in[1] * 16U, in[2]);
		break;
	default:
		ask(in[0] % 8, in[0], first * unit, (uint64_t)(1 + in[2] % (UNITS - first)) * unit);
		break;
	}
	reap();
}

/* What was promised to changes under way, and no more than there is. */
static void check_journal(void)
{
	const struct journal *j = &l.journal;
	uint64_t n = 0, bytes = 0;

	for (unsigned int i = 0; i < LASTING_SLOTS; i++) {
		const struct lasting_slot *s = &l.slot[i];

		if (s->state != LASTING_RUNNING || !is_change(s->io.op))
			continue;
		n++;
		bytes += s->io.op == IMAGE_WRITE ? s->io.len : 0;
	}
	require(j->n_promised == n && j->promised == bytes);
	require(j->next - j->first + n <= JOURNAL_RECORDS);
	require(j->data_next - j->data_first + bytes <= JOURNAL_BYTES);
}

static void complete_all(void)
{
	while (n_pending) {
		complete(0, 0);
		reap();
	}
}

/* A server that behaves: all is answered, and all that was acknowledged is stable. */
static void finish(void)
{
	if (l.state != LASTING_AWAY)
		lose(0);
	find(0);
	complete_all();
	require(l.state == LASTING_UP);
	for (unsigned int i = 0; i < LASTING_SLOTS; i++)
		require(!asked[i].busy);
	ask(IMAGE_FLUSH, 0, 0, 0);
	complete_all();
	require(free_one() == 0);
	check_flushed(UINT32_MAX);
}

static void begin(uint8_t flags)
{
	memset(cache, 0, sectors * IMAGE_SECTOR); /* what the input before this one had */
	memset(stable, 0, sectors * IMAGE_SECTOR);
	sectors = flags & LARGE ? SECTORS_MAX : UNITS;
	memset(stable_since, 0, sizeof(stable_since));
	memset(sector, 0, sizeof(sector));
	memset(asked, 0, sizeof(asked));
	n_pending = clock = 0;
	many = (flags & RECORDS) == RECORDS ? MAX_RECORDS : MAX_MANY;
	below = (struct image){ .ops = &ops, .block = 512, .fd = -1, .other_fd = -1 };
	lasting_open(&l, &below);
	l.image.done = on_done;
	l.whole = on_whole;
	l.refused = on_refused;
	find(flags & WITHOUT_CACHE ? NO_CACHE : 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size)
{
	if (!size)
		return 0;
	begin(in[0]);
	for (size_t at = 1, n = 0; at + 3 <= size && n < MAX_STEPS; at += 3, n++) {
		step(in + at);
		check_journal();
	}
	finish();
	return 0;
}
