/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration space as data; see config.h. */
#include "cmd/vmm/pci/config.h"

#include "lib/base/checked.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

void pci_config_define(struct pci_config *c, unsigned int offset, unsigned int width,
		       uint32_t value, uint32_t mask)
{
	for (unsigned int i = 0; i < width && offset + i < PCI_CONFIG_SIZE; i++) {
		c->bytes[offset + i] = c->power_on[offset + i] = (uint8_t)(value >> (8 * i));
		c->mask[offset + i] = (uint8_t)(mask >> (8 * i));
	}
}

void pci_config_init(struct pci_config *c, uint16_t vendor, uint16_t device, uint32_t class_code,
		     uint8_t revision)
{
	*c = (struct pci_config){ .next = PCI_STD_HEADER_SIZEOF };
	pci_config_define(c, PCI_VENDOR_ID, 2, vendor, 0);
	pci_config_define(c, PCI_DEVICE_ID, 2, device, 0);
	pci_config_define(c, PCI_CLASS_REVISION, 4, class_code << 8 | revision, 0);
	pci_config_define(c, PCI_CACHE_LINE_SIZE, 1, 0, 0xff);
}

int pci_config_add_cap(struct pci_config *c, uint8_t id, unsigned int len)
{
	unsigned int at = c->next;

	if (!range_within(at, len, PCI_CONFIG_SIZE))
		return -ENOSPC;
	pci_config_define(c, at, 2, id, 0);
	pci_config_define(c, c->last_cap ? c->last_cap + PCI_CAP_LIST_NEXT : PCI_CAPABILITY_LIST, 1,
			  at, 0);
	pci_config_define(c, PCI_STATUS, 2, PCI_STATUS_CAP_LIST, 0);
	c->last_cap = (uint8_t)at;
	c->next = (uint16_t)((at + len + 3) & ~3U);
	return (int)at;
}

void pci_config_reset(struct pci_config *c)
{
	memcpy(c->bytes, c->power_on, sizeof(c->bytes));
}

bool pci_config_fits(const struct pci_config *c, const uint8_t bytes[PCI_CONFIG_SIZE])
{
	uint8_t differ = 0;

	for (unsigned int i = 0; i < PCI_CONFIG_SIZE; i++)
		differ |= (uint8_t)((bytes[i] ^ c->bytes[i]) & ~c->mask[i]);
	return !differ;
}

uint32_t pci_config_read(const struct pci_config *c, unsigned int offset, unsigned int width)
{
	uint32_t value = 0;

	if (!range_within(offset, width, PCI_CONFIG_SIZE))
		return UINT32_MAX;
	for (unsigned int i = 0; i < width; i++)
		value |= (uint32_t)c->bytes[offset + i] << (8 * i);
	return value;
}

void pci_config_write(struct pci_config *c, unsigned int offset, unsigned int width, uint32_t value)
{
	if (!range_within(offset, width, PCI_CONFIG_SIZE))
		return;
	for (unsigned int i = 0; i < width; i++) {
		uint8_t mask = c->mask[offset + i];
		uint8_t byte = (uint8_t)(value >> (8 * i));

		c->bytes[offset + i] = (c->bytes[offset + i] & (uint8_t)~mask) | (byte & mask);
	}
}
