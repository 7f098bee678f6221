/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links of network cards, up and down, as their user says. The device is told and answers, then the vmm is told to look;
 * one message at a time is with the device. What was said is kept here, so that a process that is started again has it
 * before the vmm has that process; it is also asked to have its guest announced. Each answer is taken only where one is
 * due: a hostile device makes the vmm look no more often than its user speaks and it is started again. See vm.h.
 */
#include "cmd/supervisor/vm.h"

#include "cmd/supervisor/plug.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool has_link(const struct part *p)
{
	return p->device && p->device->takes_link;
}

static struct part *find(struct vm *vm, const char *name)
{
	char is[40];

	for (size_t i = 0; i < vm->n_parts; i++) {
		struct part *p = &vm->parts[i];

		if (!has_link(p) || (p->spare && !plug_is_there(p)))
			continue;
		snprintf(is, sizeof(is), "%s-%u", p->device->word, p->plug.number);
		if (strcmp(is, name) == 0)
			return p;
	}
	return NULL;
}

static void answer(struct part *p, enum control_type type, const char *text)
{
	struct control_msg m = { .type = type, .text_len = strlen(text) };

	if (!p->link.asker)
		return;
	memcpy(m.text, text, m.text_len);
	(void)!tell_peer(p->link.asker->src.fd, &m, -1);
	p->link.asker = NULL;
}

static void tell_device(struct part *p)
{
	struct card_link *l = &p->link;
	const struct control_msg m = { .type = CTL_LINK,
				       .number = (l->down ? 0 : CTL_LINK_UP) |
						 (l->announce ? CTL_LINK_ANNOUNCE : 0) };

	if (!l->due || l->awaited || !part_tell(p, &m))
		return;
	l->n_announces += l->announce;
	l->due = l->announce = false;
	l->awaited = true;
}

static void tell_vmm(struct part *p)
{
	const struct control_msg m = { .type = CTL_CONFIG, .number = p->channel };

	if (p->link.changed)
		p->link.changed = !part_tell(vm_part(p->vm, PART_VMM), &m);
}

static void step(struct part *p)
{
	if (p->vm->state == VM_ENDING)
		return;
	tell_device(p);
	tell_vmm(p);
}

void link_step(struct vm *vm)
{
	for (size_t i = 0; i < vm->n_parts; i++)
		if (has_link(&vm->parts[i]))
			step(&vm->parts[i]);
}

/* Where there is no process now nothing passes, and the next one begins with it. */
const char *link_set(struct vm *vm, struct client *asker, const char *name, bool up)
{
	struct part *p = find(vm, name);

	if (!p)
		return "the VM has no network card of that name: they are net-1, net-2 and so on";
	if (p->link.asker)
		return "another command waits for it already";
	p->link.asker = asker;
	p->link.down = !up;
	p->link.announce = false; /* a driver whose carrier comes back is not ready to */
	if (p->state != PART_READY) {
		answer(p, CTL_DONE, "");
		return NULL;
	}
	p->link.due = true;
	step(p);
	return NULL;
}

void link_begin(struct part *p)
{
	struct card_link *l = &p->link;
	/* one that is attached is asked for as well; the vmm does not have it yet, and has nobody to announce */
	bool again = p->spare ? plug_is_there(p) : p->again.n_asked > 0;

	if (!has_link(p))
		return;
	if (!again && p->spare)
		*l = (struct card_link){ 0 };
	l->awaited = false;
	l->n_announces = 0;
	l->due = again || l->down;
	l->announce = again && !l->down;
	step(p);
}

int link_on_taken(struct part *p, const struct control_msg *m)
{
	(void)m;
	if (!p->link.awaited)
		return -EBADMSG;
	p->link.awaited = false;
	p->link.changed = true;
	if (!p->link.due)
		answer(p, CTL_DONE, "");
	step(p);
	return 0;
}

int link_on_announced(struct part *p, const struct control_msg *m)
{
	(void)m;
	if (!p->link.n_announces)
		return -EBADMSG;
	p->link.n_announces--;
	p->link.changed = true;
	step(p);
	return 0;
}

void link_lost(struct part *p, const char *why)
{
	answer(p, CTL_REFUSED, why);
}

void link_leave(struct vm *vm, const struct client *c)
{
	for (size_t i = 0; i < vm->n_parts; i++)
		if (vm->parts[i].link.asker == c)
			vm->parts[i].link.asker = NULL;
}
