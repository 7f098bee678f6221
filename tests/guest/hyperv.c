/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hyper-V's interface, by a guest that means harm: MSRs that are not offered, pages where there is no RAM, orders that
 * no driver keeps to, hypercalls of every number. With the words "crash" or "reset" it ends by those MSRs; with "again"
 * it resets as often as it is started, and finds everything as at power-on each time.
 */
#include "tests/guest/lib/hyperv.h"
#include "tests/guest/lib/trap.h"

#define RAM_END MIB(64)

static uint8_t pages[4][4096] __attribute__((aligned(4096)));

static uint64_t at(unsigned int page)
{
	return (uint64_t)pages[page];
}

/* What writing and reading raise. */
static uint64_t of_write(uint32_t msr, uint64_t v)
{
	if (!trap_enter()) {
		wrmsr(msr, v);
		trap_none();
	}
	return trap.vector;
}

static uint64_t of_read(uint32_t msr)
{
	if (!trap_enter()) {
		(void)rdmsr(msr);
		trap_none();
	}
	return trap.vector;
}

static bool is_taken(uint32_t msr, uint64_t v)
{
	return of_write(msr, v) == NONE && rdmsr(msr) == v;
}

/* And nothing is changed. */
static bool is_refused(uint32_t msr, uint64_t v)
{
	const uint64_t before = rdmsr(msr);

	return of_write(msr, v) == GP && rdmsr(msr) == before;
}

static void refused(const char *what, uint32_t msr, uint64_t v)
{
	check_eq(of_write(msr, v), GP, what);
}

static void taken(const char *what, uint32_t msr, uint64_t v)
{
	check(is_taken(msr, v), what);
}

/* Reserved bits, which not every KVM looks at. */
static void perhaps(const char *what, uint32_t msr, uint64_t v)
{
	const uint64_t vector = of_write(msr, v);

	check(vector == NONE || vector == GP, what);
}

static void absent(const char *what, uint32_t msr)
{
	check(of_read(msr) == GP && of_write(msr, 0) == GP &&
		      of_write(msr, at(0) | HV_ENABLE) == GP,
	      what);
}

static void leaves(void)
{
	char vendor[13] = { 0 };
	uint32_t r[4];

	cpuid(0x40000000, 0, r);
	check_eq(r[0], 0x40000005, "the last leaf");
	memcpy(vendor, &r[1], 12);
	check(memcmp(vendor, "Microsoft Hv", 12) == 0, "the interface of Hyper-V");
	cpuid(0x40000001, 0, r);
	check(memcmp(r, "Hv#1", 4) == 0, "its version 1");
	cpuid(0x40000003, 0, r);
	check_eq(r[0], 0xafe, "what there is");
	check_eq(r[1], 0, "no right to messages, events, partitions");
	check_eq(r[3], 1U << 8 | 1U << 10 | 1U << 19, "and beside it");
	cpuid(0x40000004, 0, r);
	check_eq(r[0], 1U << 3 | 1U << 5 | 1U << 9, "no hypercall is recommended");
	check_eq(r[1], UINT32_MAX, "nor one that spins");
	cpuid(0x40000100, 0, r);
	check(memcmp(&r[1], "KVMK", 4) != 0, "nothing of KVM's own");
}

static void not_offered(void)
{
	absent("run time", 0x40000010);
	absent("no processor events", 0x40000040);
	absent("idle", 0x400000f0);
	absent("debugging", 0x400000f1);
	absent("debugging, status", 0x400000f2);
	absent("reenlightenment", 0x40000106);
	absent("emulation of the TSC", 0x40000107);
	absent("its status", 0x40000108);
	absent("an invariant TSC", 0x40000118);
	absent("behind the timers", 0x400000b8);
	absent("before them", 0x400000af);
	absent("behind SynIC", 0x40000085);
	absent("the last one", 0x40000fff);
	absent("KVM's clock", 0x4b564d01);
	absent("KVM's clock of old", 0x12);
	absent("KVM's wall clock", 0x4b564d00);
	absent("KVM: EOI in memory", 0x4b564d04);
}

