/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The relay between the user's terminal (standard input and output) and the stream socket of the
 * console, for `run` and `console`.
 *
 * It is a set of sources in the caller's loop, beside the caller's own. Both directions are bounded
 * and push back; nothing is lost: what the stream said before it ended is written out before
 * on_end is called. When the stream's other end is about to end (terminal_take_all), all that it
 * still says is taken at once, so that it need not wait for a slow reader here.
 * A standard output that nobody can read any more is found when it happens, not by the next write.
 *
 * When standard input is a terminal it is put in raw mode, with Ctrl-] as escape key (escape.h).
 * Its modes come back at terminal_close, at exit(), before the process stops by SIGTSTP (and raw
 * mode again at SIGCONT), and before it dies by any signal that it does not handle itself. Signals
 * that the caller blocks, for a signalfd, or handles are left to the caller. Typed bytes that the
 * guest leaves unread for too long are dropped, so that the escape key always works. When standard
 * input is no terminal, its bytes pass as they are and wait; its end stops input, not output.
 *
 * One terminal at a time in a process. The caller ignores SIGPIPE.
 */
#ifndef BULKHEAD_CMD_BULKHEAD_TERMINAL_H
#define BULKHEAD_CMD_BULKHEAD_TERMINAL_H

#include "cmd/bulkhead/escape.h"
#include "cmd/bulkhead/termfilter.h"
#include "lib/base/fifo.h"
#include "lib/base/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum terminal_filter {
	TERMINAL_RAW,  /* the guest's bytes as they are */
	TERMINAL_SAFE, /* through termfilter.h */
};

struct terminal;

struct terminal_ops {
	/*
	 * Ctrl-] q was typed, for the times-th time since terminal_init (from 1). 0 goes on; a
	 * negative errno stops the loop. May call loop_stop (`console` detaches that way).
	 */
	int (*on_quit)(struct terminal *t, unsigned int times);
	/*
	 * The stream has ended and all of its output is written (status 0), or the stream or
	 * standard output failed (negative errno). The stream is closed; terminal_attach may give
	 * another. As on_quit.
	 */
	int (*on_end)(struct terminal *t, int status);
};

#define TERMINAL_IN_CAP 4096	       /* bytes typed and not yet taken by the stream */
#define TERMINAL_OUT_CAP (1024 * 1024) /* bytes of output not yet taken by standard output */
/* The same once all is taken: more than dev-console's ring and the stream's socket hold as well. */
#define TERMINAL_LAST_CAP (1536 * 1024)
#define TERMINAL_CHUNK 4096 /* bytes moved at a time */

struct terminal {
	void *owner; /* the caller's */
	/* private to terminal.c from here on */
	struct loop *loop; /* NULL when closed */
	const struct terminal_ops *ops;
	const char *help;
	enum terminal_filter filter;
	bool in_is_tty;
	bool out_is_tty;
	bool in_eof;
	bool take_all;		    /* out may be filled to TERMINAL_LAST_CAP */
	bool in_always, out_always; /* a regular file: epoll has nothing to say of it */
	bool out_is_ours; /* out is our own, non-blocking description of standard output */
	bool out_is_socket;
	int out_status; /* negative errno once standard output has failed */
	int in_fd, out_fd;
	int stream; /* owned; -1 when there is none */
	bool stream_eof;
	int stream_status; /* why it ended: 0 or a negative errno */
	unsigned int quits;
	struct loop_source in_src, out_src, stream_src;
	struct escape escape;
	struct termfilter termfilter;
	struct fifo in, out;
	uint8_t in_buf[TERMINAL_IN_CAP];
	uint8_t out_buf[TERMINAL_LAST_CAP];
};

struct terminal_config {
	int stream; /* taken over at success; -1: none yet */
	enum terminal_filter filter;
	const struct terminal_ops *ops;
	const char *help; /* for Ctrl-] ?, lines ended by \n */
	void *owner;
};

/* TERMINAL_RAW when standard output is a regular file or /dev/null, TERMINAL_SAFE else: a pipe or
 * socket may lead to a terminal. */
[[nodiscard]] enum terminal_filter terminal_default_filter(void);
/* Enters raw mode and adds its sources to l. 0, or a negative errno with nothing changed. */
[[nodiscard]] int terminal_init(struct terminal *t, struct loop *l,
				const struct terminal_config *config);
/* Takes stream over as the new stream, at success; an older one is closed, what was read of it
 * stays queued. */
[[nodiscard]] int terminal_attach(struct terminal *t, int stream);
/* The stream is about to end, and what it still says is bounded: takes it as it comes. */
void terminal_take_all(struct terminal *t);
/*
 * Outside of the loop, for a VM that has ended: moves what the stream still says to standard output
 * until the stream ends or nothing has moved for idle_ms (-1: for ever). The user's terminal is as it
 * was before. 0, or -ETIMEDOUT, or -EINTR when stop_fd (-1: none) has something to read, or as
 * on_end's status.
 */
[[nodiscard]] int terminal_drain(struct terminal *t, int idle_ms, int stop_fd);
/* Forgets the output that is queued; returns how many bytes that was. */
size_t terminal_drop(struct terminal *t);
/* Writes out what is queued (waiting at most a second for a terminal that takes nothing), resets
 * attributes and modes, removes the sources, closes the stream. Harmless when done twice. */
void terminal_close(struct terminal *t);

#endif
