/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one stream that both consoles talk to: a socket that comes, goes and is replaced.
 *
 * Output waits in a ring. While a peer takes it, a full ring takes no more, and its last
 * STREAM_RESERVE bytes are for who cannot wait (the 16550's posted writes that are on their way
 * when it says "not ready"). While none is attached, the ring is the scrollback: its oldest bytes
 * make way beyond STREAM_SCROLLBACK, and the next peer gets what is there.
 * A peer that takes nothing holds the guest no longer than `hold` periods of stream_tick: then the
 * ring is the scrollback too, until the peer takes something again; what makes way is counted.
 * Input waits in a ring as well; while that is full nothing is read, and the peer feels it. What a
 * peer said before it went is still read.
 */
#ifndef BULKHEAD_CMD_DEV_CONSOLE_STREAM_H
#define BULKHEAD_CMD_DEV_CONSOLE_STREAM_H

#include "lib/base/fifo.h"
#include "lib/base/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STREAM_SCROLLBACK 65536U /* bytes */
#define STREAM_RESERVE 32768U    /* bytes; more than a socket's worth of one-byte messages */
#define STREAM_OUT_CAP (STREAM_SCROLLBACK + STREAM_RESERVE)
#define STREAM_IN_CAP 4096 /* bytes */
/* What is sent at a time. A peer's socket has room again when one of these was read as a whole. */
#define STREAM_SEND_MAX 8192U

struct stream {
	struct loop *loop;
	void (*on_event)(void *owner); /* something moved: room, input, or a peer came or went */
	void *owner;
	struct loop_source src;
	int fd;	       /* owned; -1 when there is none */
	bool attached; /* there is a peer that takes output */
	bool in_ended; /* the peer says no more */
	bool wanted;   /* the owner has output that waits for room: call on_event when there is */
	bool stalled;  /* the peer has taken nothing for too long */
	uint64_t hold;	  /* periods without progress that make it so */
	uint64_t quiet;	  /* periods since something was taken, while the ring is full */
	uint64_t dropped; /* bytes that no peer will see; the owner says so and sets it to 0 */
	struct fifo out;
	struct fifo in;
	uint8_t out_buf[STREAM_OUT_CAP];
	uint8_t in_buf[STREAM_IN_CAP];
};

/* hold as it is said above, more than 0. */
void stream_init(struct stream *s, struct loop *l, uint64_t hold, void (*on_event)(void *owner),
		 void *owner);
void stream_close(struct stream *s);
/* Serves fd from now on and owns it at success; an older peer is let go. */
[[nodiscard]] int stream_attach(struct stream *s, int fd);

/* How many bytes stream_put takes, of those that keep clear of the reserve. No end while detached or
 * stalled. */
[[nodiscard]] size_t stream_room(const struct stream *s);
/* Takes at most len bytes, the reserve included, and returns how many. */
[[nodiscard]] size_t stream_put(struct stream *s, const void *data, size_t len);
/* Gives at most len bytes of input. */
[[nodiscard]] size_t stream_get(struct stream *s, void *data, size_t len);
static inline size_t stream_pending(const struct stream *s)
{
	return fifo_used(&s->in);
}

/* Receives what there is and fits. */
void stream_receive(struct stream *s);
/* After a run of the calls above: sends what it can at once and waits for the rest. 0, or the error
 * of epoll. Does not call on_event. */
[[nodiscard]] int stream_settle(struct stream *s);
/* Whether the peer holds the guest up, so that stream_tick is to be called. */
[[nodiscard]] bool stream_holds(const struct stream *s);
/* So many periods have passed while it did. Whether the peer counts as stalled from now on. */
[[nodiscard]] bool stream_tick(struct stream *s, uint64_t periods);
/* Outside of the loop: sends all output, unless the peer goes or takes nothing for idle_ms. */
void stream_finish(struct stream *s, int idle_ms);

#endif
