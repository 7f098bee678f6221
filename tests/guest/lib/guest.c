/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime of the test guests; see guest.h. */
#include "tests/guest/lib/guest.h"

#define UART_LSR (PORT_SERIAL + 5)
#define UART_LSR_THRE 0x20
#define SLP_EN 0x20

void guest_start(const struct pvh_info *info);

void *memset(void *to, int c, size_t n)
{
	void *at = to;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(n) : "a"(c) : "memory");
	return to;
}

void *memcpy(void *to, const void *from, size_t n)
{
	void *at = to;

	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(n) : : "memory");
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (size_t i = 0; i < n; i++)
		if (x[i] != y[i])
			return x[i] - y[i];
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

bool guest_word(const struct pvh_info *info, const char *word)
{
	size_t n = strlen(word);

	for (const char *s = (const char *)info->cmdline; *s; s++)
		if (strlen(s) >= n && memcmp(s, word, n) == 0)
			return true;
	return false;
}

static void put(char c)
{
	while (!(inb(UART_LSR) & UART_LSR_THRE))
		;
	outb(PORT_SERIAL, (uint8_t)c);
}

void print(const char *s)
{
	for (; *s; s++)
		put(*s);
}

void print_dec(uint64_t v)
{
	char digits[21];
	size_t at = sizeof(digits) - 1;

	digits[at] = 0;
	do {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	print(digits + at);
}

void print_hex(uint64_t v)
{
	int shift = 60;

	print("0x");
	while (shift > 0 && !(v >> shift))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		put("0123456789abcdef"[v >> shift & 15]);
}

void say_dec(const char *name, uint64_t v)
{
	print(name);
	print(": ");
	print_dec(v);
	print("\n");
}

void say_hex(const char *name, uint64_t v)
{
	print(name);
	print(": ");
	print_hex(v);
	print("\n");
}

bool check(bool ok, const char *what)
{
	print(ok ? "ok " : "FAILED ");
	print(what);
	print("\n");
	return ok;
}

bool check_eq(uint64_t got, uint64_t want, const char *what)
{
	if (got == want)
		return check(true, what);
	print("FAILED ");
	print(what);
	print(": ");
	print_hex(got);
	print(", not ");
	print_hex(want);
	print("\n");
	return false;
}

void halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

void power_off(void)
{
	outb(PORT_SLEEP_CONTROL, SLEEP_TYPE_S5 << 2 | SLP_EN);
	halt();
}

void guest_start(const struct pvh_info *info)
{
	idt_init();
	guest_main(info);
	power_off();
}
