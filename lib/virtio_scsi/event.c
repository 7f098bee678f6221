/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event queue; see virtio_scsi.h. VIRTIO 1.2, 5.6.6.3. A change waits until the driver has a buffer for it, and one that
 * comes twice meanwhile is told once: so no event is ever missed.
 */
#include "lib/virtio_scsi/virtio_scsi.h"

#include "lib/base/bytes.h"
#include "lib/base/units.h"

#include <errno.h>

#define T_PARAM_CHANGE 3
#define CAPACITY_CHANGED 0x092a /* the additional sense code, and its qualifier above it */

static int tell(struct vscsi *v, struct dev_queue *q, unsigned int unit)
{
	uint8_t bytes[VSCSI_EVENT_LEN];
	struct bytes_writer w = bytes_writer(bytes, sizeof(bytes));
	int r;

	if (v->control.writable_len < sizeof(bytes))
		return -EBADMSG;
	bytes_put32(&w, T_PARAM_CHANGE);
	/* by peripheral addressing, as REPORT LUNS says it: Linux knows no other here */
	bytes_put(&w, (const uint8_t[]){ 1, 0, 0, (uint8_t)unit, 0, 0, 0, 0 }, 8);
	bytes_put32(&w, CAPACITY_CHANGED);
	r = virtq_chain_write(&v->control, 0, bytes, sizeof(bytes));
	if (r == 0)
		dev_queue_push(q, v->control.head, sizeof(bytes));
	return r;
}

int vscsi_event_run(struct vscsi *v, struct dev_queue *q)
{
	int r = 0;

	if (!(v->dev.features & BIT(VIRTIO_SCSI_F_CHANGE)))
		return 0;
	while (r == 0 && v->changed) {
		const unsigned int unit = (unsigned int)__builtin_ctz(v->changed);

		r = dev_queue_pop(q, &v->control);
		if (r != 1)
			return r;
		r = tell(v, q, unit);
		v->changed &= v->changed - 1;
	}
	return r;
}
