/* SPDX-License-Identifier: Apache-2.0 */
/* Slots for what comes and goes; see hotplug.h. */
#include "cmd/vmm/pci/hotplug.h"

#include "cmd/vmm/event.h"
#include "cmd/vmm/pci/pci.h"
#include "cmd/vmm/vcpu.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

_Static_assert(HOTPLUG_FIRST_SLOT + HOTPLUG_SLOTS <= PCI_SLOTS, "they are slots of the bus");
_Static_assert(PCI_SLOTS <= 32, "a register has a bit for each");

static uint32_t bit(unsigned int slot)
{
	return UINT32_C(1) << slot;
}

/* NULL: not a slot of these. */
static struct hotplug_slot *slot_at(struct hotplug *h, unsigned int slot)
{
	return slot >= HOTPLUG_FIRST_SLOT && slot < HOTPLUG_FIRST_SLOT + HOTPLUG_SLOTS ?
		       &h->slots[slot - HOTPLUG_FIRST_SLOT] :
		       NULL;
}

static void wake_main(struct hotplug *h)
{
	const uint64_t one = 1;

	(void)!write(h->ejects.fd, &one, sizeof(one));
}

/* ---- the registers: any vCPU ---- */

static uint32_t take_up(struct hotplug *h)
{
	uint32_t up = h->up;

	h->up = 0;
	return up;
}

static uint32_t take_down(struct hotplug *h)
{
	uint32_t down = h->down;

	h->down = 0;
	return down;
}

/* Gone for the guest at once. Ending it takes calls that only the main thread may make. */
static void eject_one(struct hotplug *h, unsigned int slot)
{
	struct hotplug_slot *s = slot_at(h, slot);

	if (!(s->state & (HOTPLUG_PLUGGED | HOTPLUG_ASKED)))
		return;
	s->ejected = pci_host_take(h->m->pci, slot);
	s->state = HOTPLUG_EJECTED;
	h->up &= ~bit(slot);
	h->down &= ~bit(slot);
	wake_main(h);
}

static void eject(struct hotplug *h, uint32_t slots)
{
	for (unsigned int i = 0; i < HOTPLUG_SLOTS; i++)
		if (slots & bit(HOTPLUG_FIRST_SLOT + i))
			eject_one(h, HOTPLUG_FIRST_SLOT + i);
}

static const struct {
	uint64_t offset;
	uint32_t (*read)(struct hotplug *h);
	void (*write)(struct hotplug *h, uint32_t value);
} registers[] = {
	{ HOTPLUG_UP, take_up, NULL },
	{ HOTPLUG_DOWN, take_down, NULL },
	{ HOTPLUG_EJECT, NULL, eject },
};

static uint64_t hotplug_read(void *owner, uint64_t offset, unsigned int width)
{
	for (size_t i = 0; i < ARRAY_SIZE(registers); i++)
		if (registers[i].offset == offset && registers[i].read && width == 4)
			return registers[i].read(owner);
	return 0;
}

static void hotplug_write(void *owner, uint64_t offset, unsigned int width, uint64_t value)
{
	for (size_t i = 0; i < ARRAY_SIZE(registers); i++)
		if (registers[i].offset == offset && registers[i].write && width == 4)
			registers[i].write(owner, (uint32_t)value);
}

static const struct bus_ops hotplug_bus_ops = { .read = hotplug_read, .write = hotplug_write };

/* ---- the main thread ---- */

/* Its successor was on its way when the guest let go of the device. */
static int too_late(void *owner, int sock, const char **ret_why)
{
	(void)owner;
	(void)ret_why;
	close(sock);
	return 0;
}

static bool is_new(const struct machine *m, unsigned int channel)
{
	return channel < MACHINE_CHANNELS_MAX &&
	       (!m->channels[channel].reconnect || m->channels[channel].reconnect == too_late);
}

