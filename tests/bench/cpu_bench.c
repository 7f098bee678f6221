/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small programs that each lean on one thing a CPU does: integer loops, branches, calls, memory,
 * vectors, x87, system calls, page faults, processes. The same static executable runs natively and
 * in guests, and prints a line a kernel: "BENCH name seconds checksum". Checksums are equal
 * wherever it runs; seconds are of CPU time, its children's with it.
 *
 * cpu_bench [DIVISOR [NAME]]: repetitions divided by DIVISOR; only the kernel NAME. With CPU_BENCH_WAIT
 * in the environment it prints "BENCH ready NAME" before each and goes on when it has read a line, so
 * that whoever counts from outside has done so.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KERNEL __attribute__((noinline, noclone)) static uint64_t
#define VECTORISED __attribute__((noinline, noclone, optimize("O3"))) static uint64_t

static unsigned int divisor = 1;

/* Repetitions of a kernel that does n at full length. */
static unsigned int times(unsigned int n)
{
	return n / divisor ? n / divisor : 1;
}

/* The compiler may not assume that memory at p stays as it was. */
static inline void used(const void *p)
{
	__asm__ volatile("" ::"r"(p) : "memory");
}

#define SEED 88172645463325252ULL

static uint64_t random_state = SEED;

static inline uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* ---- integers, branches, calls ---- */

KERNEL sieve(void)
{
	static unsigned char flag[4 << 20];
	uint64_t primes = 0;

	for (unsigned int r = 0; r < times(12); r++) {
		memset(flag, 1, sizeof(flag));
		for (unsigned int i = 2; i * i < sizeof(flag); i++)
			if (flag[i])
				for (unsigned int j = i * i; j < sizeof(flag); j += i)
					flag[j] = 0;
		for (unsigned int i = 2; i < sizeof(flag); i++)
			primes += flag[i];
	}
	return primes;
}

/* FIPS 180-4 */
static const uint32_t sha_constants[64] = {
	/* clang-format off */
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
	/* clang-format on */
};

static inline uint32_t rotate(uint32_t v, unsigned int n)
{
	return v >> n | v << (32 - n);
}

static inline void sha_schedule(uint32_t w[64], const uint32_t *block)
{
	for (int i = 0; i < 16; i++)
		w[i] = __builtin_bswap32(block[i]);
	for (int i = 16; i < 64; i++) {
		uint32_t a = w[i - 15], b = w[i - 2];

		w[i] = w[i - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + w[i - 7] +
		       (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
	}
}

static inline void sha_block(uint32_t h[8], const uint32_t *block)
{
	uint32_t w[64], s[8];

	sha_schedule(w, block);
	memcpy(s, h, sizeof(s));
	for (int i = 0; i < 64; i++) {
		uint32_t t = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)) +
			     ((s[4] & s[5]) ^ (~s[4] & s[6])) + sha_constants[i] + w[i];
		uint32_t u = (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) +
			     ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));

		s[7] = s[6];
		s[6] = s[5];
		s[5] = s[4];
		s[4] = s[3] + t;
		s[3] = s[2];
		s[2] = s[1];
		s[1] = s[0];
		s[0] = t + u;
	}
	for (int i = 0; i < 8; i++)
		h[i] += s[i];
}

