/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A soft vCPU's image: whole (a guest that is loaded in the middle of its computation ends it as the one
 * that was not), accepted of every state that a guest can bring about, and of damaged bytes either
 * refused in a line or taken as a state in which the interpreter keeps its bounds.
 */
#include "tests/unit/softworld.h"
#include "tests/unit/unit.h"

#include "cmd/vmm/accel/soft/lapic_state.h"
#include "cmd/vmm/accel/soft/state.h"
#include "cmd/vmm/accel/soft/vcpu.h"

#include <errno.h>
#include <string.h>

#define RANDOM_CASES 600
#define TIME_SLACK 1000000U /* ns: what looks at the test's clock cost */

struct saved {
	uint8_t wire[STATE_IMAGE_MAX];
	size_t len;
};

static const struct state_schema *schema(void)
{
	return soft_vcpu_state.schema;
}

static void save(struct soft_cpu *c, struct saved *ret)
{
	const struct state_object o = { &soft_vcpu_state, c };
	int r = state_object_save(&o, ret->wire, sizeof(ret->wire));

	assert_int_equal(r, state_wire_len(schema()));
	ret->len = (size_t)r;
}

static int try_load(struct soft_cpu *c, const struct saved *s, char why[STATE_WHY_MAX])
{
	const struct state_object o = { &soft_vcpu_state, c };

	return state_object_load(&o, s->wire, s->len, why);
}

static void load(struct soft_cpu *c, const struct saved *s)
{
	char why[STATE_WHY_MAX] = "";

	if (try_load(c, s, why) < 0)
		fail_msg("%s", why);
}

/* Where a field's elements are in the wire form. */
static size_t wire_at(const char *name, const struct state_field **ret)
{
	size_t at = STATE_HEADER_LEN;

	for (size_t i = 0; i < schema()->n_fields; i++) {
		const struct state_field *f = &schema()->fields[i];

		if (ret)
			*ret = f;
		if (strcmp(f->name, name) == 0)
			return at;
		at += (size_t)f->width * f->count;
	}
	fail_msg("no field %s", name);
	return 0;
}

static uint64_t get(const struct saved *s, const char *name)
{
	const struct state_field *f = NULL;
	size_t at = wire_at(name, &f);
	uint64_t v = 0;

	memcpy(&v, s->wire + at, f->width);
	return v;
}

static void set(struct saved *s, const char *name, unsigned int index, uint64_t v)
{
	const struct state_field *f = NULL;
	size_t at = wire_at(name, &f);

	memcpy(s->wire + at + (size_t)index * f->width, &v, f->width);
}

/* Time goes on between two looks. */
static void drop_times(struct saved *s)
{
	static const char *const times[] = { "tsc", "clock", "lapic.timer_left",
					     "lapic.timer_gone" };

	for (size_t i = 0; i < ARRAY_SIZE(times); i++)
		set(s, times[i], 0, 0);
}

static void same(struct saved *a, struct saved *b)
{
	drop_times(a);
	drop_times(b);
	assert_int_equal(a->len, b->len);
	assert_memory_equal(a->wire, b->wire, a->len);
}

static void put_code(const void *bytes, size_t len)
{
	memcpy(world_ram(WORLD_CODE, len), bytes, len);
}

/* Nothing of what a CPU held before may be left behind a load. */
static void scramble(struct soft_cpu *c, uint64_t seed)
{
	world_start(c, (enum world_mode)(seed % 8));
	for (unsigned int i = 0; i < 0x1000; i += 4) {
		uint32_t v = next_random(&seed);

		memcpy(world_ram(WORLD_CODE + i, 4), &v, 4);
	}
	world_run(c, 100);
}

/* ---- whole ---- */

