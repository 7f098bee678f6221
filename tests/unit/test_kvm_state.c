/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image of a vCPU that KVM runs: whole, accepted of what a guest can bring about, and of damaged bytes
 * refused in a line or taken as a whole. KVM is played here, so that each of its calls can be refused; where
 * there is a real one, a guest's computation also goes on in the middle, and it is given damaged states, too.
 */
#include "cmd/vmm/accel/kvm/hyperv.h"
#include "cmd/vmm/accel/kvm/image.h"
#include "cmd/vmm/accel/kvm/kvm.h"
#include "cmd/vmm/space.h"
#include "tests/unit/unit.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/kvm/host.h"
#include "lib/kvm/speed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define PLAYED 1000000 /* the first descriptor of the KVM that is played */
#define VM_FD PLAYED
#define VCPU_FD (PLAYED + 1)

struct saved {
	uint8_t wire[STATE_IMAGE_MAX];
	size_t len;
};

/* ---- a KVM that keeps what it is given ---- */

static struct played {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_xsave xsave;
	struct kvm_xcrs xcrs;
	struct kvm_debugregs debugregs;
	struct kvm_lapic_state lapic;
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp_state;
	uint64_t msrs[KVM_MSRS_MAX];
	uint64_t clock;
} now;

static struct {
	struct kvm_msrs head;
	struct kvm_msr_entry entries[KVM_MSRS_MAX];
} known; /* the MSRs that this host has */

static unsigned int n_sets, refuse_at; /* the call that is refused, counted from 1; 0: none */

static const struct {
	unsigned long get, set;
	void *at;
	size_t len;
} calls[] = {
	{ KVM_GET_REGS, KVM_SET_REGS, &now.regs, sizeof(now.regs) },
	{ KVM_GET_SREGS, KVM_SET_SREGS, &now.sregs, sizeof(now.sregs) },
	{ KVM_GET_XSAVE, KVM_SET_XSAVE, &now.xsave, sizeof(now.xsave) },
	{ KVM_GET_XCRS, KVM_SET_XCRS, &now.xcrs, sizeof(now.xcrs) },
	{ KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, &now.debugregs, sizeof(now.debugregs) },
	{ KVM_GET_LAPIC, KVM_SET_LAPIC, &now.lapic, sizeof(now.lapic) },
	{ KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, &now.events, sizeof(now.events) },
	{ KVM_GET_MP_STATE, KVM_SET_MP_STATE, &now.mp_state, sizeof(now.mp_state) },
};

static uint64_t *played_msr(uint32_t index)
{
	for (unsigned int i = 0; i < known.head.nmsrs; i++)
		if (known.entries[i].index == index)
			return &now.msrs[i];
	return NULL;
}

static int refuse(void)
{
	errno = EINVAL;
	return -1;
}

static bool is_refused(void)
{
	return ++n_sets == refuse_at;
}

static int play_msr(unsigned long request, struct kvm_msrs *m)
{
	uint64_t *at = played_msr(m->entries[0].index);

	assert_int_equal(m->nmsrs, 1);
	if (!at || (request == KVM_SET_MSRS && is_refused()))
		return 0; /* none of them was taken */
	if (request == KVM_SET_MSRS)
		*at = m->entries[0].data;
	else
		m->entries[0].data = *at;
	return 1;
}

static int play_clock(unsigned long request, struct kvm_clock_data *c)
{
	if (request == KVM_GET_CLOCK)
		*c = (struct kvm_clock_data){ .clock = now.clock };
	else if (is_refused())
		return refuse();
	else
		now.clock = c->clock;
	return 0;
}

int __real_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	if (fd < PLAYED)
		return __real_ioctl(fd, request, arg);
	if (request == KVM_GET_MSRS || request == KVM_SET_MSRS)
		return play_msr(request, arg);
	if (request == KVM_GET_CLOCK || request == KVM_SET_CLOCK)
		return play_clock(request, arg);
	if (request == KVM_RUN) {
		errno = EINTR;
		return -1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		if (request == calls[i].get) {
			memcpy(arg, calls[i].at, calls[i].len);
			return 0;
		}
		if (request == calls[i].set) {
			if (is_refused())
				return refuse();
			memcpy(calls[i].at, arg, calls[i].len);
			return 0;
		}
	}
	fail_msg("ioctl %#lx", request);
	return -1;
}