KERNEL sha256(void)
{
	uint32_t h[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
			  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
	static uint32_t data[16384];

	for (unsigned int i = 0; i < 16384; i++)
		data[i] = i * 2654435761U;
	for (unsigned int r = 0; r < times(500); r++)
		for (unsigned int at = 0; at < 16384; at += 16)
			sha_block(h, data + at);
	return (uint64_t)h[0] << 32 | h[7];
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

KERNEL sort(void)
{
	unsigned int n = times(1500000);
	uint32_t *a = malloc(n * sizeof(*a));
	uint64_t sum = 0;

	random_state = SEED;
	for (unsigned int i = 0; i < n; i++)
		a[i] = (uint32_t)next_random();
	qsort(a, n, sizeof(*a), compare);
	for (unsigned int i = 0; i < n; i += 1000)
		sum = sum * 31 + a[i];
	free(a);
	return sum;
}

/* An interpreter's loop: a switch over random opcodes. */
KERNEL switch_loop(void)
{
	static const unsigned char likely[] = { 0, 1, 2, 3, 1, 0, 4, 2, 5, 1, 3, 6, 0, 2, 1, 7 };
	static unsigned char program[1024];
	uint64_t x = 1, y = 2;
	unsigned int pc = 0;

	random_state = 99;
	for (int i = 0; i < 1024; i++)
		program[i] = likely[next_random() & 15] & 7;
	for (unsigned int i = 0; i < times(45000000); i++) {
		/* clang-format off */
		switch (program[pc++ & 1023]) {
		case 0: x += y; break;
		case 1: y ^= x >> 3; break;
		case 2: x = x * 3 + 1; break;
		case 3: y -= x; break;
		case 4: pc += x & 1; break;
		case 5: x = x << 5 | x >> 59; break;
		case 6: y += 7; break;
		case 7: x ^= y; break;
		}
		/* clang-format on */
	}
	return x ^ y;
}

__attribute__((noinline, noclone, optimize("O1"))) static unsigned int fib(unsigned int n)
{
	__asm__ volatile("");
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

KERNEL calls(void)
{
	uint64_t sum = 0;

	for (unsigned int r = 0; r < times(24); r++)
		sum += fib(30);
	return sum;
}

KERNEL divide(void)
{
	uint64_t x = 0x123456789abcdefULL, sum = 0;

	for (unsigned int i = 1; i < times(30000000); i++) {
		sum += x / i;
		sum ^= x % (i | 1);
		x += sum;
	}
	return sum;
}

KERNEL multiply(void)
{
	uint64_t a[8], c[8], sum = 0;

	for (unsigned int i = 0; i < 8; i++)
		a[i] = UINT64_MAX / (i + 3);
	for (unsigned int r = 0; r < times(4500000); r++) {
		unsigned __int128 t = 0;

		for (int k = 0; k < 8; k++) {
			for (int i = 0; i <= k; i++)
				t += a[i] * a[k - i];
			c[k] = (uint64_t)t;
			t >>= 64;
		}
		sum += c[7];
		a[r & 7] ^= sum;
	}
	return sum;
}

/* ---- memory ---- */

KERNEL copy_small(void)
{
	static char from[65536], to[65536];

	for (int i = 0; i < 65536; i++)
		from[i] = (char)(i * 7);
	for (unsigned int r = 0; r < times(80000); r++) {
		memcpy(to, from, sizeof(to));
		from[r & 65535]++;
		used(to);
	}
	return (uint64_t)(to[123] + to[60000]);
}

KERNEL copy_big(void)
{
	size_t n = 16 << 20;
	char *from = malloc(n), *to = malloc(n);
	uint64_t sum;

	memset(from, 3, n);
	for (unsigned int r = 0; r < times(120); r++) {
		memcpy(to, from, n);
		from[r]++;
		used(to);
	}
	sum = (uint64_t)(to[5] + to[n - 1]);
	free(from);
	free(to);
	return sum;
}

KERNEL strings(void)
{
	static char s[4096];
	uint64_t sum = 0;

	memset(s, 'a', 4000);
	s[4000] = 0;
	for (unsigned int r = 0; r < times(400000); r++) {
		sum += strlen(s + (r & 63));
		sum += (uintptr_t)strchr(s + (r & 31), 0) - (uintptr_t)s;
		used(s);
	}
	return sum;
}

struct node {
	struct node *next;
	uint64_t value[3];
};

/* Nodes in one ring of random order. */
static void make_ring(struct node *nodes, uint32_t *order, unsigned int n)
{
	random_state = 1234567;
	for (unsigned int i = 0; i < n; i++)
		order[i] = i;
	for (unsigned int i = n - 1; i; i--) {
		unsigned int j = (unsigned int)(next_random() % (i + 1));
		uint32_t t = order[i];

		order[i] = order[j];
		order[j] = t;
	}
	for (unsigned int i = 0; i < n; i++) {
		nodes[order[i]].next = &nodes[order[(i + 1) % n]];
		nodes[i].value[0] = i;
	}
}

KERNEL chase(void)
{
	unsigned int n = 1 << 19; /* 16 MiB */
	struct node *nodes = malloc(n * sizeof(*nodes)), *p = nodes;
	uint32_t *order = malloc(n * sizeof(*order));
	uint64_t sum = 0;

	make_ring(nodes, order, n);
	for (unsigned int i = 0; i < times(4000000); i++) {
		sum += p->value[0];
		p = p->next;
	}
	free(nodes);
	free(order);
	return sum;
}

/* ---- floating point and vectors ---- */

#define SIDE 192

KERNEL matmul(void)
{
	static double a[SIDE][SIDE], b[SIDE][SIDE], c[SIDE][SIDE];

	for (int i = 0; i < SIDE; i++) {
		for (int j = 0; j < SIDE; j++) {
			a[i][j] = i + j * 0.5;
			b[i][j] = i - j * 0.25;
		}
	}
	for (unsigned int r = 0; r < times(26); r++) {
		for (int i = 0; i < SIDE; i++) {
			for (int j = 0; j < SIDE; j++) {
				double s = 0;

				for (int k = 0; k < SIDE; k++)
					s += a[i][k] * b[k][j];
				c[i][j] = s + r;
			}
		}
	}
	return (uint64_t)(int64_t)c[3][7] + (uint64_t)(int64_t)c[100][101];
}

KERNEL orbit(void)
{
	double x = 0.1, y = 0.2, z = 0.3, vx = 0.01, vy = -0.02, vz = 0.03;

	for (unsigned int i = 0; i < times(8000000); i++) {
		double r2 = x * x + y * y + z * z + 0.01, d = 1.0 / (r2 * sqrt(r2));

		vx -= x * d * 1e-3;
		vy -= y * d * 1e-3;
		vz -= z * d * 1e-3;
		x += vx * 1e-3;
		y += vy * 1e-3;
		z += vz * 1e-3;
	}
	return (uint64_t)(fabs(x * 1e12) + fabs(vy * 1e12));
}

VECTORISED saxpy(void)
{
	static float a[4096], b[4096];

	for (int i = 0; i < 4096; i++) {
		a[i] = (float)i * 0.001f;
		b[i] = 1;
	}
	for (unsigned int r = 0; r < times(150000); r++) {
		float q = (float)(r & 7) * 0.125f - 0.4f;

		for (int i = 0; i < 4096; i++)
			b[i] = b[i] * 0.5f + q * a[i];
		used(b);
	}
	return (uint64_t)(int64_t)(b[4000] * 1e6f);
}

VECTORISED simd_integers(void)
{
	static uint32_t a[4096], b[4096];

	for (unsigned int i = 0; i < 4096; i++) {
		a[i] = i * 77;
		b[i] = i;
	}
	for (unsigned int r = 0; r < times(150000); r++) {
		for (int i = 0; i < 4096; i++)
			b[i] = (b[i] ^ a[i]) + (b[i] >> 3);
		used(b);
	}
	return b[17] + b[4000];
}

KERNEL x87(void)
{
	long double sum = 0, t = 1;

	for (unsigned int i = 1; i < times(40000000); i++) {
		t = t * 0.9999999L + 1e-7L;
		sum += t / (long double)3;
	}
	return (uint64_t)(sum * 1000);
}

/* ---- the kernel's side ---- */

KERNEL system_calls(void)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < times(1000000); i++)
		n += syscall(SYS_getppid) >= 0;
	return n;
}

KERNEL page_faults(void)
{
	size_t size = 16 << 20;
	uint64_t sum = 0;

	for (unsigned int r = 0; r < times(24); r++) {
		char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0);

		if (p == MAP_FAILED)
			exit(1);
		madvise(p, size, MADV_NOHUGEPAGE);
		for (size_t i = 0; i < size; i += 4096)
			p[i] = 1;
		sum += (uint64_t)p[4096];
		munmap(p, size);
	}
	return sum;
}

