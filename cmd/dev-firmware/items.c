/* SPDX-License-Identifier: Apache-2.0 */
/* fw_cfg's items; see items.h. */
#include "cmd/dev-firmware/items.h"

#include <string.h>

void items_select(struct items *f, uint16_t number)
{
	f->number = number;
	f->offset = 0;
}

void items_read(struct items *f, uint8_t *out, uint32_t len)
{
	struct fwcfg_item item;
	uint32_t n;

	memset(out, 0, len);
	if (fwcfg_find(f->image, f->number, &item) < 0 || f->offset >= item.len)
		return;
	n = item.len - f->offset < len ? item.len - f->offset : len;
	memcpy(out, f->image + item.offset + f->offset, n);
	f->offset += n;
}
