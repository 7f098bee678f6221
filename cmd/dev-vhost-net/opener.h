/* SPDX-License-Identifier: Apache-2.0 */
/* Asks who may open /dev/vhost-net for one; lib/storagekit/dial.h says how. */
#ifndef BULKHEAD_DEV_VHOST_NET_OPENER_H
#define BULKHEAD_DEV_VHOST_NET_OPENER_H

/* Waits for it. A descriptor, or a negative errno: what opening it came to, or -EPIPE: nobody answers. An answer that
 * a predecessor did not wait for is as good as another. */
[[nodiscard]] int opener_ask(int sock);

#endif