/* ---- its one vCPU ---- */

static struct accel accel;
static struct kvm_run run_page;

#define OTHER_MSR 0x1d7 /* of the host, and in no image */

static void lapic_put(struct kvm_lapic_state *l, unsigned int reg, uint32_t v)
{
	memcpy(l->regs + (size_t)reg * 16, &v, sizeof(v));
}

static void know_msrs(void)
{
	/* all that an image may have, but one, and one more */
	static const uint32_t first[] = {
		0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000102, 0x174, 0x175, 0x176,
		0x277,	    0x1a0,	0x140,	    0x1fc,	0xc0000103, 0x1d9, 0x17a, 0x48,
		0x122,	    0xe1,	0xc0010015, 0xda0,	0x1c4,	    0x1c5, 0x2ff, 0x250,
		0x258,	    0x259,	0x4b564d01, 0x4b564d00, 0x3b,	    0x10,  0x6e0, OTHER_MSR
	};

	known.head.nmsrs = 0;
	for (size_t i = 0; i < ARRAY_SIZE(first); i++)
		known.entries[known.head.nmsrs++].index = first[i];
	for (uint32_t i = 0x200; i < 0x210; i++)
		known.entries[known.head.nmsrs++].index = i;
	for (uint32_t i = 0x268; i < 0x270; i++)
		known.entries[known.head.nmsrs++].index = i;
	for (size_t i = 0; i < kvm_hyperv_n_kept; i++)
		known.entries[known.head.nmsrs++].index = kvm_hyperv_kept[i];
}

/* In long mode, in the middle of something. */
static struct accel_vcpu *start(void)
{
	struct accel_vcpu *v = &accel.vcpus[0];

	free(v->pristine);
	free(v->whole);
	memset(&now, 0, sizeof(now));
	n_sets = refuse_at = 0;
	know_msrs();
	accel = (struct accel){ .vm_fd = VM_FD, .n_vcpus = 1, .msrs = &known.head };
	*v = (struct accel_vcpu){ .accel = &accel, .fd = VCPU_FD, .run = &run_page, .ran = true };
	now.regs.rip = 0xffffffff81000000;
	now.regs.rflags = 0x246;
	now.sregs.cr0 = 0x80050033;
	now.sregs.cr4 = 0x3506f0;
	now.sregs.cr3 = 0x1234000;
	now.sregs.efer = 0xd01;
	now.sregs.apic_base = 0xfee00900;
	now.sregs.cs = (struct kvm_segment){ .selector = 0x10,
					     .limit = 0xffffffff,
					     .type = 11,
					     .present = 1,
					     .s = 1,
					     .l = 1,
					     .g = 1 };
	now.sregs.ldt.unusable = 1;
	now.debugregs.dr6 = 0xffff0ff0;
	now.debugregs.dr7 = 0x400;
	now.xcrs = (struct kvm_xcrs){ .nr_xcrs = 1, .xcrs = { { .value = 7 } } };
	now.xsave.region[0] = 0x37f;
	now.xsave.region[6] = 0x1f80;
	now.xsave.region[128] = 7; /* XSTATE_BV */
	lapic_put(&now.lapic, KVM_LAPIC_VERSION, 0x50014);
	*played_msr(0x277) = 0x0007040600070406;
	*played_msr(0x2ff) = 0xc06;
	*played_msr(0x1a0) = 1;
	*played_msr(0xc0000082) = 0xffffffff81a00000;
	*played_msr(0x10) = 123456789;
	now.clock = 987654321;
	assert_int_equal(kvm_state_capture(v), 0);
	return v;
}

static int stop(void **state)
{
	(void)state;
	free(accel.vcpus[0].pristine);
	free(accel.vcpus[0].whole);
	accel.vcpus[0] = (struct accel_vcpu){ 0 };
	return 0;
}

static void save(struct accel_vcpu *v, struct saved *ret)
{
	const struct state_object o = { &kvm_vcpu_state, v };
	int r = state_object_save(&o, ret->wire, sizeof(ret->wire));

	assert_int_equal(r, state_wire_len(&kvm_vcpu_schema));
	ret->len = (size_t)r;
}

