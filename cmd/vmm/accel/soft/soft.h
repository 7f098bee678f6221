/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The software CPU: what its parts share. An interpreter of x86-64: decoded blocks in a cache,
 * lazy flags, a soft TLB. References: Intel SDM volumes 1 to 3, AMD APM volume 2.
 *
 * One struct soft_cpu per vCPU, touched by its own thread only, except `wake` and `pending` (atomic).
 * Guest RAM is reached only by soft_mem.h's functions, whose fast path is a TLB entry that was made
 * from a checked physical range; a bug in an instruction can corrupt the guest, not the vmm.
 */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_SOFT_H
#define BULKHEAD_VMM_ACCEL_SOFT_SOFT_H

#include "cmd/vmm/accel/accel.h"
#include "cmd/vmm/accel/watch.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct soft_cpu;
struct soft_insn;
struct soft_lapic;
struct soft_cache;
struct soft_page;

enum soft_reg { R_AX, R_CX, R_DX, R_BX, R_SP, R_BP, R_SI, R_DI };
enum soft_sreg { S_ES, S_CS, S_SS, S_DS, S_FS, S_GS };

/* RFLAGS */
#define FL_CF (1U << 0)
#define FL_PF (1U << 2)
#define FL_AF (1U << 4)
#define FL_ZF (1U << 6)
#define FL_SF (1U << 7)
#define FL_TF (1U << 8)
#define FL_IF (1U << 9)
#define FL_DF (1U << 10)
#define FL_OF (1U << 11)
#define FL_IOPL (3U << 12)
#define FL_NT (1U << 14)
#define FL_RF (1U << 16)
#define FL_VM (1U << 17)
#define FL_AC (1U << 18)
#define FL_VIF (1U << 19)
#define FL_VIP (1U << 20)
#define FL_ID (1U << 21)
#define FL_ARITH (FL_CF | FL_PF | FL_AF | FL_ZF | FL_SF | FL_OF)

/* Exceptions */
enum soft_vector {
	/* clang-format off */
	EX_DE = 0, EX_DB = 1, EX_NMI = 2, EX_BP = 3, EX_OF = 4, EX_BR = 5, EX_UD = 6, EX_NM = 7,
	EX_DF = 8, EX_TS = 10, EX_NP = 11, EX_SS = 12, EX_GP = 13, EX_PF = 14, EX_MF = 16,
	EX_AC = 17, EX_XM = 19,
	/* clang-format on */
	EX_ALONE = 0xff, /* none: the instruction runs again, out of its block; soft_execute's */
};

struct soft_segment {
	uint16_t selector;
	uint16_t attr;	/* descriptor bits 40-47 and 52-55 as in VMCS access rights */
	uint32_t limit; /* bytes - 1 */
	uint64_t base;
};

union soft_xmm {
	uint8_t b[16];
	uint16_t w[8];
	uint32_t d[4];
	uint64_t q[2];
} __attribute__((aligned(16)));

/* The legacy FXSAVE image (SDM volume 1, 10.5.1); thunks load and store it. */
struct soft_fx {
	uint16_t fcw, fsw;
	uint8_t ftw, reserved;
	uint16_t fop;
	uint64_t fip, fdp;
	uint32_t mxcsr, mxcsr_mask;
	struct {
		uint8_t b[16];
	} st[8];
	union soft_xmm xmm[16];
	uint8_t rest[96];
} __attribute__((aligned(16)));

/* Arithmetic flags are kept as the operation that made them; see flags.h. */
struct soft_lazy {
	uint32_t op;  /* enum soft_cc; CC_FLAGS: `flags` holds them */
	uint64_t dst; /* result, at its width */
	uint64_t src1, src2;
};

/* One translation. tag is the virtual page address | reason bits; a poisoned tag never matches. */
struct soft_tlb_entry {
	uint64_t tag;
	uintptr_t addend; /* host = addend + virtual address; only into guest RAM */
};

/* A way from linear rip to its decoded block without a look at the page tables; cache.c fills it. */
struct soft_jump {
	uint64_t key; /* rip ^ code_key; UINT64_MAX is no key: gone */
	const struct soft_insn *first;
	const struct soft_page *page;
	uint32_t version;
};

#define SOFT_JUMPS 8192U
#define SOFT_JUMP_SLOT(rip) (((rip) ^ (rip) >> 13) & (SOFT_JUMPS - 1))

