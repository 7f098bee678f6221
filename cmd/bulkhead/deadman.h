/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A dead man's handle: what a command does to a running VM's disk ends, whatever becomes of the command, before the VM
 * waits for it no more. The kernel counts, so that it holds for a process that stands still (Ctrl-Z), too.
 */
#ifndef BULKHEAD_CMD_BULKHEAD_DEADMAN_H
#define BULKHEAD_CMD_BULKHEAD_DEADMAN_H

#define DEADMAN_S 10 /* below the supervisor's patience: SILENCE_MS in cmd/supervisor/resize.c */

/*
 * Runs fn in a child, which ends with this process, and is killed when it has not said deadman_renew for so long since
 * its first. Its result, an exit status; -ETIMEDOUT when the handle has killed it; or another negative errno, also where
 * it was ended otherwise (-EINTR).
 */
[[nodiscard]] int deadman_run(int (*fn)(void *owner), void *owner);
/* In that child. 0 or a negative errno. */
[[nodiscard]] int deadman_renew(void);
/* Nothing can be done to the disk any more. */
void deadman_release(void);
/* In a child of that one: it ends with its parent. 0 or a negative errno. */
[[nodiscard]] int deadman_bind(int parent);

#endif
