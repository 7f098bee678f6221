/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NOR flash with Intel's command set, as QEMU's machines show one to firmware, behind vfio-user: region 0 is the array.
 * The guest reads it in memory that it shares (the view), and its writes come here, a byte each; of another width they
 * do nothing. Nothing here reads what the array means.
 *
 *   mode      byte written        what
 *   ARRAY,    0x10, 0x40          PROGRAM: the next byte is programmed where it is written
 *   STATUS    0x20                ERASE: the next byte says whether
 *             0x70                STATUS
 *             0x50                the status register becomes 0; ARRAY
 *             any other           ARRAY; so 0xff
 *   PROGRAM   any                 is what the array then has there, whatever was there before; STATUS
 *   ERASE     0xd0                the 4 KiB around it become 0xff bytes; STATUS
 *             any other           ARRAY
 *
 * But in ARRAY the view shows the status register where was written last, and the array elsewhere: whoever drives such
 * a flash looks for it there. There are no identifiers, no locks of blocks and no write buffer.
 *
 * What is programmed is committed to the file (store.h) when the mode becomes ARRAY. Where a process is cut off, its
 * successor has the view and the mode (lib/devkit/kept.h), and tells its client by region 1 which write was the last.
 */
#ifndef BULKHEAD_CMD_DEV_FLASH_FLASH_H
#define BULKHEAD_CMD_DEV_FLASH_FLASH_H

#include "cmd/dev-flash/store.h"
#include "lib/base/log.h"
#include "lib/devkit/kept.h"
#include "lib/devkit/vfu_server.h"

enum flash_mode { FLASH_ARRAY, FLASH_STATUS, FLASH_PROGRAM, FLASH_ERASE, FLASH_MODES };

/* What a successor goes on with. */
struct flash_image {
	uint8_t mode;
	uint8_t status;
	uint8_t under; /* but in ARRAY: what the array has */
	uint8_t has_done;
	uint16_t done; /* the id of the last write that was carried out */
	uint32_t at;   /* where the view shows the status register */
};

extern const struct state_schema flash_schema;

struct flash {
	struct flash_image now;
	struct store *store;
	uint8_t *view; /* store->size bytes */
	struct kept *kept;
	int timer_fd; /* runs while the file may not be synced */
	bool resting;
	struct log_gate failures;
	struct loop_source timer;
	struct vfu_region regions[2];
	struct vfu_spec spec;
	struct vfu_server vfu;
};

/* Before the sandbox: takes the socket over and joins the loop. timer_fd: CLOCK_MONOTONIC's, and the caller's.
 * view: shared with the guest, who cannot write it. */
[[nodiscard]] int flash_open(struct flash *f, struct store *store, uint8_t *view, struct kept *kept,
			     int timer_fd, struct loop *loop, int sock);
/* Behind store_read: goes on with what a predecessor has left in the view and in kept, HOSTILE, or begins with what the
 * file has. */
void flash_begin(struct flash *f);
/* Before the end: what was programmed is in the file. */
void flash_finish(struct flash *f);

#endif