static const uint8_t program[] = {
	0x48, 0xc7, 0xc0, 0x34, 0x12, 0x00, 0x00,	      /* mov rax, 0x1234 */
	0x48, 0x89, 0xc3,				      /* mov rbx, rax */
	0x48, 0x0f, 0xaf, 0xd8,				      /* imul rbx, rax */
	0xd9, 0xeb, 0xd9, 0xe8,				      /* fldpi; fld1 */
	0xf2, 0x48, 0x0f, 0x2a, 0xc0,			      /* cvtsi2sd xmm0, rax */
	0xf2, 0x0f, 0x51, 0xc8,				      /* sqrtsd xmm1, xmm0: inexact */
	0xb9, 0x82, 0x00, 0x00, 0xc0, 0x31, 0xd2, 0x0f, 0x30, /* wrmsr LSTAR */
	0x0f, 0x23, 0xc3,				      /* mov dr0, rbx */
	0x48, 0x29, 0xd8,				      /* sub rax, rbx: borrows */
	0xf4,						      /* hlt */
	0x48, 0x11, 0xd8,				      /* adc rax, rbx */
	0xd8, 0xf1,					      /* fdiv st0, st1: inexact */
	0xf2, 0x0f, 0x5e, 0xc1,				      /* divsd xmm0, xmm1 */
	0xdd, 0x1c, 0x25, 0x00, 0x80, 0x01, 0x00,	      /* fstp [0x18000] */
	0x0f, 0xae, 0x1c, 0x25, 0x08, 0x80, 0x01, 0x00,	      /* stmxcsr [0x18008] */
	0xf2, 0x0f, 0x11, 0x04, 0x25, 0x10, 0x80, 0x01, 0x00, /* movsd [0x18010], xmm0 */
	0x48, 0x89, 0x04, 0x25, 0x18, 0x80, 0x01, 0x00,	      /* mov [0x18018], rax */
	0x9c, 0x8f, 0x04, 0x25, 0x20, 0x80, 0x01, 0x00,	      /* pushf; pop [0x18020] */
	0x0f, 0x21, 0xc2, 0x48, 0x89, 0x14, 0x25, 0x28, 0x80, 0x01, 0x00, /* mov rdx, dr0 */
	0xdd, 0x34, 0x25, 0x40, 0x80, 0x01, 0x00,			  /* fnsave [0x18040] */
	0x0f, 0x32, 0x89, 0x04, 0x25, 0x30, 0x80, 0x01, 0x00, /* rdmsr LSTAR; mov [0x18030], eax */
	0xf4,
};

static void run_on(struct soft_cpu *c)
{
	c->halted = false;
	for (int i = 0; i < 1000 && !c->halted; i++) /* on a busy host one turn may be none */
		world_run(c, 50000);
	assert_true(c->halted);
	world_check(c);
}

static void test_a_computation_goes_on(void **state)
{
	static struct saved middle, straight, loaded;
	static uint8_t results[256];
	struct soft_cpu *c = world_new(1)->cpu[0];

	(void)state;
	world_start(c, WORLD_LONG);
	put_code(program, sizeof(program));
	run_on(c);
	save(c, &middle);
	run_on(c);
	save(c, &straight);
	memcpy(results, world_ram(WORLD_DATA, sizeof(results)), sizeof(results));
	assert_int_not_equal(results[8] & 0x20, 0); /* MXCSR.PE of the first half */

	for (uint64_t seed = 1; seed < 4; seed++) {
		scramble(c, seed);
		c = world_new(1)->cpu[0];
		put_code(program, sizeof(program));
		load(c, &middle);
		run_on(c);
		save(c, &loaded);
		assert_memory_equal(results, world_ram(WORLD_DATA, sizeof(results)),
				    sizeof(results));
		same(&straight, &loaded);
	}
}

/* ---- every state of a guest is accepted, and comes back ---- */

static void test_states_that_guests_reach(void **state)
{
	static struct saved s, again;
	uint64_t seed = 77;

	(void)state;
	for (unsigned int n = 0; n < RANDOM_CASES; n++) {
		struct soft_cpu *c = world_new(1)->cpu[0];

		scramble(c, seed + n);
		save(c, &s);
		scramble(c, seed - n);
		load(c, &s);
		save(c, &again);
		same(&s, &again);
		world_check(c);
	}
}

