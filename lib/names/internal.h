/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of lib/names share. */
#ifndef BULKHEAD_NAMES_INTERNAL_H
#define BULKHEAD_NAMES_INTERNAL_H

#include "lib/names/names.h"

#include <sys/socket.h>
#include <sys/un.h>

struct names_address {
	struct sockaddr_un sa;
	socklen_t len;
};

/* A connected socket, -EACCES when somebody else listens, or connect's errno: -EAGAIN when the queue of
 * connections is full, -ECONNREFUSED when nobody listens. */
[[nodiscard]] int address_connect(const struct names_address *a, uid_t uid);
/* A socket that listens there. */
[[nodiscard]] int address_listen(const struct names_address *a);
/* The same of a type: SOCK_STREAM. */
[[nodiscard]] int address_connect_as(const struct names_address *a, uid_t uid, int type);
[[nodiscard]] int address_listen_as(const struct names_address *a, int type);

/* dir.c */
[[nodiscard]] int dir_open(uid_t uid, const char *runtime, bool make);
struct names_address dir_address(int dir, const char *name);
[[nodiscard]] int dir_listen(const struct names *n, const char *name);
/* All names in it; it may have others when this returns. */
void dir_each(const struct names *n,
	      void (*fn)(const struct names *n, const char *name, void *owner), void *owner);
/* Removes the socket if nobody listens on it. */
void dir_remove_stale(const struct names *n, const char *name);

/* line.c */
#define NAMES_REST_MAX 17

struct names_found {
	char name[NAMES_MAX + 1];
	char rest[NAMES_REST_MAX + 1]; /* "" or "#RANDOM" */
};

/* Whether a line of /proc/net/unix is of a socket that listens, by a name of this user's VMs. */
[[nodiscard]] bool line_decode(const char *line, uid_t uid, struct names_found *ret);

#endif
