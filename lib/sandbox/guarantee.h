/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Bulkhead guarantees a VM's host, what of the host gives it, and what is left without it: one
 * table for the supervisor, which says or refuses, and for whatever explains or audits.
 */
#ifndef BULKHEAD_SANDBOX_GUARANTEE_H
#define BULKHEAD_SANDBOX_GUARANTEE_H

#include "lib/sandbox/cgroup.h"

#include <stddef.h>

enum guarantee {
	GUARANTEE_NAMESPACES,
	GUARANTEE_FILTER,
	GUARANTEE_IDS,
	GUARANTEE_PATHS,
	GUARANTEE_MEMORY,
	GUARANTEE_TASKS,
	GUARANTEE_PORTS,
	GUARANTEE_SCOPES,
	GUARANTEE_CORES,
	GUARANTEE_LABELS,
	GUARANTEE_KVM,
	N_GUARANTEES
};

enum guarantee_need {
	NEED_ALWAYS, /* no VM starts without it */
	NEED_STRICT, /* said at start; refused with --strict */
	NEED_FURTHER, /* another wall stands there too, or no Debian kernel has it: said with --strict
			 and --verbose */
};

struct guarantee_row {
	const char *name;
	const char *promise;
	const char *given_by;
	const char *without;
	enum guarantee_need need;
};

extern const struct guarantee_row guarantees[N_GUARANTEES];

/* For each guarantee NULL, or in a few words why this host does not give it. */
struct guarantee_report {
	const char *missing[N_GUARANTEES];
};

/*
 * What this host gives to a VM that the calling process would start. place is cgroup_find's, or
 * NULL with why_no_place its reason; why_no_ids is that of jail_ids_take (ids.h), "" where a VM has ids
 * of its own. What is needed always is not looked at: starting fails without
 * it; nor is KVM, which is kvm_host_lacks' (lib/kvm/host.h). Changes nothing.
 */
void guarantees_look(const struct cgroup_place *place, const char *why_no_place,
		     const char *why_no_ids, struct guarantee_report *ret);

/* Writes "NAME (WHY), NAME, NAME (WHY)" for what is missing of the given need, a reason behind all
 * that share it. Returns how many; text is empty when none. */
size_t guarantees_say(const struct guarantee_report *r, enum guarantee_need need, char *text,
		      size_t cap);
/* The same without the reasons. */
size_t guarantees_name(const struct guarantee_report *r, enum guarantee_need need, char *text,
		       size_t cap);

#endif
