/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is at the other end of a socket. In a user namespace every id that is not mapped reads as one
 * and the same (/proc/sys/kernel/overflowuid, nobody's as a rule, 65535 at most): a comparison with
 * that number says nothing of who it is.
 */
#ifndef BULKHEAD_SANDBOX_PEER_H
#define BULKHEAD_SANDBOX_PEER_H

#include <stdbool.h>
#include <sys/types.h>

/* Whether the id, as this process sees ids, may stand for any number of users. Above 65535: never,
 * and nothing is opened then, so that a confined process may ask. */
[[nodiscard]] bool peer_uid_is_ambiguous(uid_t uid);
/* Whether this user, and surely this one, connected the socket or listens at its other end. */
[[nodiscard]] bool peer_is(int sock, uid_t uid);
/* The process that did, for people to read; 0: it is not to be seen from here. */
[[nodiscard]] pid_t peer_pid(int sock);

#endif
