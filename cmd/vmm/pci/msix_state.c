/* SPDX-License-Identifier: Apache-2.0 */
/* MSI-X's part of a function's image; see msix.h. */
#include "cmd/vmm/pci/msix.h"

#include <linux/pci_regs.h>
#include <string.h>

void msix_save(const struct msix *x, struct msix_image *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (unsigned int i = 0; i < x->n_vectors; i++) {
		ret->address_lo[i] = x->table[i].address_lo;
		ret->address_hi[i] = x->table[i].address_hi;
		ret->data[i] = x->table[i].data;
		ret->masked[i] = x->table[i].control & PCI_MSIX_ENTRY_CTRL_MASKBIT;
	}
	for (unsigned int i = 0; i < x->n_sources; i++)
		ret->vector[i] = x->sources[i].vector;
}

bool msix_fits(const struct msix *x, const struct msix_image *image)
{
	for (unsigned int i = x->n_vectors; i < MSIX_MAX; i++)
		if (image->address_lo[i] | image->address_hi[i] | image->data[i] | image->masked[i])
			return false;
	for (unsigned int i = 0; i < x->n_sources; i++)
		if (image->vector[i] >= x->n_vectors && image->vector[i] != MSIX_NO_VECTOR)
			return false;
	for (unsigned int i = x->n_sources; i < MSIX_MAX; i++)
		if (image->vector[i])
			return false;
	return true;
}

void msix_load(struct msix *x, const struct msix_image *image)
{
	for (unsigned int i = 0; i < x->n_vectors; i++)
		x->table[i] = (struct msix_entry){
			.address_lo = image->address_lo[i],
			.address_hi = image->address_hi[i],
			.data = image->data[i],
			.control = image->masked[i] ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0,
		};
	for (unsigned int i = 0; i < x->n_sources; i++)
		(void)msix_map(x, i, image->vector[i]);
}
