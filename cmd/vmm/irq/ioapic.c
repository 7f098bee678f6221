/* SPDX-License-Identifier: Apache-2.0 */
/* The IOAPIC; see ioapic.h. Registers: Intel 82093AA data sheet, section 3. */
#include "cmd/vmm/irq/ioapic.h"

#define REG_SELECT 0x00
#define REG_WINDOW 0x10
#define REG_EOI 0x40

#define INDEX_ID 0x00
#define INDEX_VERSION 0x01
#define INDEX_ARBITRATION 0x02
#define INDEX_REDIRECTION 0x10

#define VERSION 0x20U

#define RTE_VECTOR 0xffULL
#define RTE_DELIVERY_MODE (7ULL << 8)
#define RTE_LOGICAL (1ULL << 11)
#define RTE_DELIVERY_STATUS (1ULL << 12)
#define RTE_REMOTE_IRR IOAPIC_RTE_REMOTE_IRR
#define RTE_LEVEL IOAPIC_RTE_LEVEL
#define RTE_MASKED IOAPIC_RTE_MASKED
#define RTE_DEST_SHIFT 56
#define RTE_READ_ONLY (RTE_DELIVERY_STATUS | RTE_REMOTE_IRR)

/* An RTE's fields stand where a PCI device's MSI has them (Intel SDM volume 3, 11.11). */
static struct msi rte_to_msi(uint64_t rte)
{
	struct msi msi = { .address = LAPIC_START | ((rte >> RTE_DEST_SHIFT) << 12) };

	if (rte & RTE_LOGICAL)
		msi.address |= 1U << 2;
	msi.data = (uint32_t)(rte & (RTE_VECTOR | RTE_DELIVERY_MODE));
	if (rte & RTE_LEVEL)
		msi.data |= 1U << 15 | 1U << 14;
	return msi;
}

/* Delivers what waits on a pin if its entry lets it. */
static void service(struct ioapic *io, unsigned int pin)
{
	uint64_t *rte = &io->redirection[pin];
	uint32_t bit = 1U << pin;
	struct msi msi;

	if (!(io->irr & bit) || (*rte & RTE_MASKED))
		return;
	if (*rte & RTE_LEVEL) {
		if (*rte & RTE_REMOTE_IRR)
			return;
		*rte |= RTE_REMOTE_IRR;
	} else {
		io->irr &= ~bit;
	}
	msi = rte_to_msi(*rte);
	/* A vector that the guest made up is refused by the LAPIC; there is nobody to tell. */
	(void)!io->ops->msi_send(io->accel, &msi);
}

static void update_route(struct ioapic *io, unsigned int pin)
{
	struct msi msi = rte_to_msi(io->redirection[pin]);

	(void)!io->ops->set_ioapic_pin(io->accel, pin,
				       io->redirection[pin] & RTE_MASKED ? NULL : &msi);
}

void ioapic_set_line(struct ioapic *io, unsigned int pin, bool high)
{
	uint32_t bit = 1U << pin;
	bool level = io->redirection[pin] & RTE_LEVEL;
	bool rises = high && !(io->lines & bit);

	io->lines = high ? io->lines | bit : io->lines & ~bit;
	if (rises || (level && high))
		io->irr |= bit;
	else if (level)
		io->irr &= ~bit;
	service(io, pin);
}

void ioapic_pulse(struct ioapic *io, unsigned int pin)
{
	ioapic_set_line(io, pin, true);
	ioapic_set_line(io, pin, false);
}

void ioapic_eoi(struct ioapic *io, uint8_t vector)
{
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++) {
		uint64_t *rte = &io->redirection[pin];

		if ((*rte & RTE_VECTOR) != vector || !(*rte & RTE_LEVEL))
			continue;
		*rte &= ~RTE_REMOTE_IRR;
		service(io, pin);
	}
}

static void write_redirection(struct ioapic *io, unsigned int index, uint32_t value)
{
	unsigned int pin = (index - INDEX_REDIRECTION) / 2;
	uint64_t *rte = &io->redirection[pin];
	uint64_t keep = *rte & RTE_READ_ONLY;

	if (index & 1)
		*rte = (*rte & UINT32_MAX) | (uint64_t)value << 32;
	else
		*rte = (*rte & ~(uint64_t)UINT32_MAX) | (value & ~RTE_READ_ONLY) | keep;
	if (!(*rte & RTE_LEVEL))
		*rte &= ~RTE_REMOTE_IRR;
	update_route(io, pin);
	service(io, pin);
}

static uint32_t read_index(const struct ioapic *io)
{
	unsigned int index = io->select;

	if (index == INDEX_ID || index == INDEX_ARBITRATION)
		return (uint32_t)io->id << 24;
	if (index == INDEX_VERSION)
		return VERSION | (IOAPIC_PINS - 1) << 16;
	if (index >= INDEX_REDIRECTION && index < INDEX_REDIRECTION + 2 * IOAPIC_PINS)
		return (uint32_t)(io->redirection[(index - INDEX_REDIRECTION) / 2] >>
				  (index & 1 ? 32 : 0));
	return 0;
}

static uint64_t ioapic_read(void *owner, uint64_t offset, unsigned int width)
{
	const struct ioapic *io = owner;

	(void)width;
	if (offset == REG_SELECT)
		return io->select;
	if (offset == REG_WINDOW)
		return read_index(io);
	return 0;
}

static void ioapic_write(void *owner, uint64_t offset, unsigned int width, uint64_t value)
{
	struct ioapic *io = owner;

	(void)width;
	if (offset == REG_SELECT)
		io->select = (uint8_t)value;
	else if (offset == REG_EOI)
		ioapic_eoi(io, (uint8_t)value);
	else if (offset == REG_WINDOW && io->select == INDEX_ID)
		io->id = (value >> 24) & 0xf;
	else if (offset == REG_WINDOW && io->select >= INDEX_REDIRECTION &&
		 io->select < INDEX_REDIRECTION + 2 * IOAPIC_PINS)
		write_redirection(io, io->select, (uint32_t)value);
}

const struct bus_ops ioapic_bus_ops = { .read = ioapic_read, .write = ioapic_write };

void ioapic_update(struct ioapic *io)
{
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++)
		update_route(io, pin);
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++)
		service(io, pin);
}

void ioapic_init(struct ioapic *io, const struct accel_ops *ops, struct accel *accel)
{
	*io = (struct ioapic){ .ops = ops, .accel = accel };
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++)
		io->redirection[pin] = RTE_MASKED;
}