/* ---- time ---- */

static void test_time_stands_still(void **state)
{
	static struct saved s, again;
	struct soft_cpu *c = world_new(2)->cpu[0];
	struct soft_lapic *l = c->lapic;
	uint64_t tsc, left;

	(void)state;
	world_start(c, WORLD_LONG);
	l->reg[REG_SVR] |= SVR_ENABLE;
	l->reg[REG_LVT_TIMER] = 0x40;
	lapic_write(c, REG_TIMER_DIVIDE, 0xb);
	lapic_write(c, REG_TIMER_INITIAL, 500000000);
	lapic_accept(c, DELIVER_FIXED, 0x51, true);
	lapic_accept(c, DELIVER_NMI, 0, false);
	save(c, &s);
	tsc = get(&s, "tsc");
	left = get(&s, "lapic.timer_left");
	assert_in_range(left, 500000000 - TIME_SLACK, 500000000);
	lapic_arm(c, soft_now() + 3000000000U);
	for (int i = 0; i < 20000; i++) /* it moves with looks only */
		(void)soft_now();
	world_start(c, WORLD_REAL);
	assert_true(c->lapic->timer_due == UINT64_MAX);
	load(c, &s);
	save(c, &again);
	assert_in_range(get(&again, "tsc"), tsc, tsc + TIME_SLACK);
	assert_in_range(get(&again, "clock"), get(&s, "clock"), get(&s, "clock") + TIME_SLACK);
	assert_in_range(get(&again, "lapic.timer_left"), left - TIME_SLACK, left);
	assert_in_range(lapic_read(c, REG_TIMER_CURRENT), 500000000 - TIME_SLACK, 500000000);
	assert_int_equal(lapic_read(c, REG_IRR + 2), 1 << 17);
	assert_int_equal(lapic_read(c, REG_TMR + 2), 1 << 17);
	assert_true(soft_lapic_signals(c).nmi);
	same(&s, &again);
}

/* ---- damage ---- */

static struct soft_cpu *make_victim(struct saved *ret, uint64_t seed)
{
	struct soft_cpu *c = world_new(2)->cpu[0];

	world_start(c, WORLD_LONG);
	put_code(program, sizeof(program));
	run_on(c);
	save(c, ret);
	scramble(c, seed);
	put_code(program, sizeof(program));
	return c;
}

static bool survives(struct soft_cpu *c, const struct saved *before, const struct saved *damaged)
{
	static struct saved now, was;
	char why[STATE_WHY_MAX] = "";

	load(c, before);
	if (try_load(c, damaged, why) < 0) {
		assert_non_null(strstr(why, "soft-vcpu"));
		was = *before;
		save(c, &now);
		same(&now, &was);
		return false;
	}
	world_check(c);
	world_run(c, 20);
	world_check(c);
	return true;
}

static void test_every_byte_damaged(void **state)
{
	static const uint8_t flips[] = { 0x01, 0x80, 0xff };
	static struct saved before, damaged;
	struct soft_cpu *c = make_victim(&before, 5);
	size_t n_taken = 0;

	(void)state;
	for (size_t at = 0; at < before.len; at++)
		for (size_t k = 0; k < ARRAY_SIZE(flips); k++) {
			damaged = before;
			damaged.wire[at] ^= flips[k];
			n_taken += survives(c, &before, &damaged);
		}
	assert_in_range(n_taken, 1, 3 * (before.len - STATE_HEADER_LEN));
	for (size_t len = 0; len < before.len; len += 7) {
		damaged = before;
		damaged.len = len;
		assert_false(survives(c, &before, &damaged));
	}
}

