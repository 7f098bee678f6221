/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a set of seccomp filters lets through: each call number of each call table with every
 * argument value that the filters can tell apart. The values are found by running: each constant
 * that a filter compares an argument with gives that constant, its neighbours, and what masks leave
 * of it, until nothing new is compared. The filters are HOSTILE: all work is bounded.
 */
#ifndef BULKHEAD_SURFACE_SURFACE_H
#define BULKHEAD_SURFACE_SURFACE_H

#include "lib/surface/bpf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SURFACE_MAX_FILTERS 64
#define SURFACE_MAX_VALUES 192		      /* of one 32-bit word that are told apart */
#define SURFACE_MAX_RUNS (UINT64_C(1) << 16)  /* of all filters, for one call */
#define SURFACE_MAX_STEPS (UINT64_C(1) << 22) /* and instructions in these */

/* The filters of one thread, all of which are asked; the most severe answer counts. */
struct surface_filters {
	struct bpf_program program[SURFACE_MAX_FILTERS];
	size_t n;
};

/* The tables of calls that an x86-64 kernel may answer to. x32's numbers have bit 30 set. */
enum surface_table { SURFACE_X86_64, SURFACE_X32, SURFACE_I386, SURFACE_N_TABLES };

#define SURFACE_NUMBERS 1024U /* of each table; no kernel has as many calls */

enum surface_verdict {
	SURFACE_NEVER,	   /* no argument values pass */
	SURFACE_SOMETIMES, /* some do */
	SURFACE_ALWAYS,	   /* all do */
};

/* What an argument must be for the call to pass, as far as it is one of these. */
struct surface_arg {
	uint64_t value[24]; /* that pass */
	size_t n_values;    /* neighbours and the like do not count */
	bool more;	    /* and there are more than fit */
	uint32_t no_bits;   /* bits of the low half that must not be set */
	bool matters;
	bool others; /* values pass that no filter names */
};

struct surface_call {
	enum surface_verdict verdict;
	bool asks;    /* another process decides (tracer, notification) for some values */
	bool bounded; /* there were more combinations than the bounds: not all were tried */
	struct surface_arg arg[6];
};

/* A point where two sets of filters differ. */
struct surface_point {
	uint32_t nr;
	uint64_t args[6];
};

/* Whether all filters of the set may be run. */
[[nodiscard]] bool surface_check(const struct surface_filters *f);
/* The action (SECCOMP_RET_…, with its data) for one call. No filter: it is allowed. */
[[nodiscard]] uint32_t surface_action(const struct surface_filters *f,
				      const struct seccomp_data *d);
/* Whether the kernel carries the call out: allowed, or allowed and logged. */
[[nodiscard]] bool surface_passes(uint32_t action);
/* What a call of a table can do. nr counts from 0 in each table. */
void surface_call(const struct surface_filters *f, enum surface_table table, uint32_t nr,
		  struct surface_call *ret);
/*
 * Looks for argument values with which a call passes f but not the declared filters. True with *ret
 * (may be NULL) one of them.
 */
[[nodiscard]] bool surface_exceeds(const struct surface_filters *f,
				   const struct surface_filters *declared, enum surface_table table,
				   uint32_t nr, struct surface_point *ret);

#endif