static int try_load(struct accel_vcpu *v, const struct saved *s, char why[STATE_WHY_MAX])
{
	const struct state_object o = { &kvm_vcpu_state, v };

	return state_object_load(&o, s->wire, s->len, why);
}

static void load(struct accel_vcpu *v, const struct saved *s)
{
	char why[STATE_WHY_MAX] = "";

	if (try_load(v, s, why) < 0)
		fail_msg("%s", why);
}

static void set(struct saved *s, const char *name, unsigned int index, uint64_t v)
{
	size_t at = STATE_HEADER_LEN;

	for (size_t i = 0; i < kvm_vcpu_schema.n_fields; i++) {
		const struct state_field *f = &kvm_vcpu_schema.fields[i];

		if (strcmp(f->name, name) == 0) {
			memcpy(s->wire + at + (size_t)index * f->width, &v, f->width);
			return;
		}
		at += (size_t)f->width * f->count;
	}
	fail_msg("no field %s", name);
}

static void same(const struct saved *a, const struct saved *b)
{
	assert_int_equal(a->len, b->len);
	assert_memory_equal(a->wire, b->wire, a->len);
}

/* ---- whole ---- */

/* Each field of the image, with what it may hold, reaches KVM and comes back. */
static void test_every_field_comes_back(void **state)
{
	static struct saved s, again;
	struct accel_vcpu *v = start();
	char why[STATE_WHY_MAX];
	size_t at = STATE_HEADER_LEN, n_taken = 0, n_ways = 0;

	(void)state;
	for (size_t i = 0; i < kvm_vcpu_schema.n_fields; i++) {
		const struct state_field *f = &kvm_vcpu_schema.fields[i];

		for (uint32_t n = 0; n < f->count; n++, at += f->width)
			for (unsigned int bit = 0; bit < 8U * f->width; bit++) {
				v = start();
				save(v, &s);
				s.wire[at + bit / 8] ^= (uint8_t)(1U << bit % 8);
				n_ways++;
				if (try_load(v, &s, why) < 0)
					continue;
				n_taken++;
				save(v, &again);
				if (memcmp(s.wire, again.wire, s.len) != 0)
					fail_msg("%s[%u], bit %u", f->name, n, bit);
			}
	}
	assert_int_equal(at, s.len);
	assert_in_range(n_taken, n_ways / 2, n_ways - 500);
}

static void test_all_of_it_reaches_kvm(void **state)
{
	static struct saved s;
	static struct played was;
	struct accel_vcpu *v = start();

	(void)state;
	for (size_t i = 0; i < sizeof(now.regs) / 2; i++)
		((uint8_t *)&now.regs)[i] = (uint8_t)(i * 7);
	now.events.exception.injected = 1;
	now.events.exception.nr = 14;
	now.events.exception.has_error_code = 1;
	now.events.exception.error_code = 6;
	now.events.nmi.pending = 1;
	now.events.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
	now.mp_state.mp_state = KVM_MP_STATE_HALTED;
	lapic_put(&now.lapic, KVM_LAPIC_TPR, 0x20);
	now.sregs.cr8 = 2;
	save(v, &s);
	was = now;
	memset(&now.regs, 0x55, sizeof(now.regs));
	now.sregs.cr3 = now.sregs.cr2 = 7;
	memset(&now.xsave, 0, sizeof(now.xsave));
	memset(&now.events, 0, sizeof(now.events));
	memset(&now.msrs, 0, sizeof(now.msrs));
	lapic_put(&now.lapic, KVM_LAPIC_TPR, 0xf0);
	now.clock = 0;
	load(v, &s);
	assert_memory_equal(&now, &was, sizeof(now));
}

/* ---- damage ---- */