#define SOFT_TLB_BITS 9
#define SOFT_TLB_SIZE (1U << SOFT_TLB_BITS)
#define SOFT_LARGE_SIZES 3 /* of large pages: 2 MiB, 4 MiB, 1 GiB */
#define SOFT_LARGE_WORDS 4 /* of 64 bits, which the pages of a size share */
#define SOFT_TLB_FILLS 256 /* entries made since the last flush that are remembered one by one */

enum soft_access { ACC_READ, ACC_WRITE, ACC_EXEC, ACC_KINDS };

/* With which rights a linear address is looked up. Implicit accesses (descriptor tables, TSS, IDT,
 * pushes of an exception to CPL 0) are MMU_SUPERVISOR whatever the CPL. */
enum soft_mmu {
	MMU_SUPERVISOR, /* EFLAGS.AC clear: SMAP forbids user pages */
	MMU_USER,
	MMU_SUPERVISOR_AC, /* SMAP is suspended by EFLAGS.AC */
	MMU_MODES,
};

/* Bits of soft_cpu.wake */
#define WAKE_KICK (1U << 0)	 /* vcpu_run returns */
#define WAKE_INTERRUPT (1U << 1) /* look at the LAPIC, INIT, SIPI, NMI */
#define WAKE_CODE (1U << 2)	 /* a page became code: drop fast write entries to such pages */
#define WAKE_LEAVE (1U << 4)	 /* another vCPU wants to be alone: alone.h */
#define WAKE_STEP (1U << 3)	 /* one instruction only: no block follows another */

#define SOFT_RAM_MAX 4 /* low and high RAM, firmware, and the flash with its variables */

/* A page of guest RAM as the cache of decoded code sees it. Whoever writes to a page that holds
 * decoded code (is_code) bumps its version; a block is stale when the version has moved. */
struct soft_page {
	_Atomic uint32_t version;
	_Atomic uint32_t is_code;
	_Atomic uint32_t epoch; /* accel.dma_epoch when sum was last compared */
	_Atomic uint64_t sum;	/* of the page's bytes then */
};

struct soft_ram {
	uint64_t gpa, size; /* bytes */
	uint8_t *host;
	struct soft_page *pages;
	bool read_only; /* firmware and its flash: a guest's write goes to the bus */
};

/* The secret of a VM, with which pages of code are summed up; page_sum in phys.c. */
struct soft_page_key {
	uint64_t words[512];
	uint64_t fold[3][2];
};

struct soft_events;

struct soft_cpu {
	/* hot */
	union { /* regs: the same, as bases and indexes of addresses */
		struct {
			uint64_t gpr[16];
			uint64_t rip;
			uint64_t zero; /* always 0 */
		};
		uint64_t regs[18];
	};
	struct soft_lazy cc;
	uint64_t rflags; /* all but the arithmetic flags; bit 1 set */
	uint8_t cpl;
	bool long64;	  /* CS.L in long mode */
	bool code32;	  /* default operand size is 32 (CS.D), outside 64-bit code */
	bool stack32;	  /* SS.B */
	uint8_t inhibit;  /* STI or MOV SS shadow (debug.h): interrupts wait for one instruction */
	uint8_t checked;  /* CHECK_ bits of debug.h: accesses have more to pass than paging */
	atomic_uint wake; /* nonzero: leave the block loop (interrupt, kick, TLB request) */
	uint8_t mmu;	  /* enum soft_mmu of plain accesses: soft_mode_changed keeps it */
	struct soft_tlb_entry (*tlb_now)[SOFT_TLB_SIZE]; /* tlb[mmu]; one of misses when checked */
	uint64_t rip_base; /* of the running block: rip where its page's offset is 0 */
	const struct soft_page *code_page; /* of the running block, as it was at code_version */
	uint32_t code_version;
	uintptr_t stack_low; /* how far down handlers may call each other; soft_chain */
	uint64_t code_key;   /* mode and generation, above an address's 48 bits; cache.c */
	struct soft_jump jumps[SOFT_JUMPS];
	struct soft_tlb_entry tlb[MMU_MODES][ACC_KINDS][SOFT_TLB_SIZE];
	bool fills_known; /* fills holds every entry there is; at first, and after many, not */
	unsigned int n_fills;
	struct soft_tlb_entry *fills[SOFT_TLB_FILLS];
	uint64_t large[SOFT_LARGE_SIZES]
		      [SOFT_LARGE_WORDS]; /* where entries are parts of large pages */

