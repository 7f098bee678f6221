/* SPDX-License-Identifier: Apache-2.0 */
/* The IOAPIC's row of the state contract; see ioapic.h. */
#include "cmd/vmm/irq/ioapic.h"

#include "lib/base/cleanup.h"

#include <string.h>

#define PINS ((1U << IOAPIC_PINS) - 1)
/* Delivery status is never seen, and what is above the mask and below the destination is kept as it
 * was written. */
#define RTE_BITS (~(1ULL << 12))

struct image {
	uint8_t select;
	uint8_t id;
	uint32_t lines;
	uint32_t irr;
	uint64_t redirection[IOAPIC_PINS];
};

static const struct state_field fields[] = {
	STATE_ANY(struct image, select),
	STATE_RANGE(struct image, id, 0, 15),
	STATE_BITS(struct image, lines, PINS),
	STATE_BITS(struct image, irr, PINS),
	STATE_BITSES(struct image, redirection, RTE_BITS),
};

static const char *check(const void *image)
{
	const struct image *i = image;

	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++) {
		uint64_t rte = i->redirection[pin];

		if ((rte & IOAPIC_RTE_REMOTE_IRR) && !(rte & IOAPIC_RTE_LEVEL))
			return "redirection: an edge pin waits for its EOI";
		if ((i->irr & 1U << pin) && !(rte & (IOAPIC_RTE_MASKED | IOAPIC_RTE_REMOTE_IRR)))
			return "irr: an interrupt that nothing held back";
	}
	return NULL;
}

static const struct state_schema schema = {
	.name = "ioapic",
	.version = 1,
	.size = sizeof(struct image),
	.fields = fields,
	.n_fields = ARRAY_SIZE(fields),
	.check = check,
};

static int reset(void *object)
{
	struct ioapic *io = object;

	io->select = 0;
	io->id = 0;
	io->lines = 0;
	io->irr = 0;
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++)
		io->redirection[pin] = IOAPIC_RTE_MASKED;
	ioapic_update(io);
	return 0;
}

static void save(const void *object, void *image)
{
	const struct ioapic *io = object;
	struct image *i = image;

	i->select = io->select;
	i->id = io->id;
	i->lines = io->lines;
	i->irr = io->irr;
	memcpy(i->redirection, io->redirection, sizeof(i->redirection));
}

static int load(void *object, const void *image, const char **ret_why)
{
	struct ioapic *io = object;
	const struct image *i = image;

	(void)ret_why;
	io->select = i->select;
	io->id = i->id;
	io->lines = i->lines;
	io->irr = i->irr;
	memcpy(io->redirection, i->redirection, sizeof(io->redirection));
	ioapic_update(io);
	return 0;
}

const struct state_ops ioapic_state = { "ioapic", &schema, reset, NULL, save, load };
