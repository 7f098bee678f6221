/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interpreter against the CPU that it runs on: the same random instructions from the same
 * state must end alike in registers, flags, memory and faults.
 *
 * test_soft_diff [count [seed]]: for longer runs; the default takes some 20 seconds.
 */
#include "tests/unit/soft_gen.h"
#include "tests/unit/soft_guest.h"
#include "tests/unit/soft_vendor.h"

#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_COUNT 2000000UL
#define FAILURES_SHOWN 10U
#define LEFT_OUT_SHARE 1000UL
#define STALLED_SECONDS 120 /* for 64 cases */
#define FLAG_NAMES "c.p.a.zs..do"

static const uint8_t *first_data; /* what the data pages hold at the start of each case */
static uint8_t data_image[SOFT_DATA_SIZE];
static const struct gen_case *volatile current;
static unsigned long left_out; /* they reach for what is the test's own */

static const char *const reg_names[16] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
					   "r8",  "r9",	 "r10", "r11", "r12", "r13", "r14", "r15" };

/* ---- report ---- */

static void disassemble(const struct gen_case *g)
{
	char name[] = "/tmp/soft_diff.XXXXXX", command[256];
	int fd = mkstemp(name);

	if (fd < 0)
		return;
	(void)!write(fd, g->code, g->len);
	close(fd);
	snprintf(command, sizeof(command),
		 "objdump -D -b binary -m %s --adjust-vma=0x%llx %s 2>/dev/null | tail -n +8 >&2",
		 g->code32 ? "i386" : "i386:x86-64", (unsigned long long)g->state.rip, name);
	fflush(NULL);
	(void)!system(command); /* where there is no objdump, the bytes must do */
	unlink(name);
}

static void print_case(const struct gen_case *g)
{
	fprintf(stderr, "%s:", g->rows[0]->name);
	for (unsigned int k = 0; k < g->len; k++)
		fprintf(stderr, " %02x", g->code[k]);
	fprintf(stderr, "%s\n", g->code32 ? " (32-bit)" : "");
	disassemble(g);
	for (unsigned int r = 0; r < 16; r++)
		fprintf(stderr, "  %-3s %016llx%s", reg_names[r],
			(unsigned long long)g->state.gpr[r], r % 4 == 3 ? "\n" : "");
	fprintf(stderr, "  flags %03llx defined %03x\n", (unsigned long long)g->state.rflags,
		g->mask);
}

static void difference(const char *what, uint64_t host, uint64_t soft)
{
	fprintf(stderr, "    %-6s host %016llx  soft %016llx\n", what, (unsigned long long)host,
		(unsigned long long)soft);
}

static void print_fx(const struct soft_state *h, const struct soft_state *s)
{
	for (unsigned int k = 0; k < 416; k += 8) {
		char name[16];
		uint64_t a, b;

		memcpy(&a, h->fx + k, 8);
		memcpy(&b, s->fx + k, 8);
		snprintf(name, sizeof(name), "fx+%u", k);
		if (a != b)
			difference(name, a, b);
	}
}

static void print_differences(const struct soft_state *h, const struct soft_end *he,
			      const struct soft_state *s, const struct soft_end *se)
{
	for (unsigned int r = 0; r < 16; r++)
		if (h->gpr[r] != s->gpr[r])
			difference(reg_names[r], h->gpr[r], s->gpr[r]);
	if (h->rip != s->rip)
		difference("rip", h->rip, s->rip);
	if (h->rflags != s->rflags)
		difference("flags", h->rflags, s->rflags);
	if (he->vector != se->vector)
		difference("vector", he->vector, se->vector);
	if (he->error != se->error)
		difference("error", he->error, se->error);
	if (he->cr2 != se->cr2)
		difference("cr2", he->cr2, se->cr2);
	for (unsigned int k = 0; k < SOFT_DATA_SIZE; k++)
		if (soft_host_data[k] != soft_guest_data[k]) {
			fprintf(stderr, "    memory from %llx:", (unsigned long long)SOFT_DATA + k);
			fprintf(stderr, " was %02x host %02x soft %02x\n", first_data[k],
				soft_host_data[k], soft_guest_data[k]);
			break;
		}
	print_fx(h, s);
}

/* ---- comparison ---- */

/* What the harness cannot compare. */
static void normalise(const struct gen_case *g, struct soft_state *s, struct soft_end *e)
{
	s->rflags &= g->mask | 0x400;
	if (e->vector == 14)
		e->error &= e->cr2 >= 0x7ffffffff000 ? 0x1e : 0x1f; /* Linux hides P there */
	if (g->code32)
		for (unsigned int r = 8; r < 16; r++)
			s->gpr[r] = 0;
	memset(s->fx + 6, 0, 18); /* FOP, FIP, FDP: docs/soft-cpu.md */
	memset(s->fx + 28, 0, 4); /* MXCSR_MASK */
}

