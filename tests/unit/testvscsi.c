/* SPDX-License-Identifier: Apache-2.0 */
/* See testvscsi.h. */
#include "tests/unit/testvscsi.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#define UADDR 0x7f0000000000

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(2);
}

void testvscsi_open(struct testvscsi *t, uint16_t size)
{
	int sock[2];

	memset(t, 0, sizeof(*t));
	testring_open(&t->ring, size, false, true);
	testimage_open(&t->cd, true);
	testimage_open(&t->disk, false);
	need(loop_open(&t->loop) == 0, "loop");
	need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock) == 0, "socketpair");
	t->peer = sock[0];
	vscsi_add(&t->v, SCSI_CDROM, &t->cd.image, SCSI_CD_BLOCK, SCSI_CD_BLOCK, "a-cd");
	vscsi_add(&t->v, SCSI_DISK, &t->disk.image, 512, 4096, "a-disk");
	need(vscsi_prepare(&t->v, "test", 1, &t->loop, sock[1]) == 0, "vscsi_prepare");
	need(guestmem_add(&t->v.dev.mem, GPA(0), TR_RAM, UADDR, t->ring.fd, 0) == 0, "guestmem");
}

void testvscsi_close(struct testvscsi *t)
{
	t->cd.held = t->disk.held = false;
	vscsi_close(&t->v);
	closep(&t->peer);
	testimage_close(&t->cd);
	testimage_close(&t->disk);
	loop_close(&t->loop);
	testring_close(&t->ring);
}

static void arm(struct testvscsi *t, unsigned int index, uint64_t desc, uint64_t avail,
		uint64_t used)
{
	struct dev_queue *q = testvscsi_queue(t, index);
	int kick = eventfd(0, EFD_CLOEXEC);

	q->num = t->ring.layout.size;
	q->base = 0;
	q->uaddr_desc = UADDR + desc;
	q->uaddr_avail = UADDR + avail;
	q->uaddr_used = UADDR + used;
	q->enabled = true;
	need(vu_ring_arm(q, &kick) == 0, "vu_ring_arm");
}

void testvscsi_arm(struct testvscsi *t)
{
	t->v.dev.features = 1ULL << VIRTIO_F_INDIRECT_DESC | 1ULL << VIRTIO_SCSI_F_CHANGE;
	t->v.dev.features_set = true;
	arm(t, VSCSI_CONTROLQ, TV_CONTROL, TV_CONTROL + 0x2000, TV_CONTROL + 0x3000);
	arm(t, VSCSI_EVENTQ, TV_EVENT, TV_EVENT + 0x2000, TV_EVENT + 0x3000);
	arm(t, VSCSI_REQUESTQ, TR_DESC, TR_AVAIL, TR_USED);
}

void testvscsi_complete(struct testvscsi *t)
{
	need(image_reap(&t->cd.image) == 0 && image_reap(&t->disk.image) == 0, "reap");
	vu_device_flush(&t->v.dev);
	need(vu_device_drained(&t->v.dev) == 0, "vu_device_drained");
}

void testvscsi_stop(struct testvscsi *t)
{
	t->cd.held = t->disk.held = false;
	while (vu_rings_drain(&t->v.dev))
		testvscsi_complete(t);
	vu_rings_release(&t->v.dev);
	vu_ring_stop(testvscsi_queue(t, VSCSI_CONTROLQ));
	vu_ring_stop(testvscsi_queue(t, VSCSI_EVENTQ));
	vu_ring_stop(testvscsi_queue(t, VSCSI_REQUESTQ));
}

void testvscsi_reset(struct testvscsi *t)
{
	testvscsi_stop(t);
	memset(t->ring.ram, 0, TR_RAM);
	t->ring.avail_idx = t->control_idx = t->event_idx = 0;
	t->cd.fails = t->disk.fails = 0;
	need(vscsi_state.reset(&t->v) == 0, "reset");
}
