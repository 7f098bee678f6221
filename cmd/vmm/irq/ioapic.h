/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The IOAPIC: Intel 82093AA, 24 pins, with the EOI register of version 0x20. It turns pins into
 * MSIs for the accelerator's LAPICs. Machine lock held.
 */
#ifndef BULKHEAD_VMM_IRQ_IOAPIC_H
#define BULKHEAD_VMM_IRQ_IOAPIC_H

#include "cmd/vmm/accel/accel.h"
#include "cmd/vmm/bus.h"
#include "lib/state/state.h"

struct ioapic {
	const struct accel_ops *ops;
	struct accel *accel;
	uint8_t select;
	uint8_t id;
	uint32_t lines; /* pins that are high */
	uint32_t irr;	/* edge pins that rose while masked, level pins waiting */
	uint64_t redirection[IOAPIC_PINS];
};

/* Bits of a redirection entry */
#define IOAPIC_RTE_LEVEL (1ULL << 15)
#define IOAPIC_RTE_REMOTE_IRR (1ULL << 14)
#define IOAPIC_RTE_MASKED (1ULL << 16)

extern const struct bus_ops ioapic_bus_ops; /* owner: struct ioapic */

void ioapic_init(struct ioapic *io, const struct accel_ops *ops, struct accel *accel);
/* ioapic_state.c; object: struct ioapic. */
extern const struct state_ops ioapic_state;
/* After a change of redirection from elsewhere: tells the accelerator, and delivers what waits. */
void ioapic_update(struct ioapic *io);
/* Sets the level of a pin. An edge pin acts on the rise. */
void ioapic_set_line(struct ioapic *io, unsigned int pin, bool high);
/* A rise and a fall. */
void ioapic_pulse(struct ioapic *io, unsigned int pin);
/* The guest ended the interrupt with this vector on some LAPIC. */
void ioapic_eoi(struct ioapic *io, uint8_t vector);

#endif