/* vCPUs stand still: none is in the middle of an access to it. */
static void end_ejected(struct hotplug *h)
{
	for (unsigned int i = 0; i < HOTPLUG_SLOTS; i++) {
		struct hotplug_slot *s = &h->slots[i];
		struct pci_function *fn = s->ejected;

		if (s->state != HOTPLUG_EJECTED)
			continue;
		if (fn->ops->remove)
			fn->ops->remove(fn);
		h->m->channels[s->channel] = (struct machine_channel){ .reconnect = too_late };
		*s = (struct hotplug_slot){ .state = HOTPLUG_EMPTY };
		if (h->gone)
			h->gone(h->owner, HOTPLUG_FIRST_SLOT + i);
	}
}

static int on_ejects(struct loop_source *src, uint32_t events)
{
	struct hotplug *h = src->owner;

	(void)events;
	event_clear(src->fd);
	vcpus_pause(h->m);
	end_ejected(h);
	if (h->m->request == MACHINE_RUN) /* otherwise they stand still until it is carried out */
		vcpus_resume(h->m, false);
	return 0;
}

static int free_slot(const struct hotplug *h)
{
	for (unsigned int i = 0; i < HOTPLUG_SLOTS; i++)
		if (h->slots[i].state == HOTPLUG_EMPTY)
			return (int)(HOTPLUG_FIRST_SLOT + i);
	return -ENOSPC;
}

int hotplug_add(struct hotplug *h, const struct vmm_virtio *device, unsigned int channel, int sock,
		const char **ret_why)
{
	int slot = free_slot(h), r;
	struct hotplug_slot *s;

	if (!is_new(h->m, channel)) {
		close(sock);
		*ret_why = "its channel has the number of another one";
		return -EEXIST;
	}
	if (slot < 0) {
		close(sock);
		*ret_why = "all slots for devices that are attached are taken";
		return slot;
	}
	s = slot_at(h, (unsigned int)slot);
	s->channel = channel;
	s->device = *device;
	s->device.type.name = s->device.name;
	r = virtio_pci_add(h->m, &s->device.type, channel, sock, slot, ret_why);
	if (r < 0)
		return r;
	s->state = HOTPLUG_PLUGGED;
	h->up |= bit((unsigned int)slot);
	power_event(h->m, GED_PCI_HOTPLUG);
	return slot;
}

void hotplug_ask(struct hotplug *h, unsigned int slot)
{
	struct hotplug_slot *s = slot_at(h, slot);

	if (!s || !(s->state & (HOTPLUG_PLUGGED | HOTPLUG_ASKED)))
		return;
	s->state = HOTPLUG_ASKED;
	h->down |= bit(slot);
	power_event(h->m, GED_PCI_HOTPLUG);
}

void hotplug_settle(struct hotplug *h)
{
	for (unsigned int i = 0; i < HOTPLUG_SLOTS; i++)
		if (h->slots[i].state == HOTPLUG_ASKED)
			eject_one(h, HOTPLUG_FIRST_SLOT + i);
	end_ejected(h);
	event_clear(h->ejects.fd);
}

void hotplug_tell(struct hotplug *h, void (*gone)(void *owner, unsigned int slot), void *owner)
{
	h->gone = gone;
	h->owner = owner;
}

int hotplug_open(struct machine *m, struct hotplug **ret)
{
	struct hotplug *h = calloc(1, sizeof(*h));
	int fd = h ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
	int r = fd < 0 ? -ENOMEM : loop_add(&m->loop, &h->ejects, fd, EPOLLIN, on_ejects, h);

	if (r == 0)
		r = machine_add_object(m, &hotplug_state, h);
	if (r == 0)
		r = bus_add(&m->pio,
			    &(struct bus_range){ PORT_HOTPLUG, HOTPLUG_LEN, &hotplug_bus_ops, h });
	if (r < 0) {
		closep(&fd);
		free(h);
		return r;
	}
	h->m = m;
	for (unsigned int i = 0; i < HOTPLUG_SLOTS; i++)
		h->slots[i].state = HOTPLUG_EMPTY;
	*ret = h;
	return 0;
}