KERNEL forks(void)
{
	uint64_t sum = 0;

	for (unsigned int r = 0; r < times(700); r++) {
		pid_t pid = fork();
		int status;

		if (!pid)
			_exit(r & 7);
		waitpid(pid, &status, 0);
		sum += (uint64_t)WEXITSTATUS(status);
	}
	return sum;
}

/* Sends one byte on and takes one back, n times; in the order that `first` says. */
static uint64_t play(int in, int out, unsigned int n, int first)
{
	uint64_t rounds = 0;
	char x = 1;

	for (; rounds < n; rounds++) {
		if (first && write(out, &x, 1) != 1)
			break;
		if (read(in, &x, 1) != 1 || (!first && write(out, &x, 1) != 1))
			break;
	}
	return rounds;
}

KERNEL pipes(void)
{
	unsigned int n = times(30000);
	int there[2], back[2];
	uint64_t rounds;
	pid_t pid;

	if (pipe(there) || pipe(back))
		exit(1);
	pid = fork();
	if (!pid)
		_exit(play(there[0], back[1], n, 0) != n);
	rounds = play(back[0], there[1], n, 1);
	waitpid(pid, NULL, 0);
	return rounds;
}

/* ---- the table ---- */

static const struct {
	const char *name;
	uint64_t (*run)(void);
} kernels[] = {
	{ "sieve", sieve },
	{ "sha256", sha256 },
	{ "qsort", sort },
	{ "memcpy64k", copy_small },
	{ "memcpy16m", copy_big },
	{ "strings", strings },
	{ "matmul", matmul },
	{ "orbit", orbit },
	{ "saxpy", saxpy },
	{ "simd", simd_integers },
	{ "x87", x87 },
	{ "chase", chase },
	{ "switch", switch_loop },
	{ "calls", calls },
	{ "divide", divide },
	{ "multiply", multiply },
	{ "syscall", system_calls },
	{ "pagefault", page_faults },
	{ "fork", forks },
	{ "pipe", pipes },
};

static double seconds_of(int who)
{
	struct rusage u;

	getrusage(who, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

static double now(void)
{
	return seconds_of(RUSAGE_SELF) + seconds_of(RUSAGE_CHILDREN);
}

static void handshake(const char *name)
{
	int c;

	if (!getenv("CPU_BENCH_WAIT"))
		return;
	printf("BENCH ready %s\n", name);
	do
		c = getchar();
	while (c != '\n' && c != EOF);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		divisor = (unsigned int)atoi(argv[1]);
	if (!divisor)
		divisor = 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("BENCH start\n");
	for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++) {
		double start;
		uint64_t sum;

		if (argc > 2 && strcmp(argv[2], kernels[i].name))
			continue;
		handshake(kernels[i].name);
		start = now();
		sum = kernels[i].run();
		printf("BENCH %s %.4f %016lx\n", kernels[i].name, now() - start, sum);
	}
	handshake("to end");
	printf("BENCH end\n");
	return 0;
}
