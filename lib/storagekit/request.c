/* SPDX-License-Identifier: Apache-2.0 */
/* One NBD request to one request of an image: pure; see server.h. */
#include "lib/storagekit/server_internal.h"

#include "lib/base/checked.h"
#include "lib/base/cleanup.h"

#include <errno.h>

static const struct {
	uint16_t command;
	enum image_op op;
	bool writes;
	uint16_t flags; /* that it may have */
} commands[] = {
	{ NBD_CMD_READ, IMAGE_READ, false, NBD_CMD_FLAG_FUA },
	{ NBD_CMD_WRITE, IMAGE_WRITE, true, NBD_CMD_FLAG_FUA },
	{ NBD_CMD_FLUSH, IMAGE_FLUSH, false, NBD_CMD_FLAG_FUA },
	{ NBD_CMD_TRIM, IMAGE_DISCARD, true, NBD_CMD_FLAG_FUA },
	{ NBD_CMD_WRITE_ZEROES, IMAGE_ZERO, true, NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_NO_HOLE },
};

bool storage_has_data(const struct nbd_request *q)
{
	return q->command == NBD_CMD_WRITE;
}

bool storage_writes(const struct nbd_request *q)
{
	return q->command != NBD_CMD_READ;
}

/* Zeroes that the image may have to write count as data. */
uint64_t storage_bytes(const struct nbd_request *q, const struct image *image)
{
	switch (q->command) {
	case NBD_CMD_READ:
	case NBD_CMD_WRITE:
		return q->len;
	case NBD_CMD_WRITE_ZEROES:
		return q->flags & NBD_CMD_FLAG_NO_HOLE || !image->can_discard ? q->len : 0;
	default:
		return 0;
	}
}

static int check_range(const struct nbd_request *q, const struct image *image)
{
	if (q->command == NBD_CMD_FLUSH)
		return q->offset || q->len ? -EINVAL : 0;
	if (!q->len || q->len % IMAGE_SECTOR || q->offset % IMAGE_SECTOR)
		return -EINVAL;
	if (!range_within(q->offset, q->len, image->capacity))
		return q->command == NBD_CMD_WRITE ? -ENOSPC : -EINVAL;
	if (q->command == NBD_CMD_READ && q->len > STORAGE_DATA_MAX)
		return -EOVERFLOW;
	return 0;
}

int storage_parse(const struct nbd_request *q, const struct image *image, struct image_io *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		int r;

		if (commands[i].command != q->command)
			continue;
		if (q->flags & ~commands[i].flags)
			return -EINVAL;
		if (commands[i].writes && image->readonly)
			return -EPERM;
		r = check_range(q, image);
		if (r < 0)
			return r;
		*ret = (struct image_io){ .op = commands[i].op,
					  .may_unmap = !(q->flags & NBD_CMD_FLAG_NO_HOLE),
					  .sync = commands[i].writes && q->flags & NBD_CMD_FLAG_FUA,
					  .offset = q->offset,
					  .len = q->len };
		return 0;
	}
	return -EINVAL;
}
