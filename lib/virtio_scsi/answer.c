/* SPDX-License-Identifier: Apache-2.0 */
/* Where a response goes, and what it says; see virtio_scsi.h. */
#include "lib/virtio_scsi/virtio_scsi.h"

#include "lib/base/bytes.h"

#include <errno.h>

/* That all of it is RAM shows before anything is done. */
static int check_piece(const struct virtq_chain *chain, const struct virtq_piece *p)
{
	struct iovec iov[GUESTMEM_MAX_REGIONS];
	size_t n = 0;

	return guest_iov(chain->mem, p->gpa, p->len, iov, &n, GUESTMEM_MAX_REGIONS);
}

int vscsi_place(const struct virtq_chain *chain, uint32_t len, struct vscsi_place *ret)
{
	struct vscsi_place p = { .len = (uint16_t)len };
	int r = 0;

	for (unsigned int i = 0; i < chain->n_writable && len && r == 0; i++) {
		struct virtq_piece *at = &p.piece[p.n];

		if (p.n == VSCSI_PIECES_MAX)
			return -ENOBUFS;
		*at = chain->piece[chain->n_readable + i];
		if (at->len > len)
			at->len = len;
		len -= at->len;
		p.n++;
		r = check_piece(chain, at);
	}
	if (r < 0 || len)
		return r < 0 ? r : -EMSGSIZE;
	*ret = p;
	return 0;
}

static uint32_t bounded(uint64_t v)
{
	return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

void vscsi_give_back(struct dev_queue *q, uint16_t head, const struct vscsi_place *p,
		     const uint8_t *bytes, uint64_t written)
{
	int r = 0;

	for (unsigned int i = 0; i < p->n && r == 0; i++) {
		r = guest_write(&q->dev->mem, p->piece[i].gpa, bytes, p->piece[i].len);
		bytes += p->piece[i].len;
	}
	if (r < 0)
		dev_queue_fail(q, "a response is not RAM");
	else
		dev_queue_push(q, head, bounded(written + p->len));
}

/* What is behind the sense is zeroes, so that no byte up to the data is one that was not written. */
void vscsi_respond(struct dev_queue *q, uint16_t head, const struct vscsi_place *p,
		   const struct vscsi_says *s)
{
	uint8_t bytes[VSCSI_RESPONSE_LEN + VSCSI_SIZE_MAX] = { 0 }, sense[SCSI_SENSE_LEN];
	const uint32_t room = p->len - VSCSI_RESPONSE_LEN;
	const uint32_t n_sense = !s->sense ? 0 : room < SCSI_SENSE_LEN ? room : SCSI_SENSE_LEN;
	struct bytes_writer w = bytes_writer(bytes, sizeof(bytes));

	scsi_sense_put(sense, s->sense);
	bytes_put32(&w, n_sense);
	bytes_put32(&w, bounded(s->residual));
	bytes_put16(&w, 0); /* status_qualifier */
	bytes_put8(&w, (uint8_t)s->status);
	bytes_put8(&w, (uint8_t)s->response);
	bytes_put(&w, sense, n_sense);
	vscsi_give_back(q, head, p, bytes, s->written);
}
