/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capabilities (VIRTIO 1.2, 4.1.4): where the registers are in BAR 0, MSI-X, and the window through
 * configuration space (4.1.4.9).
 */
#include "cmd/vmm/pci/virtio_pci.h"

#include "lib/base/checked.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>

#define BAR 0U
#define COMMON_LEN 0x38U /* up to queue_used_hi */

/* struct virtio_pci_cap, its length in the specification */
#define CAP_LEN 16U
#define NOTIFY_CAP_LEN 20U
#define WINDOW_CAP_LEN 20U
#define WINDOW_DATA 16U

static int add(struct virtio_pci *v, uint8_t type, unsigned int cap_len, uint32_t offset,
	       uint32_t len)
{
	struct pci_config *c = &v->fn.config;
	int at = pci_config_add_cap(c, PCI_CAP_ID_VNDR, cap_len);
	unsigned int cap = (unsigned int)at;

	if (at < 0)
		return at;
	pci_config_define(c, cap + VIRTIO_PCI_CAP_LEN, 1, cap_len, 0);
	pci_config_define(c, cap + VIRTIO_PCI_CAP_CFG_TYPE, 1, type, 0);
	pci_config_define(c, cap + VIRTIO_PCI_CAP_BAR, 1, BAR, 0);
	pci_config_define(c, cap + VIRTIO_PCI_CAP_OFFSET, 4, offset, 0);
	pci_config_define(c, cap + VIRTIO_PCI_CAP_LENGTH, 4, len, 0);
	return at;
}

static int add_notify(struct virtio_pci *v)
{
	int at = add(v, VIRTIO_PCI_CAP_NOTIFY_CFG, NOTIFY_CAP_LEN, VPCI_NOTIFY, VPCI_PAGE_SIZE);

	if (at >= 0)
		pci_config_define(&v->fn.config, (unsigned int)at + CAP_LEN, 4, VPCI_NOTIFY_STRIDE,
				  0);
	return at;
}

/* The driver chooses where it looks. */
static int add_window(struct virtio_pci *v)
{
	struct pci_config *c = &v->fn.config;
	int at = add(v, VIRTIO_PCI_CAP_PCI_CFG, WINDOW_CAP_LEN, 0, 0);
	unsigned int cap = (unsigned int)at;

	if (at < 0)
		return at;
	pci_config_define(c, cap + VIRTIO_PCI_CAP_BAR, 1, 0, UINT8_MAX);
	pci_config_define(c, cap + VIRTIO_PCI_CAP_OFFSET, 4, 0, UINT32_MAX);
	pci_config_define(c, cap + VIRTIO_PCI_CAP_LENGTH, 4, 0, UINT32_MAX);
	pci_config_define(c, cap + WINDOW_DATA, 4, 0, UINT32_MAX);
	v->window_cap = at;
	return at;
}

static int add_msix(struct virtio_pci *v)
{
	struct pci_config *c = &v->fn.config;
	int at = pci_config_add_cap(c, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);
	unsigned int cap = (unsigned int)at;

	if (at < 0)
		return at;
	pci_config_define(c, cap + PCI_MSIX_FLAGS, 2, v->msix.n_vectors - 1,
			  PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	pci_config_define(c, cap + PCI_MSIX_TABLE, 4, VPCI_MSIX_TABLE | BAR, 0);
	pci_config_define(c, cap + PCI_MSIX_PBA, 4, VPCI_MSIX_PBA | BAR, 0);
	v->msix_cap = at;
	return at;
}

int virtio_caps_define(struct virtio_pci *v)
{
	int r = add_msix(v);

	if (r >= 0)
		r = add(v, VIRTIO_PCI_CAP_COMMON_CFG, CAP_LEN, VPCI_COMMON, COMMON_LEN);
	if (r >= 0)
		r = add(v, VIRTIO_PCI_CAP_ISR_CFG, CAP_LEN, VPCI_ISR, 1);
	if (r >= 0 && v->type->config_len)
		r = add(v, VIRTIO_PCI_CAP_DEVICE_CFG, CAP_LEN, VPCI_CONFIG, v->type->config_len);
	if (r >= 0)
		r = add_notify(v);
	if (r >= 0)
		r = add_window(v);
	return r < 0 ? r : 0;
}

/* What the window shows; false where it shows nothing. */
static bool window(const struct virtio_pci *v, uint32_t *ret_offset, unsigned int *ret_width)
{
	const struct pci_config *c = &v->fn.config;
	unsigned int cap = (unsigned int)v->window_cap;
	uint32_t offset = pci_config_read(c, cap + VIRTIO_PCI_CAP_OFFSET, 4);
	uint32_t len = pci_config_read(c, cap + VIRTIO_PCI_CAP_LENGTH, 4);

	if (pci_config_read(c, cap + VIRTIO_PCI_CAP_BAR, 1) != BAR ||
	    (len != 1 && len != 2 && len != 4) || offset % len ||
	    !range_within(offset, len, VPCI_BAR_SIZE))
		return false;
	*ret_offset = offset;
	*ret_width = len;
	return true;
}

static bool touches_data(const struct virtio_pci *v, unsigned int offset, unsigned int width)
{
	unsigned int data = (unsigned int)v->window_cap + WINDOW_DATA;

	return offset < data + 4 && data < offset + width;
}

void virtio_caps_read(struct pci_function *fn, unsigned int offset, unsigned int width)
{
	struct virtio_pci *v = fn->owner;
	unsigned int data = (unsigned int)v->window_cap + WINDOW_DATA, bar_width;
	uint32_t bar_offset;

	if (touches_data(v, offset, width) && window(v, &bar_offset, &bar_width))
		pci_config_write(&fn->config, data, bar_width,
				 (uint32_t)virtio_bar_read(v, bar_offset, bar_width));
}

void virtio_caps_written(struct pci_function *fn, unsigned int offset, unsigned int width)
{
	struct virtio_pci *v = fn->owner;
	uint32_t flags =
		pci_config_read(&fn->config, (unsigned int)v->msix_cap + PCI_MSIX_FLAGS, 2);
	uint32_t command = pci_config_read(&fn->config, PCI_COMMAND, 2);
	unsigned int data = (unsigned int)v->window_cap + WINDOW_DATA, bar_width;
	uint32_t bar_offset;

	msix_set_deliver(&v->msix, (flags & PCI_MSIX_FLAGS_ENABLE) &&
					   !(flags & PCI_MSIX_FLAGS_MASKALL) &&
					   (command & PCI_COMMAND_MASTER));
	if (touches_data(v, offset, width) && window(v, &bar_offset, &bar_width))
		virtio_bar_write(v, bar_offset, bar_width,
				 pci_config_read(&fn->config, data, bar_width));
}
