/* SPDX-License-Identifier: Apache-2.0
 *
 * huge-pages: what a program does to transparent huge pages is what it sees afterwards: no old
 * bytes, no old rights, no old mapping. Each address is read before, so that a TLB could keep it.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE ((size_t)2 << 20)
#define PAGE ((size_t)4096)
#define LEN (16 * HUGE)

static sigjmp_buf on_fault;
static int failures;

static void fault(int signal)
{
	(void)signal;
	siglongjmp(on_fault, 1);
}

static void check(const char *what, size_t wrong)
{
	printf("huge %s: %s, %zu pages wrong\n", what, wrong ? "FAILED" : "ok", wrong);
	failures += wrong != 0;
}

/* Huge pages, each small page of them written and read. */
static volatile uint8_t *fill(void)
{
	uint8_t *all =
		mmap(NULL, LEN + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *p;

	if (all == MAP_FAILED)
		return NULL;
	p = (uint8_t *)(((uintptr_t)all + HUGE - 1) & ~(HUGE - 1));
	if (madvise(p, LEN, MADV_HUGEPAGE) < 0)
		return NULL;
	memset(p, 0xa5, LEN);
	return p;
}

/* Of the whole process, KiB. */
static unsigned long huge_kib(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "re");
	char line[128];
	unsigned long kib = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "AnonHugePages: %lu kB", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

static size_t count_not(const volatile uint8_t *p, size_t len, uint8_t want)
{
	size_t wrong = 0;

	for (size_t at = 0; at < len; at += PAGE)
		wrong += p[at] != want;
	return wrong;
}

/* How many pages can be touched. */
static size_t count_touched(volatile uint8_t *p, size_t len, bool write)
{
	volatile size_t at = 0, touched = 0;

	for (at = 0; at < len; at += PAGE) {
		if (sigsetjmp(on_fault, 1))
			continue;
		if (write)
			p[at] = 1;
		else
			(void)p[at];
		touched++;
	}
	return touched;
}

int main(void)
{
	const struct sigaction sa = { .sa_handler = fault };
	volatile uint8_t *p = fill();

	sigaction(SIGSEGV, &sa, NULL);
	if (!p || huge_kib() < LEN / 1024 / 2) {
		printf("huge pages: FAILED, there are none\n");
		return 1;
	}
	check("filled", count_not(p, LEN, 0xa5));
	(void)madvise((void *)p, LEN / 4, MADV_DONTNEED);
	check("dropped whole", count_not(p, LEN / 4, 0));
	check("beside them", count_not(p + LEN / 4, LEN - LEN / 4, 0xa5));

	for (size_t at = LEN / 4; at < LEN / 2; at += HUGE)
		(void)madvise((void *)(p + at + 5 * PAGE), PAGE, MADV_DONTNEED);
	check("dropped in part", count_not(p + LEN / 4, LEN / 4, 0xa5) - LEN / 4 / HUGE);

	(void)mprotect((void *)(p + LEN / 2), LEN / 4, PROT_READ);
	check("read-only", count_touched(p + LEN / 2, LEN / 4, true));
	check("still readable", count_not(p + LEN / 2, LEN / 4, 0xa5));

	check("to be unmapped", count_not(p + 3 * LEN / 4, LEN / 4, 0xa5));
	(void)munmap((void *)(p + 3 * LEN / 4), LEN / 4);
	check("unmapped", count_touched(p + 3 * LEN / 4, LEN / 4, false));
	return failures != 0;
}
