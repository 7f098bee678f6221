/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors: the fixed table that a process is started with, and messages that carry them.
 */
#ifndef BULKHEAD_BASE_FD_H
#define BULKHEAD_BASE_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

enum fd_kind {
	FD_ANY,
	FD_SOCKET, /* connected AF_UNIX socket */
	FD_FILE,   /* regular file or block device */
	FD_STORE,  /* a file as FD_FILE, or a socket to who has it */
	FD_LINK,   /* a socket as FD_SOCKET, or a character device */
	FD_EVENT,  /* eventfd */
	FD_CHAR,   /* character device */
};

/* One row of a process's descriptor table. Rows with `optional` may be closed. */
struct fd_row {
	int fd;
	enum fd_kind kind;
	bool optional;
	const char *name; /* for messages */
};

#define FD_CONTROL 3 /* every process's control channel */

/*
 * Checks that the descriptors of the table are open and of their kind, sets FD_CLOEXEC on them,
 * and closes every other descriptor but 0, 1 and 2. 0, or -EBADF with *ret_bad (may be NULL) the
 * row that is missing or of the wrong kind.
 */
[[nodiscard]] int fds_adopt(const struct fd_row *rows, size_t n, const struct fd_row **ret_bad);

/*
 * Makes fds[i] the descriptor i, for each of n, and closes every other one. The same descriptor may stand in several places.
 * fds is used up. 0, or a negative errno, after which no number is what it was: for a process that ends then.
 */
[[nodiscard]] int fds_place(int *fds, size_t n);

/*
 * fstat by its own system call: the C library's takes the one that can name a path, which no policy
 * allows. 0 or a negative errno.
 */
[[nodiscard]] int fd_stat(int fd, struct stat *ret);
/* Whether it is a file of at least that size, and always will be: one that could shrink would raise SIGBUS at
 * any access. 0; -EINVAL: it is not; or the error of fstat. */
[[nodiscard]] int fd_check_size(int fd, uint64_t size);
/* Maps that much of it, shared, to read and write. As fd_check_size, or the error of mmap. */
[[nodiscard]] int fd_map_shared(int fd, size_t size, void **ret);

/*
 * Makes fd, when it is a pipe or a terminal open for writing, a description of its own that never
 * waits: O_NONBLOCK belongs to the description, which other processes share. Needs /proc and the
 * right to open the file once more; without, fd stays as it was. Returns whether it was done.
 */
bool fd_unshare_output(int fd);

/* Sets or clears O_NONBLOCK. */
[[nodiscard]] int fd_set_nonblock(int fd, bool on);
/* Sets O_NONBLOCK and clears every other flag that can be cleared, of which a peer may have set some
 * (O_ASYNC). The one way that filters allow. */
[[nodiscard]] int fd_only_nonblock(int fd);

/*
 * Whether a descriptor that came from a peer may be used as an eventfd; makes it non-blocking. 0, or
 * -EBADF when it is none. What can be told without a path: an eventfd is an anonymous inode, which
 * alone has no file type, so no file, pipe, socket or terminal passes. Other anonymous inodes
 * (timers, epoll sets) do, but read and write of those neither wait nor move data.
 */
[[nodiscard]] int fd_event_check(int fd);

#define MSG_MAX_FDS 8 /* more descriptors than this in one message is an error of the peer */

/*
 * Sends the pieces as one message (SOCK_SEQPACKET) or byte run (SOCK_STREAM) with n_fds
 * descriptors attached. On a stream, retries until all is sent, waiting with ppoll when the socket
 * is non-blocking. -EPIPE when the peer is gone; never raises SIGPIPE. May change iov.
 */
[[nodiscard]] int msg_send(int sock, struct iovec *iov, size_t n_iov, const int *fds, size_t n_fds);

/*
 * Receives at most len bytes and at most MSG_MAX_FDS descriptors, all close-on-exec. Returns the
 * number of bytes, 0 when the peer is gone and all that it sent was read, -EAGAIN, or -EBADMSG if
 * the message or its descriptors were cut off (descriptors already received are closed).
 * *ret_n_fds descriptors are the caller's to close.
 */
[[nodiscard]] ssize_t msg_recv(int sock, void *buf, size_t len, int fds[MSG_MAX_FDS],
			       size_t *ret_n_fds, int flags);

/*
 * Receives exactly len bytes of a stream and appends the descriptors that come with them to fds,
 * of which *n_fds are in use. Returns 1; 0 when the peer is gone and -EAGAIN when a non-blocking
 * socket has nothing, both before the first byte only and never when `midway` says that these bytes
 * continue a message. Once a message has begun its sender owes the rest: -EBADMSG when it is gone,
 * lets this call wait for more than a second in all, or sends more than MSG_MAX_FDS descriptors. Unless it returns 1, every
 * descriptor in fds is closed and *n_fds is 0.
 */
[[nodiscard]] int stream_recv(int sock, void *buf, size_t len, int fds[MSG_MAX_FDS], size_t *n_fds,
			      bool midway);

/* One sendmsg or recvmsg on a stream, which does not wait: bytes, 0 at its end, or a negative errno. */
[[nodiscard]] ssize_t stream_try(int sock, struct iovec *iov, size_t n, bool send);
/* The same: bytes; -EAGAIN; or -EPIPE: whatever else a socket says, it is of no use any more. */
[[nodiscard]] ssize_t stream_transfer(int sock, struct iovec *iov, size_t n, bool send);

/* Closes n descriptors and sets them to -1. */
void fds_close(int *fds, size_t n);

#endif