static void read_only(void)
{
	check_eq(rdmsr(HV_VP_INDEX), 0, "the first processor");
	refused("VP index", HV_VP_INDEX, 1);
	refused("time", HV_TIME_REF_COUNT, 0);
	refused("frequency of the TSC", HV_TSC_FREQUENCY, 1);
	refused("frequency of the APIC", HV_APIC_FREQUENCY, 1);
	refused("version of SynIC", HV_SVERSION, 2);
	check_eq(rdmsr(HV_SVERSION), 1, "version 1");
}

/* Where a page may not be: behind RAM, a device's registers, the LAPIC, the ECAM, ROM's place, and no address at all. */
static const uint64_t nowhere[] = { RAM_END,	  0x80000000, 0xc0000000,	   0xe8000000,
				    0xfec00000,	  0xfee00000, 0xfffff000,	   0x100000000,
				    0x7ffffff000, 1ULL << 51, (1ULL << 52) - 4096, 1ULL << 62,
				    ~4095ULL };

#define N_NOWHERE (sizeof(nowhere) / sizeof(nowhere[0]))

static void pages_nowhere(const char *what, uint32_t msr)
{
	bool all = true;

	for (size_t i = 0; i < N_NOWHERE; i++)
		all = is_refused(msr, nowhere[i] | HV_ENABLE) && all;
	check(all, what);
}

static bool is_filled(unsigned int page, unsigned int from, uint8_t with)
{
	for (unsigned int i = from; i < 4096; i++)
		if (pages[page][i] != with)
			return false;
	return true;
}

static void hypercall_page(void)
{
	memset(pages[0], 0xaa, sizeof(pages[0]));
	wrmsr(HV_HYPERCALL, at(0) | HV_ENABLE);
	check_eq(rdmsr(HV_HYPERCALL), 0, "no page without a guest OS");
	check(is_filled(0, 0, 0xaa), "and none is written");
	taken("guest OS", HV_GUEST_OS_ID, HV_OS);
	pages_nowhere("a page for hypercalls where there is no RAM", HV_HYPERCALL);
	taken("a page, not enabled", HV_HYPERCALL, at(1));
	check(is_filled(1, 0, 0), "is not written");
	taken("a page, with reserved bits", HV_HYPERCALL, at(0) | 0xffe | HV_ENABLE);
	check(is_filled(0, 4, 0xaa), "four bytes of it are written");
	check(pages[0][0] == 0x0f && pages[0][1] == 0x01 && pages[0][3] == 0xc3, "a call");
	taken("the last page of RAM", HV_HYPERCALL, (RAM_END - 4096) | HV_ENABLE);
	taken("and back", HV_HYPERCALL, at(0) | HV_ENABLE);
}

static uint64_t hypercall(uint64_t input, uint64_t in, uint64_t out)
{
	register uint64_t r8 __asm__("r8") = out;
	uint64_t result;

	__asm__ volatile("call *%5"
			 : "=a"(result), "+c"(input), "+d"(in), "+r"(r8)
			 : "a"(0xdeadULL), "r"(at(0))
			 : "r9", "r10", "r11", "memory");
	return result;
}

#define FAST (1ULL << 16)

