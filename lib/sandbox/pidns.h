/* SPDX-License-Identifier: Apache-2.0 */
/* A namespace of process ids for what is not jailed, so that it ends with its first process, whatever it does. */
#ifndef BULKHEAD_SANDBOX_PIDNS_H
#define BULKHEAD_SANDBOX_PIDNS_H

/*
 * The children of the calling process, which has one thread, are in a namespace of process ids of their own, and the first is
 * its init: when that ends, however, the kernel kills all others in it. Whoever is not root gets a user namespace, too, with
 * their own two ids. proc_fd is /proc. 0 or a negative errno.
 */
[[nodiscard]] int pidns_enter(int proc_fd);

#endif