static void test_what_kvm_refuses_changes_nothing(void **state)
{
	static struct saved s, other;
	static struct played was;
	struct accel_vcpu *v = start();
	char why[STATE_WHY_MAX];
	unsigned int all;

	(void)state;
	save(v, &s);
	other = s;
	set(&other, "rip", 0, 0x1000);
	set(&other, "cr3", 0, 0x5000);
	set(&other, "tsc", 0, 1);
	set(&other, "xmm", 3, 99);
	n_sets = 0;
	load(v, &other);
	all = n_sets;
	assert_true(all > 60);
	for (unsigned int at = 1; at <= all; at++) {
		v = start();
		was = now;
		n_sets = 0;
		refuse_at = at;
		assert_int_equal(try_load(v, &other, why), -EINVAL);
		assert_string_equal(why, "state of kvm-vcpu: KVM refuses it");
		assert_memory_equal(now.xsave.region, was.xsave.region, sizeof(was.xsave));
		was.events.flags = now.events.flags;
		assert_memory_equal(&now, &was, sizeof(now));
	}
}

static void test_every_byte_damaged(void **state)
{
	static const uint8_t flips[] = { 0x01, 0x80, 0xff };
	static struct saved s, damaged, after;
	struct accel_vcpu *v = start();
	char why[STATE_WHY_MAX];

	(void)state;
	save(v, &s);
	for (size_t at = 0; at < s.len; at++)
		for (size_t k = 0; k < ARRAY_SIZE(flips); k++) {
			damaged = s;
			damaged.wire[at] ^= flips[k];
			v = start();
			if (try_load(v, &damaged, why) < 0) {
				assert_non_null(strstr(why, "kvm-vcpu"));
				save(v, &after);
				same(&after, &s);
			} else {
				save(v, &after);
				same(&after, &damaged);
			}
		}
	for (size_t len = 0; len < s.len; len += 7) {
		damaged = s;
		damaged.len = len;
		assert_true(try_load(v, &damaged, why) < 0);
	}
}

static void test_fields_past_their_bounds(void **state)
{
	static struct saved s, damaged;
	struct accel_vcpu *v = start();
	size_t at = STATE_HEADER_LEN, n_tried = 0;
	char why[STATE_WHY_MAX];

	(void)state;
	save(v, &s);
	for (size_t i = 0; i < kvm_vcpu_schema.n_fields; i++) {
		const struct state_field *f = &kvm_vcpu_schema.fields[i];
		const uint64_t top = f->width == 8 ? UINT64_MAX : (1ULL << (8 * f->width)) - 1;
		const uint64_t bad[] = { f->min - 1, f->max + 1, ~f->mask };

		for (uint32_t n = 0; n < f->count; n++, at += f->width)
			for (size_t k = 0; k < ARRAY_SIZE(bad); k++) {
				uint64_t value = bad[k] & top;

				if (value >= f->min && value <= f->max && !(value & ~f->mask))
					continue;
				damaged = s;
				memcpy(damaged.wire + at, &value, f->width);
				n_sets = 0;
				assert_int_equal(try_load(v, &damaged, why), -EBADMSG);
				assert_non_null(strstr(why, f->name));
				assert_int_equal(n_sets, 0);
				n_tried++;
			}
	}
	assert_true(n_tried > 60);
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
		{ "cr0", 0, 0x80050023, "cr0 cannot be" },
		{ "cr0", 0, 0x50033, "efer does not go" },
		{ "cr4", 0, 0, "efer does not go" },
		{ "efer", 0, 0x1d01, "efer is 0x1d01" }, /* SVME */
		{ "cr4", 0, 0x3526f0, "cr4 is" },	 /* VMXE */
		{ "rflags", 0, 0, "rflags cannot be" },
		{ "xcr0", 0, 6, "xcr0 without x87" },
		{ "lstar", 0, 1ULL << 63, "an MSR or table's base" },
		{ "idt_base", 0, 1ULL << 62, "an MSR or table's base" },
		{ "base", 3, 1ULL << 57, "base is no address" },
		{ "pat", 0, 2, "pat has a type" },
		{ "mtrr_fixed", 4, 7ULL << 56, "mtrr_fixed has a type" },
		{ "apic_base", 0, 0xfee00100 | 1 << 10, "apic_base cannot be" },
		{ "apic_base", 0, 0xfed00900, "apic_base cannot be" },
		{ "apic_base", 0, 0xfee00800, "of another vCPU" },
		{ "lapic", KVM_LAPIC_VERSION, 0x50015, "another kind of LAPIC" },
		{ "lapic", 5, 1, "lapic has bits" },
		{ "lapic", KVM_LAPIC_TPR, 0x100, "lapic has bits" },
		{ "lapic", 0x20, 0x8000, "exception's vector" },
		{ "lapic", 0x39, 1, "beyond where it began" },
		{ "virt_spec_ctrl", 0, 4, "an MSR that this host has not" },
		{ "hv_hypercall", 0, 1, "hv_hypercall without a guest OS" },
		{ "hv_sint", 15, 1 << 17, "hv_sint with an exception's vector" },
		{ "hv_sint", 2, ~(1ULL << 16) & ~0xf0ULL, "hv_sint with an exception's vector" },
	};
	static struct saved s, bad;
	struct accel_vcpu *v = start();
	char why[STATE_WHY_MAX];

	(void)state;
	save(v, &s);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bad = s;
		set(&bad, cases[i].name, cases[i].index, cases[i].value);
		n_sets = 0;
		assert_true(try_load(v, &bad, why) < 0);
		if (!strstr(why, cases[i].why))
			fail_msg("%s: %s", cases[i].name, why);
		assert_int_equal(n_sets, 0); /* KVM was not even asked */
	}
	bad = s;
	set(&bad, "exception", 0, 1);
	set(&bad, "interrupt", 0, 1);
	assert_int_equal(try_load(v, &bad, why), -EBADMSG);
	assert_non_null(strstr(why, "two events"));
}

