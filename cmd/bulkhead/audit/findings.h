/* SPDX-License-Identifier: Apache-2.0 */
/* What is audited, and what an audit finds of it. */
#ifndef BULKHEAD_CMD_BULKHEAD_AUDIT_FINDINGS_H
#define BULKHEAD_CMD_BULKHEAD_AUDIT_FINDINGS_H

#include "cmd/bulkhead/audit/facts.h"
#include "lib/declared/declared.h"

#include <stdbool.h>

#define SUBJECT_MAX_PROCESSES 160
#define SUBJECT_MAX_NETWORK 32

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
	struct facts
		network[SUBJECT_MAX_NETWORK]; /* who has other ends of its links; not of the machine */
	size_t n_network;
	unsigned int channels; /* that the vmm has to the machine's devices, one or two to each */
	unsigned int dialers;  /* channels to it that its clients have, and the launcher */
	unsigned int foreign;  /* and to programs that are not of the machine */
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
	char is[480];
};

struct findings {
	struct finding *list;
	size_t n;
	size_t n_weak;
	bool failed; /* no memory: the list is not whole */
};

/* Adds one, and counts it where it is weak; tid 0 is the process. */
void findings_add(struct findings *f, enum grade grade, struct subject_process *p, pid_t tid,
		  const char *aspect, const char *declared, const char *fmt, ...)
	__attribute__((format(printf, 7, 8)));
void findings_free(struct findings *f);

#endif
