/* SPDX-License-Identifier: Apache-2.0 */
/* The filters of live threads, read back from the kernel, and what they let through. */
#ifndef BULKHEAD_CMD_BULKHEAD_AUDIT_DEEP_H
#define BULKHEAD_CMD_BULKHEAD_AUDIT_DEEP_H

#include "cmd/bulkhead/audit/facts.h"
#include "cmd/bulkhead/audit/judge.h"

/*
 * Stops each thread of the process for a moment, one after the other, reads its filters, lets it
 * go on, and works out its surface. Should this command die meanwhile, the kernel lets it go on.
 * Needs CAP_SYS_ADMIN: without, and where the kernel gives no filters back, UNSEEN_FILTERS. 0 or a
 * negative errno.
 */
[[nodiscard]] int deep_read(struct facts *f);
/* The filters that a process's thread is declared to have. 0 or a negative errno. */
[[nodiscard]] int deep_declared(const struct subject_process *p,
				const struct sandbox_policy *policy, struct surface_filters *ret);
void deep_filters_free(struct surface_filters *f);
/* The name of a call of a table, or its number, cut at cap. */
void deep_call_name(enum surface_table table, uint32_t nr, char *ret, size_t cap);

#endif
