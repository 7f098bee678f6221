/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/vfio_user: the payloads (payload.c) of the messages (codec.c). */
#ifndef BULKHEAD_VFIO_USER_PAYLOAD_H
#define BULKHEAD_VFIO_USER_PAYLOAD_H

#include "lib/base/bytes.h"
#include "lib/vfio_user/vfio_user.h"

/* What cannot be is noted in the reader or writer. */
typedef void (*vfu_get)(struct bytes_reader *r, struct vfu_msg *m);
typedef void (*vfu_put)(struct bytes_writer *w, const struct vfu_msg *m);

/* What a command's payload is, and its reply's. */
struct vfu_row {
	uint16_t command;
	vfu_get get_request;
	vfu_put put_request;
	vfu_get get_reply;
	vfu_put put_reply;
};

/* NULL: no such command. */
const struct vfu_row *vfu_row_of(unsigned int command);
/* Of this message: an error carries nothing. */
vfu_get vfu_getter(const struct vfu_row *row, const struct vfu_msg *m);
vfu_put vfu_putter(const struct vfu_row *row, const struct vfu_msg *m);

#endif