static bool same(const struct soft_state *h, const struct soft_end *he, const struct soft_state *s,
		 const struct soft_end *se)
{
	return !memcmp(h, s, offsetof(struct soft_state, fx)) && he->vector == se->vector &&
	       he->error == se->error && he->cr2 == se->cr2 && !memcmp(h->fx, s->fx, 416) &&
	       !memcmp(soft_host_data, soft_guest_data, SOFT_DATA_SIZE);
}

static void put_code(uint8_t *page, const struct gen_case *g)
{
	unsigned int at = g->state.rip & 0xfff;

	memset(page + 2048, 0xcc, 512);
	memcpy(page + at, g->code, g->len);
}

static bool is_memory_fault(const struct soft_end *e)
{
	return e->vector >= 12 && e->vector <= 14;
}

/* Once on the host, held against what the interpreter left. */
static bool agrees(const struct gen_case *g, const struct soft_state *s, const struct soft_end *se,
		   struct soft_state *h, struct soft_end *he)
{
	const struct soft_vendor_case v = { &g->state, soft_guest_code, data_image, g->code32 };

	*h = g->state;
	*he = (struct soft_end){ 0 };
	memcpy(soft_host_data, data_image, SOFT_DATA_SIZE);
	native_run(h, g->code32, he);
	normalise(g, h, he);
	soft_vendor_level(&v, h, he, soft_host_data, s, se, soft_guest_data);
	if (g->any_fault && is_memory_fault(he) && is_memory_fault(se))
		*he = *se;
	if (g->skip_fault && is_memory_fault(he) && is_memory_fault(se))
		return true;
	return g->skip_result || g->approx || same(h, he, s, se);
}

static bool run_case(const struct gen_case *g)
{
	struct soft_state h, s = g->state;
	struct soft_end he, se = { 0 };

	put_code(soft_host_code, g);
	put_code(soft_guest_code, g);
	memcpy(soft_guest_data, data_image, SOFT_DATA_SIZE);
	interpreted_run(&s, g->code32, &se);
	normalise(g, &s, &se);
	if (se.vector == 14 && soft_host_has(se.cr2)) {
		left_out++;
		return true;
	}
	for (unsigned int n = 0; n < SOFT_HOST_RUNS; n++)
		if (agrees(g, &s, &se, &h, &he))
			return true;
	print_case(g);
	print_differences(&h, &he, &s, &se);
	return false;
}

/* Random bytes and random values of interest; branch targets for RET and JMP m. */
static void new_data(void)
{
	for (unsigned int k = 0; k < SOFT_DATA_SIZE; k += 8) {
		uint64_t v = gen_random();

		if (v % 8 == 0)
			v = SOFT_CODE + 1024 + (v >> 32) % 512;
		else if (v % 8 == 1)
			v = 0;
		memcpy(data_image + k, &v, 8);
	}
	first_data = data_image;
}

/* An endless loop, native or not. */
static void on_alarm(int sig)
{
	static const char text[] = "a case does not end\n";

	(void)sig;
	(void)!write(2, text, sizeof(text) - 1);
	if (current)
		print_case(current);
	_exit(1);
}

int main(int argc, char **argv)
{
	unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 0) : DEFAULT_COUNT;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	unsigned int failed = 0;
	bool has_32;

	signal(SIGALRM, on_alarm);
	soft_host_init();
	soft_guest_init();
	memset(soft_host_code, 0xcc, 4096);
	memset(soft_guest_code, 0xcc, 4096);
	has_32 = soft_host_has_32();
	memset(soft_host_code, 0xcc, 4096);
	if (!has_32)
		fprintf(stderr, "no 32-bit code on this host: 64-bit code only\n");
	for (unsigned long n = 0; n < count && failed < FAILURES_SHOWN; n++) {
		struct gen_case g;

		gen_seed(seed * 1000003 + n);
		if (n % 64 == 0) {
			new_data();
			alarm(STALLED_SECONDS);
		}
		gen_make(&g, n % 4 == 3 ? 3 + (unsigned int)(n / 4 % 6) : 1,
			 has_32 && n / 8 % 4 == 0);
		current = &g;
		if (!run_case(&g)) {
			fprintf(stderr, "  case %lu of seed %llu\n", n, (unsigned long long)seed);
			failed++;
		}
	}
	printf("%lu cases, %u differences, %lu left out\n", count, failed, left_out);
	if (left_out > count / LEFT_OUT_SHARE)
		errx(1, "%lu cases left out: more than one in %lu", left_out, LEFT_OUT_SHARE);
	return failed ? 1 : 0;
}