static void test_an_msr_without_a_place_is_not_lost(void **state)
{
	static struct saved s;
	struct accel_vcpu *v = start();
	const struct state_object o = { &kvm_vcpu_state, v };

	(void)state;
	save(v, &s);
	*played_msr(OTHER_MSR) = 1;
	assert_int_equal(state_object_save(&o, s.wire, sizeof(s.wire)), -ENOTSUP);
}

/* What a guest's timer can ask for, and one without Hyper-V's cannot. */
static void test_an_interrupt_with_an_exceptions_vector(void **state)
{
	static struct saved s;
	struct accel_vcpu *v = start();
	char why[STATE_WHY_MAX];

	(void)state;
	save(v, &s);
	set(&s, "hv_sint", 0, 1 << 16);
	set(&s, "lapic", 0x20, 0x8000);
	load(v, &s);
	set(&s, "lapic", 0x10, 0x8000);
	assert_int_equal(try_load(v, &s, why), -EBADMSG);
}

/* ---- a real one ---- */

#define RAM_BYTES 0x10000
#define CODE 0x1000
#define OTHER_CODE 0x2000
#define RESULTS 0x8000

static const uint8_t program[] = {
	0xb8, 0x34, 0x12,	      /* mov ax, 0x1234 */
	0x89, 0xc3,		      /* mov bx, ax */
	0xf7, 0xe3,		      /* mul bx */
	0xd9, 0xeb, 0xd9, 0xe8,	      /* fldpi; fld1 */
	0x0f, 0x23, 0xc3,	      /* mov dr0, ebx */
	0x29, 0xc3,		      /* sub bx, ax: flags */
	0xe6, 0x80,		      /* out 0x80, al: the middle */
	0x11, 0xd8,		      /* adc ax, bx */
	0xd8, 0xf1,		      /* fdiv st0, st1 */
	0xdd, 0x1e, 0x00, 0x80,	      /* fstp [RESULTS] */
	0xa3, 0x08, 0x80,	      /* mov [RESULTS + 8], ax */
	0x89, 0x16, 0x0a, 0x80,	      /* mov [RESULTS + 10], dx */
	0x9c, 0x8f, 0x06, 0x0c, 0x80, /* pushf; pop [RESULTS + 12] */
	0x0f, 0x21, 0xc3,	      /* mov ebx, dr0 */
	0x89, 0x1e, 0x0e, 0x80,	      /* mov [RESULTS + 14], bx */
	0xe6, 0x81,		      /* out 0x81, al */
	0xeb, 0xfe,
};
static const uint8_t other_program[] = {
	0xb8, 0xff, 0xff, 0x31, 0xdb, 0x31, 0xd2, /* mov ax, -1; xor bx, bx; xor dx, dx */
	0xdb, 0xe3, 0xd9, 0xee,			  /* fninit; fldz */
	0x66, 0x31, 0xc0, 0x0f, 0x23, 0xc0,	  /* xor eax, eax; mov dr0, eax */
	0xf9, 0xe6, 0x82, 0xeb, 0xfe,		  /* stc; out 0x82, al */
};

