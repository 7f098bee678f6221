/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts by MSI, irqfd and ioeventfd; see kvm.h. */
#include "cmd/vmm/accel/kvm/kvm.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

int kvm_msi_send(struct accel *a, const struct msi *msi)
{
	struct kvm_msi k = {
		.address_lo = (uint32_t)msi->address,
		.address_hi = (uint32_t)(msi->address >> 32),
		.data = msi->data,
	};

	return ioctl(a->vm_fd, KVM_SIGNAL_MSI, &k) < 0 ? -errno : 0;
}

struct routing {
	struct kvm_irq_routing head;
	struct kvm_irq_routing_entry entries[IOAPIC_PINS + ACCEL_IRQ_SLOTS];
};

/* The kernel takes the table as a whole only. */
static int push_routes(struct accel *a)
{
	static struct routing table; /* too large for a vCPU's stack; the machine's lock is held */
	unsigned int n = 0;

	for (unsigned int gsi = 0; gsi < IOAPIC_PINS + ACCEL_IRQ_SLOTS; gsi++) {
		const struct kvm_route *r = &a->routes[gsi];

		if (!r->used)
			continue;
		table.entries[n++] = (struct kvm_irq_routing_entry){
			.gsi = gsi,
			.type = KVM_IRQ_ROUTING_MSI,
			.u.msi = { .address_lo = (uint32_t)r->msi.address,
				   .address_hi = (uint32_t)(r->msi.address >> 32),
				   .data = r->msi.data },
		};
	}
	table.head.nr = n;
	return ioctl(a->vm_fd, KVM_SET_GSI_ROUTING, &table) < 0 ? -errno : 0;
}

static int set_route(struct accel *a, unsigned int gsi, const struct msi *msi)
{
	struct kvm_route old = a->routes[gsi];
	struct kvm_route next = { .used = msi != NULL };
	int r;

	if (msi)
		next.msi = *msi;
	if (old.used == next.used && old.msi.address == next.msi.address &&
	    old.msi.data == next.msi.data)
		return 0;
	a->routes[gsi] = next;
	r = push_routes(a);
	if (r < 0)
		a->routes[gsi] = old;
	return r;
}

static int irqfd(struct accel *a, unsigned int gsi, int eventfd, uint32_t flags)
{
	struct kvm_irqfd k = { .fd = (uint32_t)eventfd, .gsi = gsi, .flags = flags };

	return ioctl(a->vm_fd, KVM_IRQFD, &k) < 0 ? -errno : 0;
}

int kvm_irqfd_bind(struct accel *a, unsigned int slot, int eventfd, const struct msi *msi)
{
	unsigned int gsi = IOAPIC_PINS + slot;
	bool bound;
	int r;

	if (slot >= ACCEL_IRQ_SLOTS)
		return -EINVAL;
	bound = a->routes[gsi].used;
	r = set_route(a, gsi, msi);
	if (r < 0 || bound)
		return r;
	r = irqfd(a, gsi, eventfd, 0);
	if (r < 0)
		(void)!set_route(a, gsi, NULL);
	return r;
}

int kvm_irqfd_unbind(struct accel *a, unsigned int slot, int eventfd)
{
	unsigned int gsi = IOAPIC_PINS + slot;
	int r;

	if (slot >= ACCEL_IRQ_SLOTS)
		return -EINVAL;
	if (!a->routes[gsi].used)
		return 0;
	r = irqfd(a, gsi, eventfd, KVM_IRQFD_FLAG_DEASSIGN);
	if (r < 0)
		return r;
	return set_route(a, gsi, NULL);
}

/* What is deassigned the kernel has let go of. */
void kvm_irqfd_settle(struct accel *a)
{
	(void)a;
}

static int ioeventfd(struct accel *a, uint64_t gpa, int eventfd, uint32_t flags)
{
	/* length 0: writes of any width to exactly this address */
	struct kvm_ioeventfd k = { .addr = gpa, .fd = eventfd, .flags = flags };

	return ioctl(a->vm_fd, KVM_IOEVENTFD, &k) < 0 ? -errno : 0;
}

int kvm_ioeventfd_bind(struct accel *a, uint64_t gpa, int eventfd)
{
	return ioeventfd(a, gpa, eventfd, 0);
}

int kvm_ioeventfd_unbind(struct accel *a, uint64_t gpa, int eventfd)
{
	return ioeventfd(a, gpa, eventfd, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

int kvm_set_ioapic_pin(struct accel *a, unsigned int pin, const struct msi *msi)
{
	if (pin >= IOAPIC_PINS)
		return -EINVAL;
	return set_route(a, pin, msi);
}
