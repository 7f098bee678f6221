/* SPDX-License-Identifier: Apache-2.0 */
/* irqfd and ioeventfd for the software CPU; see events.h. */
#include "cmd/vmm/accel/soft/events.h"

#include "cmd/vmm/accel/soft/lapic.h"
#include "lib/base/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define MAX_NOTIFIERS 256

struct irq_slot {
	struct loop_source source;
	struct accel *vm;
	struct msi msi;
	bool bound;
};

struct notifier {
	uint64_t gpa;
	int eventfd;
};

struct soft_events {
	pthread_mutex_t lock; /* of the notifiers */
	size_t n_notifiers;
	struct notifier notifiers[MAX_NOTIFIERS];
	struct irq_slot slots[ACCEL_IRQ_SLOTS];
};

int soft_events_open(struct accel *vm)
{
	vm->events = calloc(1, sizeof(*vm->events));
	if (!vm->events)
		return -ENOMEM;
	pthread_mutex_init(&vm->events->lock, NULL);
	return 0;
}

void soft_events_close(struct accel *vm)
{
	free(vm->events);
	vm->events = NULL;
}

static int on_irq(struct loop_source *src, uint32_t events)
{
	struct irq_slot *s = src->owner;
	uint64_t count;

	(void)events;
	if (read(src->fd, &count, sizeof(count)) == sizeof(count)) {
		atomic_fetch_add(&s->vm->dma_epoch, 1);
		soft_lapic_msi(s->vm, &s->msi);
	}
	return 0;
}

int soft_irqfd_bind(struct accel *vm, unsigned int slot, int eventfd, const struct msi *msi)
{
	struct irq_slot *s;
	int r;

	if (slot >= ACCEL_IRQ_SLOTS)
		return -EINVAL;
	s = &vm->events->slots[slot];
	s->vm = vm;
	s->msi = *msi;
	if (s->bound)
		return 0;
	r = loop_add(vm->io.loop, &s->source, eventfd, EPOLLIN, on_irq, s);
	s->bound = r == 0;
	return r;
}

int soft_irqfd_unbind(struct accel *vm, unsigned int slot, int eventfd)
{
	struct irq_slot *s;

	(void)eventfd;
	if (slot >= ACCEL_IRQ_SLOTS)
		return -EINVAL;
	s = &vm->events->slots[slot];
	if (s->bound)
		loop_remove(vm->io.loop, &s->source);
	s->bound = false;
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

bool soft_ioeventfd_signal(struct accel *vm, uint64_t gpa)
{
	struct soft_events *e = vm->events;
	const uint64_t one = 1;
	bool found = false;

	pthread_mutex_lock(&e->lock);
	for (size_t i = 0; i < e->n_notifiers && !found; i++) {
		if (e->notifiers[i].gpa != gpa)
			continue;
		found = true;
		atomic_fetch_add(&vm->dma_epoch, 1);
		/* a full counter is a notification already */
		(void)!write(e->notifiers[i].eventfd, &one, sizeof(one));
	}
	pthread_mutex_unlock(&e->lock);
	return found;
}
