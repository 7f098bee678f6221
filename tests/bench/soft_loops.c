/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What soft_speed runs: freestanding loops, one a kernel, entered with the kernel's number in RDI
 * and how often in RSI; ends by HLT. Built with -O2 -nostdlib, linked to a fixed address.
 */
#include <stddef.h>
#include <stdint.h>

#define SIEVE 8192U

static uint8_t flags[SIEVE];
static uint8_t from[65536], to[65536];
static uint32_t numbers[1024];

static struct node {
	struct node *next;
	uint64_t v;
} nodes[512];

static uint64_t sieve(void)
{
	uint64_t n = 0;

	for (unsigned int i = 2; i < SIEVE; i++)
		flags[i] = 1;
	for (unsigned int i = 2; i < SIEVE; i++) {
		if (!flags[i])
			continue;
		n++;
		for (unsigned int k = i * 2; k < SIEVE; k += i)
			flags[k] = 0;
	}
	return n;
}

static uint32_t rotate(uint32_t v, unsigned int n)
{
	return v >> n | v << (32 - n);
}

/* The rounds of SHA-256 with made-up constants. */
static uint64_t hash(void)
{
	uint32_t w[64], a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8;

	for (unsigned int i = 0; i < 16; i++)
		w[i] = numbers[i] + i;
	for (unsigned int i = 16; i < 64; i++) {
		uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
		uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;

		w[i] = w[i - 16] + s0 + w[i - 7] + s1;
	}
	for (unsigned int i = 0; i < 64; i++) {
		uint32_t t1 = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
			      ((e & f) ^ (~e & g)) + 0x9e3779b9 * i + w[i];
		uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) +
			      ((a & b) ^ (a & c) ^ (b & c));

		h = g;
		g = f;
		f = e;
		e = d + t1;
		d = c;
		c = b;
		b = a;
		a = t1 + t2;
	}
	numbers[0] += a + e;
	return a;
}

static uint64_t copy_words(void)
{
	uint64_t *d = (uint64_t *)to;
	const uint64_t *s = (const uint64_t *)from;

	for (size_t i = 0; i < 1024; i++) {
		d[i] = s[i];
		__asm__ volatile("" ::: "memory");
	}
	return d[0];
}

static uint64_t copy_rep(void)
{
	void *d = to;
	const void *s = from;
	size_t n = sizeof(from);

	__asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
	return 0;
}

__attribute__((noinline)) static uint64_t fib(uint64_t n)
{
	__asm__ volatile("" : "+r"(n));
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static void sort(uint32_t *v, long low, long high)
{
	long i = low, k = high;
	uint32_t pivot = v[(low + high) / 2];

	while (i <= k) {
		while (v[i] < pivot)
			i++;
		while (v[k] > pivot)
			k--;
		if (i <= k) {
			uint32_t t = v[i];

			v[i++] = v[k];
			v[k--] = t;
		}
	}
	if (low < k)
		sort(v, low, k);
	if (i < high)
		sort(v, i, high);
}

static uint64_t quick_sort(void)
{
	uint32_t x = 12345;

	for (unsigned int i = 0; i < 1024; i++)
		numbers[i] = x = x * 1664525 + 1013904223;
	sort(numbers, 0, 1023);
	return numbers[0];
}

static uint64_t chase(void)
{
	const struct node *p = nodes;
	uint64_t sum = 0;

	for (unsigned int i = 0; i < 4096; i++) {
		sum += p->v;
		p = p->next;
	}
	return sum;
}

static uint64_t length(void)
{
	uint64_t n = 0;

	for (const uint8_t *p = from + 1; *p; p++)
		n++;
	return n;
}

__attribute__((used)) static void run(uint64_t kernel, uint64_t times)
{
	uint64_t r = 0;

	for (unsigned int i = 0; i < 512; i++)
		nodes[i].next = &nodes[(i * 73 + 29) % 512];
	for (unsigned int i = 1; i < 2000; i++)
		from[i] = 'a';
	while (times--) {
		/* clang-format off */
		switch (kernel) {
		case 0: r += sieve(); break;
		case 1: r += hash(); break;
		case 2: r += copy_words(); break;
		case 3: r += copy_rep(); break;
		case 4: r += fib(15); break;
		case 5: r += quick_sort(); break;
		case 6: r += chase(); break;
		case 7: r += length(); break;
		}
		/* clang-format on */
	}
	__asm__ volatile("hlt" : : "a"(r));
}

__asm__(".globl _start\n_start: call run\n hlt\n");
