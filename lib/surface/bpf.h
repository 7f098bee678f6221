/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classic BPF as seccomp(2) runs it: which programs the kernel takes, and what they answer. Programs
 * come out of other processes and are HOSTILE: nothing runs that bpf_check has not passed.
 *
 * A run can say what it looked at, so that a caller can find out which arguments matter: for each
 * comparison with something that was read from an argument, the constant and, where bits were cut
 * out first, the mask.
 */
#ifndef BULKHEAD_SURFACE_BPF_H
#define BULKHEAD_SURFACE_BPF_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BPF_PROGRAM_MAX 4096 /* instructions: the kernel's own limit */

/* The 32-bit words of struct seccomp_data. */
#define BPF_WORD_NR 0
#define BPF_WORD_ARCH 1
#define BPF_WORD_ARGS 4 /* low and high half of each of six arguments */
#define BPF_N_WORDS 16

struct bpf_program {
	const struct sock_filter *code;
	size_t n;
};

/* A word was compared: (word & mask) against value. */
struct bpf_test {
	unsigned int word;
	uint32_t mask;
	uint32_t value;
	bool bits;    /* value is a set of bits that were looked at, not a number */
	bool inexact; /* arithmetic came between: value says little of the word */
};

/* Takes what a run looked at. May be called several times with the same. */
typedef void (*bpf_test_fn)(void *owner, const struct bpf_test *t);

/* Whether the kernel would take the program: instructions, offsets, forward jumps, an end. */
[[nodiscard]] bool bpf_check(const struct bpf_program *p);
/*
 * What a checked program answers. test may be NULL. Ends within p->n steps, since jumps go forward.
 */
[[nodiscard]] uint32_t bpf_run(const struct bpf_program *p, const struct seccomp_data *d,
			       bpf_test_fn test, void *owner);

#endif
