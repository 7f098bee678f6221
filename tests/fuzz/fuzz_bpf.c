/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seccomp programs out of a process that lies: a program that passes the check runs to its end
 * within itself, and what the search says of a call agrees with running it.
 *
 * Input: a call number (16 bits), then instructions of 8 bytes.
 */
#include "tests/fuzz/fuzz.h"

#include "lib/surface/calls.h"

#include <string.h>

static void check_test(void *owner, const struct bpf_test *t)
{
	(void)owner;
	require(t->word < BPF_N_WORDS);
}

static void check_call(const struct surface_filters *f, uint32_t nr)
{
	static const struct sock_filter refuse = BPF_STMT(BPF_RET | BPF_K, 0);
	const struct surface_filters none = { .program[0] = { &refuse, 1 }, .n = 1 };
	struct surface_call c;
	struct surface_point point;
	bool passes;

	surface_call(f, SURFACE_X86_64, nr, &c);
	(void)!calls_take(nr, &c);
	for (size_t i = 0; i < 6; i++)
		require(c.arg[i].matters || c.arg[i].n_values == 0);
	passes = surface_exceeds(f, &none, SURFACE_X86_64, nr, &point);
	require(c.bounded || passes == (c.verdict != SURFACE_NEVER));
	require(!surface_exceeds(f, f, SURFACE_X86_64, nr, NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sock_filter code[512];
	struct surface_filters f = { .n = 1 };
	struct seccomp_data d = { 0 };
	uint16_t nr;
	size_t n;

	if (size < sizeof(nr))
		return 0;
	memcpy(&nr, data, sizeof(nr));
	n = (size - sizeof(nr)) / sizeof(*code);
	if (n > sizeof(code) / sizeof(*code))
		return 0;
	memcpy(code, data + sizeof(nr), n * sizeof(*code));
	f.program[0] = (struct bpf_program){ code, n };
	if (!surface_check(&f))
		return 0;
	memcpy(&d, data, size < sizeof(d) ? size : sizeof(d));
	(void)!bpf_run(&f.program[0], &d, check_test, NULL);
	check_call(&f, nr % SURFACE_NUMBERS);
	return 0;
}
