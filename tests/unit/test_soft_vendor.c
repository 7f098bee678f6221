/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What CPUs of different vendors do differently (soft_vendor.h): cases that an Intel CPU (Sapphire
 * Rapids) has answered otherwise than an AMD one. The software CPU must answer as Intel's, and the
 * comparison must take either answer and no third.
 */
#include "tests/unit/soft_guest.h"
#include "tests/unit/soft_vendor.h"
#include "tests/unit/unit.h"

#include "cmd/vmm/accel/soft/soft.h"

#include <string.h>
#include <xmmintrin.h>

#define FLAGS 0xcd5U /* the arithmetic flags and DF */
#define READ_ONLY (SOFT_DATA + SOFT_DATA_WRITABLE + 64)
#define NOT_CANONICAL 0x0123456789abcdefULL

struct run {
	struct soft_state before, soft, host;
	struct soft_end soft_end, host_end;
	uint8_t data[SOFT_DATA_SIZE], host_data[SOFT_DATA_SIZE];
	bool code32;
};

static struct run r; /* what a test is about */

static struct soft_fx *fx_of(struct soft_state *s)
{
	return (struct soft_fx *)(void *)s->fx;
}

static void put(uint64_t at, uint64_t v)
{
	memcpy(r.data + (at - SOFT_DATA), &v, 8);
}

static uint64_t get(const uint8_t *data, uint64_t at)
{
	uint64_t v;

	memcpy(&v, data + (at - SOFT_DATA), 8);
	return v;
}

static void begin(unsigned int rip, const void *code, size_t len, bool code32)
{
	memset(&r, 0, sizeof(r));
	r.code32 = code32;
	r.before.rip = SOFT_CODE + rip;
	r.before.rflags = 2;
	fx_of(&r.before)->fcw = 0x37f;
	fx_of(&r.before)->mxcsr = 0x1f80;
	memset(soft_guest_code, 0xcc, 4096);
	memcpy(soft_guest_code + rip, code, len);
}

/* On the software CPU; the host is taken to have answered alike until a test says otherwise. */
static void run(void)
{
	memcpy(soft_guest_data, r.data, SOFT_DATA_SIZE);
	_mm_setcsr(0x1f80); /* cmocka's own arithmetic is not the guest's */
	r.soft = r.before;
	interpreted_run(&r.soft, r.code32, &r.soft_end);
	r.soft.rflags &= FLAGS;
	r.host = r.soft;
	r.host_end = r.soft_end;
	memcpy(r.host_data, soft_guest_data, SOFT_DATA_SIZE);
}

static bool is_taken(void)
{
	const struct soft_vendor_case v = { &r.before, soft_guest_code, r.data, r.code32 };

	soft_vendor_level(&v, &r.host, &r.host_end, r.host_data, &r.soft, &r.soft_end,
			  soft_guest_data);
	return !memcmp(r.host.gpr, r.soft.gpr, sizeof(r.soft.gpr)) && r.host.rip == r.soft.rip &&
	       r.host.rflags == r.soft.rflags && !memcmp(r.host.fx, r.soft.fx, 416) &&
	       r.host_end.vector == r.soft_end.vector && r.host_end.error == r.soft_end.error &&
	       r.host_end.cr2 == r.soft_end.cr2 &&
	       !memcmp(r.host_data, soft_guest_data, SOFT_DATA_SIZE);
}

static void assert_end(unsigned int vector, uint32_t error, uint64_t cr2)
{
	assert_int_equal(r.soft_end.vector, vector);
	assert_int_equal(r.soft_end.error, error);
	assert_int_equal(r.soft_end.cr2, cr2);
}

/* ---- CALL to an address that is not canonical ---- */

