/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device of registers as a vfio-user server for one client, in a loop. The request table in
 * vfu_server.c is the policy (command x legal states, descriptors, whether it may be posted ->
 * handler), vfu_io.c moves the bytes. A device gives a struct vfu_spec and struct vfu_ops and sees
 * register accesses; it never sees a message.
 *
 * Hostile: the client and, through it, the guest.
 *   The client's protocol error (malformed, out of order, descriptors that do not belong, replies
 *     that it lets pile up) ends the loop with a negative errno, `why` says in words.
 *   A proper request for what there is not (a region, a range, an interrupt, a command of a newer
 *     version) gets an error reply. GET_REGION_IO_FDS says that there are none.
 *   The client going away ends the loop with 0.
 *   An access of a width that the region does not take floats, as on a bus where nobody
 *     answers: reads give 0xff bytes, writes are ignored.
 *
 * Never waits for the client: half a message stays in a bounded buffer, a reply that the socket
 * does not take at once is the client's error. One pass handles at most VFU_RX_CAP bytes.
 */
#ifndef BULKHEAD_DEVKIT_VFU_SERVER_H
#define BULKHEAD_DEVKIT_VFU_SERVER_H

#include "lib/base/fd.h"
#include "lib/base/loop.h"
#include "lib/vfio_user/vfio_user.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VFU_MAX_IRQS 4
#define VFU_RX_CAP 4096 /* bytes received and not yet handled */

/* The client can map read-only what page_fd holds: each area is read there without a message. */
struct vfu_region {
	uint64_t size;	   /* bytes; 0: there is no such region */
	uint8_t widths;	   /* accesses that it takes, by their bytes or-ed: 1, 2, 4, 8 */
	int page_fd;	   /* as vfu_page_create gave it, of this size; -1: nothing is mapped */
	uint32_t n_sparse; /* at least 1 with a page_fd */
	struct vfu_sparse sparse[VFU_MAX_SPARSE];
};

struct vfu_spec {
	const struct vfu_region *regions;
	uint32_t n_regions;
	uint32_t n_irqs; /* indices, each with one interrupt; at most VFU_MAX_IRQS */
};

struct vfu_ops {
	/* width is one of the region's and offset + width lies within it; little-endian. */
	uint64_t (*read)(void *owner, uint32_t region, uint64_t offset, unsigned int width);
	void (*write)(void *owner, uint32_t region, uint64_t offset, unsigned int width,
		      uint64_t value);
	/* A read of any length up to VFU_DATA_MAX within the region, before `read` is asked: true when it is one
	 * of a run of bytes, and data has them. May be NULL. */
	bool (*read_run)(void *owner, uint32_t region, uint64_t offset, uint8_t *data,
			 uint32_t len);
	void (*reset)(void *owner);
	/* After every pass over what had arrived: where to raise interrupts, once for many posted
	 * writes. May be NULL. */
	void (*settle)(void *owner);
};

enum vfu_state {
	VFU_STATE_START = 1 << 0, /* VERSION comes first */
	VFU_STATE_SERVE = 1 << 1,
};

struct vfu_server {
	const struct vfu_spec *spec;
	const struct vfu_ops *ops;
	void *owner;
	struct loop *loop;
	struct loop_source channel; /* fd -1 once the client is gone */
	int sock;
	enum vfu_state state;
	uint16_t id;	      /* of the message whose access ops is called for */
	const char *why;      /* what the client did wrong, or NULL */
	const char **ret_why; /* also told here: a process's why; NULL after open */
	int irq_fd[VFU_MAX_IRQS];
	int fds[2 * MSG_MAX_FDS]; /* of the last message in rx */
	size_t n_fds;
	size_t rx_len;
	uint8_t rx[VFU_RX_CAP];
};

/*
 * Before the sandbox: takes the connected socket over and joins the loop. spec and ops must outlive
 * it. 0, -EINVAL for a spec that cannot be, or the error of epoll; then sock is the caller's still.
 */
[[nodiscard]] int vfu_server_open(struct vfu_server *s, const struct vfu_spec *spec,
				  const struct vfu_ops *ops, void *owner, struct loop *loop,
				  int sock);
/* Closes every descriptor. */
void vfu_server_close(struct vfu_server *s);
/*
 * Handles what has arrived, without waiting: the source's callback, and for what a client posted
 * before it went. 1 when something was handled, 0 when the client is gone, -EAGAIN when there is
 * nothing, or the negative errno of the client's error.
 */
[[nodiscard]] int vfu_server_pass(struct vfu_server *s);
/* Whether the client has set an eventfd for the interrupt; then signals it. */
[[nodiscard]] bool vfu_server_has_irq(const struct vfu_server *s, uint32_t index);
void vfu_server_irq(struct vfu_server *s, uint32_t index);

/*
 * Before the sandbox: a page for a region's sparse areas. *ret_page is writable here; nobody who
 * gets *ret_fd can resize it or map it writable. size is a multiple of 4096.
 */
[[nodiscard]] int vfu_page_create(const char *name, size_t size, int *ret_fd, uint8_t **ret_page);

#endif
