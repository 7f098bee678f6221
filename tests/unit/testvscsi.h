/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole virtio-scsi adapter for tests: guest memory and three armed rings (testring.h), those of control, of events and of the
 * first request queue, and two units, a CD-ROM and a disk, whose images are arrays in memory (testimage.h).
 */
#ifndef BULKHEAD_TESTS_TESTVSCSI_H
#define BULKHEAD_TESTS_TESTVSCSI_H

#include "tests/unit/testimage.h"
#include "tests/unit/testring.h"

#include "lib/devkit/vu_internal.h"
#include "lib/virtio_scsi/virtio_scsi.h"

#define TV_CD 0
#define TV_DISK 1
#define TV_CONTROL \
	0x8000U		 /* the control queue's ring: its table, what is available, what is used */
#define TV_EVENT 0xc000U /* the same of the event queue */

struct testvscsi {
	struct testring ring;
	uint16_t control_idx, event_idx;
	struct loop loop;
	struct testimage cd, disk;
	struct vscsi v;
	int peer;
};

void testvscsi_open(struct testvscsi *t, uint16_t size);
void testvscsi_close(struct testvscsi *t);
/* Arms and enables the rings. */
void testvscsi_arm(struct testvscsi *t);
/* Everything completes, and the rings stop. */
void testvscsi_stop(struct testvscsi *t);
/* Lets the images complete what they hold. */
void testvscsi_complete(struct testvscsi *t);
/* As after power-on, with guest memory cleared. */
void testvscsi_reset(struct testvscsi *t);

static inline struct dev_queue *testvscsi_queue(struct testvscsi *t, unsigned int i)
{
	return &t->v.dev.queue[i];
}

#endif