static const struct {
	uint8_t code[8], len;
	uint16_t rip;
	uint8_t base, index;
	uint64_t base_value, index_value, operand, rsp;
	uint8_t written; /* the lowest byte */
} calls[] = {
	{ "\xff\x90\x22\xf7\xff\x37", 6, 0x815, R_AX, R_AX, 0xffffffffd8102758, 0xffffffffd8102758,
	  0x10101e7a, 0x1010020d, 0x1b },
	{ "\xff\x11", 2, 0x82c, R_CX, R_CX, 0x10101e9c, 0x10101e9c, 0x10101e9c, 0x10101930, 0x2e },
	{ "\x49\xff\x14\xb2", 4, 0x822, 10, R_SI, 0x10101478, 0xb, 0x101014a4, 0x10100ed1, 0x26 },
	{ "\x46\xff\x13", 3, 0x837, R_BX, R_BX, 0x10101e8e, 0x10101e8e, 0x10101e8e, 0x10100cf8,
	  0x3a },
	{ "\x43\xff\x55\x83", 4, 0x819, 13, 13, 0x101012a5, 0x101012a5, 0x10101228, 0x10101a58,
	  0x1d },
	{ "\x47\xff\x96\xb1\xe7\x73\x8a", 7, 0x829, 14, 14, 0x859c2a4d, 0x859c2a4d, 0x101011fe,
	  0x10100e41, 0x30 },
	{ "\x4d\xff\x53\xc1", 4, 0x83f, 11, 11, 0x10100f3a, 0x10100f3a, 0x10100efb, 0x1010193a,
	  0x43 },
	{ "\xff\xd0", 2, 0x800, R_AX, R_AX, NOT_CANONICAL, NOT_CANONICAL, 0x10101000, 0x10100800,
	  0x02 },
};

static void run_call(size_t n)
{
	begin(calls[n].rip, calls[n].code, calls[n].len, false);
	r.before.gpr[calls[n].index] = calls[n].index_value;
	r.before.gpr[calls[n].base] = calls[n].base_value;
	r.before.gpr[R_SP] = calls[n].rsp;
	put(calls[n].operand, NOT_CANONICAL);
	run();
}

static void calls_write_the_return_address_first(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof(calls) / sizeof(calls[0]); n++) {
		uint64_t at = calls[n].rsp - 8;

		run_call(n);
		assert_end(EX_GP, 0, 0);
		assert_int_equal(r.soft.rip, r.before.rip);
		assert_int_equal(r.soft.gpr[R_SP], calls[n].rsp);
		assert_int_equal(get(soft_guest_data, at), r.before.rip + calls[n].len);
		assert_int_equal(get(soft_guest_data, at) & 0xff, calls[n].written);
		memcpy(r.host_data, r.data, SOFT_DATA_SIZE); /* AMD */
		assert_true(is_taken());
		r.host_data[at - SOFT_DATA] ^= 1;
		assert_false(is_taken());
	}
}

/* Where both may fault, the stack comes first here. */
static void a_call_without_a_stack_faults_there(void **state)
{
	(void)state;
	run_call(0);
	r.before.gpr[R_SP] = READ_ONLY;
	run();
	assert_end(EX_PF, 7, READ_ONLY - 8);
	r.host_end = (struct soft_end){ .vector = EX_GP };
	assert_true(is_taken());
}

/* ---- REPNE CMPS and SCAS that fault on their way ---- */

static void assert_flags_of(uint64_t flags)
{
	assert_int_equal(r.soft.rflags & FLAGS, flags & FLAGS);
	r.host.rflags ^= 0x1; /* AMD: of the last comparison */
	assert_true(is_taken());
	r.host.rflags ^= 0x400;
	assert_false(is_taken());
}

static void a_fault_in_cmps_keeps_the_flags(void **state)
{
	(void)state;
	begin(0x81f, "\xf2\xa7", 2, false);
	memset(r.data + 4096, 0x5a, 8192); /* nothing equal */
	r.before.gpr[R_CX] = 0x7d;
	r.before.gpr[R_SI] = 0x10100d23;
	r.before.gpr[R_DI] = 0x10102fe2;
	r.before.rflags = 0x51;
	run();
	assert_end(EX_PF, 4, 0x10103000);
	assert_int_equal(r.soft.gpr[R_CX], 0x7d - 7);
	assert_int_equal(r.soft.gpr[R_SI], 0x10100d23 + 28);
	assert_int_equal(r.soft.gpr[R_DI], 0x10102fe2 + 28);
	assert_flags_of(0x51);
}

