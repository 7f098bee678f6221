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
 *
 * Both rings and how far they were emptied to the peer and filled from it are in a page that outlives
 * the process (page.h). No kill loses or doubles a byte: sendmmsg and recvmmsg themselves write how
 * much they moved into the page before they return, so that a successor counts it even where this
 * process never did. How far the owner has filled the one ring and emptied the other is the owner's to
 * keep: what it has put is sent only after it has (stream_settle and stream_tick come after).
 */
#ifndef BULKHEAD_CMD_DEV_CONSOLE_STREAM_H
#define BULKHEAD_CMD_DEV_CONSOLE_STREAM_H

#include "lib/base/fifo.h"
#include "lib/base/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define STREAM_SCROLLBACK 65536U /* bytes */
#define STREAM_RESERVE 32768U	 /* bytes; more than a socket's worth of one-byte messages */
#define STREAM_OUT_CAP (STREAM_SCROLLBACK + STREAM_RESERVE)
#define STREAM_IN_CAP 4096 /* bytes */
/* What is sent at a time. A peer's socket has room again when one of these was read as a whole. */
#define STREAM_SEND_MAX 8192U

/* A call that moves bytes from position `from` on; msg.msg_len, which the kernel writes, is how many it
 * has moved, and counts for as long as nobody has moved on from there. */
struct stream_move {
	_Atomic uint64_t from;
	struct mmsghdr msg;
};

/* Positions count all bytes since the VM's start. */
struct stream_page {
	_Atomic uint64_t out_head; /* sent or dropped before here */
	_Atomic uint64_t in_tail;  /* received before here */
	struct stream_move sent, received;
	uint8_t in[STREAM_IN_CAP];
	uint8_t out[STREAM_OUT_CAP];
};

struct stream {
	struct loop *loop;
	void (*on_event)(void *owner); /* something moved: room, input, or a peer came or went */
	void *owner;
	struct loop_source src;
	int fd;		/* owned; -1 when there is none */
	bool attached;	/* there is a peer that takes output */
	bool expected;	/* a predecessor had one, which comes again */
	bool in_ended;	/* the peer says no more */
	bool wanted;	/* the owner has output that waits for room: call on_event when there is */
	bool stalled;	/* the peer has taken nothing for too long */
	uint64_t hold;	/* periods without progress that make it so */
	uint64_t quiet; /* periods since something was taken, while the ring is full */
	uint64_t dropped; /* bytes that no peer will see; the owner says so and sets it to 0 */
	struct stream_page *page;
	uint64_t out_tail; /* position: put before here */
	uint64_t in_head;  /* position: got before here */
	struct fifo out;
	struct fifo in;
};

/* hold as it is said above, more than 0. The page outlives it, and is all zero or resumed next. */
void stream_init(struct stream *s, struct stream_page *page, struct loop *l, uint64_t hold,
		 void (*on_event)(void *owner), void *owner);
/*
 * Goes on where a predecessor on the same page ended, which had put and got as many bytes as said,
 * and had a peer or not. The
 * page is HOSTILE. 0, or -EBADMSG with *ret_why, the stream as stream_init left it and the page too:
 * positions that cannot be.
 */
[[nodiscard]] int stream_resume(struct stream *s, uint64_t out_tail, uint64_t in_head, bool peer,
				const char **ret_why);
/* Whether there is a peer, or there was one for a predecessor, which holds the guest up no longer than
 * another until it comes. */
[[nodiscard]] bool stream_has_peer(const struct stream *s);
void stream_close(struct stream *s);
/* Serves fd from now on and owns it at success; an older peer is let go. */
[[nodiscard]] int stream_attach(struct stream *s, int fd);

/* How many bytes stream_put takes, of those that keep clear of the reserve. No end while detached or
 * stalled. */
[[nodiscard]] size_t stream_room(const struct stream *s);
/* Takes at most len bytes, the reserve included, and returns how many. */
[[nodiscard]] size_t stream_put(struct stream *s, const void *data, size_t len);
/* The same without taking them; then takes so many. */
[[nodiscard]] size_t stream_peek(const struct stream *s, void *data, size_t len);
void stream_skip(struct stream *s, size_t len);
/* Gives at most len bytes of input. */
[[nodiscard]] size_t stream_get(struct stream *s, void *data, size_t len);
static inline size_t stream_pending(const struct stream *s)
{
	return fifo_used(&s->in);
}

/* Receives what there is and fits. */
void stream_receive(struct stream *s);
/* After a run of the calls above, which the owner has kept: sends what it can at once and waits for the rest. 0, or the error
 * of epoll. Does not call on_event. */
[[nodiscard]] int stream_settle(struct stream *s);
/* Whether the peer holds the guest up, so that stream_tick is to be called. */
[[nodiscard]] bool stream_holds(const struct stream *s);
/* So many periods have passed while it did. Whether the peer counts as stalled from now on. */
[[nodiscard]] bool stream_tick(struct stream *s, uint64_t periods);
/* Outside of the loop: sends all output, unless the peer goes or takes nothing for idle_ms. */
void stream_finish(struct stream *s, int idle_ms);

#endif
