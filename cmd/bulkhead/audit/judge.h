/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel says of a machine's processes, held against what they are declared to be. */
#ifndef BULKHEAD_CMD_BULKHEAD_AUDIT_JUDGE_H
#define BULKHEAD_CMD_BULKHEAD_AUDIT_JUDGE_H

#include "cmd/bulkhead/audit/findings.h"
#include "lib/kinds/kind.h"

/* Fills findings, and each process's n_weak. */
void judge(struct subject *s, struct findings *ret);

/* judge_fds.c, judge_labels.c, judge_network.c, judge_threads.c */
void judge_network(const struct subject *s, struct findings *f);
void judge_fds(const struct subject *s, struct subject_process *p, struct findings *f);
void judge_labels(const struct subject *s, struct subject_process *p, struct findings *f);
/* Of what is beside the machine: in that domain, with its categories; or the machine has none. */
bool judge_is_labelled(const struct subject *s, const struct facts *n, const char *domain);
void note_labels(const struct subject *s, struct findings *f);
void judge_maps(struct subject_process *p, struct findings *f);
void judge_threads(const struct subject *s, struct subject_process *p, struct findings *f);

/* Fills channels and foreign, which the others judge by. */
void count_channels(struct subject *s);

/* The text of a set of capabilities, as "cap_kill,cap_setuid" or "none", cut at cap. */
void caps_text(uint64_t set, char *ret, size_t cap);
/* The row that a thread beside the main one is of, or NULL. */
const struct declared_thread *declared_thread(const struct subject_process *p,
					      const struct facts_thread *t);
/* The filter that a thread is declared to have, or NULL. */
const struct sandbox_policy *declared_policy(const struct subject_process *p,
					     const struct facts_thread *t);

#endif
