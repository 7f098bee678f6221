/* SPDX-License-Identifier: Apache-2.0 */
/* MSI-X; see msix.h. */
#include "cmd/vmm/pci/msix.h"

#include "lib/base/checked.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <poll.h>

/* Messages go to local APICs; elsewhere they would be writes to memory, which no device here makes
 * in this way. */
#define MSI_WINDOW_MASK 0xfff00000U

#define DWORDS_PER_ENTRY 4

static bool entry_delivers(const struct msix *x, unsigned int vector)
{
	const struct msix_entry *e = &x->table[vector];

	return x->deliver && !(e->control & PCI_MSIX_ENTRY_CTRL_MASKBIT) && !e->address_hi &&
	       (e->address_lo & MSI_WINDOW_MASK) == LAPIC_START;
}

static void unbind(struct msix *x, struct msix_source *s)
{
	if (s->bound)
		(void)!x->m->ops->irqfd_unbind(x->m->accel, s->slot, s->eventfd);
	s->bound = false;
}

static void bind(struct msix *x, struct msix_source *s)
{
	const struct msix_entry *e = &x->table[s->vector];
	struct msi msi = { .address = e->address_lo, .data = e->data };

	if (s->bound && s->msi.address == msi.address && s->msi.data == msi.data)
		return;
	/* A message that the accelerator does not take is lost, as on a bus. */
	if (x->m->ops->irqfd_bind(x->m->accel, s->slot, s->eventfd, &msi) < 0) {
		unbind(x, s);
		return;
	}
	s->bound = true;
	s->msi = msi;
}

static void update_source(struct msix *x, struct msix_source *s)
{
	if (s->vector < x->n_vectors && entry_delivers(x, s->vector))
		bind(x, s);
	else
		unbind(x, s);
}

static void update_all(struct msix *x)
{
	for (unsigned int i = 0; i < x->n_sources; i++)
		update_source(x, &x->sources[i]);
}

static void update_vector(struct msix *x, unsigned int vector)
{
	for (unsigned int i = 0; i < x->n_sources; i++)
		if (x->sources[i].vector == vector)
			update_source(x, &x->sources[i]);
}

void msix_init(struct msix *x, struct machine *m, unsigned int n_vectors)
{
	*x = (struct msix){ .m = m, .n_vectors = n_vectors };
	msix_reset(x);
}

int msix_add_source(struct msix *x, int eventfd)
{
	int slot;

	if (x->n_sources == MSIX_MAX)
		return -ENOSPC;
	slot = machine_irq_slot(x->m);
	if (slot < 0)
		return slot;
	x->sources[x->n_sources] = (struct msix_source){ .eventfd = eventfd,
							 .slot = (unsigned int)slot,
							 .vector = MSIX_NO_VECTOR };
	return (int)x->n_sources++;
}

void msix_reset(struct msix *x)
{
	x->deliver = false;
	for (unsigned int i = 0; i < x->n_vectors; i++)
		x->table[i] = (struct msix_entry){ .control = PCI_MSIX_ENTRY_CTRL_MASKBIT };
	for (unsigned int i = 0; i < x->n_sources; i++)
		x->sources[i].vector = MSIX_NO_VECTOR;
	update_all(x);
}

void msix_close(struct msix *x)
{
	msix_reset(x);
	for (unsigned int i = 0; i < x->n_sources; i++)
		machine_irq_slot_free(x->m, x->sources[i].slot);
	x->n_sources = 0;
}

void msix_set_deliver(struct msix *x, bool deliver)
{
	if (x->deliver == deliver)
		return;
	x->deliver = deliver;
	update_all(x);
}

uint16_t msix_map(struct msix *x, unsigned int source, uint16_t vector)
{
	struct msix_source *s;

	if (source >= x->n_sources)
		return MSIX_NO_VECTOR;
	s = &x->sources[source];
	s->vector = vector < x->n_vectors ? vector : MSIX_NO_VECTOR;
	update_source(x, s);
	return s->vector;
}

uint16_t msix_vector(const struct msix *x, unsigned int source)
{
	return source < x->n_sources ? x->sources[source].vector : MSIX_NO_VECTOR;
}

static bool access_valid(uint64_t offset, unsigned int width, uint64_t size)
{
	return (width == 4 || width == 8) && offset % width == 0 &&
	       range_within(offset, width, size);
}

static uint32_t *dword(struct msix_entry *e, uint64_t index)
{
	uint32_t *fields[DWORDS_PER_ENTRY] = { &e->address_lo, &e->address_hi, &e->data,
					       &e->control };

	return fields[index % DWORDS_PER_ENTRY];
}

static uint32_t read_dword(const struct msix *x, uint64_t index)
{
	struct msix_entry e = x->table[index / DWORDS_PER_ENTRY];

	return *dword(&e, index);
}

uint64_t msix_table_read(const struct msix *x, uint64_t offset, unsigned int width)
{
	uint64_t index = offset / 4;

	if (!access_valid(offset, width, MSIX_TABLE_SIZE(x->n_vectors)))
		return 0;
	if (width == 4)
		return read_dword(x, index);
	return read_dword(x, index) | (uint64_t)read_dword(x, index + 1) << 32;
}

static void write_dword(struct msix *x, uint64_t index, uint32_t value)
{
	static const uint32_t writable[DWORDS_PER_ENTRY] = { ~3U, ~0U, ~0U,
							     PCI_MSIX_ENTRY_CTRL_MASKBIT };

	*dword(&x->table[index / DWORDS_PER_ENTRY], index) = value &
							     writable[index % DWORDS_PER_ENTRY];
}

void msix_table_write(struct msix *x, uint64_t offset, unsigned int width, uint64_t value)
{
	uint64_t index = offset / 4;

	if (!access_valid(offset, width, MSIX_TABLE_SIZE(x->n_vectors)))
		return;
	write_dword(x, index, (uint32_t)value);
	if (width == 8)
		write_dword(x, index + 1, (uint32_t)(value >> 32));
	update_vector(x, (unsigned int)(index / DWORDS_PER_ENTRY));
}

/* A source that is bound has nothing pending: its count goes to the guest at once. */
static bool source_pending(const struct msix_source *s)
{
	struct pollfd p = { .fd = s->eventfd, .events = POLLIN };
	const struct timespec now = { 0 };

	return !s->bound && ppoll(&p, 1, &now, NULL) == 1 && (p.revents & POLLIN);
}

uint64_t msix_pba_read(const struct msix *x, uint64_t offset, unsigned int width)
{
	uint64_t pending = 0, first = offset * 8;

	if (!access_valid(offset, width, ((x->n_vectors + 63) / 64) * UINT64_C(8)))
		return 0;
	for (unsigned int i = 0; i < x->n_sources; i++) {
		const struct msix_source *s = &x->sources[i];

		if (s->vector < x->n_vectors && s->vector >= first &&
		    s->vector < first + UINT64_C(8) * width && source_pending(s))
			pending |= UINT64_C(1) << (s->vector - first);
	}
	return pending;
}