static void a_fault_in_scas_keeps_the_flags(void **state)
{
	(void)state;
	begin(0x829, "\xf2\xae", 2, true);
	r.before.gpr[R_AX] = 0x40ed;
	r.before.gpr[R_CX] = 0x87;
	r.before.gpr[R_DI] = 0x10100007;
	r.before.rflags = 0x495;
	run();
	assert_end(EX_PF, 4, 0x100fffff);
	assert_int_equal(r.soft.gpr[R_CX], 0x87 - 8);
	assert_int_equal(r.soft.gpr[R_DI], 0x100fffff);
	assert_flags_of(0x495);
}

/* ---- 32-bit accesses across 4 GiB ---- */

static const struct {
	uint8_t code[8], len, base;
	uint32_t value, error; /* of Intel's #PF */
} crossings[] = {
	{ "\xc1\x33\xff", 3, R_BX, 0xffffffff, 6 },	/* shl */
	{ "\x0f\xde\x0e", 3, R_SI, 0xffffffff, 4 },	/* pmaxub */
	{ "\x0f\x38\x0b\x22", 4, R_DX, 0xffffffff, 4 }, /* pmulhrsw */
	{ "\xf2\x0f\x5c\x1b", 4, R_BX, 0xfffffff9, 4 }, /* subsd */
	{ "\xf2\x0f\x2c\x12", 4, R_DX, 0xffffffff, 4 }, /* cvttsd2si */
	{ "\xf3\x0f\x2c\x03", 4, R_BX, 0xffffffff, 4 }, /* cvttss2si */
	{ "\xf2\x0f\x12\x17", 4, R_DI, 0xffffffff, 4 }, /* movddup */
	{ "\x66\x83\x02\xff", 4, R_DX, 0xffffffff, 6 }, /* add */
	{ "\x66\x0f\xb1\x07", 4, R_DI, 0xffffffff, 6 }, /* cmpxchg */
	{ "\xf7\x1b", 2, R_BX, 0xffffffff, 6 },		/* neg */
	{ "\xd9\x10", 2, R_AX, 0xffffffff, 6 },		/* fst */
	{ "\x0f\x7f\x06", 3, R_SI, 0xfffffffc, 6 },	/* movq */
};

static void accesses_across_4_gib_are_not_compared(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof(crossings) / sizeof(crossings[0]); n++) {
		begin(0x800, crossings[n].code, crossings[n].len, true);
		r.before.gpr[crossings[n].base] = crossings[n].value;
		fx_of(&r.before)->ftw = 0xff;
		run();
		assert_end(EX_GP, 0, 0);
		r.host_end = (struct soft_end){ EX_PF, crossings[n].error, crossings[n].value };
		assert_true(is_taken());
		r.host_end = (struct soft_end){ EX_PF, crossings[n].error, 0xfffff000 };
		assert_false(is_taken());
	}
}

/* Two faults of one access: either may come first. */
static void of_two_faults_either_comes(void **state)
{
	(void)state;
	begin(0x800, "\x48\x8b\x03", 3, false); /* mov rax, [rbx], across the lower half's end */
	r.before.gpr[R_BX] = 0x7ffffffffffc;
	run();
	assert_end(EX_GP, 0, 0);
	r.host_end = (struct soft_end){ EX_PF, 4, 0x7ffffffffffc };
	assert_true(is_taken());
	r.host_end = (struct soft_end){ EX_PF, 4, 0x7fffffffff00 };
	assert_false(is_taken());
	begin(0x800, "\x66\x0f\x6f\x45\x00", 5, false); /* movdqa xmm0, [rbp] */
	r.before.gpr[R_BP] = NOT_CANONICAL;
	run();
	assert_end(EX_GP, 0, 0);
	r.host_end.vector = EX_SS;
	assert_true(is_taken());
	begin(0x800, "\x48\x8b\x45\x00", 4, false); /* mov rax, [rbp]: #SS alone */
	r.before.gpr[R_BP] = NOT_CANONICAL;
	run();
	assert_end(EX_SS, 0, 0);
	r.host_end.vector = EX_GP;
	assert_false(is_taken());
}

/* ---- x87 stores that store nothing ---- */

