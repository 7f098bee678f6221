/* SPDX-License-Identifier: Apache-2.0 */
/* irqfd and ioeventfd for the software CPU; see events.h. */
#include "cmd/vmm/accel/soft/events.h"

#include "cmd/vmm/accel/soft/dma.h"
#include "cmd/vmm/accel/soft/lapic.h"
#include "cmd/vmm/event.h"
#include "lib/base/cleanup.h"
#include "lib/base/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MAX_NOTIFIERS ACCEL_IRQ_SLOTS

struct irq_slot {
	struct loop_source source; /* the main thread's */
	struct accel *vm;
	struct msi msi;
	int eventfd; /* -1: not bound */
};

struct notifier {
	uint64_t gpa;
	int eventfd;
};

struct soft_events {
	pthread_mutex_t lock; /* of the notifiers */
	size_t n_notifiers;
	struct notifier notifiers[MAX_NOTIFIERS];
	struct loop_source asked; /* some slots are bound or unbound, but not yet in the loop */
	atomic_size_t n_slots;	  /* up to the highest that was ever bound */
	struct irq_slot slots[ACCEL_IRQ_SLOTS];
};

static int on_irq(struct loop_source *src, uint32_t events)
{
	struct irq_slot *s = src->owner;

	(void)events;
	if (s->eventfd != src->fd) {
		loop_remove(s->vm->io.loop, src); /* its count waits for whoever is bound next */
		return 0;
	}
	if (event_take(src->fd)) {
		soft_dma_told(s->vm);
		soft_lapic_msi(s->vm, &s->msi);
	}
	return 0;
}

static int follow(struct loop *loop, struct irq_slot *s)
{
	if (s->source.fd == s->eventfd)
		return 0;
	loop_remove(loop, &s->source);
	return s->eventfd < 0 ? 0 : loop_add(loop, &s->source, s->eventfd, EPOLLIN, on_irq, s);
}

static int follow_all(struct accel *vm)
{
	int r = 0;

	for (size_t i = 0; i < vm->events->n_slots && r == 0; i++)
		r = follow(vm->io.loop, &vm->events->slots[i]);
	return r;
}

static int on_asked(struct loop_source *src, uint32_t events)
{
	(void)events;
	event_clear(src->fd);
	return follow_all(src->owner);
}

/* One that cannot be added is asked for again by on_asked, which says so. */
void soft_irqfd_settle(struct accel *vm)
{
	(void)!follow_all(vm);
}

int soft_events_open(struct accel *vm)
{
	struct soft_events *e = calloc(1, sizeof(*e));
	int fd = e ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;

	if (fd < 0 || loop_add(vm->io.loop, &e->asked, fd, EPOLLIN, on_asked, vm) < 0) {
		closep(&fd);
		free(e);
		return -ENOMEM;
	}
	pthread_mutex_init(&e->lock, NULL);
	vm->events = e;
	return 0;
}

static void ask(const struct accel *vm)
{
	const uint64_t one = 1;

	(void)!write(vm->events->asked.fd, &one, sizeof(one));
}

/* Under the machine's lock. */
static struct irq_slot *slot_at(struct accel *vm, unsigned int slot)
{
	struct soft_events *e = vm->events;

	for (; e->n_slots <= slot; e->n_slots++)
		e->slots[e->n_slots] =
			(struct irq_slot){ .source = { .fd = -1 }, .vm = vm, .eventfd = -1 };
	return &e->slots[slot];
}

int soft_irqfd_bind(struct accel *vm, unsigned int slot, int eventfd, const struct msi *msi)
{
	struct irq_slot *s;

	if (slot >= ACCEL_IRQ_SLOTS)
		return -EINVAL;
	s = slot_at(vm, slot);
	s->msi = *msi;
	s->eventfd = eventfd;
	if (s->source.fd != eventfd)
		ask(vm);
	return 0;
}

/* Until the main thread has looked the eventfd is still in its loop, and nothing comes of it. */
int soft_irqfd_unbind(struct accel *vm, unsigned int slot, int eventfd)
{
	(void)eventfd;
	if (slot >= ACCEL_IRQ_SLOTS)
		return -EINVAL;
	slot_at(vm, slot)->eventfd = -1;
	ask(vm);
	return 0;
}

int soft_ioeventfd_bind(struct accel *vm, uint64_t gpa, int eventfd)
{
	struct soft_events *e = vm->events;
	int r = 0;

	pthread_mutex_lock(&e->lock);
	if (e->n_notifiers == MAX_NOTIFIERS)
		r = -ENOSPC;
	else
		e->notifiers[e->n_notifiers++] = (struct notifier){ gpa, eventfd };
	pthread_mutex_unlock(&e->lock);
	return r;
}

int soft_ioeventfd_unbind(struct accel *vm, uint64_t gpa, int eventfd)
{
	struct soft_events *e = vm->events;

	pthread_mutex_lock(&e->lock);
	for (size_t i = 0; i < e->n_notifiers; i++) {
		if (e->notifiers[i].gpa != gpa || e->notifiers[i].eventfd != eventfd)
			continue;
		e->notifiers[i] = e->notifiers[--e->n_notifiers];
		break;
	}
	pthread_mutex_unlock(&e->lock);
	return 0;
}

bool soft_ioeventfd_signal(struct soft_cpu *c, uint64_t gpa)
{
	struct soft_events *e = c->vm->events;
	int fd = -1;

	pthread_mutex_lock(&e->lock);
	for (size_t i = 0; i < e->n_notifiers && fd < 0; i++)
		if (e->notifiers[i].gpa == gpa)
			fd = e->notifiers[i].eventfd;
	pthread_mutex_unlock(&e->lock);
	if (fd < 0)
		return false;
	soft_dma_possible(c->vm);
	watch_count(&c->watch, fd);
	return true;
}
