/* SPDX-License-Identifier: Apache-2.0 */
/* Raw images: a request's next operation, to the ring or to the workers; see raw_internal.h. */
#include "lib/image/raw_internal.h"

#include "lib/image/iov.h"

#include <errno.h>

#define CHUNK (256U << 10) /* bytes of one write of zeroes */

/* Never written, so that it takes no memory; aligned as O_DIRECT wants it. */
static const _Alignas(4096) uint8_t zeroes[CHUNK];

/* The memory of the slot's next operation: what is left of the request's, the part of it that a buffer
 * has room for, or zeroes. */
static const struct iovec *pieces(struct raw_slot *s, unsigned int *ret_n)
{
	uint64_t left = s->io.len - s->at;

	*ret_n = 1;
	if (s->step == RAW_WRITE_ZEROES) {
		s->piece = (struct iovec){ (void *)zeroes, left < CHUNK ? (size_t)left : CHUNK };
		return &s->piece;
	}
	if (!s->buffer) {
		*ret_n = (unsigned int)s->io.n_iov;
		return s->io.iov;
	}
	s->piece = (struct iovec){ s->buffer, left < BOUNCE_LEN ? (size_t)left : BOUNCE_LEN };
	if (s->step == RAW_WRITE)
		iov_take(s->io.iov, s->io.n_iov, 0, s->buffer, s->piece.iov_len);
	return &s->piece;
}

static int start_on_ring(struct raw_image *raw, struct raw_slot *s)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&raw->ring);
	const struct iovec *iov;
	unsigned int n;

	if (!sqe)
		return -EBUSY;
	if (s->step == RAW_SYNC) {
		io_uring_prep_fsync(sqe, 0, IORING_FSYNC_DATASYNC);
	} else {
		iov = pieces(s, &n);
		if (s->step == RAW_READ)
			io_uring_prep_readv(sqe, 0, iov, n, s->io.offset + s->at);
		else
			io_uring_prep_writev(sqe, 0, iov, n, s->io.offset + s->at);
	}
	sqe->flags |= IOSQE_FIXED_FILE;
	sqe->user_data = raw_index(raw, s);
	return 0;
}

static enum workers_op op_of(enum raw_step step)
{
	switch (step) {
	case RAW_READ:
		return WORKERS_READ;
	case RAW_WRITE:
	case RAW_WRITE_ZEROES:
		return WORKERS_WRITE;
	case RAW_SYNC:
		return WORKERS_SYNC;
	case RAW_PUNCH:
		break;
	}
	return WORKERS_PUNCH;
}

static void start_at_workers(struct raw_image *raw, struct raw_slot *s)
{
	struct workers_job job = { .op = op_of(s->step),
				   .offset = s->io.offset + s->at,
				   .len = s->io.len };
	unsigned int n = 0;

	if (job.op == WORKERS_READ || job.op == WORKERS_WRITE)
		job.iov = pieces(s, &n);
	job.n_iov = n;
	raw->n_at_workers++;
	workers_ask(&raw->workers, raw_index(raw, s), &job);
}

static void wait_for_buffer(struct raw_image *raw, const struct raw_slot *s)
{
	uint16_t index = raw_index(raw, s);

	if (raw->first_waiting == RAW_NO_SLOT)
		raw->first_waiting = index;
	else
		raw->slot[raw->last_waiting].next = index;
	raw->last_waiting = index;
}

int raw_start(struct raw_image *raw, struct raw_slot *s)
{
	if (s->unaligned && !s->buffer) {
		s->buffer = bounce_take(&raw->bounce);
		if (!s->buffer) {
			wait_for_buffer(raw, s);
			return 0;
		}
	}
	if (s->step != RAW_PUNCH && !raw->no_ring)
		return start_on_ring(raw, s);
	start_at_workers(raw, s);
	return 0;
}
