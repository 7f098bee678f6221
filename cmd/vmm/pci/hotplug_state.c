/* SPDX-License-Identifier: Apache-2.0 */
/* The row of the state contract of the slots for what comes and goes; see hotplug.h. */
#include "cmd/vmm/pci/hotplug.h"

#include "lib/base/cleanup.h"

#include <errno.h>

/* The registers' bits of all slots. */
#define SLOTS_MASK (((UINT32_C(1) << HOTPLUG_SLOTS) - 1) << HOTPLUG_FIRST_SLOT)

struct hotplug_image {
	uint32_t up, down;
	uint32_t taken,
		asked; /* slots in which there is a device, and of which the guest is to let go */
};

static const struct state_field fields[] = {
	STATE_BITS(struct hotplug_image, up, SLOTS_MASK),
	STATE_BITS(struct hotplug_image, down, SLOTS_MASK),
	STATE_BITS(struct hotplug_image, taken, SLOTS_MASK),
	STATE_BITS(struct hotplug_image, asked, SLOTS_MASK),
};

static const char *check(const void *image)
{
	const struct hotplug_image *i = image;

	if ((i->up | i->asked) & ~i->taken)
		return "something new, or to let go of, in a slot that is empty";
	return i->down & ~i->asked ? "a slot to let go of that nobody asked for" : NULL;
}

static const struct state_schema schema = {
	.name = "pci-hotplug",
	.version = 1,
	.size = sizeof(struct hotplug_image),
	.fields = fields,
	.n_fields = ARRAY_SIZE(fields),
	.check = check,
};

static uint32_t slots_in(const struct hotplug *h, unsigned int states)
{
	uint32_t slots = 0;

	for (unsigned int i = 0; i < HOTPLUG_SLOTS; i++)
		if (h->slots[i].state & states)
			slots |= UINT32_C(1) << (HOTPLUG_FIRST_SLOT + i);
	return slots;
}

/* Who is in a slot stays, and is found by a scan of the bus. */
static int hotplug_reset(void *object)
{
	struct hotplug *h = object;

	h->up = h->down = 0;
	return 0;
}

static void hotplug_save(const void *object, void *image)
{
	const struct hotplug *h = object;

	*(struct hotplug_image *)image =
		(struct hotplug_image){ .up = h->up,
					.down = h->down,
					.taken = slots_in(h, HOTPLUG_PLUGGED | HOTPLUG_ASKED),
					.asked = slots_in(h, HOTPLUG_ASKED) };
}

static int hotplug_load(void *object, const void *image, const char **ret_why)
{
	const struct hotplug_image *from = image;
	struct hotplug *h = object;

	if (from->taken != slots_in(h, HOTPLUG_PLUGGED | HOTPLUG_ASKED)) {
		*ret_why = "other slots have devices";
		return -EINVAL;
	}
	h->up = from->up;
	h->down = from->down;
	for (unsigned int i = 0; i < HOTPLUG_SLOTS; i++)
		if (from->taken & (UINT32_C(1) << (HOTPLUG_FIRST_SLOT + i)))
			h->slots[i].state =
				from->asked & (UINT32_C(1) << (HOTPLUG_FIRST_SLOT + i)) ?
					HOTPLUG_ASKED :
					HOTPLUG_PLUGGED;
	return 0;
}

const struct state_ops hotplug_state = { "pci-hotplug", &schema,      hotplug_reset,
					 NULL,		hotplug_save, hotplug_load };
