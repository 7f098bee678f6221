/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/testimage.h"

#include "lib/base/checked.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

static struct testimage *of(struct image *image)
{
	return (struct testimage *)image;
}

static void copy(struct testimage *t, const struct image_io *io)
{
	uint8_t *at = t->bytes + io->offset;

	for (size_t i = 0; i < io->n_iov; i++) {
		const struct iovec *v = &io->iov[i];

		if (io->op == IMAGE_READ)
			memcpy(v->iov_base, at, v->iov_len);
		else
			memcpy(at, v->iov_base, v->iov_len);
		at += v->iov_len;
	}
}

static void carry_out(struct testimage *t, const struct image_io *io)
{
	t->n_ops++;
	t->n_flushes += io->op == IMAGE_FLUSH;
	t->n_synced += io->sync;
	t->n_bytes += io->len;
	if (!t->fails && (io->op == IMAGE_READ || io->op == IMAGE_WRITE))
		copy(t, io);
	else if (!t->fails && io->op == IMAGE_ZERO)
		memset(t->bytes + io->offset, 0, io->len);
	t->image.done(t->image.owner, io->handle, t->fails);
}

static int queue(struct image *image, const struct image_io *io)
{
	struct testimage *t = of(image);
	uint64_t sum = 0;

	for (size_t i = 0; i < io->n_iov; i++)
		sum += io->iov[i].iov_len;
	if (t->n_pending == TESTIMAGE_DEPTH)
		return -EBUSY;
	t->n_bad += io->op != IMAGE_FLUSH &&
		    (!io->len || io->len % IMAGE_SECTOR || io->offset % IMAGE_SECTOR ||
		     !range_within(io->offset, io->len, TESTIMAGE_SIZE));
	t->n_bad += (io->op == IMAGE_READ || io->op == IMAGE_WRITE) && sum != io->len;
	t->n_bad += image->readonly && io->op != IMAGE_READ && io->op != IMAGE_FLUSH;
	t->pending[t->n_pending++] = *io;
	return 0;
}

static int submit(struct image *image)
{
	const uint64_t one = 1;

	if (of(image)->n_pending)
		(void)!write(of(image)->event, &one, sizeof(one));
	return 0;
}

static int reap(struct image *image)
{
	struct testimage *t = of(image);
	uint64_t count;

	if (t->held) {
		(void)!read(t->event, &count, sizeof(count));
		return 0;
	}
	(void)!read(t->event, &count, sizeof(count));
	while (t->n_pending) {
		struct image_io io = t->pending[0];

		memmove(t->pending, t->pending + 1, --t->n_pending * sizeof(io));
		carry_out(t, &io);
	}
	return 0;
}

static int wait_for(struct image *image)
{
	return reap(image);
}

static void close_it(struct image *image)
{
	(void)image;
}

static const struct image_ops ops = { .queue = queue,
				      .submit = submit,
				      .reap = reap,
				      .wait = wait_for,
				      .close = close_it };

void testimage_open(struct testimage *t, bool readonly)
{
	memset(t, 0, sizeof(*t));
	t->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	t->image = (struct image){ .ops = &ops,
				   .capacity = TESTIMAGE_SIZE,
				   .block = 4096,
				   .readonly = readonly,
				   .can_discard = !readonly,
				   .fd = t->event,
				   .other_fd = -1 };
}

void testimage_close(struct testimage *t)
{
	closep(&t->event);
}