/* Each number, with arguments in RAM, in registers, nowhere, and repeated. */
static void hypercalls(void)
{
	static const uint64_t forms[] = {
		0, FAST, 1ULL << 32, FAST | 0xfffULL << 32, 0x3ffULL << 17, 1ULL << 48, ~0xffffULL
	};
	unsigned int n = 0, done = 0;

	memset(pages[1], 0x55, sizeof(pages[1]));
	for (unsigned int code = 0; code < 0x120; code++)
		for (size_t f = 0; f < sizeof(forms) / sizeof(forms[0]); f++) {
			n++;
			if ((hypercall(code | forms[f], at(1), at(1) + 2048) & 0xffff) == 0)
				done++;
			if ((hypercall(0x8000 | code | forms[f], 0xc0000000, ~0ULL) & 0xffff) == 0)
				done++;
		}
	check_eq(n, 0x120 * 7, "hypercalls of all numbers");
	check_eq(done, 0, "do nothing");
	check(is_filled(1, 0, 0x55), "and write nothing");
	check_eq(hypercall(0x5c, at(1), 0) & 0xffff, 6, "a message is denied");
	check_eq(hypercall(0x5d | FAST, 1, 0) & 0xffff, 6, "an event is denied");
	check_eq(hypercall(0x3, at(1), 0) & 0xffff, 6, "flushing others is denied");
	check_eq(hypercall(0xb | FAST, 0x40, 1) & 0xffff, 6, "interrupting others is denied");
	check_eq(hypercall(0x1234, 0, 0) & 0xffff, 2, "there is no such number");
	wrmsr(HV_GUEST_OS_ID, 0);
	check_eq(rdmsr(HV_HYPERCALL) & HV_ENABLE, 0, "no guest OS, no page");
}

/* A clock's page may be said to be anywhere: it is not written where there is no RAM, and the guest goes on. */
static void clock_page(void)
{
	bool all = true;

	for (size_t i = 0; i < N_NOWHERE; i++)
		all = is_taken(HV_REFERENCE_TSC, nowhere[i] | HV_ENABLE) && all;
	check(all, "a clock where there is no RAM");
	memset(pages[2], 0xaa, sizeof(pages[2]));
	taken("not enabled", HV_REFERENCE_TSC, at(2));
	check(is_filled(2, 0, 0xaa), "is not written");
	taken("with reserved bits", HV_REFERENCE_TSC, at(2) | 0xffe | HV_ENABLE);
	check(is_filled(2, 32, 0xaa), "no more than the structure is written");
	taken("none", HV_REFERENCE_TSC, 0);
}

static void assist_page(void)
{
	pages_nowhere("an assist page where there is no RAM", HV_ASSIST);
	memset(pages[2], 0xaa, sizeof(pages[2]));
	taken("with reserved bits", HV_ASSIST, at(2) | 0xffe | HV_ENABLE);
	check(is_filled(2, 4, 0xaa) && !pages[2][0], "four bytes of it are cleared");
	taken("none", HV_ASSIST, 0);
}

static void synic(void)
{
	bool low = true, masked = true, one = true, reserved = true;

	pages_nowhere("SynIC's messages where there is no RAM", HV_SIMP);
	pages_nowhere("SynIC's events where there is no RAM", HV_SIEFP);
	memset(pages[2], 0xaa, 2 * 4096);
	taken("messages", HV_SIMP, at(2) | HV_ENABLE);
	check(is_filled(2, 0, 0) && is_filled(3, 0, 0xaa), "one clear page");
	taken("events on the same page", HV_SIEFP, at(2) | HV_ENABLE);
	taken("with reserved bits", HV_SIEFP, at(2) | 0xffe | HV_ENABLE);
	taken("control, reserved bits", HV_SCONTROL, ~0ULL);
	for (unsigned int i = 0; i < 16; i++) {
		low = is_refused(HV_SINT0 + i, i) && low;
		masked = is_taken(HV_SINT0 + i, HV_SINT_MASKED | i) && masked;
		one = is_taken(HV_SINT0 + i, 0xfd) && one;
	}
	check(low, "lines with an exception's vector are refused");
	check(masked, "masked they may be");
	check(one, "all lines with one vector");
	check_eq(of_write(HV_EOM, ~0ULL), NONE, "end of message");
	for (unsigned int i = 0; i < 16; i++)
		reserved = is_taken(HV_SINT0 + i, ~0ULL << 20 | HV_SINT_MASKED) && reserved;
	check(reserved, "reserved bits of lines");
}

