/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accelerators: what runs the guest's CPUs. Nothing outside accel/ knows which one it is.
 *
 * Interrupts reach the guest as MSIs only (address and data as a PCI device writes them, Intel SDM
 * volume 3, 11.11): by irqfd, when an eventfd is written, or by msi_send.
 */
#ifndef BULKHEAD_VMM_ACCEL_ACCEL_H
#define BULKHEAD_VMM_ACCEL_ACCEL_H

#include "cmd/vmm/layout.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct accel;
struct accel_exit;
struct accel_vcpu;
struct loop;

struct msi {
	uint64_t address;
	uint32_t data;
};

struct cpu_segment {
	uint16_t selector;
	uint64_t base;
	uint32_t limit; /* bytes - 1, granularity applied */
	uint8_t type;	/* descriptor type bits with accessed */
	bool s, present, db, l, g;
	uint8_t dpl;
};

/* The state in which the boot processor enters the kernel. */
struct cpu_boot_state {
	uint64_t rip, rsp, rbx, rsi;
	uint64_t rflags;
	uint64_t cr0, cr3, cr4, efer;
	uint64_t gdt_base;
	uint16_t gdt_limit;
	struct cpu_segment cs, ds, tr; /* ds also for es, fs, gs, ss */
};

enum accel_exit_kind {
	ACCEL_EXIT_NONE, /* kicked, or nothing for the vmm to do */
	ACCEL_EXIT_PIO,
	ACCEL_EXIT_MMIO,
	ACCEL_EXIT_EOI,	     /* the guest ended a level-triggered interrupt: eoi_vector */
	ACCEL_EXIT_SHUTDOWN, /* triple fault */
	ACCEL_EXIT_RESET,    /* the guest asks for one, by no device */
	ACCEL_EXIT_PANIC,    /* or says so that it has crashed, and goes on */
	ACCEL_EXIT_BROKEN,   /* the accelerator cannot go on: why */
};

struct accel_exit {
	enum accel_exit_kind kind;
	bool write;
	uint8_t width;	  /* bytes: 1, 2, 4, or 8 (MMIO only) */
	uint32_t count;	  /* PIO: string instructions repeat; data holds count * width bytes */
	uint64_t address; /* port or gpa */
	uint8_t *data;	  /* in place: read from here for writes, filled for reads */
	uint8_t eoi_vector;
	const char *why;
};

/*
 * What an accelerator in software needs of the machine. access reaches the buses in the middle of an
 * instruction, from the vCPU's thread, which must not hold the machine's lock; e->kind is
 * ACCEL_EXIT_PIO, _MMIO or _EOI.
 */
struct accel_io {
	void (*access)(void *ctx, const struct accel_exit *e);
	void *ctx;
	struct loop *loop; /* the main thread's; callbacks run with the machine's lock held */
};

/* What the machine is to be. */
struct accel_machine {
	unsigned int n_vcpus;
	bool hyperv; /* guests find Hyper-V's interface */
	struct accel_io io;
};

#define ACCEL_IRQ_SLOTS 2048

struct accel_ops {
	const char *name;

	/* ---- before the sandbox ---- */

	/* fd: what the accelerator needs from outside (kvm: /dev/kvm; soft: -1), owned by the
	 * accel from now on. On failure *ret_why is a line for the user. */
	int (*open)(int fd, const struct accel_machine *machine, struct accel **ret,
		    const char **ret_why);
	/* Guest RAM; host memory outlives the accel. At most two calls. */
	int (*add_ram)(struct accel *a, uint64_t gpa, void *host, uint64_t size);
	/* The same for memory that the guest reads and runs, and whose writes are accesses to a bus on which
	 * nobody answers. At most two calls. */
	int (*add_rom)(struct accel *a, uint64_t gpa, void *host, uint64_t size);
	/* The log of the pages of RAM that devices write to (guestmem.h), which stays. NULL: the accelerator has
	 * no use for one. At most one call. */
	void (*use_log)(struct accel *a, uint8_t *bits, uint64_t len);
	int (*vcpu_create)(struct accel *a, unsigned int index, struct accel_vcpu **ret);

	/* ---- any thread, machine lock held ---- */

	int (*msi_send)(struct accel *a, const struct msi *msi);
	/* Where there is use_log: a device may have written to RAM without a bit in the log, and from_now_on, may
	 * do so again. */
	void (*unlogged)(struct accel *a, bool from_now_on);
	/* From now on a write to eventfd raises msi; a count already there raises it now. A slot
	 * belongs to one eventfd; binding again changes the msi. */
	int (*irqfd_bind)(struct accel *a, unsigned int slot, int eventfd, const struct msi *msi);
	/* Counts stay in the eventfd. */
	int (*irqfd_unbind)(struct accel *a, unsigned int slot, int eventfd);
	/* The main thread, before an eventfd is closed that was bound once: nothing looks at it any
	 * more. */
	void (*irqfd_settle)(struct accel *a);
	/* A guest write of 1, 2 or 4 bytes to gpa signals eventfd without an exit. */
	int (*ioeventfd_bind)(struct accel *a, uint64_t gpa, int eventfd);
	int (*ioeventfd_unbind)(struct accel *a, uint64_t gpa, int eventfd);
	/* The IOAPIC's pins as MSIs (NULL: masked), so that the accelerator knows whose EOI to
	 * report. */
	int (*set_ioapic_pin)(struct accel *a, unsigned int pin, const struct msi *msi);

	/* ---- the vCPU's own thread ---- */

	/* Makes the calling thread this vCPU's. */
	int (*vcpu_enter_thread)(struct accel_vcpu *v);
	/* Power-on state, and with boot what a kernel is entered in. Secondaries have none and wait for SIPI; a
	 * boot processor that has none begins at the reset vector. */
	int (*vcpu_reset)(struct accel_vcpu *v, const struct cpu_boot_state *boot);
	/* Runs until the next exit; the last exit's data must have been filled. */
	int (*vcpu_run)(struct accel_vcpu *v, struct accel_exit *ret);
	/* Counts an event of an eventfd that others share and may have filled: watch.h. Any vCPU's
	 * thread, without the machine's lock. */
	void (*count_event)(int eventfd);

	/* ---- any thread ---- */

	/* Makes vcpu_run return soon with ACCEL_EXIT_NONE, even if it is entered only now. */
	void (*vcpu_kick)(struct accel_vcpu *v);
};

extern const struct accel_ops accel_kvm;
extern const struct accel_ops accel_soft;

#endif
