/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes to and from a device's process that may be HOSTILE: it may say nothing, a part, or too
 * much. Every wait has a limit, and no descriptor is taken that was not asked for: the kernel drops
 * it before it gets a number.
 */
#ifndef BULKHEAD_VMM_PLATFORM_PEER_H
#define BULKHEAD_VMM_PLATFORM_PEER_H

#include <stddef.h>
#include <time.h>

/* How long one exchange, request to reply, may take in all. */
#define PEER_PATIENCE_S 15

struct peer_deadline {
	struct timespec left;
};

static inline struct peer_deadline peer_patience(void)
{
	return (struct peer_deadline){ { .tv_sec = PEER_PATIENCE_S } };
}

/* Sends len bytes (at most 4096) with n_fds descriptors. 0; -ETIMEDOUT, -EPIPE, the error of
 * sendmsg. */
[[nodiscard]] int peer_send(int sock, const void *data, size_t len, const int *fds, size_t n_fds,
			    struct peer_deadline *d);
/* Waits until there is something to receive, or the end. 0, -ETIMEDOUT. */
[[nodiscard]] int peer_wait(int sock, struct peer_deadline *d);
/*
 * Receives exactly len bytes. A descriptor among them goes to *ret_fd, once, if ret_fd is not NULL
 * and *ret_fd is -1; any other is -EBADMSG. 0; -ETIMEDOUT; -EPIPE: the peer is gone. *ret_fd is the
 * caller's to close even on failure.
 */
[[nodiscard]] int peer_recv(int sock, void *data, size_t len, int *ret_fd, struct peer_deadline *d);
/* A line for the user: what the error of an exchange means. */
const char *peer_strerror(int error);

#endif
