/* SPDX-License-Identifier: Apache-2.0 */
/* The hostile guest's machine; see softworld.h. */
#include "tests/unit/softworld.h"

#include "cmd/vmm/accel/soft/cache.h"
#include "cmd/vmm/accel/soft/dma.h"
#include "cmd/vmm/accel/soft/decode.h"
#include "cmd/vmm/accel/soft/events.h"
#include "cmd/vmm/accel/soft/fp_x87.h"
#include "cmd/vmm/accel/soft/lapic.h"
#include "cmd/vmm/accel/soft/seg.h"
#include "cmd/vmm/accel/soft/sys.h"
#include "cmd/vmm/accel/soft/vcpu.h"
#include "lib/base/loop.h"

#include <linux/futex.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096U
#define PTE 0x7ULL /* present, writable, user */
#define PTE_LARGE 0x87ULL
#define CODE 0x9b
#define DATA 0x93
#define TSS_BYTES 0x80

static struct world world;
static struct soft_cpu *running;

static void fail(const char *what)
{
	fprintf(stderr, "softworld: not so: %s\n", what);
	abort();
}

#define need(x) ((x) ? (void)0 : fail(#x))

/* Memory with an inaccessible page at either end. */
static void *guarded(size_t size)
{
	uint8_t *p = mmap(NULL, size + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(p != MAP_FAILED && mprotect(p + PAGE, size, PROT_READ | PROT_WRITE) == 0);
	return p + PAGE;
}

/* ---- the host as the interpreter sees it: a clock, a sleep, the x87 stubs ---- */

uint64_t __wrap_soft_now(void);
long __wrap_syscall(long number, ...);
uint32_t __real_soft_x87_call(const struct soft_fx *in, struct soft_fx *out, const uint8_t *stub,
			      void *operand, uint32_t flags);
uint32_t __wrap_soft_x87_call(const struct soft_fx *in, struct soft_fx *out, const uint8_t *stub,
			      void *operand, uint32_t flags);
uint32_t __real_soft_x87_short(struct x87_reg regs[2], const uint8_t *stub, unsigned int n,
			       void *operand, unsigned int fcw, uint32_t flags);
uint32_t __wrap_soft_x87_short(struct x87_reg regs[2], const uint8_t *stub, unsigned int n,
			       void *operand, unsigned int fcw, uint32_t flags);

static uint64_t now;

uint64_t __wrap_soft_now(void)
{
	return now += 100;
}

/* A vCPU goes to sleep: until its timer, or for good. Nobody else's waiting is waited for. */
long __wrap_syscall(long number, ...)
{
	uint64_t due;
	va_list args;
	int op;

	va_start(args, number);
	(void)va_arg(args, void *);
	op = va_arg(args, int);
	va_end(args);
	if (number != SYS_futex || op != FUTEX_WAIT_PRIVATE)
		return 0;
	due = soft_lapic_next_timer(running);
	if (due != UINT64_MAX && due > now)
		now = due;
	atomic_fetch_or(&running->wake, due != UINT64_MAX ? WAKE_INTERRUPT : WAKE_KICK);
	return 0;
}

/* How long the buffer is that holds the operand of a memory stub: FLDENV, FRSTOR, FNSAVE and
 * FNSTENV have 128 bytes, the others 16. */
static size_t operand_size(const uint8_t *stub)
{
	const uint8_t *table = stub < soft_x87_mem16[0] ? soft_x87_mem[0] : soft_x87_mem16[0];
	size_t n = (size_t)(stub - table) / X87_STUB;

	return n == 014 || n == 016 || n == 054 || n == 056 ? 128 : 16;
}

static void *at_end(const void *from, size_t len)
{
	static uint8_t *pages[2];
	static unsigned int turn;
	void *to;

	if (!pages[turn % 2])
		pages[turn % 2] = guarded(PAGE);
	to = pages[turn++ % 2] + PAGE - len;
	if (from)
		memcpy(to, from, len);
	return to;
}

/* The stubs' memory is not instrumented: so it ends at a guard page. */
uint32_t __wrap_soft_x87_call(const struct soft_fx *in, struct soft_fx *out, const uint8_t *stub,
			      void *operand, uint32_t flags)
{
	size_t size = operand ? operand_size(stub) : 0;
	void *copy = operand ? at_end(operand, size) : NULL;
	struct soft_fx *image = at_end(NULL, sizeof(*out));
	uint32_t r = __real_soft_x87_call(in, image, stub, copy, flags);

	*out = *image;
	if (operand)
		memcpy(operand, copy, size);
	return r;
}

uint32_t __wrap_soft_x87_short(struct x87_reg regs[2], const uint8_t *stub, unsigned int n,
			       void *operand, unsigned int fcw, uint32_t flags)
{
	void *copy = operand ? at_end(operand, operand_size(stub)) : NULL;
	struct x87_reg *two = at_end(regs, 2 * sizeof(*regs));
	uint32_t r = __real_soft_x87_short(two, stub, n, copy, fcw, flags);

	memcpy(regs, two, 2 * sizeof(*regs));
	if (operand)
		memcpy(operand, copy, operand_size(stub));
	return r;
}

/* ---- devices ---- */

static uint64_t next_random(void)
{
	world.random = world.random * 6364136223846793005ULL + 1442695040888963407ULL;
	return world.random >> 16;
}

/* Now and then a write makes the device write to RAM, or somebody kicks the vCPU. */
static void device_acts(uint64_t address)
{
	uint64_t r = next_random();
	uint8_t *to = world_ram((address & 0xffff) + (r & 1 ? HIGH_RAM_START : WORLD_CODE), 8);

	if (to && (r & 6) == 2) {
		memcpy(to, &r, 8);
		soft_dma_told(&world.vm);
	}
	if ((r & 0xf0) == 0x10)
		soft_vcpu_wake(running, WAKE_KICK);
}

static void access_device(void *ctx, const struct accel_exit *e)
{
	uint64_t v = next_random();

	need(ctx == &world);
	if (e->kind == ACCEL_EXIT_EOI)
		return;
	need(e->width == 1 || e->width == 2 || e->width == 4 || e->width == 8);
	/* a run of bytes is read together */
	need(e->count == 1 || (e->count > 1 && e->count <= 256 && e->width == 1 && !e->write &&
			       e->kind == ACCEL_EXIT_PIO));
	if (e->kind == ACCEL_EXIT_PIO)
		need(e->address <= 0xffff && e->width <= 4);
	else
		need(e->kind == ACCEL_EXIT_MMIO && !world_ram(e->address, 1));
	if (!e->write)
		for (uint32_t i = 0; i < e->count; i++)
			memcpy(e->data + (size_t)i * e->width, &v, e->width);
	else
		device_acts(e->address);
}

/* ---- making it ---- */

uint8_t *world_ram(uint64_t gpa, size_t len)
{
	struct soft_ram *ram = soft_ram_at(&world.vm, gpa);

	if (!ram || len > ram->size - (gpa - ram->gpa))
		return NULL;
	return ram->host + (gpa - ram->gpa);
}

static void add_ram(uint64_t gpa, uint64_t size)
{
	struct soft_ram *ram = &world.vm.ram[world.vm.n_ram++];

	*ram = (struct soft_ram){ .gpa = gpa, .size = size, .host = guarded(size) };
	ram->pages = calloc(size >> 12, sizeof(ram->pages[0]));
	need(ram->pages);
}

static void make_once(void)
{
	static struct loop loop;

	if (world.vm.n_ram)
		return;
	soft_decode_init();
	for (size_t i = 0; i < sizeof(world.vm.page_key) / 8; i++)
		((uint64_t *)&world.vm.page_key)[i] = next_random() << 32 ^ next_random();
	need(loop_open(&loop) == 0);
	world.vm.io = (struct accel_io){ .access = access_device, .ctx = &world, .loop = &loop };
	add_ram(0, WORLD_LOW_SIZE);
	add_ram(HIGH_RAM_START, WORLD_HIGH_SIZE);
	need(soft_events_open(&world.vm) == 0);
	for (unsigned int i = 0; i < WORLD_CPUS; i++) {
		struct soft_cpu *c = aligned_alloc(64, (sizeof(*c) + 63) & ~63UL);

		need(c);
		memset(c, 0, sizeof(*c));
		c->vm = &world.vm;
		c->index = i;
		need(soft_lapic_create(c) == 0 && soft_cache_create(c) == 0);
		world.cpu[i] = c;
	}
}

static void put64(uint64_t gpa, uint64_t v)
{
	memcpy(world_ram(gpa, 8), &v, 8);
}

static void put32(uint64_t gpa, uint32_t v)
{
	memcpy(world_ram(gpa, 4), &v, 4);
}

static void make_tables(void)
{
	uint32_t pml4 = WORLD_TABLES, pdpt = pml4 + 0x1000, pd = pml4 + 0x2000, pt = pml4 + 0x3000;
	uint32_t pd32 = pml4 + 0x4000, pt32 = pml4 + 0x5000, pdpt32 = pml4 + 0x6000;

	put64(pml4, pdpt | PTE);
	put64(pml4 + 256 * 8, pdpt | PTE);
	put64(pdpt, pd | PTE);
	put64(pdpt32, pd | 1);
	put64(pd, pt | PTE);
	put64(pd + 8, LAPIC_START | PTE_LARGE);
	put64(pd + 16, HIGH_RAM_START | PTE_LARGE);
	put64(pd + 24, PCI_MMIO32_START | PTE_LARGE);
	put32(pd32, pt32 | PTE);
	put32(pd32 + 4, (uint32_t)(LAPIC_START & ~0x3fffffU) | PTE_LARGE);
	for (uint32_t i = 0; i < 512; i++) {
		put64(pt + i * 8, i << 12 | PTE);
		put32(pt32 + i * 4, i << 12 | PTE);
	}
}

static uint64_t descriptor(unsigned int access, unsigned int flags)
{
	return 0xffff | (uint64_t)access << 40 | (uint64_t)(flags | 0xf) << 48;
}

static void make_segments(void)
{
	uint32_t gdt = WORLD_GDT;

	put64(gdt + WORLD_CS64, descriptor(CODE, 0xa0));
	put64(gdt + WORLD_SS, descriptor(DATA, 0xc0));
	put64(gdt + WORLD_CS32, descriptor(CODE, 0xc0));
	put64(gdt + WORLD_CS16, descriptor(CODE, 0x80));
	put64(gdt + (WORLD_USER_CS32 & ~7U), descriptor(CODE | 0x60, 0xc0));
	put64(gdt + (WORLD_USER_SS & ~7U), descriptor(DATA | 0x60, 0xc0));
	put64(gdt + (WORLD_USER_CS64 & ~7U), descriptor(CODE | 0x60, 0xa0));
	put64(gdt + WORLD_TR, TSS_BYTES | (uint64_t)WORLD_TSS << 16 | 0x8bULL << 40);
	put32(WORLD_TSS + 4, WORLD_STACK - 0x400); /* RSP0, or ESP0 and SS0 */
	put32(WORLD_TSS + 8, 0);
}

static bool has_error_code(unsigned int vector)
{
	return vector == EX_DF || (vector >= EX_TS && vector <= EX_PF) || vector == EX_AC;
}

/* Each handler steps over one byte of the code that faulted. */
static void make_handlers(void)
{
	static const uint8_t code64[] = { 0x48, 0x83, 0xc4, 0x08, /* add rsp, 8 */
					  0x48, 0xff, 0x04, 0x24, /* inc qword [rsp] */
					  0x48, 0xcf };		  /* iretq */
	static const uint8_t code32[] = { 0x83, 0xc4, 0x04, 0xff, 0x04, 0x24, 0xcf };
	uint32_t at64 = WORLD_HANDLERS, at32 = WORLD_HANDLERS + 0x100;

	memcpy(world_ram(at64, sizeof(code64)), code64, sizeof(code64));
	memcpy(world_ram(at32, sizeof(code32)), code32, sizeof(code32));
	for (unsigned int v = 0; v < 256; v++) {
		uint32_t to64 = at64 + (has_error_code(v) ? 0 : 4);
		uint32_t to32 = at32 + (has_error_code(v) ? 0 : 3);

		put64(WORLD_IDT64 + v * 16, to64 | WORLD_CS64 << 16 | 0xeeULL << 40);
		put64(WORLD_IDT32 + v * 8, to32 | WORLD_CS32 << 16 | 0xeeULL << 40);
	}
}

struct world *world_new(unsigned int n_cpus)
{
	make_once();
	now = 1000000;
	world.random = 1;
	world.vm.n_vcpus = n_cpus;
	world.vm.dma_epoch = 0;
	world.vm.clock_start = 0;
	for (unsigned int i = 0; i < WORLD_CPUS; i++)
		world.vm.cpus[i] = i < n_cpus ? world.cpu[i] : NULL;
	for (unsigned int i = 0; i < 2; i++) {
		memset(world.vm.ram[i].host, 0, world.vm.ram[i].size);
		memset(world.vm.ram[i].pages, 0,
		       (world.vm.ram[i].size >> 12) * sizeof(struct soft_page));
	}
	memset(world_ram(WORLD_CODE, 0x8000), 0xf4, 0x8000); /* HLT */
	make_tables();
	make_segments();
	make_handlers();
	return &world;
}

/* ---- starting a CPU ---- */

static void load_segments(struct soft_cpu *c, uint16_t cs, uint16_t ss)
{
	unsigned int dpl = cs & 3;
	uint16_t code = SEG_P | SEG_S | SEG_CODE | SEG_RW | SEG_ACCESSED | SEG_G;
	uint16_t data = SEG_P | SEG_S | SEG_RW | SEG_ACCESSED | SEG_DB | SEG_G;

	code |= cs == WORLD_CS64 || cs == WORLD_USER_CS64 ? SEG_L : SEG_DB;
	for (unsigned int s = 0; s < 6; s++)
		c->seg[s] = (struct soft_segment){ ss, (uint16_t)(data | dpl << 5), UINT32_MAX, 0 };
	c->seg[S_CS] = (struct soft_segment){ cs, (uint16_t)(code | dpl << 5), UINT32_MAX, 0 };
	c->cpl = (uint8_t)dpl;
}

static void load_tables(struct soft_cpu *c, bool lm)
{
	c->gdtr.base = WORLD_GDT;
	c->gdtr.limit = 0x7f;
	c->idtr.base = lm ? WORLD_IDT64 : WORLD_IDT32;
	c->idtr.limit = lm ? 0xfff : 0x7ff;
	c->tr = (struct soft_segment){ WORLD_TR, SEG_P | 0xb, TSS_BYTES, WORLD_TSS };
	put32(WORLD_TSS + 8, lm ? 0 : WORLD_SS);
}

static void load_control(struct soft_cpu *c, enum world_mode mode)
{
	bool lm = mode >= WORLD_COMPAT;

	c->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | (mode > WORLD_PROTECTED ? CR0_PG : 0);
	c->cr3 = lm ? WORLD_TABLES : WORLD_TABLES + (mode == WORLD_PAE ? 0x6000 : 0x4000);
	c->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_PSE | CR4_FSGSBASE |
		 (mode >= WORLD_PAE ? CR4_PAE : 0) |
		 (mode == WORLD_LONG_STRICT ? CR4_SMEP | CR4_SMAP : 0);
	c->efer = lm ? EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE : 0;
}

void world_start(struct soft_cpu *c, enum world_mode mode)
{
	static const uint16_t cs[] = {
		0,	    WORLD_CS32,	     WORLD_CS32, WORLD_CS32, WORLD_USER_CS32,
		WORLD_CS64, WORLD_USER_CS64, WORLD_CS64
	};

	soft_cache_clear(c);
	(void)soft_lapic_signals(c);
	atomic_store(&c->wake, 0);
	c->nmi_pending = c->single_step = false;
	soft_cpu_reset(c, NULL, false);
	c->wait_sipi = false;
	c->gpr[R_SP] = WORLD_STACK - c->index * 0x100;
	c->rip = WORLD_CODE;
	if (mode == WORLD_REAL) {
		soft_load_real_segment(c, S_CS, WORLD_CODE >> 4);
		c->rip = 0;
	} else {
		load_control(c, mode);
		load_segments(c, cs[mode], (cs[mode] & 3) ? WORLD_USER_SS : WORLD_SS);
		load_tables(c, mode >= WORLD_COMPAT);
	}
	soft_tlb_flush(c, true);
	soft_mode_changed(c);
}

/* ---- running ---- */

static void on_timer(int sig)
{
	(void)sig;
	if (running)
		atomic_fetch_or(&running->wake, WAKE_KICK);
}

static void arm(unsigned int microseconds)
{
	static timer_t timer;
	static bool made;
	struct itimerspec at = { .it_value.tv_nsec = (long)microseconds * 1000,
				 .it_interval.tv_nsec = (long)microseconds * 1000 };

	if (!made) {
		struct sigaction sa = { .sa_handler = on_timer, .sa_flags = SA_RESTART };
		struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2 };

		need(sigaction(SIGUSR2, &sa, NULL) == 0 &&
		     timer_create(CLOCK_MONOTONIC, &ev, &timer) == 0);
		made = true;
	}
	need(timer_settime(timer, 0, &at, NULL) == 0);
}