static bool timer(uint32_t config, uint32_t count)
{
	bool ok = is_taken(config, HV_TIMER_AUTO | HV_TIMER_SINT(2)) && is_taken(count, 0) &&
		  !(rdmsr(config) & HV_ENABLE);

	/* all bits but the first, the largest and the smallest count */
	ok = ok && of_write(config, ~HV_ENABLE) == NONE && of_write(count, ~0ULL) == NONE &&
	     of_write(count, 1) == NONE && of_write(config, 0) == NONE;
	/* to the line that none may have, as fast as can be */
	return ok && of_write(config, HV_TIMER_PERIODIC | HV_ENABLE) == NONE &&
	       of_write(count, 1) == NONE && is_taken(config, 0);
}

static void timers(void)
{
	for (unsigned int i = 0; i < 4; i++)
		check(timer(HV_STIMER0_CONFIG + 2 * i, HV_STIMER0_COUNT + 2 * i),
		      "a timer with any configuration");
}

static void registers(void)
{
	bool all = true;

	for (unsigned int i = 0; i < 5; i++)
		all = is_taken(HV_CRASH_P0 + i, ~0ULL - i) && all;
	check(all, "parameters of a crash");
	check_eq(rdmsr(HV_CRASH_CTL), HV_CRASH_NOTIFY, "crashes are heard");
	check_eq(of_write(HV_CRASH_CTL, ~HV_CRASH_NOTIFY), NONE, "but not by other bits");
	check_eq(of_write(HV_RESET, 0xfffffffe), NONE, "no reset by other bits");
	check_eq(rdmsr(HV_RESET), 0, "reset reads as nothing");
	taken("priority", HV_TPR, 0x20);
	perhaps("priority, reserved bits", HV_TPR, ~0ULL << 32);
	perhaps("end, reserved bits", HV_EOI, ~0ULL);
	perhaps("an interrupt for nobody", HV_ICR, ~0ULL);
	check_eq(of_write(HV_EOI, 0), NONE, "end of no interrupt");
}

/* ---- a reset ---- */

static const struct {
	uint32_t msr;
	uint64_t initial, other;
} kept[] = {
	{ HV_GUEST_OS_ID, 0, HV_OS },
	{ HV_HYPERCALL, 0, 1 },
	{ HV_REFERENCE_TSC, 0, 1 },
	{ HV_ASSIST, 0, 1 },
	{ HV_SCONTROL, 1, 0 },
	{ HV_SIEFP, 0, 1 },
	{ HV_SIMP, 0, 1 },
	{ HV_SINT0, HV_SINT_MASKED, 0xf3 },
	{ HV_SINT0 + 15, HV_SINT_MASKED, 0xf3 },
	{ HV_STIMER0_CONFIG, 0, HV_TIMER_SINT(15) | 3 },
	{ HV_STIMER0_COUNT, 0, 1 },
	{ HV_STIMER0_CONFIG + 6, 0, HV_TIMER_DIRECT | 0xf43 },
	{ HV_STIMER0_COUNT + 6, 0, 10000 },
	{ HV_CRASH_P0, 0, 7 },
	{ HV_CRASH_P0 + 4, 0, 7 },
};

static void again(void)
{
	bool fresh = true;

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (rdmsr(kept[i].msr) != kept[i].initial) {
			say_hex("not as at power-on", kept[i].msr);
			fresh = false;
		}
	print(fresh ? "fresh\n" : "FAILED\n");
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		wrmsr(kept[i].msr, kept[i].other == 1 && kept[i].msr != HV_STIMER0_COUNT ?
					   at(0) | HV_ENABLE :
					   kept[i].other);
	wrmsr(HV_RESET, 1);
	halt();
}

static void hostile(void)
{
	leaves();
	not_offered();
	read_only();
	hypercall_page();
	hypercalls();
	clock_page();
	assist_page();
	synic();
	timers();
	registers();
}

void guest_main(const struct pvh_info *info)
{
	trap_init();
	if (guest_word(info, "again"))
		again();
	if (guest_word(info, "reset"))
		wrmsr(HV_RESET, 1);
	else if (guest_word(info, "crash"))
		wrmsr(HV_CRASH_CTL, HV_CRASH_NOTIFY);
	else
		hostile();
	print("went on\n");
}
