/* SPDX-License-Identifier: Apache-2.0 */
/* What a front is made of; see front.h. */
#include "lib/image/front_internal.h"

#include "lib/base/cleanup.h"
#include "lib/image/uring.h"

#include <errno.h>
#include <string.h>

#define BLOCK_MAX 4096U

static int open_ring(struct front *f)
{
	static const uint8_t ops[] = { IORING_OP_READV, IORING_OP_FSYNC, IORING_OP_WRITEV };
	int fds[FRONT_FILES];

	for (size_t i = 0; i < f->setup.n_files; i++)
		fds[i] = f->setup.files[i].fd;
	/* the first two change nothing */
	return uring_open(&f->ring, FRONT_DEPTH, fds, (unsigned int)f->setup.n_files, ops,
			  f->setup.readonly ? 2 : sizeof(ops));
}

int front_open(struct front *f, const struct front_setup *setup)
{
	int r;

	if (!setup->n_files || setup->n_files > FRONT_FILES)
		return -EINVAL;
	memset(f, 0, sizeof(*f));
	f->setup = *setup;
	front_init(f);
	r = open_ring(f);
	if (r < 0)
		return r;
	r = front_worker_start(f);
	if (r < 0) {
		io_uring_queue_exit(&f->ring);
		return r;
	}
	f->image.fd = f->ring.ring_fd;
	f->image.other_fd = f->worker.done_fd;
	f->image.readonly = setup->readonly;
	f->image.prompt = true;
	return 0;
}

int front_begin(struct front *f, struct volume_error *e)
{
	int r = front_worker_do(f, FRONT_JOB_OPEN);
	const struct volume *v = f->worker.volume;

	if (r < 0) {
		*e = f->worker.error;
		return r;
	}
	f->image.capacity = v->size - v->size % IMAGE_SECTOR;
	f->image.block = v->cluster < BLOCK_MAX ? v->cluster : BLOCK_MAX;
	f->image.readonly |= v->readonly;
	f->image.can_discard = !f->image.readonly;
	return f->image.capacity ? 0 : volume_fail(e, -ENODATA, "the disk has no sector");
}
