/* SPDX-License-Identifier: Apache-2.0 */
/* See testblk.h. */
#include "tests/unit/testblk.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(2);
}

static struct testblk *of(struct image *image)
{
	return (void *)((char *)image - offsetof(struct testblk, image));
}

static int fake_queue(struct image *image, const struct image_io *io)
{
	struct testblk *t = of(image);

	if (t->n_pending == TB_DEPTH)
		return -EBUSY;
	t->pending[t->n_pending++] = *io;
	return 0;
}

static int fake_submit(struct image *image)
{
	of(image)->n_submits++;
	return 0;
}

static int fake_reap(struct image *image)
{
	struct testblk *t = of(image);

	if (t->at_reap)
		t->at_reap(t);
	return 0;
}

static int fake_wait(struct image *image)
{
	struct testblk *t = of(image);

	if (t->n_pending)
		testblk_complete(t, 0, 0);
	return 0;
}

static void fake_close(struct image *image)
{
	(void)image;
}

static const struct image_ops fake_ops = {
	.queue = fake_queue,
	.submit = fake_submit,
	.reap = fake_reap,
	.wait = fake_wait,
	.close = fake_close,
};

static void carry_out(struct testblk *t, const struct image_io *io)
{
	uint8_t *at = t->disk + io->offset;

	need(io->op == IMAGE_FLUSH ||
		     (io->len && io->offset <= TB_CAPACITY && io->len <= TB_CAPACITY - io->offset),
	     "a request outside the disk");
	if (io->op == IMAGE_ZERO)
		memset(at, 0, io->len);
	if (io->op != IMAGE_READ && io->op != IMAGE_WRITE)
		return;
	for (size_t i = 0; i < io->n_iov; at += io->iov[i].iov_len, i++) {
		need(at + io->iov[i].iov_len <= t->disk + io->offset + io->len, "iov above len");
		if (io->op == IMAGE_READ)
			memcpy(io->iov[i].iov_base, at, io->iov[i].iov_len);
		else
			memcpy(at, io->iov[i].iov_base, io->iov[i].iov_len);
	}
	need(at == t->disk + io->offset + io->len, "iov below len");
}

void testblk_carry_out(struct testblk *t, unsigned int index, int result)
{
	struct image_io io = t->pending[index];

	t->n_pending--;
	memmove(&t->pending[index], &t->pending[index + 1],
		(t->n_pending - index) * sizeof(t->pending[0]));
	if (result == 0)
		carry_out(t, &io);
	t->image.done(t->image.owner, io.handle, result);
}

void testblk_complete(struct testblk *t, unsigned int index, int result)
{
	testblk_carry_out(t, index, result);
	vu_device_flush(&t->blk.dev);
	need(vu_device_drained(&t->blk.dev) == 0, "vu_device_drained");
}

void testblk_drain(struct testblk *t)
{
	while (vu_rings_drain(&t->blk.dev)) {
		need(t->n_pending, "a request in flight that the image does not have");
		testblk_complete(t, 0, 0);
	}
	vu_rings_release(&t->blk.dev);
}

void testblk_stop(struct testblk *t)
{
	testblk_drain(t);
	vu_ring_stop(testblk_queue(t));
}

void testblk_open(struct testblk *t, uint16_t size)
{
	const struct blk_options o = { .disk.queues = 2, .disk.serial = "test" };
	int sock[2];

	memset(t, 0, sizeof(*t));
	testring_open(&t->ring, size, false, true);
	t->image = (struct image){ .ops = &fake_ops,
				   .capacity = TB_CAPACITY,
				   .block = 512,
				   .can_discard = true,
				   .other_fd = -1,
				   .fd = eventfd(0, EFD_CLOEXEC) };
	need(t->image.fd >= 0 && loop_open(&t->loop) == 0, "loop");
	need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock) == 0, "socketpair");
	t->peer = sock[0];
	need(blk_prepare(&t->blk, &o, &t->image, &t->loop, sock[1]) == 0, "blk_prepare");
	need(guestmem_add(&t->blk.dev.mem, GPA(0), TR_RAM, 0x7f0000000000, t->ring.fd, 0) == 0,
	     "guestmem");
	t->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	t->blk.dev.queue[0].call_fd = dup(t->call_fd);
}

void testblk_close(struct testblk *t)
{
	blk_close(&t->blk);
	closep(&t->peer);
	closep(&t->call_fd);
	closep(&t->image.fd);
	loop_close(&t->loop);
	testring_close(&t->ring);
}

void testblk_reset(struct testblk *t)
{
	testblk_stop(t);
	need(!t->n_pending, "a drained queue with a request pending");
	memset(t->ring.ram, 0, TR_RAM);
	t->ring.avail_idx = 0;
	t->blk.dev.queue[0].base = 0;
	blk_disk_reset(&t->blk.disk);
}

void testblk_arm(struct testblk *t, uint64_t features)
{
	struct vu_device *d = &t->blk.dev;
	struct dev_queue *q = testblk_queue(t);
	int kick = eventfd(0, EFD_CLOEXEC);

	d->features = features;
	d->features_set = true;
	t->blk.disk.features = features & t->blk.disk.offered;
	q->num = t->ring.layout.size;
	q->uaddr_desc = 0x7f0000000000 + t->ring.layout.desc.v;
	q->uaddr_avail = 0x7f0000000000 + t->ring.layout.avail.v;
	q->uaddr_used = 0x7f0000000000 + t->ring.layout.used.v;
	q->enabled = true;
	need(vu_ring_arm(q, &kick) == 0, "vu_ring_arm");
}

uint64_t testblk_interrupts(struct testblk *t)
{
	uint64_t n = 0;

	return read(t->call_fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}
