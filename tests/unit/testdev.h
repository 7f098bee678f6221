/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any device on a testring: guest memory and one armed queue of it, without a front end. A device is
 * prepared with testdev_sock's descriptor, then started with testdev_start.
 */
#ifndef BULKHEAD_TESTS_TESTDEV_H
#define BULKHEAD_TESTS_TESTDEV_H

#include "tests/unit/testring.h"

#include "lib/base/loop.h"
#include "lib/devkit/vu_internal.h"

#define TESTDEV_UADDR 0x7f0000000000ULL

struct testdev {
	struct testring ring;
	struct loop loop;
	int peer; /* the front end's end of the socket */
	struct vu_device *dev;
	struct dev_queue *q;
};

/* The ring and the loop; returns the device's end of its channel. */
int testdev_open(struct testdev *t, uint16_t size);
/* Gives dev the memory, and arms and enables its queue of that index. */
void testdev_start(struct testdev *t, struct vu_device *dev, unsigned int index);
/* After the device was closed. */
void testdev_close(struct testdev *t);
/* Length of the nth used entry. */
uint32_t testdev_used_len(const struct testdev *t, uint16_t n);
uint16_t testdev_used(const struct testdev *t);
/* Leaves 0xA5 where the stack of the next calls will be. */
void poison_stack(void);

#define POISON 0xa5

#endif
