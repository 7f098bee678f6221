/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the vfio-user client. */
#ifndef BULKHEAD_VMM_PLATFORM_VFIO_INTERNAL_H
#define BULKHEAD_VMM_PLATFORM_VFIO_INTERNAL_H

#include "cmd/vmm/platform/vfio_client.h"

/* Sends m with an id of its own and receives its answer; *ret_fd as in peer_recv. Posted writes that wait
 * stay where they are. */
[[nodiscard]] int vfio_exchange(struct vfio_client *c, struct vfu_msg *m, const int *fds,
				size_t n_fds, struct vfu_msg *ret, int *ret_fd);
/* VERSION to interrupt 0 on a new channel: fills shape and maps the page. The caller closes. */
[[nodiscard]] int vfio_shake_hands(struct vfio_client *c, uint64_t min_size, const char **ret_why);

#endif
