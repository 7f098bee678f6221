/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a PC's firmware knows its machine by, as data: an i440FX host bridge with a PIIX's ISA bridge and its
 * power management (Intel 290549 and 290562), whose registers are at PORT_PM. Nothing of them can be moved. The power
 * management's function is there for who reads its registers, and has no id: kernels go by ACPI.
 */
#include "cmd/vmm/pci/function.h"

#include <linux/pci_regs.h>

#define VENDOR_INTEL 0x8086
#define DEVICE_440FX 0x1237
#define DEVICE_PIIX_ISA 0x7000
#define CLASS_BRIDGE_ISA 0x060100
#define CLASS_BRIDGE_HOST 0x060000

#define ISA_SLOT 1
#define PM_FUNCTION 3
#define PM_BASE_AT 0x40 /* and bit 0: it is in I/O space */
#define PM_ENABLE_AT 0x80

static int put(struct pci_host *host, struct pci_function *fn, unsigned int function)
{
	host->functions[ISA_SLOT * PCI_SLOT_FUNCTIONS + function] = fn;
	return machine_add_object(host->m, fn->ops->state, fn);
}

int pci_i440fx_open(struct pci_host *host)
{
	struct pci_function *isa = &host->isa, *pm = &host->pm;
	int r;

	pci_config_init(&host->bridge.config, VENDOR_INTEL, DEVICE_440FX, CLASS_BRIDGE_HOST, 2);
	*isa = (struct pci_function){ .m = host->m, .ops = &pci_bridge_ops };
	pci_config_init(&isa->config, VENDOR_INTEL, DEVICE_PIIX_ISA, CLASS_BRIDGE_ISA, 0);
	pci_config_define(&isa->config, PCI_HEADER_TYPE, 1, PCI_HEADER_MULTIFUNCTION, 0);
	pci_config_define(&isa->config, PCI_COMMAND, 2, 0,
			  PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	r = put(host, isa, 0);
	if (r < 0)
		return r;
	*pm = (struct pci_function){ .m = host->m, .ops = &pci_bridge_ops };
	for (unsigned int at = 0; at < PCI_CONFIG_SIZE; at += 4)
		pci_config_define(&pm->config, at, 4, UINT32_MAX, 0);
	pci_config_define(&pm->config, PM_BASE_AT, 4, PORT_PM | 1, 0);
	pci_config_define(&pm->config, PM_ENABLE_AT, 1, 1, 0);
	return put(host, pm, PM_FUNCTION);
}
