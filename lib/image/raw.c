/* SPDX-License-Identifier: Apache-2.0 */
/* Raw images: requests and their completions; see raw.h. Their operations: raw_start.c;
 * what a file can do: raw_open.c. */
#include "lib/image/raw.h"

#include "lib/base/cleanup.h"
#include "lib/image/iov.h"
#include "lib/image/raw_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#define MAX_RETRIES 8U

static struct raw_image *raw_of(struct image *image)
{
	return (struct raw_image *)image; /* its first member */
}
_Static_assert(offsetof(struct raw_image, image) == 0, "raw_of");

static void put_back(struct raw_slot *s)
{
	if (!s->skipped)
		return;
	s->io.iov->iov_base = (uint8_t *)s->io.iov->iov_base - s->skipped;
	s->io.iov->iov_len += s->skipped;
	s->skipped = 0;
}

static void finish(struct raw_image *raw, struct raw_slot *s, int result);

/* The slot's buffer is for whoever has waited longest. */
static void release_buffer(struct raw_image *raw, struct raw_slot *s)
{
	struct raw_slot *next;

	if (!s->buffer)
		return;
	bounce_give(&raw->bounce, s->buffer);
	s->buffer = NULL;
	if (raw->first_waiting == RAW_NO_SLOT)
		return;
	next = &raw->slot[raw->first_waiting];
	raw->first_waiting = raw->first_waiting == raw->last_waiting ? RAW_NO_SLOT : next->next;
	if (raw_start(raw, next) < 0)
		finish(raw, next, -EIO);
}

static void finish(struct raw_image *raw, struct raw_slot *s, int result)
{
	uint64_t handle = s->io.handle;

	put_back(s);
	release_buffer(raw, s);
	s->used = false;
	s->next = raw->first_free;
	raw->first_free = raw_index(raw, s);
	raw->n_in_flight--;
	raw->image.done(raw->image.owner, handle, result);
}

static void restart(struct raw_image *raw, struct raw_slot *s, enum raw_step step)
{
	s->step = step;
	if (raw_start(raw, s) < 0)
		finish(raw, s, -EIO);
}

/* The request is done, except that what it wrote may have to reach stable storage first. */
static void finish_stable(struct raw_image *raw, struct raw_slot *s)
{
	if (!s->sync_after) {
		finish(raw, s, 0);
		return;
	}
	s->sync_after = false;
	restart(raw, s, RAW_SYNC);
}

static void skip(struct raw_slot *s, size_t n)
{
	s->io.iov->iov_base = (uint8_t *)s->io.iov->iov_base + n;
	s->io.iov->iov_len -= n;
	s->skipped += n;
}

static void advance(struct raw_slot *s, size_t n)
{
	struct image_io *io = &s->io;

	while (io->n_iov && n >= io->iov->iov_len) {
		n -= io->iov->iov_len;
		put_back(s);
		io->iov++;
		io->n_iov--;
	}
	if (io->n_iov)
		skip(s, n);
}

/* A transfer may be short; nothing at all is what is behind the end of a file that shrank. */
static void transferred(struct raw_image *raw, struct raw_slot *s, int res)
{
	if (res == 0 || (uint64_t)res > s->io.len - s->at) {
		finish(raw, s, -EIO);
		return;
	}
	if (s->buffer && s->step == RAW_READ)
		iov_fill(s->io.iov, s->io.n_iov, 0, s->buffer, (uint64_t)res);
	s->at += (uint64_t)res;
	s->retries = 0;
	if (s->at == s->io.len) {
		finish_stable(raw, s);
		return;
	}
	if (s->step != RAW_WRITE_ZEROES)
		advance(s, (size_t)res);
	restart(raw, s, s->step);
}

static bool cannot(int res)
{
	/* EINVAL: a block device, and a range that its own blocks do not divide */
	return res == -EOPNOTSUPP || res == -ENOSYS || res == -ENODEV || res == -EINVAL;
}

/* The file cannot do it this way: the next way, also for later requests unless this range is to
 * blame. A discard is a hint. */
static void fall_through(struct raw_image *raw, struct raw_slot *s, bool range_is_to_blame)
{
	if (!range_is_to_blame)
		raw->can_punch = false;
	if (s->io.op == IMAGE_DISCARD)
		finish(raw, s, 0);
	else
		restart(raw, s, RAW_WRITE_ZEROES);
}

static void complete(struct raw_image *raw, struct raw_slot *s, int res)
{
	if ((res == -EAGAIN || res == -EINTR) && s->retries < MAX_RETRIES) {
		s->retries++;
		restart(raw, s, s->step);
	} else if (s->step == RAW_PUNCH && cannot(res)) {
		fall_through(raw, s, res == -EINVAL);
	} else if (res < 0) {
		finish(raw, s, res);
	} else if (s->step == RAW_PUNCH) {
		finish_stable(raw, s);
	} else if (s->step == RAW_SYNC) {
		finish(raw, s, 0);
	} else {
		transferred(raw, s, res);
	}
}

