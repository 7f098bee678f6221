/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration space of virtio-scsi; see virtio_scsi.h. VIRTIO 1.2, 5.6.4. */
#include "lib/virtio_scsi/virtio_scsi.h"

#include "lib/base/bytes.h"

#include <errno.h>

void vscsi_config_init(struct vscsi_config *c, uint16_t n_request_queues, uint16_t n_luns)
{
	c->n_request_queues = n_request_queues;
	c->n_luns = n_luns;
	vscsi_config_reset(c);
}

void vscsi_config_reset(struct vscsi_config *c)
{
	c->sense_size = VSCSI_SENSE_SIZE;
	c->cdb_size = VSCSI_CDB_SIZE;
}

void vscsi_config_read(const struct vscsi_config *c, uint8_t *config)
{
	struct bytes_writer w = bytes_writer(config, VSCSI_CONFIG_LEN);

	bytes_put32(&w, c->n_request_queues);
	bytes_put32(&w, VSCSI_SEG_MAX);
	bytes_put32(&w, 0xffff); /* max_sectors: a hint */
	bytes_put32(&w, 128);	 /* cmd_per_lun */
	bytes_put32(&w, 16);	 /* event_info_size */
	bytes_put32(&w, c->sense_size);
	bytes_put32(&w, c->cdb_size);
	bytes_put16(&w, 0); /* max_channel */
	bytes_put16(&w, 0); /* max_target */
	bytes_put32(&w, c->n_luns - 1U);
}

/* A field byte by byte, as the driver may have written it; each byte leaves something that may be. */
static int write_byte(uint32_t *field, uint32_t least, uint32_t offset, uint8_t v)
{
	const uint32_t shift = 8 * offset;
	const uint32_t now = (*field & ~(0xffU << shift)) | (uint32_t)v << shift;

	if (now < least || now > VSCSI_SIZE_MAX)
		return -EINVAL;
	*field = now;
	return 0;
}

/* Nothing has the size of what is written: both only say where data begins. */
int vscsi_config_write(struct vscsi_config *c, uint32_t offset, const uint8_t *data, uint32_t len)
{
	struct vscsi_config next = *c;
	int r = 0;

	for (uint32_t i = 0; i < len && r == 0; i++) {
		const uint32_t at = offset + i;

		if (at >= VSCSI_SENSE_SIZE_AT && at < VSCSI_CDB_SIZE_AT)
			r = write_byte(&next.sense_size, 0, at - VSCSI_SENSE_SIZE_AT, data[i]);
		else if (at >= VSCSI_CDB_SIZE_AT && at < VSCSI_CDB_SIZE_AT + 4)
			r = write_byte(&next.cdb_size, SCSI_CDB_MAX, at - VSCSI_CDB_SIZE_AT,
				       data[i]);
		else
			r = -EINVAL;
	}
	if (r == 0)
		*c = next;
	return r;
}