static const struct {
	uint8_t code[8], len, st0[12];
	uint16_t fcw, fsw, fsw_after;
	uint8_t ftw;
	bool code32;
} stores[] = {
	{ "\xf3\x40\xdb\x17", 4, "\x00\x00\x00\x00\x00\x00\x00\x00\x14\xc0", 0x36a, 0x7c00, 0xfc81,
	  0xe7, false },
	{ "\x66\xdd\x1b", 3, "\xc3\x99\x8d\x77\xce\x82\x28\x46\x0e\x40", 0xb5a, 0x7000, 0xf081,
	  0xff, false },
	{ "\xf3\x40\xdd\x0f", 4, "\x38\x5a\x9c\x30\x67\xad\x53\xba\xff\x43", 0x364, 0x5900, 0xd981,
	  0xff, false },
	{ "\x4e\xdf\x3e", 3, "\x00\x00\x00\x00\x00\x00\x00\x00\xfe\xbf", 0x440, 0x5500, 0xd5c1,
	  0x93, false },
	{ "\xdf\x36", 2, "\x01\x00\x00\x00\x00\x00\x00\xc0\x00\xc0", 0x35a, 0x2f00, 0xadc1, 0x98,
	  false },
	{ "\xdf\x17", 2, "\xe4\x12\x88\xc8\x88\xb3\x4f\x96\xfe\xff", 0x74c, 0x7000, 0xf081, 0xff,
	  true },
	{ "\x66\x46\xdf\x0f", 4, "\xff\xff\xff\xff\xff\xff\xff\xff\x10\xc0", 0x370, 0x2f30, 0xadf1,
	  0x00, false },
	{ "\xf3\x47\xdf\x16", 4, "\x00\x00\x00\x00\x00\x00\x00\x00\x20\x40", 0x34a, 0x5800, 0xd881,
	  0xff, false },
};

static void point_to(uint64_t address, bool code32)
{
	static const uint8_t pointers[] = { R_BX, R_SI, R_DI };

	for (size_t n = 0; n < sizeof(pointers); n++) {
		r.before.gpr[pointers[n]] = address;
		r.before.gpr[pointers[n] + 8] = code32 ? 0 : address;
	}
}

static void unmasked_stores_leave_the_page_alone(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof(stores) / sizeof(stores[0]); n++) {
		struct soft_fx *fx;

		begin(0, stores[n].code, stores[n].len, stores[n].code32);
		fx = fx_of(&r.before);
		fx->fcw = stores[n].fcw;
		fx->fsw = stores[n].fsw;
		fx->ftw = stores[n].ftw;
		memcpy(fx->st[0].b, stores[n].st0, 10);
		point_to(READ_ONLY, stores[n].code32);
		run();
		assert_end(EX_BP, 0, 0);
		assert_int_equal(r.soft.rip, SOFT_CODE + stores[n].len);
		assert_int_equal(fx_of(&r.soft)->fsw, stores[n].fsw_after);
		assert_int_equal(fx_of(&r.soft)->fcw, stores[n].fcw);
		assert_int_equal(fx_of(&r.soft)->ftw, stores[n].ftw);
		assert_memory_equal(fx_of(&r.soft)->st, fx->st, sizeof(fx->st));
		r.host = r.before; /* AMD */
		r.host.rflags &= FLAGS;
		memcpy(r.host.fx + 6, r.soft.fx + 6, 18); /* FOP, FIP, FDP are not compared */
		r.host_end = (struct soft_end){ EX_PF, 7, READ_ONLY };
		assert_true(is_taken());
		r.host = r.before;
		r.host.gpr[R_AX]++;
		r.host_end = (struct soft_end){ EX_PF, 7, READ_ONLY };
		assert_false(is_taken());
	}
}

/* What is stored is looked at by all. */
static void a_masked_store_faults(void **state)
{
	(void)state;
	begin(0, "\xdf\x17", 2, false);
	point_to(READ_ONLY, false);
	run();
	assert_end(EX_PF, 7, READ_ONLY);
}

/* ---- MMX stores that fault ---- */

