/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver for tests: 1 MiB of guest memory at gpa 0, seen from both sides, one ring in it, and
 * descriptors written as bytes so that they can be wrong in any way.
 */
#ifndef BULKHEAD_TESTS_TESTRING_H
#define BULKHEAD_TESTS_TESTRING_H

#include "lib/guestmem/guestmem.h"
#include "lib/virtio/virtqueue.h"

#include <stdbool.h>
#include <stdint.h>

#define TR_RAM (1U << 20)
#define TR_DESC 0x10000U
#define TR_AVAIL 0x20000U
#define TR_USED 0x30000U
#define TR_TABLE 0x40000U /* room for indirect tables */
#define TR_DATA 0x80000U

#define D_NEXT 1U
#define D_WRITE 2U
#define D_INDIRECT 4U

struct testring {
	int fd;
	uint8_t *ram; /* the guest's view */
	struct guestmem mem;
	struct virtq_layout layout;
	uint16_t avail_idx;
};

void testring_open(struct testring *t, uint16_t size, bool event_idx, bool indirect);
void testring_close(struct testring *t);
/* A descriptor at index of the table at gpa. */
void testring_put(struct testring *t, uint64_t table, uint32_t index, uint64_t addr, uint32_t len,
		  uint16_t flags, uint16_t next);
/* ... of the ring's own table. */
void testring_desc(struct testring *t, uint32_t index, uint64_t addr, uint32_t len, uint16_t flags,
		   uint16_t next);
/* Makes head available and publishes it. */
void testring_avail(struct testring *t, uint16_t head);
void testring_set_avail_idx(struct testring *t, uint16_t idx);
void testring_store16(struct testring *t, uint64_t gpa, uint16_t v);
uint16_t testring_load16(const struct testring *t, uint64_t gpa);
uint32_t testring_load32(const struct testring *t, uint64_t gpa);

#endif
