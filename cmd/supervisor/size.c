/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal's size on its way to the guest: who has the console says it, dev-console is told and
 * answers, then the vmm is told to look. One size at a time is with dev-console, so that however often
 * the terminal changes, the channels are never full of it, and an answer is only taken where one is
 * due: a hostile dev-console makes the vmm look no more often than its user resizes. See vm.h.
 */
#include "cmd/supervisor/vm.h"

#include <errno.h>

static void tell_console(struct vm *vm)
{
	struct size *s = &vm->size;
	const struct control_msg m = { .type = CTL_CONSOLE_SIZE, .number = s->wanted };

	if (s->awaited || s->wanted == s->told || !part_tell(vm_part(vm, PART_CONSOLE), &m))
		return;
	s->told = s->wanted;
	s->awaited = true;
}

static void tell_vmm(struct vm *vm)
{
	struct control_msg m = { .type = CTL_CONFIG };

	if (!vm->size.changed)
		return;
	m.number = vm_part(vm, PART_CONSOLE)->channel;
	vm->size.changed = !part_tell(vm_part(vm, PART_VMM), &m);
}

void size_step(struct vm *vm)
{
	if (vm->state == VM_ENDING)
		return;
	tell_console(vm);
	tell_vmm(vm);
}

void size_want(struct vm *vm, uint32_t size)
{
	vm->size.wanted = size;
	size_step(vm);
}

void size_begin(struct vm *vm)
{
	vm->size.told = 0;
	vm->size.awaited = false;
	size_step(vm);
}

int size_on_taken(struct part *p, const struct control_msg *m)
{
	struct vm *vm = p->vm;

	(void)m;
	if (!vm->size.awaited)
		return -EBADMSG;
	vm->size.awaited = false;
	vm->size.changed = true;
	size_step(vm);
	return 0;
}
