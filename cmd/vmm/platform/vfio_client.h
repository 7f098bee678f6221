/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfio-user, the client's side: one device of one region and at most one interrupt. The server is HOSTILE:
 * every reply is checked against the request and the specification (lib/vfio_user), every wait has
 * a limit, and the page that it shares is mapped read-only and only if it can never shrink.
 *
 * After any negative return the channel is dead: every later call is -EPIPE. Where the device's state
 * outlives its process (VFU_DONE_REGION), -EPIPE is no loss: a successor is told by vfio_client_succeed
 * what its predecessor has not carried out.
 */
#ifndef BULKHEAD_VMM_PLATFORM_VFIO_CLIENT_H
#define BULKHEAD_VMM_PLATFORM_VFIO_CLIENT_H

#include "lib/vfio_user/vfio_user.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VFIO_CLIENT_POST_MAX 16			   /* writes that wait here to go together */
#define VFIO_CLIENT_OWED_MAX 64			   /* posted writes behind which no answer came */
#define VFIO_CLIENT_POST_LEN (VFU_HEADER_LEN + 17) /* bytes of one: offset, region, count, byte */

struct peer_deadline;

/* What a successor must have in common with its predecessor. */
struct vfio_shape {
	uint32_t n_regions, n_irqs;
	uint64_t region_size; /* bytes of region 0 */
	uint32_t region_flags;
	uint32_t n_sparse; /* of region 0: what may be read from the page */
	struct vfu_sparse sparse[VFU_MAX_SPARSE];
	bool has_done;
};

/* A message whose answer somebody waits for. */
struct vfio_access {
	struct vfu_msg m;
	bool answered; /* of a read, m.access.data has the bytes */
	uint8_t value; /* and this is the first */
};

struct vfio_client {
	int sock;
	uint16_t next_id;
	bool dead;
	bool has_irq; /* its device must have an interrupt */
	int irq_fd;   /* of vfio_client_set_irq, -1: none */
	struct vfio_shape shape;
	const uint8_t *page; /* the first page_len bytes of region 0, NULL: not shared */
	size_t page_len;

	/* Sent or to be sent, and not known to be carried out: posted writes, then one access. */
	uint16_t owed_id; /* of the first posted write; their ids have no gaps */
	unsigned int n_owed, n_sent;
	uint8_t owed[VFIO_CLIENT_OWED_MAX * VFIO_CLIENT_POST_LEN];
	struct vfio_access *cut; /* its answer did not come; the caller's, or reset */
	struct vfio_access reset;
	struct peer_deadline *whole; /* of several exchanges, or NULL */
};

/*
 * Handshake on a connected stream socket, owned from now on: VERSION, DEVICE_GET_INFO, region 0 of
 * at least min_size bytes, interrupt 0 where one is wanted. On failure the socket is closed and *ret_why says what the
 * server did wrong.
 */
[[nodiscard]] int vfio_client_open(struct vfio_client *c, int sock, uint64_t min_size, bool has_irq,
				   const char **ret_why);
/* Unmaps and closes. */
void vfio_client_close(struct vfio_client *c);

/* Whether a successor can go on where this one was cut off. */
[[nodiscard]] bool vfio_client_can_succeed(const struct vfio_client *c);
/*
 * The server was cut off, and sock, owned from now on, leads to its successor: handshake, the same
 * shape, interrupt; then what its predecessor has not carried out, in order and with the same ids. The
 * access that was cut off is answered. -EPIPE: this one is gone, too, and the next can be told. On
 * failure *ret_why says what it did wrong.
 */
[[nodiscard]] int vfio_client_succeed(struct vfio_client *c, int sock, const char **ret_why);

/* The server signals interrupt 0 by this eventfd, which stays the caller's. */
[[nodiscard]] int vfio_client_set_irq(struct vfio_client *c, int eventfd);

/* One access of region 0, by a message and its reply: up to VFU_DATA_MAX bytes, of a register of that width or
 * of a run; written little-endian. */
struct vfio_access vfio_access_read(uint64_t offset, uint32_t len);
struct vfio_access vfio_access_write(uint64_t offset, unsigned int width, uint64_t value);
/* One byte. */
struct vfio_access vfio_access_read8(uint64_t offset);
struct vfio_access vfio_access_write8(uint64_t offset, uint8_t value);
/* After -EPIPE a successor answers it: a stays until it is answered or dropped. */
[[nodiscard]] int vfio_client_access(struct vfio_client *c, struct vfio_access *a);
/* Nobody waits for it any more, and no successor hears of it. */
void vfio_client_drop(struct vfio_client *c, const struct vfio_access *a);

/* One byte from the shared page; false: this one is not shared. */
[[nodiscard]] bool vfio_client_peek8(const struct vfio_client *c, uint64_t offset, uint8_t *ret);
/*
 * A write without an answer, and not sent at once: it goes before the next message, with
 * vfio_client_flush, or when VFIO_CLIENT_POST_MAX wait. -EPIPE where the channel was not dead before: a
 * successor gets it. -ENOSPC, with nothing done: so many are owed that an access must come first.
 */
[[nodiscard]] int vfio_client_post8(struct vfio_client *c, uint64_t offset, uint8_t value);
[[nodiscard]] unsigned int vfio_client_waiting(const struct vfio_client *c);
[[nodiscard]] int vfio_client_flush(struct vfio_client *c);
/* After -EPIPE a successor is reset before anything that comes later. */
[[nodiscard]] int vfio_client_reset(struct vfio_client *c);

#endif