	struct soft_segment seg[6], ldtr, tr;
	struct {
		uint64_t base;
		uint16_t limit;
	} gdtr, idtr;
	uint64_t cr0, cr2, cr3, cr4, efer, xcr0;
	uint64_t dr[8];
	uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t pat, misc_enable, tsc_aux, tsc_offset, tsc_deadline;
	uint64_t spec_ctrl, mcg_status;
	uint64_t mtrr_def, mtrr_fixed[11], mtrr_var[16];
	uint64_t kvm_system_time, kvm_wall_clock; /* kvmclock MSRs */
	struct soft_fx fx;
	uint16_t x87_left; /* exception flags that the host's x87 may still have set: fp_x87_run.c */

	bool halted;
	bool wait_sipi;
	bool nmi_blocked, nmi_pending;
	bool held;	       /* something waits that IF or an NMI's handler keeps out; vcpu.c */
	bool redeliver;	       /* the exception in `fault` is still to be delivered */
	uint8_t watch_hits;    /* breakpoints that this instruction's accesses have met */
	uint8_t watch_waiting; /* and those of a load of SS before it */
	bool single_step;      /* soft_execute runs one instruction only */
	uint8_t shadow;	       /* it is the one that waits behind this kind of `inhibit` */
	bool in_block;	       /* further instructions follow that are decoded already */
	bool has_alarm, armed;
	timer_t alarm;	    /* expires as a signal in this CPU's thread */
	struct watch watch; /* of its writes to eventfds that devices share */
	atomic_uint sleeping;
	uint32_t n_pauses;
	uint32_t code_generation;
	uint32_t dma_seen; /* accel.dma_told when code was last compared */

	/* an exception on its way out of an instruction: soft_raise fills it and jumps */
	jmp_buf escape;
	struct {
		uint8_t vector;
		bool has_error;
		bool soft;
		uint32_t error;
	} fault;

	_Atomic uint32_t inside; /* may touch guest RAM: alone.h */
	uint32_t was_inside;
	bool is_alone;

	struct soft_lapic *lapic;
	struct soft_cache *cache;
	struct accel *vm;
	unsigned int index;
};

/* Leaves the current instruction, with rip still at its start, for the exception. */
/* The soft accelerator's VM. */
struct accel {
	unsigned int n_vcpus;
	unsigned int n_ram;
	struct soft_ram ram[SOFT_RAM_MAX];
	struct accel_io io; /* how an instruction reaches what is not RAM */
	struct soft_events *events;
	/* dma.c */
	uint8_t *log;	  /* of what devices write: a bit a page; others clear and set them */
	uint64_t log_len; /* bytes; 0: none */
	_Atomic bool all_logged;      /* whatever devices write is there */
	_Atomic uint32_t taking;      /* vCPUs that have taken a bit, and not yet said so */
	_Atomic uint32_t dma_epoch;   /* moves whenever a device may have written to RAM unseen */
	_Atomic uint32_t dma_told;    /* and has said so, by an interrupt */
	_Atomic uint64_t n_undefined; /* instructions that the decoder does not know: undefined.c */
	bool crowded;		      /* more vCPUs than cores: PAUSE yields */
	uint64_t clock_start;	      /* soft_now() when the machine began */
	_Atomic uint32_t clock_version; /* of the last paravirtual clock written; even */
	pthread_mutex_t alone_lock;
	_Atomic uint32_t alone; /* a vCPU is alone with RAM, or waits for it; under alone_lock */
	struct soft_page_key page_key;
	struct soft_cpu *cpus[VCPUS_MAX];
};

/* After a change of CPL, EFLAGS.AC, CR0, CR4, EFER, CS or SS: recomputes long64, code32, stack32
 * and mmu. */
void soft_mode_changed(struct soft_cpu *c);

_Noreturn void soft_raise(struct soft_cpu *c, enum soft_vector vector);
_Noreturn void soft_raise_error(struct soft_cpu *c, enum soft_vector vector, uint32_t error);
#define RAISE_GP0(c) soft_raise_error((c), EX_GP, 0)

/* Bits 63 to 47 alike: SDM volume 1, 3.3.7.1. */
static inline bool soft_canonical(uint64_t a)
{
	return (uint64_t)((int64_t)(a << 16) >> 16) == a;
}

static inline bool soft_long_mode(const struct soft_cpu *c)
{
	return c->efer & (1U << 10);
}

#endif
