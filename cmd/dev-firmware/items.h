/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fw_cfg's items by a selector and a port of bytes (QEMU docs/specs/fw_cfg.rst, without DMA): the image is
 * what the vmm has written and sealed, and is read as HOSTILE all the same. An item that there is not, and what is
 * behind an item's end, reads as zeros.
 */
#ifndef BULKHEAD_CMD_DEV_FIRMWARE_ITEMS_H
#define BULKHEAD_CMD_DEV_FIRMWARE_ITEMS_H

#include "lib/fwcfg/fwcfg.h"

struct items {
	const uint8_t *image; /* FWCFG_IMAGE_SIZE bytes */
	uint16_t number;
	uint32_t offset; /* of the next byte in the item; at most FWCFG_IMAGE_SIZE */
};

void items_select(struct items *f, uint16_t number);
/* The next len bytes. */
void items_read(struct items *f, uint8_t *out, uint32_t len);

#endif
