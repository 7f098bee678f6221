/* SPDX-License-Identifier: Apache-2.0 */
/* Feature bits and configuration space of virtio-blk; see blk.h. */
#include "cmd/dev-blk/blk.h"

#include "lib/base/bytes.h"
#include "lib/base/units.h"

#include <errno.h>
#include <string.h>

static uint64_t features_of(const struct image *image)
{
	uint64_t f = BIT(VIRTIO_BLK_F_SIZE_MAX) | BIT(VIRTIO_BLK_F_SEG_MAX) |
		     BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_FLUSH) |
		     BIT(VIRTIO_BLK_F_TOPOLOGY) | BIT(VIRTIO_BLK_F_CONFIG_WCE) |
		     BIT(VIRTIO_BLK_F_MQ);

	if (image->readonly)
		return f | BIT(VIRTIO_BLK_F_RO);
	f |= BIT(VIRTIO_BLK_F_WRITE_ZEROES);
	return image->can_discard ? f | BIT(VIRTIO_BLK_F_DISCARD) : f;
}

void blk_disk_init(struct blk_disk *disk, const struct blk_options *o, const struct image *image)
{
	const uint32_t logical = disk_bytes(o->disk.image.logical);
	size_t len = strlen(o->disk.serial);

	*disk = (struct blk_disk){ .capacity = image->capacity - image->capacity % logical,
				   .block = disk_physical(&o->disk, image->block),
				   .logical = logical,
				   .n_queues = (uint16_t)o->disk.queues,
				   .offered = features_of(image) };
	memcpy(disk->id, o->disk.serial, len < BLK_ID_LEN ? len : BLK_ID_LEN);
	blk_disk_reset(disk);
}

void blk_disk_reset(struct blk_disk *disk)
{
	disk->features = 0;
	disk->writeback = true;
}

bool blk_writes_back(const struct blk_disk *disk)
{
	if (disk->features & BIT(VIRTIO_BLK_F_CONFIG_WCE))
		return disk->writeback;
	return disk->features & BIT(VIRTIO_BLK_F_FLUSH);
}

/* 5.2.4 */
void blk_config_read(const struct blk_disk *disk, uint8_t *config)
{
	struct bytes_writer w = bytes_writer(config, VIRTIO_BLK_CONFIG_LEN);
	uint32_t per_block = disk->block / disk->logical;

	bytes_put64(&w, disk->capacity / IMAGE_SECTOR);
	bytes_put32(&w, BLK_SIZE_MAX);
	bytes_put32(&w, BLK_SEG_MAX);
	bytes_put32(&w, 0); /* no geometry */
	bytes_put32(&w, disk->logical);
	bytes_put8(&w, (uint8_t)__builtin_ctz(per_block)); /* physical_block_exp */
	bytes_put8(&w, 0);				   /* alignment_offset */
	bytes_put16(&w, (uint16_t)per_block);		   /* min_io_size */
	bytes_put32(&w, 0);				   /* opt_io_size */
	bytes_put8(&w, disk->writeback);
	bytes_put8(&w, 0);
	bytes_put16(&w, disk->n_queues);
	bytes_put32(&w, BLK_RANGE_MAX);		     /* max_discard_sectors */
	bytes_put32(&w, 1);			     /* max_discard_seg */
	bytes_put32(&w, disk->block / IMAGE_SECTOR); /* discard_sector_alignment */
	bytes_put32(&w, BLK_RANGE_MAX);		     /* max_write_zeroes_sectors */
	bytes_put32(&w, 1);			     /* max_write_zeroes_seg */
	bytes_put8(&w, 1);			     /* write_zeroes_may_unmap */
}

int blk_config_write(struct blk_disk *disk, uint32_t offset, const uint8_t *data, uint32_t len)
{
	if (!(disk->features & BIT(VIRTIO_BLK_F_CONFIG_WCE)))
		return -EINVAL;
	if (offset != VIRTIO_BLK_CONFIG_WRITEBACK || len != 1 || data[0] > 1)
		return -EINVAL;
	disk->writeback = data[0];
	return 0;
}
