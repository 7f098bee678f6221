/* SPDX-License-Identifier: Apache-2.0 */
/* Children of the supervisor that are copies of it. */
#ifndef BULKHEAD_SUPERVISOR_CHILD_H
#define BULKHEAD_SUPERVISOR_CHILD_H

#include <sys/types.h>

/* As fork; in the parent with the child's pidfd. */
pid_t child_fork(int *ret_pidfd);

#endif
