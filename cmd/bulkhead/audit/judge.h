/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel says of a machine's processes, held against what they are declared to be. */
#ifndef BULKHEAD_CMD_BULKHEAD_AUDIT_JUDGE_H
#define BULKHEAD_CMD_BULKHEAD_AUDIT_JUDGE_H

#include "cmd/bulkhead/audit/facts.h"
#include "lib/declared/declared.h"

#include <stdbool.h>

#define SUBJECT_MAX_PROCESSES 64

/* One process of what is audited. */
struct subject_process {
	struct facts facts;
	const struct declared_process *declared; /* NULL: nothing is declared of it */
	unsigned int n_weak;
};

/* A machine, or a single process of any program (name NULL). */
struct subject {
	const char *name;
	uid_t uid;	 /* whose machine */
	uint32_t cpus;	 /* 0: unknown */
	uint64_t memory; /* bytes; 0: unknown */
	bool deep;
	uint64_t own_ns[N_NAMESPACES];
	struct subject_process process[SUBJECT_MAX_PROCESSES];
	size_t n_processes;
};

enum grade {
	GRADE_WEAK, /* weaker than declared */
	GRADE_NOTE, /* as it can be here, and worth knowing */
};

struct finding {
	enum grade grade;
	const struct subject_process *process; /* NULL: of the whole machine or host */
	pid_t tid;			       /* 0: of the process */
	const char *aspect;
	char declared[96];
	char is[320];
};

struct findings {
	struct finding *list;
	size_t n;
	size_t n_weak;
	bool failed; /* no memory: the list is not whole */
};

/* Fills findings, and each process's n_weak. */
void judge(struct subject *s, struct findings *ret);
void findings_free(struct findings *f);

/* For the parts of judge: adds a finding; tid 0 is the process. */
void find(struct findings *f, enum grade grade, struct subject_process *p, pid_t tid,
	  const char *aspect, const char *declared, const char *fmt, ...)
	__attribute__((format(printf, 7, 8)));

/* judge_fds.c, judge_labels.c, judge_threads.c */
void judge_fds(const struct subject *s, struct subject_process *p, struct findings *f);
void judge_labels(const struct subject *s, struct subject_process *p, struct findings *f);
void note_labels(const struct subject *s, struct findings *f);
void judge_maps(struct subject_process *p, struct findings *f);
void judge_threads(const struct subject *s, struct subject_process *p, struct findings *f);

/* The text of a set of capabilities, as "cap_kill,cap_setuid" or "none", cut at cap. */
void caps_text(uint64_t set, char *ret, size_t cap);
/* The filter that a thread is declared to have, or NULL. */
const struct sandbox_policy *declared_policy(const struct subject_process *p,
					     const struct facts_thread *t);

#endif
