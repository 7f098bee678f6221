/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a user's running VMs are met. A supervisor listens in two places:
 *
 *  - in a directory that nobody else may enter, so that nobody else can take a name there or hold one
 *    up: $XDG_RUNTIME_DIR/bulkhead, else /run/user/UID/bulkhead, root's /run/bulkhead. Where there is
 *    none of these, in the other place alone. A socket that nobody listens on any more (its VM has
 *    ended) goes when the next VM starts, or when somebody looks for it;
 *  - by an abstract name of its network namespace, bulkhead/UID/NAME, which no file is left of and which
 *    outlives the directory of a user who logs out. Anybody on the host can take that, so that a VM which
 *    does not get it takes bulkhead/UID/NAME#RANDOM.
 *
 * In either, who listens is looked at: what is not this user's is no VM. Nothing here waits for anybody:
 * connections are made without blocking, and names whose queue of connections is full are tried again
 * all together, so many times.
 */
#ifndef BULKHEAD_NAMES_NAMES_H
#define BULKHEAD_NAMES_NAMES_H

#include <stdbool.h>
#include <sys/types.h>

#define NAMES_MAX 64 /* bytes of a name; letters, digits, '.', '_' and '-', not '.' first */
#define NAMES_PLACES 2
#define NAMES_WORD_MAX 16 /* bytes of a word beside a name, with its NUL */

struct names {
	uid_t uid;
	int dir; /* or -1: there is none */
};

/* Of those letters and that many. */
[[nodiscard]] bool name_is_right(const char *name);

#define NAMES_NONE ((struct names){ .dir = -1 })

/* The names of a user's VMs. runtime is $XDG_RUNTIME_DIR, or NULL. make: the directory, if it can be. */
void names_open(uid_t uid, const char *runtime, bool make, struct names *ret);
void names_close(struct names *n);

/*
 * Takes a name for the calling process, which is this user's: ret are sockets that listen, -1 behind the
 * last. 0; -EADDRINUSE when another VM of the user has it; or a negative errno.
 */
[[nodiscard]] int names_listen(const struct names *n, const char *name, int ret[NAMES_PLACES]);

/*
 * In the directory, a socket of a name, '+' and a word, which is no VM's name: to listen on; connected, non-blocking. type:
 * SOCK_STREAM or SOCK_SEQPACKET. -ENOENT: there is no directory, or no such socket; -ECONNREFUSED: nobody listens on it any
 * more; -EADDRINUSE: somebody does; -EACCES: it is another user's.
 */
[[nodiscard]] int names_listen_beside(const struct names *n, const char *name, const char *word,
				      int type);
[[nodiscard]] int names_connect_beside(const struct names *n, const char *name, const char *word,
				       int type);
/* Its path, by which others find it. -ENOENT as above, or -ENAMETOOLONG. */
[[nodiscard]] int names_path_beside(const struct names *n, const char *name, const char *word,
				    char *out, size_t cap);

/*
 * Calls fn once for each VM that listens, or for the one of that name when only is not NULL: with a
 * connected socket, non-blocking, which is fn's; or with -EAGAIN when there is a name whose listener,
 * who may be anybody, takes no more connections. 0 or a negative errno.
 */
typedef void (*names_fn)(const char *name, int sock, void *owner);
[[nodiscard]] int names_each(const struct names *n, const char *only, names_fn fn, void *owner);
/* A connected socket, non-blocking, -ENOENT, -EAGAIN as above, or another negative errno. */
[[nodiscard]] int names_connect(const struct names *n, const char *name);

#endif
