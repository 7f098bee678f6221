/* SPDX-License-Identifier: Apache-2.0 */
/* One chain to one request; see virtio_scsi.h. */
#include "lib/virtio_scsi/virtio_scsi.h"

#include "lib/base/be.h"

#include <errno.h>
#include <string.h>

/* 5.6.6.1: 1, the target, a number in SAM's first level, and nothing. */
int vscsi_lun(const struct vscsi_config *c, const uint8_t *lun)
{
	static const uint8_t nothing[4];
	const uint16_t at = get_be16(lun + 2);

	if (lun[0] != 1 || lun[1] != 0)
		return VSCSI_NO_TARGET;
	/* peripheral device addressing, or flat space */
	if ((at & 0xff00) != 0 && (at & 0xc000) != 0x4000)
		return VSCSI_NO_LUN;
	if ((at & 0x3fff) >= c->n_luns || memcmp(lun + 4, nothing, sizeof(nothing)) != 0)
		return VSCSI_NO_LUN;
	return at & 0x3fff;
}

/* The CDB is as long as what was negotiated, and no more of it is looked at than the longest command has. */
int vscsi_parse(const struct vscsi_config *c, const struct virtq_chain *chain,
		struct vscsi_request *ret)
{
	uint8_t head[VSCSI_HEAD_LEN + SCSI_CDB_MAX];
	struct vscsi_request r = { .head_len = VSCSI_HEAD_LEN + c->cdb_size,
				   .response_len = VSCSI_RESPONSE_LEN + c->sense_size };
	int e;

	if (chain->readable_len < r.head_len || chain->writable_len < r.response_len)
		return -EBADMSG;
	e = virtq_chain_read(chain, 0, head, sizeof(head));
	if (e < 0)
		return e;
	r.lun = vscsi_lun(c, head);
	memcpy(&r.tag, head + 8, sizeof(r.tag)); /* compared alone */
	memcpy(r.cdb, head + VSCSI_HEAD_LEN, SCSI_CDB_MAX);
	r.n_out = chain->readable_len - r.head_len;
	r.n_in = chain->writable_len - r.response_len;
	*ret = r;
	return 0;
}
