/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PCI configuration space (PCI local bus specification 3.0, 6.1) as data: bytes, the power-on
 * bytes, and a mask of the bits that the guest may write. All else is read-only.
 */
#ifndef BULKHEAD_VMM_PCI_CONFIG_H
#define BULKHEAD_VMM_PCI_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#define PCI_CONFIG_SIZE 256U

struct pci_config {
	uint8_t bytes[PCI_CONFIG_SIZE];
	uint8_t power_on[PCI_CONFIG_SIZE];
	uint8_t mask[PCI_CONFIG_SIZE];
	uint8_t last_cap; /* offset of the last capability, 0: none */
	uint16_t next;	  /* where the next one goes */
};

/* The header of a type 0 function without BARs; class_code is base, sub, interface (24 bits). */
void pci_config_init(struct pci_config *c, uint16_t vendor, uint16_t device, uint32_t class_code,
		     uint8_t revision);
/* Sets width bytes (1, 2, 4) now and at power-on, and which of their bits the guest may write. */
void pci_config_define(struct pci_config *c, unsigned int offset, unsigned int width,
		       uint32_t value, uint32_t mask);
/* Chains a capability of len bytes with its id and returns its offset; -ENOSPC. */
[[nodiscard]] int pci_config_add_cap(struct pci_config *c, uint8_t id, unsigned int len);
/* Back to power-on. */
void pci_config_reset(struct pci_config *c);
/* Whether the bytes are those of this space, but for bits that the guest may write. */
[[nodiscard]] bool pci_config_fits(const struct pci_config *c,
				   const uint8_t bytes[PCI_CONFIG_SIZE]);

/* offset + width must lie within PCI_CONFIG_SIZE; the bus sees to it (host.c). Otherwise all ones,
 * and nothing written. */
uint32_t pci_config_read(const struct pci_config *c, unsigned int offset, unsigned int width);
/* The guest's write: bits under the mask only. */
void pci_config_write(struct pci_config *c, unsigned int offset, unsigned int width,
		      uint32_t value);

#endif