static const struct {
	uint8_t code[8], len;
	uint16_t fcw, fsw, fsw_after;
	uint8_t ftw;
	bool code32;
} mmx_stores[] = {
	{ "\x0f\x7e\x37", 3, 0x37f, 0x0c16, 0x0416, 0xdc, false },
	{ "\x0f\x7e\x06", 3, 0x37f, 0x5b00, 0x4300, 0x52, true },
	{ "\x0f\x7f\x2e", 3, 0xe7f, 0x5800, 0x4000, 0xff, false },
	{ "\x0f\x7f\x1f", 3, 0x37f, 0x4f00, 0x4700, 0xff, false },
	{ "\x4a\x0f\x7f\x27", 4, 0x37f, 0x6230, 0x4230, 0xff, false },
	{ "\x45\x0f\x7f\x37", 4, 0x37f, 0x0b2d, 0x032d, 0xff, false },
	{ "\x0f\x7f\x16", 3, 0x37f, 0x3600, 0x0600, 0x34, false },
	{ "\x40\x0f\xe7\x3f", 4, 0x37f, 0x3d15, 0x0515, 0x1d, false },
	{ "\x44\x0f\xe7\x16", 4, 0x37f, 0x0e27, 0x0627, 0xff, false },
	{ "\x49\x0f\xe7\x16", 4, 0x357, 0x0d00, 0x0500, 0x2b, false },
};

static void run_mmx(const uint8_t *code, size_t len, uint16_t fcw, uint16_t fsw, uint8_t ftw,
		    bool code32)
{
	struct soft_fx *fx = fx_of(&r.before);

	begin(0, code, len, code32);
	fx->fcw = fcw;
	fx->fsw = fsw;
	fx->ftw = ftw;
	for (unsigned int n = 0; n < 8; n++)
		memset(fx->st[n].b, 0x11 * (int)(n + 1), 10);
	point_to(READ_ONLY, code32);
	run();
}

static void an_mmx_store_that_faults_has_turned_the_stack(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof(mmx_stores) / sizeof(mmx_stores[0]); n++) {
		unsigned int top = mmx_stores[n].fsw >> 11 & 7;

		run_mmx(mmx_stores[n].code, mmx_stores[n].len, mmx_stores[n].fcw, mmx_stores[n].fsw,
			mmx_stores[n].ftw, mmx_stores[n].code32);
		assert_end(EX_PF, 7, READ_ONLY);
		assert_int_equal(fx_of(&r.soft)->fsw, mmx_stores[n].fsw_after);
		assert_int_equal(fx_of(&r.soft)->ftw, mmx_stores[n].ftw);
		for (unsigned int k = 0; k < 8; k++)
			assert_memory_equal(fx_of(&r.soft)->st[(k + top) & 7].b,
					    fx_of(&r.before)->st[k].b, 16);
		memcpy(r.host.fx, r.before.fx, 160); /* AMD */
		memcpy(r.host.fx + 6, r.soft.fx + 6, 18);
		assert_true(is_taken());
		fx_of(&r.host)->st[3].b[0] ^= 1;
		assert_false(is_taken());
	}
}

/* A load finds its fault before anything. */
static void an_mmx_load_that_faults_has_not(void **state)
{
	(void)state;
	begin(0, "\x0f\x6f\x06", 3, false);
	fx_of(&r.before)->fsw = 0x1800;
	r.before.gpr[R_SI] = SOFT_DATA + SOFT_DATA_SIZE;
	run();
	assert_end(EX_PF, 4, SOFT_DATA + SOFT_DATA_SIZE);
	assert_int_equal(fx_of(&r.soft)->fsw, 0x1800);
	fx_of(&r.host)->fsw = 0;
	assert_false(is_taken());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_write_the_return_address_first),
		cmocka_unit_test(a_call_without_a_stack_faults_there),
		cmocka_unit_test(a_fault_in_cmps_keeps_the_flags),
		cmocka_unit_test(a_fault_in_scas_keeps_the_flags),
		cmocka_unit_test(accesses_across_4_gib_are_not_compared),
		cmocka_unit_test(of_two_faults_either_comes),
		cmocka_unit_test(unmasked_stores_leave_the_page_alone),
		cmocka_unit_test(a_masked_store_faults),
		cmocka_unit_test(an_mmx_store_that_faults_has_turned_the_stack),
		cmocka_unit_test(an_mmx_load_that_faults_has_not),
	};

	soft_guest_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
