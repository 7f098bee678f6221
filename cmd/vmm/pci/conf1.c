/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration mechanism #1: an address and a data port in front of the first 256 bytes of ECAM.
 * PCI local bus specification 3.0, 3.2.2.3.2. Kernels look for it before they have read the ACPI
 * tables that name the ECAM.
 */
#include "cmd/vmm/pci/function.h"

#define PORT_ADDRESS 0xcf8
#define N_PORTS 8
#define DATA_OFFSET 4

#define ADDRESS_ENABLE (1U << 31)
#define ADDRESS_BUS 0x00ff0000U
#define ADDRESS_KEPT 0x80fffffcU

/* Where an access to the data port goes, or false: it reaches nobody. */
static bool ecam_address(const struct pci_host *host, uint64_t offset, unsigned int width,
			 uint64_t *ret)
{
	uint32_t a = host->conf1_address;

	if (offset < DATA_OFFSET || offset + width > N_PORTS || width > 4)
		return false;
	if (!(a & ADDRESS_ENABLE) || (a & ADDRESS_BUS))
		return false;
	/* device and function: bits 8 to 15 here, 12 to 19 there */
	*ret = ECAM_START + ((uint64_t)(a & 0xff00) << 4) + (a & 0xfc) + offset - DATA_OFFSET;
	return true;
}

static uint64_t conf1_read(void *owner, uint64_t offset, unsigned int width)
{
	struct pci_host *host = owner;
	uint64_t at;

	if (offset == 0 && width == 4)
		return host->conf1_address;
	return ecam_address(host, offset, width, &at) ? bus_read(&host->m->mmio, at, width) :
							UINT64_MAX;
}

static void conf1_write(void *owner, uint64_t offset, unsigned int width, uint64_t value)
{
	struct pci_host *host = owner;
	uint64_t at;

	if (offset == 0 && width == 4)
		host->conf1_address = (uint32_t)value & ADDRESS_KEPT;
	else if (ecam_address(host, offset, width, &at))
		bus_write(&host->m->mmio, at, width, value);
}

static const struct bus_ops conf1_bus_ops = { .read = conf1_read, .write = conf1_write };

int pci_conf1_open(struct pci_host *host)
{
	return bus_add(&host->m->pio,
		       &(struct bus_range){ PORT_ADDRESS, N_PORTS, &conf1_bus_ops, host });
}