static struct real {
	struct accel *a;
	struct accel_vcpu *v, *second;
	uint8_t *ram;
} real;

/* One that emulates ring 0 knows no x87. */
static bool is_real(int kvm_fd)
{
	struct kvm_speed_vm vm;
	struct kvm_speed speed;
	const char *what;
	int r = kvm_speed_measure(&vm, kvm_fd, &speed, &what);

	kvm_speed_close(&vm);
	return r == 0 && kvm_speed_is_real(&speed);
}

static int begin_real(bool hyperv)
{
	const struct accel_machine machine = { .n_vcpus = 2, .hyperv = hyperv };
	const char *why = "?";
	_cleanup_(closep) int kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int fd;

	if (kvm_fd < 0 || !is_real(kvm_fd) || (hyperv && kvm_host_lacks_hyperv(kvm_fd)))
		return -ENODEV;
	fd = take_fd(&kvm_fd);
	if (accel_kvm.open(fd, &machine, &real.a, &why) < 0)
		fail_msg("%s", why);
	real.ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(real.ram != MAP_FAILED);
	assert_int_equal(accel_kvm.add_ram(real.a, 0, real.ram, RAM_BYTES), 0);
	assert_int_equal(accel_kvm.vcpu_create(real.a, 0, &real.v), 0);
	assert_int_equal(accel_kvm.vcpu_create(real.a, 1, &real.second), 0);
	memcpy(real.ram + CODE, program, sizeof(program));
	memcpy(real.ram + OTHER_CODE, other_program, sizeof(other_program));
	return 0;
}

static void run_to(struct accel_vcpu *v, unsigned int port)
{
	struct accel_exit e = { .kind = ACCEL_EXIT_NONE };

	assert_int_equal(accel_kvm.vcpu_run(v, &e), 0);
	if (e.kind != ACCEL_EXIT_PIO || e.address != port)
		fail_msg("exit %d at %#llx instead of port %#x: %s", e.kind,
			 (unsigned long long)e.address, port, e.why ? e.why : "");
}

static void go_to(struct accel_vcpu *v, uint64_t rip)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs = { .rip = rip, .rsp = 0x7000, .rflags = 2 };

	assert_int_equal(accel_kvm.vcpu_reset(v, NULL), 0);
	assert_int_equal(ioctl(v->fd, KVM_GET_SREGS, &sregs), 0);
	sregs.cs.base = sregs.cs.selector = 0;
	assert_int_equal(ioctl(v->fd, KVM_SET_SREGS, &sregs), 0);
	assert_int_equal(ioctl(v->fd, KVM_SET_REGS, &regs), 0);
}

/* The TSC goes on; and what is in its initial state is in the XSAVE area or, by XSTATE_BV, is not. */
static void same_but_counts(const struct saved *a, const struct saved *b)
{
	static struct saved x, y;

	x = *a;
	y = *b;
	set(&x, "tsc", 0, 0);
	set(&y, "tsc", 0, 0);
	set(&x, "xstate_bv", 0, 0);
	set(&y, "xstate_bv", 0, 0);
	same(&x, &y);
}

static void test_a_computation_goes_on(void **state)
{
	static struct saved middle, second, again;
	uint8_t results[16];

	(void)state;
	if (begin_real(false) < 0)
		skip();
	go_to(real.v, CODE);
	run_to(real.v, 0x80);
	save(real.v, &middle);
	save(real.second, &second);
	run_to(real.v, 0x81);
	memcpy(results, real.ram + RESULTS, sizeof(results));
	assert_int_equal(results[0xc] & 1, 1); /* the carry of the first half */
	for (int i = 0; i < 3; i++) {
		go_to(real.v, OTHER_CODE);
		run_to(real.v, 0x82);
		memset(real.ram + RESULTS, 0, sizeof(results));
		load(real.v, &middle);
		load(real.second, &second);
		save(real.second, &again);
		same_but_counts(&second, &again);
		run_to(real.v, 0x81);
		assert_memory_equal(results, real.ram + RESULTS, sizeof(results));
	}
}

