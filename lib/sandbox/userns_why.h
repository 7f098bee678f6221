/* SPDX-License-Identifier: Apache-2.0 */
/* Why a host refuses a user namespace, as far as it can be seen, and what to do about it. */
#ifndef BULKHEAD_SANDBOX_USERNS_WHY_H
#define BULKHEAD_SANDBOX_USERNS_WHY_H

#include <stdbool.h>
#include <stddef.h>

/* What there is to see. */
struct userns_facts {
	bool root;		/* this process has root's id */
	bool chrooted;		/* its root is not that of its mount namespace */
	bool filtered;		/* a seccomp filter was there before this program */
	int unprivileged;	/* kernel.unprivileged_userns_clone; -1: not in this kernel */
	int apparmor_restricts; /* kernel.apparmor_restrict_unprivileged_userns; -1: likewise */
	long most;		/* user.max_user_namespaces; -1: unknown */
};

/* Looks at this process and its host. */
void userns_look(struct userns_facts *ret);
/* The reason that the facts give for a negative errno, in words; "" when it is another kind of error. */
const char *userns_reason(const struct userns_facts *f, int error);
/* Both. */
const char *userns_why(int error);

#endif
