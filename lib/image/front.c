/* SPDX-License-Identifier: Apache-2.0 */
/* Requests, which way each takes, and their completions; see front.h. */
#include "lib/image/front_internal.h"

#include "lib/base/cleanup.h"
#include "lib/image/iov.h"

#include <errno.h>
#include <poll.h>

#define MAX_RETRIES 8U

static struct front *front_of(struct image *image)
{
	return (struct front *)image; /* its first member */
}
_Static_assert(offsetof(struct front, image) == 0, "front_of");

static uint16_t index_of(const struct front *f, const struct front_slot *s)
{
	return (uint16_t)(s - f->slot);
}

/* ---- what is kept apart ---- */

static bool is_flush(const struct front_slot *s)
{
	return s->sync || s->io.op == IMAGE_FLUSH;
}

/* By clusters: to change one is to change where all of its bytes lie. */
static bool overlap(const struct front *f, const struct front_slot *a, const struct front_slot *b)
{
	const uint64_t low = ~(uint64_t)(f->worker.volume->cluster - 1);
	const struct image_io *x = &a->io, *y = &b->io;

	if (is_flush(a) || is_flush(b))
		return false;
	return (x->offset & low) < y->offset + y->len && (y->offset & low) < x->offset + x->len;
}

static bool meets_waiting(const struct front *f, const struct front_slot *s)
{
	for (uint16_t i = f->first_waiting; i != FRONT_NONE; i = f->slot[i].next)
		if (overlap(f, s, &f->slot[i]))
			return true;
	return false;
}

static bool meets_mutating(const struct front *f, const struct front_slot *s)
{
	for (unsigned int i = 0; i < FRONT_DEPTH && f->n_mutating; i++) {
		const struct front_slot *o = &f->slot[i];

		if (o->state == FRONT_AT_WORKER && front_mutates(o) && overlap(f, s, o))
			return true;
	}
	return false;
}

static bool meets_ring(const struct front *f, const struct front_slot *s)
{
	for (unsigned int i = 0; i < FRONT_DEPTH && f->n_on_ring; i++) {
		const struct front_slot *o = &f->slot[i];

		if (o != s && o->state == FRONT_ON_RING && overlap(f, s, o))
			return true;
	}
	return false;
}

static void wait_in_line(struct front *f, struct front_slot *s)
{
	s->state = FRONT_WAITS;
	s->next = FRONT_NONE;
	if (f->first_waiting == FRONT_NONE)
		f->first_waiting = index_of(f, s);
	else
		f->slot[f->last_waiting].next = index_of(f, s);
	f->last_waiting = index_of(f, s);
}

/* ---- by the ring ---- */

static int file_of(const struct front *f, const struct store *store)
{
	for (size_t i = 0; i < f->setup.n_files; i++)
		if (f->setup.files[i].store == store)
			return (int)i;
	return -1;
}

/* Through the chain to a file that has the bytes; false: the volume itself has to be asked. */
static bool find_plain(const struct front *f, uint64_t at, uint64_t len, bool write,
		       struct extent *ret)
{
	struct volume *v = f->worker.volume;
	int r = volume_map_cached(v, at, len, ret);

	while (r == 0 && !write && ret->kind == EXTENT_HOLE && v->backing) {
		v = v->backing;
		len = ret->len;
		if (at >= v->size)
			return false;
		r = volume_map_cached(v, at, len < v->size - at ? len : v->size - at, ret);
	}
	return r == 0 && ret->kind == EXTENT_DATA && (!write || ret->writable);
}

/* The whole of the owner's memory, or a window of it. */
static void prepare_piece(struct io_uring_sqe *sqe, struct front_slot *s, int file, uint64_t offset)
{
	const struct image_io *io = &s->io;
	const struct iovec *iov = io->iov;
	size_t n = io->n_iov;

	if (s->at || s->piece < io->len) {
		n = iov_window(io->iov, io->n_iov, s->at, &s->piece, s->window, FRONT_PIECES);
		iov = s->window;
	}
	if (io->op == IMAGE_READ)
		io_uring_prep_readv(sqe, file, iov, (unsigned int)n, offset);
	else
		io_uring_prep_writev(sqe, file, iov, (unsigned int)n, offset);
}

