/* SPDX-License-Identifier: Apache-2.0 */
/* Memory BARs: where the guest has put them, and what of that the bus decodes; see function.h. */
#include "cmd/vmm/pci/function.h"

#include "lib/base/checked.h"

#include <linux/pci_regs.h>

void pci_bar_define(struct pci_function *fn, uint32_t address)
{
	uint16_t command = fn->bar.size && address ? PCI_COMMAND_MEMORY : 0;

	pci_config_define(&fn->config, PCI_COMMAND, 2, command,
			  PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	if (fn->bar.size)
		pci_config_define(&fn->config, PCI_BASE_ADDRESS_0, 4, address, ~(fn->bar.size - 1));
}

/* Where the BAR should be decoded; 0: nowhere. Else the window holds at most ECAM, over which none is decoded. */
static uint64_t wanted(const struct pci_host *host, const struct pci_function *fn)
{
	uint32_t command = pci_config_read(&fn->config, PCI_COMMAND, 2);
	uint64_t at = pci_config_read(&fn->config, PCI_BASE_ADDRESS_0, 4);

	if (!fn->bar.size || !(command & PCI_COMMAND_MEMORY))
		return 0;
	at &= ~(uint64_t)(fn->bar.size - 1);
	if (at < host->window ||
	    !range_within(at - host->window, fn->bar.size, host->window_end - host->window))
		return 0;
	return at;
}

static void move(struct pci_function *fn, uint64_t base)
{
	fn->bar.claimed = base;
	if (fn->ops->bar_moved)
		fn->ops->bar_moved(fn, base);
}

void pci_bar_release(struct pci_function *fn)
{
	if (!fn->bar.claimed)
		return;
	bus_remove(&fn->m->mmio, fn->bar.claimed);
	move(fn, 0);
}

static void claim(const struct pci_host *host, struct pci_function *fn)
{
	const struct bus_range range = { wanted(host, fn), fn->bar.size, fn->bar.ops, fn->owner };

	if (range.start && bus_add(&fn->m->mmio, &range) == 0)
		move(fn, range.start);
}

void pci_bars_place(struct pci_host *host)
{
	for (unsigned int i = 0; i < PCI_FUNCTIONS; i++) {
		struct pci_function *fn = host->functions[i];

		if (fn && fn->bar.claimed && fn->bar.claimed != wanted(host, fn))
			pci_bar_release(fn);
	}
	for (unsigned int i = 0; i < PCI_FUNCTIONS; i++)
		if (host->functions[i] && !host->functions[i]->bar.claimed)
			claim(host, host->functions[i]);
}
