/* SPDX-License-Identifier: Apache-2.0 */
/* What an audit found, for people and for machines. */
#ifndef BULKHEAD_CMD_BULKHEAD_AUDIT_SHOW_H
#define BULKHEAD_CMD_BULKHEAD_AUDIT_SHOW_H

#include "cmd/bulkhead/audit/judge.h"

/* A table, on standard output, 80 columns. */
void show_table(const struct subject *s, const struct findings *f);
/* The table of --deep; after show_table. */
void show_surfaces(const struct subject *s);

/* JSON. show_json adds one subject to what show_json_end prints. 0 or -ENOMEM. */
struct json_t;
[[nodiscard]] struct json_t *json_begin(void);
[[nodiscard]] int json_add(struct json_t *all, const struct subject *s, const struct findings *f);
[[nodiscard]] int json_end(struct json_t *all);

/* Shared: the calls of a thread, counted. */
struct surface_counts {
	unsigned int calls; /* of x86-64 that have a name */
	unsigned int unnamed;
	unsigned int paths, processes, addresses, opens, code;
	unsigned int x32, i386;
};

void count_surface(const struct facts_surface *s, struct surface_counts *ret);
/* "vCPU" for a declared thread of the vmm, else the thread's own name. */
const char *thread_role(const struct subject_process *p, const struct facts_thread *t);
/* A call with what its arguments must be, as "fcntl(#1=1|3)", cut at cap. */
void call_text(const struct facts_call *c, char *ret, size_t cap);
/* "namespaces", … for one bit of enum facts_unseen. */
const char *unseen_text(unsigned int bit);
/* What any of the processes did not show. */
unsigned int all_unseen(const struct subject *s);

#endif