static enum raw_step first_step(const struct raw_image *raw, const struct image_io *io)
{
	switch (io->op) {
	case IMAGE_READ:
		return RAW_READ;
	case IMAGE_WRITE:
		return RAW_WRITE;
	case IMAGE_FLUSH:
		return RAW_SYNC;
	case IMAGE_DISCARD:
		return RAW_PUNCH;
	case IMAGE_ZERO:
		break;
	}
	return io->may_unmap && raw->can_punch ? RAW_PUNCH : RAW_WRITE_ZEROES;
}

static int raw_queue(struct image *image, const struct image_io *io)
{
	struct raw_image *raw = raw_of(image);
	struct raw_slot *s;
	int r = image_check(image, io);

	if (r < 0)
		return r;
	if (raw->first_free == RAW_NO_SLOT)
		return -EBUSY;
	s = &raw->slot[raw->first_free];
	*s = (struct raw_slot){ .used = true,
				.sync_after = io->sync,
				.step = first_step(raw, io),
				.unaligned = raw->bounce.memory &&
					     bounce_needed(io->iov, io->n_iov, raw->unit_mask),
				.io = *io,
				.next = s->next };
	raw->first_free = s->next;
	r = raw_start(raw, s);
	if (r < 0) {
		if (s->buffer)
			bounce_give(&raw->bounce, s->buffer);
		s->used = false;
		raw->first_free = raw_index(raw, s);
		return r;
	}
	raw->n_in_flight++;
	return 0;
}

static int raw_submit(struct image *image)
{
	struct raw_image *raw = raw_of(image);

	workers_wake(&raw->workers);
	while (!raw->no_ring && io_uring_sq_ready(&raw->ring)) {
		int r = io_uring_submit(&raw->ring);

		if (r == -EINTR)
			continue;
		/* the kernel is short of memory or of room for completions; both pass */
		if (r <= 0)
			return -EAGAIN;
	}
	return 0;
}

static void reap_workers(struct raw_image *raw)
{
	uint16_t index;
	int result;

	workers_hear(&raw->workers);
	while (raw->n_at_workers && workers_take(&raw->workers, &index, &result)) {
		raw->n_at_workers--;
		complete(raw, &raw->slot[index], result);
	}
}

static int raw_reap(struct image *image)
{
	struct raw_image *raw = raw_of(image);
	struct io_uring_cqe *cqe;

	reap_workers(raw);
	while (!raw->no_ring && io_uring_peek_cqe(&raw->ring, &cqe) == 0) {
		uint64_t index = cqe->user_data;
		int res = cqe->res;

		io_uring_cqe_seen(&raw->ring, cqe);
		if (index >= RAW_DEPTH || !raw->slot[index].used)
			return -EIO;
		complete(raw, &raw->slot[index], res);
	}
	return 0;
}

/* For the ring or the workers; what cannot be submitted now is tried again by the next call. */
static int wait_for_either(struct raw_image *raw)
{
	struct pollfd p[] = { { .fd = raw->image.fd, .events = POLLIN },
			      { .fd = raw->image.other_fd, .events = POLLIN } };

	if (raw_submit(&raw->image) == 0 && ppoll(p, ARRAY_SIZE(p), NULL, NULL) < 0 &&
	    errno != EINTR)
		return -errno;
	return raw_reap(&raw->image);
}

static int raw_wait(struct image *image)
{
	struct raw_image *raw = raw_of(image);
	int r;

	if (!raw->n_in_flight)
		return 0;
	if (raw->n_at_workers || raw->no_ring)
		return wait_for_either(raw);
	r = io_uring_submit_and_wait(&raw->ring, 1);
	if (r < 0 && r != -EINTR && r != -EAGAIN && r != -EBUSY)
		return r;
	return raw_reap(image);
}

static void raw_close(struct image *image)
{
	struct raw_image *raw = raw_of(image);

	while (raw->n_in_flight)
		if (raw_wait(image) < 0)
			break;
	workers_close(&raw->workers);
	bounce_close(&raw->bounce);
	if (!raw->no_ring)
		io_uring_queue_exit(&raw->ring);
	closep(&raw->file_fd);
	image->fd = -1;
}

static const struct image_ops raw_ops = {
	.queue = raw_queue,
	.submit = raw_submit,
	.reap = raw_reap,
	.wait = raw_wait,
	.close = raw_close,
};

void raw_init(struct raw_image *raw)
{
	for (unsigned int i = 0; i < RAW_DEPTH; i++)
		raw->slot[i].next = i + 1 < RAW_DEPTH ? (uint16_t)(i + 1) : RAW_NO_SLOT;
	raw->first_free = 0;
	raw->first_waiting = RAW_NO_SLOT;
	raw->image.ops = &raw_ops;
}