static void put_on_ring(struct front *f, struct front_slot *s, struct io_uring_sqe *sqe)
{
	sqe->flags |= IOSQE_FIXED_FILE;
	sqe->user_data = index_of(f, s);
	s->state = FRONT_ON_RING;
	f->n_on_ring++;
}

/* The next bytes of it that lie in a file one after the other. */
static bool start_piece(struct front *f, struct front_slot *s)
{
	const bool write = s->io.op == IMAGE_WRITE;
	struct io_uring_sqe *sqe;
	struct extent e;
	int file;

	if ((!write && s->io.op != IMAGE_READ) ||
	    !find_plain(f, s->io.offset + s->at, s->io.len - s->at, write, &e))
		return false;
	file = file_of(f, e.store);
	sqe = file < 0 ? NULL : io_uring_get_sqe(&f->ring);
	if (!sqe)
		return false;
	if (write)
		f->data_file = (unsigned int)file;
	s->piece = e.len < s->io.len - s->at ? e.len : s->io.len - s->at;
	prepare_piece(sqe, s, file, e.offset);
	put_on_ring(f, s, sqe);
	return true;
}

/* Where the volume has nothing in memory, its data's file is all there is to be flushed. */
static bool start_sync(struct front *f, struct front_slot *s)
{
	struct io_uring_sqe *sqe;

	if (f->mutations != f->flushed)
		return false;
	sqe = io_uring_get_sqe(&f->ring);
	if (!sqe)
		return false;
	io_uring_prep_fsync(sqe, (int)f->data_file, IORING_FSYNC_DATASYNC);
	put_on_ring(f, s, sqe);
	return true;
}

/* ---- which way ---- */

static void ask_worker(struct front *f, struct front_slot *s)
{
	s->state = FRONT_AT_WORKER;
	if (front_mutates(s)) {
		f->n_mutating++;
		f->mutations++;
	}
	/* one that writes through flushes behind itself */
	s->mutations = f->mutations;
	front_worker_add(f, index_of(f, s));
}

/*
 * The worker's jobs are done one after the other, so that only those and what is on the ring can get
 * into each other's way; and nobody overtakes who waits.
 */
static void go(struct front *f, struct front_slot *s)
{
	if (is_flush(s)) {
		if (!start_sync(f, s))
			ask_worker(f, s);
		return;
	}
	if (!meets_waiting(f, s)) {
		if (!meets_mutating(f, s) && start_piece(f, s))
			return; /* a piece of it is on its way */
		if (!front_mutates(s) || !meets_ring(f, s)) {
			ask_worker(f, s);
			return;
		}
	}
	wait_in_line(f, s);
}

/* Those that waited, in their order; who still has to is in line again. */
static void go_on_waiting(struct front *f)
{
	uint16_t i = f->first_waiting;

	f->first_waiting = f->last_waiting = FRONT_NONE;
	while (i != FRONT_NONE) {
		uint16_t next = f->slot[i].next;

		go(f, &f->slot[i]);
		i = next;
	}
}

/* ---- completions ---- */

static void finish(struct front *f, struct front_slot *s, int result)
{
	uint64_t handle = s->io.handle;

	s->state = FRONT_FREE;
	s->next = f->first_free;
	f->first_free = index_of(f, s);
	f->n_in_flight--;
	f->image.done(f->image.owner, handle, result);
}

/* It is done, except that what it wrote may have to reach stable storage first. */
static void finish_stable(struct front *f, struct front_slot *s)
{
	if (!s->io.sync || s->sync || s->io.op == IMAGE_READ || s->io.op == IMAGE_FLUSH) {
		finish(f, s, 0);
		return;
	}
	s->sync = true;
	go(f, s);
}

/* A transfer may be short: what is behind the end of a file is the volume's to say. */
static void transferred(struct front *f, struct front_slot *s, uint64_t n)
{
	s->at += n;
	s->retries = 0;
	if (s->at == s->io.len)
		finish_stable(f, s);
	else if (n == 0)
		front_mutates(s) && meets_ring(f, s) ? wait_in_line(f, s) : ask_worker(f, s);
	else
		go(f, s);
}

