/* SPDX-License-Identifier: Apache-2.0 */
/* Port accesses: nobody's ports, every width, ranges' ends, string instructions. */
#include "tests/guest/lib/guest.h"

#define NOBODY 0x2000
#define N 300 /* elements: more than one exit carries */

static uint8_t bytes[N];
static uint16_t words[N];
static uint32_t longs[N];

static void read_strings(void)
{
	void *at = bytes;
	uint64_t n = N;
	bool ones = true;

	__asm__ volatile("rep insb" : "+D"(at), "+c"(n) : "d"((uint16_t)NOBODY) : "memory");
	at = words;
	n = N;
	__asm__ volatile("rep insw" : "+D"(at), "+c"(n) : "d"((uint16_t)NOBODY) : "memory");
	at = longs;
	n = N;
	__asm__ volatile("rep insl" : "+D"(at), "+c"(n) : "d"((uint16_t)NOBODY) : "memory");
	for (unsigned int i = 0; i < N; i++)
		ones &= bytes[i] == 0xff && words[i] == 0xffff && longs[i] == UINT32_MAX;
	check(ones, "strings read ones");
}

static void write_string(const char *s)
{
	uint64_t n = strlen(s);

	__asm__ volatile("rep outsb" : "+S"(s), "+c"(n) : "d"((uint16_t)PORT_SERIAL) : "memory");
}

void guest_main(const struct pvh_info *info)
{
	(void)info;
	check_eq(inb(NOBODY), 0xff, "byte");
	check_eq(inw(NOBODY), 0xffff, "word");
	check_eq(inl(NOBODY), UINT32_MAX, "long");
	check_eq(inb(0), 0xff, "port 0");
	check_eq(inb(0xffff), 0xff, "the last port");
	outb(NOBODY, 1);
	outw(NOBODY, 1);
	outl(NOBODY, 1);
	check_eq(inl(PORT_SERIAL - 2), UINT32_MAX, "into a range");
	check_eq(inl(PORT_SERIAL + 6), UINT32_MAX, "out of a range");
	check_eq(inw(PORT_GED), 0xffff, "out of the power registers");
	read_strings();
	write_string("ok strings write\n");
	check_eq(inb(0x60) & inb(0x70) & inb(0x40) & inb(0x20), 0xff, "no legacy");
	check_eq(inb(0x64), 0, "the keyboard controller is idle");
	outl(0xcf8, 0x80000000);
	check_eq(inl(0xcfc), 0x00081b36, "PCI's host bridge by ports");
	outb(0xcf8, 1);
	check_eq(inl(0xcf8), 0x80000000, "a narrow write of its address changes nothing");
	outl(0xcf8, 0);
	check_eq(inl(0xcfc), UINT32_MAX, "nothing when disabled");
}
