/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfio-user, the client's side: one device of one region and one interrupt. The server is HOSTILE:
 * every reply is checked against the request and the specification (lib/vfio_user), every wait has
 * a limit, and the page that it shares is mapped read-only and only if it can never shrink.
 *
 * After any negative return the channel is dead: every later call is -EPIPE.
 */
#ifndef BULKHEAD_VMM_PLATFORM_VFIO_CLIENT_H
#define BULKHEAD_VMM_PLATFORM_VFIO_CLIENT_H

#include "lib/vfio_user/vfio_user.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VFIO_CLIENT_POST_MAX 16 /* writes that wait here to go together */
#define VFIO_CLIENT_POST_LEN (VFU_HEADER_LEN + 17) /* bytes of one: offset, region, count, byte */

struct vfio_client {
	int sock;
	uint16_t next_id;
	bool dead;
	unsigned int n_posted;
	uint8_t posted[VFIO_CLIENT_POST_MAX * VFIO_CLIENT_POST_LEN];
	uint64_t region_size;   /* bytes of region 0 */
	const uint8_t *page;    /* its first page_len bytes, NULL: not shared */
	size_t page_len;
	uint32_t n_sparse;      /* of region 0: what may be read from the page */
	struct vfu_sparse sparse[VFU_MAX_SPARSE];
};

/*
 * Handshake on a connected stream socket, owned from now on: VERSION, DEVICE_GET_INFO, region 0 of
 * at least min_size bytes, interrupt 0. On failure the socket is closed and *ret_why says what the
 * server did wrong.
 */
[[nodiscard]] int vfio_client_open(struct vfio_client *c, int sock, uint64_t min_size,
				   const char **ret_why);
/* Unmaps and closes. */
void vfio_client_close(struct vfio_client *c);

/* The server signals interrupt 0 by this eventfd, which stays the caller's. */
[[nodiscard]] int vfio_client_set_irq(struct vfio_client *c, int eventfd);
/* One byte of region 0, by a message and its reply. */
[[nodiscard]] int vfio_client_read8(struct vfio_client *c, uint64_t offset, uint8_t *ret);
/* One byte from the shared page; false: this one is not shared. */
[[nodiscard]] bool vfio_client_peek8(const struct vfio_client *c, uint64_t offset, uint8_t *ret);
/* One byte to region 0. */
[[nodiscard]] int vfio_client_write8(struct vfio_client *c, uint64_t offset, uint8_t value);
/*
 * The same without an answer, and not sent at once: it goes before the next message, with
 * vfio_client_flush, or when VFIO_CLIENT_POST_MAX wait.
 */
[[nodiscard]] int vfio_client_post8(struct vfio_client *c, uint64_t offset, uint8_t value);
[[nodiscard]] int vfio_client_flush(struct vfio_client *c);
[[nodiscard]] int vfio_client_reset(struct vfio_client *c);

#endif