static void ring_done(struct front *f, struct front_slot *s, int res)
{
	f->n_on_ring--;
	s->state = FRONT_FREE; /* it is nowhere: not in its own way */
	if ((res == -EAGAIN || res == -EINTR) && s->retries < MAX_RETRIES) {
		s->retries++;
		go(f, s);
	} else if (res < 0 || (uint64_t)res > s->piece) {
		finish(f, s, res < 0 ? res : -EIO);
	} else if (is_flush(s)) {
		finish(f, s, 0);
	} else {
		transferred(f, s, (uint64_t)res);
	}
}

static void worker_done(struct front *f, struct front_slot *s)
{
	s->state = FRONT_FREE;
	if (front_mutates(s))
		f->n_mutating--;
	if (is_flush(s) && s->result == 0 && s->mutations > f->flushed)
		f->flushed = s->mutations;
	if (s->result < 0)
		finish(f, s, s->result);
	else
		finish_stable(f, s);
}

/* ---- the operations ---- */

static int front_queue(struct image *image, const struct image_io *io)
{
	struct front *f = front_of(image);
	struct front_slot *s;
	int r = image_check(image, io);

	if (r < 0)
		return r;
	if (f->first_free == FRONT_NONE)
		return -EBUSY;
	s = &f->slot[f->first_free];
	f->first_free = s->next;
	f->n_in_flight++;
	s->state = FRONT_FREE;
	s->sync = false;
	s->at = s->piece = 0;
	s->retries = 0;
	s->result = 0;
	s->io = *io;
	go(f, s);
	return 0;
}

static int front_submit(struct image *image)
{
	struct front *f = front_of(image);

	front_worker_wake(f);
	while (io_uring_sq_ready(&f->ring)) {
		int r = io_uring_submit(&f->ring);

		if (r == -EINTR)
			continue;
		/* the kernel is short of memory or of room for completions; both pass */
		if (r <= 0)
			return -EAGAIN;
	}
	return 0;
}

static int front_reap(struct image *image)
{
	struct front *f = front_of(image);
	struct io_uring_cqe *cqe;
	uint16_t job;

	while (front_worker_take(f, &job))
		worker_done(f, &f->slot[job]);
	while (io_uring_peek_cqe(&f->ring, &cqe) == 0) {
		uint64_t index = cqe->user_data;
		int res = cqe->res;

		io_uring_cqe_seen(&f->ring, cqe);
		if (index >= FRONT_DEPTH || f->slot[index].state != FRONT_ON_RING)
			return -EIO;
		ring_done(f, &f->slot[index], res);
	}
	go_on_waiting(f);
	return 0;
}

static int front_wait(struct image *image)
{
	struct front *f = front_of(image);
	struct pollfd p[] = { { .fd = image->fd, .events = POLLIN },
			      { .fd = image->other_fd, .events = POLLIN } };

	if (!f->n_in_flight)
		return 0;
	if (front_submit(image) == 0 && ppoll(p, ARRAY_SIZE(p), NULL, NULL) < 0 && errno != EINTR)
		return -errno;
	return front_reap(image);
}

int front_finish(struct front *f)
{
	int r = 0;

	while (f->n_in_flight && r == 0)
		r = front_wait(&f->image);
	return r < 0 || !f->worker.volume ? r : front_worker_do(f, FRONT_JOB_CLOSE);
}

static void front_close(struct image *image)
{
	struct front *f = front_of(image);

	(void)!front_finish(f);
	front_worker_join(f);
	io_uring_queue_exit(&f->ring);
	image->fd = image->other_fd = -1;
}

static const struct image_ops front_ops = {
	.queue = front_queue,
	.submit = front_submit,
	.reap = front_reap,
	.wait = front_wait,
	.close = front_close,
};

void front_init(struct front *f)
{
	for (unsigned int i = 0; i < FRONT_DEPTH; i++)
		f->slot[i].next = i + 1 < FRONT_DEPTH ? (uint16_t)(i + 1) : FRONT_NONE;
	f->first_waiting = f->last_waiting = FRONT_NONE;
	f->worker.ask_fd = f->worker.done_fd = -1;
	/* what opening changed is not on stable storage */
	f->mutations = 1;
	f->image.ops = &front_ops;
}
