/* SPDX-License-Identifier: Apache-2.0 */
/* Page tables and code that changes: fork, copy on write, mappings, and programs that write code. */
#include "next.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void *pages(size_t n, int protection)
{
	void *p = mmap(NULL, n * 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		exit(2);
	return p;
}

/* Children write into what they share with the parent; neither sees the other's. */
static void copies_on_write(int n)
{
	uint64_t *p = pages(64, PROT_READ | PROT_WRITE);

	for (int i = 0; i < 64 * 512; i++)
		p[i] = next();
	for (int child = 0; child < n; child++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			for (int i = child % 7; i < 64 * 512; i += 97 + child)
				p[i] = ~p[i] + (uint64_t)child;
			sum(p, 64 * 4096);
			_exit((int)(sum_value & 127));
		}
		p[child] += 3;
		waitpid(pid, &status, 0);
		SUM(WEXITSTATUS(status));
	}
	sum(p, 64 * 4096);
	munmap(p, 64 * 4096);
	sum_show("copy on write");
}

/* mov $n, %eax; ret */
static void write_code(unsigned char *p, uint32_t n)
{
	p[0] = 0xb8;
	memcpy(p + 1, &n, 4);
	p[5] = 0xc3;
}

static uint32_t call(void *p)
{
	return ((uint32_t(*)(void))(uintptr_t)p)();
}

/* Code written, run, written again: by the same mapping, by another, by read(2), by a remap. */
static void code_that_changes(int n)
{
	int fd = memfd_create("code", 0), pipe_fds[2];
	unsigned char *both = pages(1, PROT_READ | PROT_WRITE | PROT_EXEC), *w, *x;

	if (fd < 0 || ftruncate(fd, 8192) || pipe(pipe_fds))
		exit(3);
	w = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	x = mmap(NULL, 8192, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	for (int i = 0; i < n; i++) {
		unsigned char code[6];

		write_code(both + i % 4000, (uint32_t)i);
		SUM(call(both + i % 4000));
		write_code(w + 100, (uint32_t)i * 3);
		SUM(call(x + 100));
		write_code(w + 4093, (uint32_t)i * 5); /* across two pages */
		SUM(call(x + 4093));
		write_code(code, (uint32_t)i * 7);
		if (write(pipe_fds[1], code, 6) != 6 || read(pipe_fds[0], both + 64, 6) != 6)
			exit(4);
		SUM(call(both + 64));
		if (i % 16 == 0) {
			x = mremap(x, 8192, 8192, MREMAP_MAYMOVE | MREMAP_FIXED,
				   pages(2, PROT_NONE));
			SUM(call(x + 100));
		}
	}
	sum_show("code that changes");
}

/* An instruction that changes the one after it, in the same run of instructions. */
static void code_that_changes_itself(void)
{
	/* mov %esi, 1(%rip) [into the mov's immediate]; mov $0, %eax; ret */
	static const unsigned char code[] = { 0x89, 0x35, 1, 0, 0, 0, 0xb8, 0, 0, 0, 0, 0xc3 };
	unsigned char *p = pages(1, PROT_READ | PROT_WRITE | PROT_EXEC);

	memcpy(p, code, sizeof(code));
	for (int i = 0; i < 200; i++)
		SUM(((uint32_t(*)(int, int))(uintptr_t)p)(0, i * 1234567));
	sum_show("code that changes itself");
}

static void protections(int n)
{
	unsigned char *p = pages(32, PROT_READ | PROT_WRITE);

	memset(p, 1, 32 * 4096);
	for (int i = 0; i < n; i++) {
		size_t at = next() % 32;

		mprotect(p + at * 4096, 4096, PROT_READ);
		/* The kernel must refuse on its own account, without a signal. */
		SUM(pread(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), p + at * 4096, 16, 0) < 0);
		mprotect(p + at * 4096, 4096, PROT_READ | PROT_WRITE);
		p[at * 4096 + next() % 4096] = (unsigned char)i;
		if (i % 8 == 0)
			madvise(p + next() % 32 * 4096, 4096, MADV_DONTNEED);
		close(3 + i % 1000);
		closefrom(3);
	}
	sum(p, 32 * 4096);
	sum_show("protections");
}

/* System calls that copy between processes and across page edges. */
static void copies(int n)
{
	char *p = pages(4, PROT_READ | PROT_WRITE), out[12288];
	int fds[2];

	if (pipe(fds))
		exit(5);
	for (int i = 0; i < 4 * 4096; i++)
		p[i] = (char)next();
	for (int i = 0; i < n; i++) {
		size_t a = next() % 8000, b = 1 + next() % 4000;
		struct iovec v[3] = { { p + a, b }, { p + b, 100 }, { p + a / 2, 7 } };
		ssize_t got = writev(fds[1], v, 3);

		SUM(got);
		SUM(read(fds[0], out, sizeof(out)));
		sum(out, (size_t)got);
	}
	sum_show("copies");
}

int main(void)
{
	copies_on_write(10 * scale());
	code_that_changes(200 * scale());
	code_that_changes_itself();
	protections(100 * scale());
	copies(100 * scale());
	return 0;
}
