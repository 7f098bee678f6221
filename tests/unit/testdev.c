/* SPDX-License-Identifier: Apache-2.0 */
/* See testdev.h. */
#include "tests/unit/testdev.h"

#include "lib/base/cleanup.h"

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

int testdev_open(struct testdev *t, uint16_t size)
{
	int sock[2];

	memset(t, 0, sizeof(*t));
	testring_open(&t->ring, size, false, true);
	need(loop_open(&t->loop) == 0, "loop");
	need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock) == 0, "socketpair");
	t->peer = sock[0];
	return sock[1];
}

void testdev_start(struct testdev *t, struct vu_device *dev, unsigned int index)
{
	struct dev_queue *q = &dev->queue[index];
	int kick = eventfd(0, EFD_CLOEXEC);

	t->dev = dev;
	t->q = q;
	need(guestmem_add(&dev->mem, GPA(0), TR_RAM, TESTDEV_UADDR, t->ring.fd, 0) == 0,
	     "guestmem");
	dev->features = 1ULL << VIRTIO_F_INDIRECT_DESC | 1ULL << VHOST_USER_F_PROTOCOL_FEATURES;
	dev->features_set = true;
	q->num = t->ring.layout.size;
	q->uaddr_desc = TESTDEV_UADDR + TR_DESC;
	q->uaddr_avail = TESTDEV_UADDR + TR_AVAIL;
	q->uaddr_used = TESTDEV_UADDR + TR_USED;
	q->enabled = true;
	need(vu_ring_arm(q, &kick) == 0, "vu_ring_arm");
}

void testdev_close(struct testdev *t)
{
	closep(&t->peer);
	loop_close(&t->loop);
	testring_close(&t->ring);
}

uint32_t testdev_used_len(const struct testdev *t, uint16_t n)
{
	return testring_load32(&t->ring, TR_USED + 8 + 8U * n);
}

uint16_t testdev_used(const struct testdev *t)
{
	return testring_load16(&t->ring, TR_USED + 2);
}

__attribute__((noinline)) void poison_stack(void)
{
	volatile uint8_t below[64 * 1024];

	for (size_t i = 0; i < sizeof(below); i++)
		below[i] = POISON;
}