/* The host's KVM hears of each, or the schema says no; the guest goes on after the last all the same. */
static void test_damaged_states_and_a_real_kvm(void **state)
{
	static struct saved middle, damaged;
	char why[STATE_WHY_MAX];
	size_t n_taken = 0;

	(void)state;
	if (!real.v)
		skip();
	go_to(real.v, CODE);
	run_to(real.v, 0x80);
	save(real.v, &middle);
	for (size_t at = STATE_HEADER_LEN; at < middle.len; at += at < 3000 ? 3 : 97) {
		damaged = middle;
		damaged.wire[at] ^= (uint8_t)(1U << at % 8);
		n_taken += try_load(real.v, &damaged, why) == 0;
	}
	assert_true(n_taken > 50);
	load(real.v, &middle);
	memset(real.ram + RESULTS, 0, 16);
	run_to(real.v, 0x81);
	assert_int_equal(real.ram[RESULTS + 0xc] & 1, 1);
}

static int access_msr(unsigned long request, uint32_t index, uint64_t *value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} one = { .head.nmsrs = 1, .entry = { .index = index, .data = *value } };
	int r = ioctl(real.v->fd, request, &one);

	*value = one.entry.data;
	return r;
}

static void has_msr_now(uint32_t index, uint64_t value)
{
	uint64_t now_ = 0;

	assert_int_equal(access_msr(KVM_GET_MSRS, index, &now_), 1);
	if (now_ != value)
		fail_msg("%#x: %#llx and not %#llx", index, (unsigned long long)now_,
			 (unsigned long long)value);
}

/* Each of its MSRs is as at power-on after a reset, and as it was from an image. */
static void test_hyperv_and_a_real_kvm(void **state)
{
	static const struct {
		uint32_t index;
		uint64_t initial, set;
	} all[] = {
		{ 0x40000000, 0, 0x8100000000000001 },
		{ 0x40000001, 0, 0x3001 },
		{ 0x40000021, 0, 0x4001 },
		{ 0x40000073, 0, 0x5001 },
		{ 0x40000080, 1, 0 },
		{ 0x40000082, 0, 0x6001 },
		{ 0x40000083, 0, 0x7001 },
		{ 0x40000090, 1 << 16, 0x50 },
		{ 0x4000009f, 1 << 16, 0x20051 },
		{ 0x400000b0, 0, 0x2000b },
		{ 0x400000b1, 0, ~0ULL },
		{ 0x400000b6, 0, 0x1f39 },
		{ 0x400000b7, 0, ~0ULL },
		{ 0x40000100, 0, 1 },
		{ 0x40000104, 0, 2 },
	};
	static struct saved s;
	uint64_t value;

	(void)state;
	munmap((void *)(uintptr_t)SPACE_MSRS_AT, SPACE_MSRS); /* of the one before */
	if (begin_real(true) < 0)
		skip();
	go_to(real.v, CODE);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		has_msr_now(all[i].index, all[i].initial);
		value = all[i].set;
		assert_int_equal(access_msr(KVM_SET_MSRS, all[i].index, &value), 1);
	}
	run_to(real.v, 0x80);
	save(real.v, &s);
	go_to(real.v, CODE);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		has_msr_now(all[i].index, all[i].initial);
	load(real.v, &s);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		has_msr_now(all[i].index, all[i].set);
	has_msr_now(0x40000105, 1ULL << 63);
	run_to(real.v, 0x81);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_every_field_comes_back, stop),
		cmocka_unit_test_teardown(test_all_of_it_reaches_kvm, stop),
		cmocka_unit_test_teardown(test_what_kvm_refuses_changes_nothing, stop),
		cmocka_unit_test_teardown(test_every_byte_damaged, stop),
		cmocka_unit_test_teardown(test_fields_past_their_bounds, stop),
		cmocka_unit_test_teardown(test_fields_against_each_other, stop),
		cmocka_unit_test_teardown(test_an_msr_without_a_place_is_not_lost, stop),
		cmocka_unit_test_teardown(test_an_interrupt_with_an_exceptions_vector, stop),
		cmocka_unit_test(test_a_computation_goes_on),
		cmocka_unit_test(test_damaged_states_and_a_real_kvm),
		cmocka_unit_test(test_hyperv_and_a_real_kvm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
