/* SPDX-License-Identifier: Apache-2.0 */
/* The file behind guest RAM: its size, who can change it, and the pages that it comes in. */
#include "cmd/supervisor/ram.h"
#include "lib/base/cleanup.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define HUGE_PAGE (2UL << 20)
#define RAM_SIZE (8UL << 20)

static void assert_zero_file(int fd, uint64_t size)
{
	struct stat st;
	char byte = 1;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, size);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(pread(fd, &byte, 1, (off_t)size - 1), 1);
	assert_int_equal(byte, 0);
}

static void test_sealed(void **state)
{
	_cleanup_(closep) int fd = ram_create(RAM_SIZE, false);

	(void)state;
	assert_zero_file(fd, RAM_SIZE);
	assert_int_equal(ftruncate(fd, RAM_SIZE - 4096), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, RAM_SIZE + 4096), -1);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
}

/* KiB of the mapping at p that one page table entry of 2 MiB each maps. */
static unsigned long huge_kib(const void *p)
{
	unsigned long start, end, kib = 0;
	char line[256];
	bool here = false;
	FILE *f = fopen("/proc/self/smaps", "re");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start == (uintptr_t)p;
		if (here && sscanf(line, "ShmemPmdMapped: %lu", &kib) == 1)
			break;
	}
	fclose(f);
	return kib;
}

static bool host_has_huge_pages(void)
{
	char text[128] = "";
	FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/shmem_enabled", "re");

	if (!f)
		return false;
	(void)!fgets(text, sizeof(text), f);
	fclose(f);
	return !strstr(text, "[deny]");
}

static void test_huge(void **state)
{
	_cleanup_(closep) int fd = ram_create(RAM_SIZE, true);
	char *p;

	(void)state;
	assert_zero_file(fd, RAM_SIZE);
	p = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(p != MAP_FAILED);
	/* where the kernel gives none it must work all the same */
	if (host_has_huge_pages())
		assert_int_equal((uintptr_t)p % HUGE_PAGE, 0);
	p[HUGE_PAGE + 5] = 7;
	if (huge_kib(p) == 0)
		print_message("the host gave no huge page\n");
	else
		assert_int_equal(huge_kib(p), HUGE_PAGE >> 10);
	munmap(p, RAM_SIZE);
}

/* Not a multiple of a huge page: the rest comes in small ones, and the file is no larger. */
static void test_odd_size(void **state)
{
	_cleanup_(closep) int fd = ram_create(HUGE_PAGE + 4096, true);
	char *p;

	(void)state;
	assert_zero_file(fd, HUGE_PAGE + 4096);
	p = mmap(NULL, HUGE_PAGE + 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(p != MAP_FAILED);
	p[HUGE_PAGE] = 1;
	assert_zero_file(fd, HUGE_PAGE + 4096);
	munmap(p, HUGE_PAGE + 4096);
}

static void test_too_large(void **state)
{
	(void)state;
	assert_true(ram_create(1ULL << 63, false) < 0);
	assert_true(ram_create(1ULL << 63, true) < 0);
}

static bool write_text(const char *path, const char *text)
{
	_cleanup_(closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* As in the supervisor, which has namespaces of its own by then. */
static bool enter_namespaces(void)
{
	char uids[32], gids[32];

	snprintf(uids, sizeof(uids), "0 %u 1", getuid());
	snprintf(gids, sizeof(gids), "0 %u 1", getgid());
	return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
	       write_text("/proc/self/setgroups", "deny") &&
	       write_text("/proc/self/uid_map", uids) && write_text("/proc/self/gid_map", gids);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sealed),
		cmocka_unit_test(test_huge),
		cmocka_unit_test(test_odd_size),
		cmocka_unit_test(test_too_large),
	};

	if (!enter_namespaces()) {
		perror("a user namespace");
		return 77; /* meson's "skipped" */
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
