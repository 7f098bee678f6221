/* SPDX-License-Identifier: Apache-2.0 */
/* The PCI host: ECAM, the host bridge, slots; see pci.h. */
#include "cmd/vmm/pci/function.h"

#include "cmd/vmm/boot/items.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <linux/pci_regs.h>

/* Red Hat's id of a PCI Express host bridge that has no registers of its own */
#define BRIDGE_VENDOR 0x1b36
#define BRIDGE_DEVICE 0x0008
#define CLASS_BRIDGE_HOST 0x060000

/* ECAM offset: device in bits 15 to 19, function in 12 to 14, register in 0 to 11 */
#define ECAM_FUNCTION_SIZE 4096U

#define FIRMWARE_FIRST_SLOT 2 /* behind the PIIX4 */

/* BARs as firmware leaves them: a stride for each function, from the window's start */
#define BAR_STRIDE MIB(1)
_Static_assert((PCI_DEVICES_MAX + 1 + PCI_SLOTS) * BAR_STRIDE <= PCI_MMIO32_SIZE, "room for each");

/* Who is there, or NULL: nobody, or an access across functions. */
static struct pci_function *function_at(struct pci_host *host, uint64_t offset, unsigned int width,
					unsigned int *ret_register)
{
	uint64_t number = offset / ECAM_FUNCTION_SIZE, within = offset % ECAM_FUNCTION_SIZE;

	if (number >= PCI_FUNCTIONS || width > 4 || within + width > ECAM_FUNCTION_SIZE)
		return NULL;
	*ret_register = (unsigned int)within;
	return host->functions[number];
}

static uint64_t ecam_read(void *owner, uint64_t offset, unsigned int width)
{
	unsigned int reg;
	struct pci_function *fn = function_at(owner, offset, width, &reg);

	if (!fn)
		return UINT64_MAX;
	/* no extended capabilities: their space is empty */
	if (reg + width > PCI_CONFIG_SIZE)
		return reg >= PCI_CONFIG_SIZE ? 0 : UINT64_MAX;
	if (fn->ops->config_read)
		fn->ops->config_read(fn, reg, width);
	return pci_config_read(&fn->config, reg, width);
}

static bool touches(unsigned int reg, unsigned int width, unsigned int first, unsigned int len)
{
	return reg < first + len && first < reg + width;
}

static void ecam_write(void *owner, uint64_t offset, unsigned int width, uint64_t value)
{
	struct pci_host *host = owner;
	unsigned int reg;
	struct pci_function *fn = function_at(host, offset, width, &reg);

	if (!fn || reg + width > PCI_CONFIG_SIZE)
		return;
	pci_config_write(&fn->config, reg, width, (uint32_t)value);
	if (touches(reg, width, PCI_COMMAND, 2) || touches(reg, width, PCI_BASE_ADDRESS_0, 4))
		pci_bars_place(host);
	if (fn->ops->config_written)
		fn->ops->config_written(fn, reg, width);
}

static const struct bus_ops ecam_bus_ops = { .read = ecam_read, .write = ecam_write };

static unsigned int each_slot(unsigned int n_devices)
{
	return (n_devices + PCI_SLOTS_USED - 1) / PCI_SLOTS_USED;
}

void pci_host_expect(struct pci_host *host, unsigned int n_devices)
{
	host->each_slot = each_slot(n_devices);
}

void pci_firmware_place(unsigned int n_devices, unsigned int i, unsigned int *ret_slot,
			unsigned int *ret_function)
{
	const unsigned int each = n_devices ? each_slot(n_devices) : 1;

	*ret_slot = FIRMWARE_FIRST_SLOT + i / each;
	*ret_function = i % each;
}

/* Where the next one goes. The slot's first says that there are more (PCI 3.0, 6.2.1, header type). */
static unsigned int next_place(struct pci_host *host)
{
	unsigned int each = host->each_slot ? host->each_slot : 1;
	unsigned int i = host->n_functions - 1, slot = host->first_slot + i / each;

	if (host->n_functions == 0)
		return 0;
	if (i % each == 1)
		pci_config_define(&host->functions[(size_t)slot * PCI_SLOT_FUNCTIONS]->config,
				  PCI_HEADER_TYPE, 1, PCI_HEADER_MULTIFUNCTION, 0);
	return slot * PCI_SLOT_FUNCTIONS + i % each;
}

int pci_host_add(struct pci_host *host, struct pci_function *fn)
{
	unsigned int place;

	if (host->n_functions > PCI_DEVICES_MAX)
		return -ENOSPC;
	place = next_place(host);
	if (place >= PCI_FUNCTIONS)
		return -ENOSPC;
	pci_bar_define(fn, host->m->firmware.bytes ?
				   0 :
				   (uint32_t)(PCI_MMIO32_START + host->n_functions * BAR_STRIDE));
	host->functions[place] = fn;
	host->n_functions++;
	pci_bars_place(host);
	return machine_add_object(host->m, fn->ops->state, fn);
}

int pci_host_plug(struct pci_host *host, struct pci_function *fn, unsigned int slot)
{
	int r = machine_add_object(host->m, fn->ops->state, fn);

	if (r < 0)
		return r;
	pci_bar_define(fn,
		       (uint32_t)(PCI_MMIO32_START + (PCI_DEVICES_MAX + 1 + slot) * BAR_STRIDE));
	host->functions[(size_t)slot * PCI_SLOT_FUNCTIONS] = fn;
	pci_config_write(&fn->config, PCI_COMMAND, 2, 0);
	pci_config_write(&fn->config, PCI_BASE_ADDRESS_0, 4, 0);
	return 0;
}

struct pci_function *pci_host_take(struct pci_host *host, unsigned int slot)
{
	struct pci_function **at = &host->functions[(size_t)slot * PCI_SLOT_FUNCTIONS];
	struct pci_function *fn = *at;

	if (!fn)
		return NULL;
	*at = NULL;
	machine_remove_object(host->m, fn);
	pci_bar_release(fn);
	pci_bars_place(host); /* another BAR may have wanted its place */
	return fn;
}

int pci_host_open(struct machine *m, struct pci_host **ret)
{
	_cleanup_(freep) struct pci_host *host = calloc(1, sizeof(*host));
	int r;

	if (!host)
		return -ENOMEM;
	host->m = m;
	host->window = m->firmware.bytes ? items_pci_start(m->ram_size) : PCI_MMIO32_START;
	host->window_end = m->firmware.bytes ? PCI_FIRMWARE_END : PCI_MMIO32_END;
	host->first_slot = m->firmware.bytes ? FIRMWARE_FIRST_SLOT : 1;
	host->bridge = (struct pci_function){ .m = m, .ops = &pci_bridge_ops };
	pci_config_init(&host->bridge.config, BRIDGE_VENDOR, BRIDGE_DEVICE, CLASS_BRIDGE_HOST, 0);
	r = machine_add_object(m, &pci_host_state, host);
	if (r == 0 && m->firmware.bytes)
		r = pci_i440fx_open(host);
	if (r == 0)
		r = pci_host_add(host, &host->bridge);
	if (r < 0)
		return r;
	r = bus_add(&m->mmio, &(struct bus_range){ ECAM_START, ECAM_SIZE, &ecam_bus_ops, host });
	if (r == 0)
		r = pci_conf1_open(host);
	if (r < 0)
		return r;
	*ret = host;
	host = NULL;
	return 0;
}