void world_run(struct soft_cpu *c, unsigned int microseconds)
{
	running = c;
	arm(microseconds);
	(void)soft_vcpu_loop(c);
	arm(0);
}

/* ---- what must hold ---- */

static void check_tlb(const struct soft_cpu *c)
{
	for (unsigned int m = 0; m < MMU_MODES; m++)
		for (unsigned int k = 0; k < ACC_KINDS; k++)
			for (unsigned int i = 0; i < SOFT_TLB_SIZE; i++) {
				const struct soft_tlb_entry *e = &c->tlb[m][k][i];
				uint8_t *host = (uint8_t *)(e->addend + e->tag);

				need(e->tag == UINT64_MAX || (soft_page_of_host(c->vm, host) &&
							      !((uintptr_t)host & 0xfff)));
			}
}

/* The host's own registers are as the C ABI wants them. */
static void check_host(void)
{
	uint32_t mxcsr;
	uint16_t fcw, fsw;
	uint64_t flags;

	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	__asm__ volatile("fnstcw %0" : "=m"(fcw));
	__asm__ volatile("fnstsw %0" : "=m"(fsw));
	__asm__ volatile("pushfq; pop %0" : "=r"(flags));
	need((mxcsr & 0xffc0) == 0x1f80 && fcw == 0x37f && !(fsw & 0x3880));
	need(!(flags & (FL_DF | FL_AC)));
}

void world_check(const struct soft_cpu *c)
{
	need(c->zero == 0 && c->vm == &world.vm && c->cpl <= 3 && c->mmu < MMU_MODES);
	need(c->tlb_now == (c->checked ? soft_tlb_misses : c->tlb[c->mmu]));
	need((c->cpl == 3) == (c->mmu == MMU_USER));
	need(!c->in_block);
	need(!(c->fx.mxcsr & ~0xffffU) && !(c->efer & EFER_LMA && !(c->cr0 & CR0_PG)));
	need(!c->long64 || soft_long_mode(c));
	need(world.vm.n_ram == 2 && world.vm.ram[0].size == WORLD_LOW_SIZE);
	check_tlb(c);
	check_host();
}
