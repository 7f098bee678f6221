/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The link: a stream socket on which every Ethernet frame stands behind its length, 4 bytes, the most
 * significant first (as QEMU's `-netdev stream` and passt's `--fd` have it).
 *
 * Both directions have a ring of LINK_CAP bytes. Frames to the peer that find no room wait in the
 * guest's queue; from the peer nothing is read while there is no room, and the peer feels it. Once the
 * peer has gone, frames to it are dropped, as by a cable that is pulled.
 *
 * The rings and all positions are in a page that outlives the process, and the page is right at every
 * instant: a frame counts from the one store that ends it, and sendmmsg and recvmmsg write how much
 * they moved into the page before they return. So no kill makes a frame that the peer or the guest
 * cannot tell from the next one. What may happen is that a frame goes twice.
 *
 * HOSTILE: the peer; and the page, whose last process may have been taken over. Each number is read
 * once and checked, and all that it can do is what a guest can do with frames of its own.
 */
#ifndef BULKHEAD_NETKIT_LINK_H
#define BULKHEAD_NETKIT_LINK_H

#include "lib/base/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define LINK_CAP (256U << 10) /* bytes of a ring; positions are taken modulo it */
#define LINK_LENGTH 4U	      /* bytes of a frame's length */
#define LINK_FRAME_MIN 14U    /* an Ethernet header */
#define LINK_FRAME_MAX 65553U /* the largest MTU, a header and a VLAN tag; more breaks the stream */
#define LINK_MOVE_MAX (64U << 10) /* bytes of one call */

/* A call that moves bytes from position `from` on; msg.msg_len, which the kernel writes, is how many it
 * has moved, and counts for as long as nobody has moved on from there. */
struct link_move {
	_Atomic uint64_t from;
	struct mmsghdr msg;
};

/* Positions count all bytes since the VM's start; all zero: nothing has been moved yet. */
struct link_page {
	_Atomic uint64_t out_head, out_tail; /* sent before, put before */
	_Atomic uint64_t in_head, in_tail;   /* taken before, received before */
	_Atomic uint64_t
		broken; /* not 0: the peer has sent what is no frame, and is heard no more */
	struct link_move sent, received;
	uint8_t out[LINK_CAP];
	uint8_t in[LINK_CAP];
};

/* Memory as at most two pieces. */
struct link_bytes {
	uint8_t *at[2];
	size_t len[2];
};

struct link {
	struct loop *loop;
	struct loop_source src;
	int fd;	      /* -1: there is no peer any more */
	bool waiting; /* a frame to the peer has found no room */
	struct link_page *page;
	/* frames have come, or there is room for a frame that waited, or the peer has gone */
	void (*on_event)(void *owner);
	void *owner;
};

/*
 * Before the sandbox: maps the file that fd is, of at least that size and sealed against shrinking. 0;
 * -EINVAL for a file that is not so, or the error of fstat or mmap.
 */
[[nodiscard]] int link_page_map(int fd, struct link_page **ret);
/* Serves the stream fd, which it owns, from where the page says. 0; -EBADMSG: its positions cannot be;
 * or the error of epoll. */
[[nodiscard]] int link_open(struct link *l, struct link_page *page, struct loop *loop, int fd,
			    void (*on_event)(void *owner), void *owner);
void link_close(struct link *l);
static inline bool link_is_up(const struct link *l)
{
	return l->fd >= 0;
}

/* Room for a frame of len bytes. False, and on_event follows once there is some: not now. */
[[nodiscard]] bool link_claim(struct link *l, size_t len, struct link_bytes *ret);
/* What link_claim gave last, for as many bytes, is filled: it goes to the peer. */
void link_commit(struct link *l, size_t len);
/* The oldest frame that came. 1; 0: none is there as a whole; -EBADMSG: the stream is broken, and the
 * link is down from now on. */
[[nodiscard]] int link_peek(struct link *l, struct link_bytes *ret);
/* Drops it: len bytes. */
void link_skip(struct link *l, size_t len);
/* No room is left for what comes. */
[[nodiscard]] bool link_is_full(const struct link *l);
static inline size_t link_bytes_len(const struct link_bytes *b)
{
	return b->len[0] + b->len[1];
}
/* After a run of the calls above: moves what can be moved now, and waits for the rest. 0, or the error of
 * epoll. Does not call on_event. */
[[nodiscard]] int link_settle(struct link *l);

#endif