static void test_fields_past_their_bounds(void **state)
{
	static struct saved before, damaged;
	struct soft_cpu *c = make_victim(&before, 6);
	size_t at = STATE_HEADER_LEN, n_tried = 0;

	(void)state;
	for (size_t i = 0; i < schema()->n_fields; i++) {
		const struct state_field *f = &schema()->fields[i];
		const uint64_t top = f->width == 8 ? UINT64_MAX : (1ULL << (8 * f->width)) - 1;
		const uint64_t bad[] = { f->min - 1, f->max + 1, ~f->mask };

		for (uint32_t n = 0; n < f->count; n++, at += f->width)
			for (size_t k = 0; k < ARRAY_SIZE(bad); k++) {
				uint64_t v = bad[k] & top;

				if (v >= f->min && v <= f->max && !(v & ~f->mask))
					continue;
				damaged = before;
				memcpy(damaged.wire + at, &v, f->width);
				assert_false(survives(c, &before, &damaged));
				n_tried++;
			}
	}
	assert_int_equal(at, before.len);
	assert_true(n_tried > 40);
}

static void test_fields_against_each_other(void **state)
{
	static const struct {
		const char *name;
		unsigned int index;
		uint64_t value;
		const char *why;
	} cases[] = {
		{ "cr0", 0, 0x80000010, "cr0 cannot be" },
		{ "cr0", 0, 0x80000001, "cr0 cannot be" },
		{ "cr0", 0, 0x11, "efer does not go" },
		{ "cr4", 0, 0, "efer does not go" },
		{ "efer", 0, 0x100, "efer does not go" },
		{ "rflags", 0, 0, "rflags cannot be" },
		{ "lstar", 0, 1ULL << 63, "an MSR for an address" },
		{ "base", 5, 1ULL << 47, "base is no address" },
		{ "dr", 4, 1, "dr has bits" },
		{ "dr", 6, 0, "dr has bits" },
		{ "dr", 7, 1ULL << 32 | 0x400, "dr has bits" },
		{ "fcw", 0, 0x33f, "fcw cannot be" },
		{ "st", 1, 1 << 16, "more than 80 bits" },
		{ "pat", 0, 2, "pat has a type" },
		{ "lapic.base", 0, 0, "lapic.base" },
		{ "lapic.base", 0, LAPIC_START | 1 << 10, "lapic.base" },
		{ "lapic.reg", 3, 1, "lapic.reg has bits" },
		{ "lapic.reg", 8, 0x100, "lapic.reg has bits" },
		{ "lapic.reg", 2, 1 << 24, "of another vCPU" },
		{ "lapic.irr", 0, 0x8000, "exception's vector" },
		{ "lapic.isr", 0, 1, "exception's vector" },
	};
	static struct saved before, bad;
	struct soft_cpu *c = make_victim(&before, 7);
	char why[STATE_WHY_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bad = before;
		set(&bad, cases[i].name, cases[i].index, cases[i].value);
		assert_true(try_load(c, &bad, why) < 0);
		if (!strstr(why, cases[i].why))
			fail_msg("%s[%u]: %s", cases[i].name, cases[i].index, why);
	}
	bad = before; /* a period of 0 would be divided by */
	set(&bad, "lapic.reg", REG_LVT_TIMER, 1 << 17);
	set(&bad, "lapic.timer_on", 0, 1);
	assert_int_equal(try_load(c, &bad, why), -EBADMSG);
	assert_non_null(strstr(why, "a period of 0"));
}

static void test_a_reset_goes_through_the_row(void **state)
{
	static struct saved fresh, again;
	struct soft_cpu *c = world_new(1)->cpu[0];
	const struct state_object o = { &soft_vcpu_state, c };

	(void)state;
	assert_int_equal(state_reset_all(&o, 1), 0);
	save(c, &fresh);
	scramble(c, 3);
	assert_int_equal(state_reset_all(&o, 1), 0);
	save(c, &again);
	same(&fresh, &again);
	assert_int_equal(c->rip, 0xfff0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_computation_goes_on),
		cmocka_unit_test(test_states_that_guests_reach),
		cmocka_unit_test(test_time_stands_still),
		cmocka_unit_test(test_every_byte_damaged),
		cmocka_unit_test(test_fields_past_their_bounds),
		cmocka_unit_test(test_fields_against_each_other),
		cmocka_unit_test(test_a_reset_goes_through_the_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
