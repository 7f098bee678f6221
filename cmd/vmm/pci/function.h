/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PCI function on the one bus: configuration space and at most one memory BAR (BAR 0, 32-bit, not
 * prefetchable). Machine lock held everywhere.
 */
#ifndef BULKHEAD_VMM_PCI_FUNCTION_H
#define BULKHEAD_VMM_PCI_FUNCTION_H

#include "cmd/vmm/machine.h"
#include "cmd/vmm/pci/config.h"
#include "cmd/vmm/pci/pci.h"

#define PCI_HEADER_MULTIFUNCTION 0x80 /* and an ordinary header */

struct pci_function;

struct pci_function_ops {
	/* Before the guest reads [offset, offset + width) of the space. May be NULL. */
	void (*config_read)(struct pci_function *fn, unsigned int offset, unsigned int width);
	/* After the guest wrote there and the BAR has been placed. May be NULL. */
	void (*config_written)(struct pci_function *fn, unsigned int offset, unsigned int width);
	/* The BAR is decoded at base from now on, or nowhere (0). May be NULL. */
	void (*bar_moved)(struct pci_function *fn, uint64_t base);
	/* Object: the function. To power-on, and its image, configuration space included; where its BAR
	 * is decoded then is the host's to place. */
	const struct state_ops *state;
	/* It has been taken off the bus: ends it and frees it. Main thread, vCPUs stand still. NULL for what
	 * stays. */
	void (*remove)(struct pci_function *fn);
};

struct pci_bar {
	uint32_t size;		   /* bytes, a power of two from 4096 up; 0: no BAR */
	const struct bus_ops *ops; /* owner: the function's owner */
	uint64_t claimed;	   /* the address that the bus has it at; 0: nowhere */
};

struct pci_function {
	struct machine *m;
	const struct pci_function_ops *ops;
	void *owner;
	struct pci_config config;
	struct pci_bar bar;
};

struct pci_host {
	struct machine *m;
	struct pci_function bridge;
	struct pci_function isa, pm; /* with firmware */
	uint32_t window;	     /* where BARs may lie from on */
	uint32_t window_end;
	unsigned int first_slot;  /* of devices */
	uint32_t conf1_address;	  /* the address port of mechanism #1 */
	unsigned int n_functions; /* there so far, the bridge included */
	unsigned int each_slot;	  /* functions of devices in a slot */
	struct pci_function
		*functions[PCI_FUNCTIONS]; /* by slot and function; owned by their devices */
};

/* Puts the function into the next place of those that are there from the start, with its BAR where firmware
 * would have put it and
 * decoding on. -ENOSPC. */
[[nodiscard]] int pci_host_add(struct pci_host *host, struct pci_function *fn);

/* Puts the function into this slot, which is free, while the guest runs: as hardware does, without an
 * address and without decoding. */
[[nodiscard]] int pci_host_plug(struct pci_host *host, struct pci_function *fn, unsigned int slot);
/* Takes what is in the slot off the bus, and returns it: nothing is decoded any more. NULL: nothing there. */
struct pci_function *pci_host_take(struct pci_host *host, unsigned int slot);

/* conf1.c: claims the ports of configuration mechanism #1. */
[[nodiscard]] int pci_conf1_open(struct pci_host *host);

/* i440fx.c: what firmware knows its machine by; the bridge is not on the bus yet. */
[[nodiscard]] int pci_i440fx_open(struct pci_host *host);

/* ---- host_state.c ---- */

extern const struct state_ops pci_host_state; /* object: struct pci_host; made before all functions */
extern const struct pci_function_ops pci_bridge_ops;

/* ---- bar.c ---- */

/* Power-on contents of BAR 0 and COMMAND; address 0: firmware is to choose one, and nothing is decoded. */
void pci_bar_define(struct pci_function *fn, uint32_t address);
/* Nothing is decoded for the function any more. */
void pci_bar_release(struct pci_function *fn);
/*
 * Makes the bus decode what COMMAND and the BARs now say. A BAR that lies outside the window or
 * over another one is not decoded as long as that is so; the lower slot wins.
 */
void pci_bars_place(struct pci_host *host);

#endif
