/* SPDX-License-Identifier: Apache-2.0 */
/* Integers of every width, bits, and the C library's functions of bytes against plain loops. */
#include "next.h"

typedef unsigned __int128 u128;
typedef __int128 s128;

#define WIDTH(type, stype)                                                \
	static void width_##type(type a, type b)                          \
	{                                                                 \
		unsigned int n = (unsigned int)b % (8 * sizeof(type));    \
		stype sa = (stype)a, sb = (stype)b;                       \
		type r;                                                   \
                                                                          \
		SUM((type)(a + b));                                       \
		SUM((type)(a - b));                                       \
		SUM((type)(a * b));                                       \
		SUM((type)(a / (b | 1)));                                 \
		SUM((type)(a % (b | 1)));                                 \
		if (sb != -1 && sb != 0) {                                \
			SUM((stype)(sa / sb));                            \
			SUM((stype)(sa % sb));                            \
		}                                                         \
		SUM((type)(a << n));                                      \
		SUM((type)(a >> n));                                      \
		SUM((stype)(sa >> n));                                    \
		SUM((type)(a << n | a >> (-n & (8 * sizeof(type) - 1)))); \
		SUM((type)(a & ~b));                                      \
		SUM((type)(a ^ b));                                       \
		SUM(a < b);                                               \
		SUM(sa < sb);                                             \
		SUM(__builtin_add_overflow(a, b, &r));                    \
		SUM(__builtin_mul_overflow(a, b, &r));                    \
		SUM(r);                                                   \
	}

WIDTH(uint8_t, int8_t)
WIDTH(uint16_t, int16_t)
WIDTH(uint32_t, int32_t)
WIDTH(uint64_t, int64_t)
WIDTH(u128, s128)

static void bits(uint64_t a)
{
	SUM(__builtin_popcountll(a));
	SUM(__builtin_clzll(a | 1));
	SUM(__builtin_ctzll(a | 1ULL << 63));
	SUM(__builtin_ffs((int)a));
	SUM(__builtin_bswap64(a));
	SUM(__builtin_bswap32((uint32_t)a));
	SUM(__builtin_parityll(a));
}

static void atomics(uint64_t a, uint64_t b)
{
	static uint64_t cell = 7;
	uint64_t seen = cell;

	SUM(__atomic_fetch_add(&cell, a, __ATOMIC_SEQ_CST));
	SUM(__atomic_exchange_n(&cell, b, __ATOMIC_SEQ_CST));
	SUM(__atomic_compare_exchange_n(&cell, &seen, a ^ b, 0, __ATOMIC_SEQ_CST,
					__ATOMIC_SEQ_CST));
	SUM(__atomic_fetch_xor((uint8_t *)&cell + 3, (uint8_t)a, __ATOMIC_SEQ_CST));
	SUM(__atomic_fetch_or((uint16_t *)&cell, (uint16_t)b, __ATOMIC_SEQ_CST));
	SUM(cell);
}

static int order(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void sorting(void)
{
	static uint32_t list[5000];

	for (size_t i = 0; i < 5000; i++)
		list[i] = (uint32_t)next();
	qsort(list, 5000, 4, order);
	sum(list, sizeof(list));
}

static unsigned char from[4400], to[4400], plain[4400];

static void must(int holds, const char *what, size_t a, size_t b, size_t n)
{
	if (!holds) {
		printf("%s differs at %zu, %zu, %zu bytes\n", what, a, b, n);
		exit(1);
	}
}

static void fill(unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (unsigned char)(next() % 5 ? next() | 1 : 'x');
}

static void copies(size_t a, size_t b, size_t n)
{
	fill(from, sizeof(from));
	memcpy(plain, to, sizeof(to));
	for (size_t i = 0; i < n; i++)
		plain[b + i] = from[a + i];
	memcpy(to + b, from + a, n);
	must(!memcmp(to, plain, sizeof(to)), "memcpy", a, b, n);
	memset(to + a, (int)n, n);
	for (size_t i = 0; i < n; i++)
		plain[a + i] = (unsigned char)n;
	must(!memcmp(to, plain, sizeof(to)), "memset", a, b, n);
	memmove(from + a, from + b, n);
	sum(from, sizeof(from));
}

static void searches(size_t a, size_t b, size_t n)
{
	char *s = (char *)from + a, *t = (char *)to + b;
	size_t i = 0;

	fill(from, sizeof(from));
	from[a + n] = 0;
	memcpy(t, s, n + 1);
	must(strlen(s) == n, "strlen", a, b, n);
	must(strcmp(s, t) == 0, "strcmp", a, b, n);
	while (i < n && s[i] != 'x')
		i++;
	must(strchrnul(s, 'x') == s + i, "strchrnul", a, b, n);
	must(memchr(s, 'x', n) == (i < n ? s + i : NULL), "memchr", a, b, n);
	if (n > 20) {
		t[n / 2] ^= 0x40;
		must(memcmp(s, t, n) == (s[n / 2] > t[n / 2] ? 1 : -1) * abs(memcmp(s, t, n)),
		     "memcmp", a, b, n);
		SUM(strcmp(s, t) > 0);
		SUM(strspn(s, t));
		SUM(strcspn(s, "xyz"));
		SUM(strstr(s, s + n / 2) - s);
		SUM(strrchr(s, 'x') ? strrchr(s, 'x') - s : -1);
		SUM(strncasecmp(s, t, n));
	}
}

int main(void)
{
	for (int i = 0; i < 600 * scale(); i++) {
		uint64_t a = next() >> next() % 64, b = next() >> next() % 64;

		width_uint8_t((uint8_t)a, (uint8_t)b);
		width_uint16_t((uint16_t)a, (uint16_t)b);
		width_uint32_t((uint32_t)a, (uint32_t)b);
		width_uint64_t(a, b);
		width_u128((u128)a << 64 | next(), b);
		width_u128(next(), (u128)b << 64 | a);
		bits(a);
		atomics(a, b);
	}
	sum_show("widths");
	sorting();
	sum_show("qsort");
	for (int i = 0; i < 60 * scale(); i++) {
		size_t n = next() >> 16 & (i % 4 ? 63 : 4095);

		copies(next() % 70, next() % 70, n);
		searches(next() % 70, next() % 70, n);
	}
	sum_show("bytes");
	return 0;
}
