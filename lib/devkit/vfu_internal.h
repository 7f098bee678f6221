/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the vfio-user server: what its session (vfu_server.c) and I/O (vfu_io.c) share. */
#ifndef BULKHEAD_DEVKIT_VFU_INTERNAL_H
#define BULKHEAD_DEVKIT_VFU_INTERNAL_H

#include "lib/devkit/vfu_server.h"

/* The client's error: keeps the first reason; always -EBADMSG. */
int vfu_blame(struct vfu_server *s, const char *why);
/*
 * Receives once. 1, 0 when the client is gone, -EAGAIN, or its error.
 */
[[nodiscard]] int vfu_receive(struct vfu_server *s);
/*
 * The next whole message in the buffer. 1 with *ret filled and *ret_size its length; 0 when there is
 * none; -EOPNOTSUPP for a command that the codec does not know (id, command and no_reply of *ret
 * and *ret_size valid); or the client's error.
 */
[[nodiscard]] int vfu_next(struct vfu_server *s, struct vfu_msg *ret, size_t *ret_size);
/* Removes the first size bytes, and all descriptors (closing them) if they were the last message's. */
void vfu_consume(struct vfu_server *s, size_t size);
/* Sends without waiting; fd -1 for none. 0, or the client's error. */
[[nodiscard]] int vfu_answer(struct vfu_server *s, const struct vfu_msg *m, int fd);
/* The same for the error reply to a request, of a command that the codec need not know. */
[[nodiscard]] int vfu_answer_error(struct vfu_server *s, const struct vfu_msg *request,
				   int error_no);
/* Handles one whole message in the state table. 0, or the client's error. */
[[nodiscard]] int vfu_dispatch(struct vfu_server *s, struct vfu_msg *m, int *fds, size_t n_fds);
/* Answers a command that is not in the table, and that n_fds descriptors came with. */
[[nodiscard]] int vfu_refuse(struct vfu_server *s, const struct vfu_msg *m, size_t n_fds);

#endif
