/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev-firmware's registers behind vfio-user: region 0 has what lib/fwcfg says where, each register in its own
 * width and no other; everything else floats. There is no interrupt and no DMA.
 *
 *   offset    widths         what
 *   TIMER     read 4         ACPI's PM timer: 24 bits of 3.579545 MHz of the host's monotonic clock
 *   CMOS      write 1        the index
 *   CMOS + 1  read, write 1  the byte behind it (cmos.h)
 *   SELECTOR  write 2        the item's number
 *   DATA      read 1 to 256  its next bytes (items.h)
 *
 * The state is in memory that outlives the process (lib/devkit/kept.h). Region 1 tells a client that was cut off
 * that nothing is known to be done, so that it sends its access again: one that would not be the same twice,
 * a read of DATA, is known by its message's id, and gives the same bytes again.
 */
#ifndef BULKHEAD_CMD_DEV_FIRMWARE_REGISTERS_H
#define BULKHEAD_CMD_DEV_FIRMWARE_REGISTERS_H

#include "cmd/dev-firmware/cmos.h"
#include "cmd/dev-firmware/items.h"
#include "lib/devkit/kept.h"
#include "lib/devkit/vfu_server.h"

#include <stdbool.h>
#include <time.h>

#define PM_TIMER_HZ 3579545U
#define PM_TIMER_MASK 0xffffffU

/* What a successor goes on with. */
struct registers_image {
	uint16_t number;
	uint16_t id; /* of the last read of DATA, if there was one since the last selection */
	uint8_t is_read;
	uint8_t index;
	uint32_t offset, before; /* behind that read and before it */
	uint8_t cmos[FWCFG_CMOS_LEN];
};

extern const struct state_schema registers_schema;

/* Nanoseconds of CLOCK_MONOTONIC or CLOCK_REALTIME. */
typedef uint64_t (*registers_clock)(clockid_t id);

struct registers {
	registers_clock clock;
	struct kept *kept;
	struct items items;
	struct cmos cmos;
	bool is_read;
	uint16_t id;
	uint32_t before;
	struct vfu_region regions[2];
	struct vfu_spec spec;
	struct vfu_server vfu;
};

/* Before the sandbox: takes the socket over and joins the loop. image: of items; at a VM's start it may be all
 * zero still, until its client resets the device. kept: all zero, or as a predecessor left it, and HOSTILE; one
 * that cannot be is said and cleared. */
[[nodiscard]] int registers_open(struct registers *r, const uint8_t *image, struct kept *kept,
				 registers_clock clock, struct loop *loop, int sock);

#endif
