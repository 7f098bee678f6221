/* SPDX-License-Identifier: Apache-2.0 */
/* A VM that waits for its user, because a device dies again and again (--on-crash=pause); see vm.h. */
#include "cmd/supervisor/vm.h"

#include "lib/base/cleanup.h"

#include <stdio.h>
#include <string.h>

static bool tell_vmm(struct vm *vm, enum control_type type)
{
	const struct control_msg m = { .type = type };
	const struct part *vmm = vm_part(vm, PART_VMM);

	return vmm && tell_peer(vmm->control, &m, -1) == 0;
}

/* Who has asked, if he is still there. */
static void answer(struct vm *vm, enum control_type type, const char *why)
{
	struct control_msg m = { .type = type, .text_len = strnlen(why, CTL_TEXT_MAX) };

	memcpy(m.text, why, m.text_len);
	if (vm->resumer)
		(void)!tell_peer(vm->resumer->src.fd, &m, -1);
	vm->resumer = NULL;
	vm->resuming = false;
}

void pause_part(struct part *p)
{
	p->state = PART_AWAY;
	p->again.due_ms = p->again.hung_ms = 0;
	p->again.ready = p->again.outside = p->again.by_itself = p->again.is_lost = false;
}

bool pause_begin(struct vm *vm, const char *why)
{
	char line[CTL_TEXT_MAX + 1];

	if (vm->config->on_crash != CRASH_PAUSE || (!vm->paused && !tell_vmm(vm, CTL_PAUSE)))
		return false;
	vm->paused = true;
	snprintf(line, sizeof(line),
		 "%.*s; the VM is paused: bulkhead resume %s tries again, bulkhead stop %s ends it",
		 (int)sizeof(line) - 80 - 2 * CTL_NAME_MAX, why, vm->config->name,
		 vm->config->name);
	tell(vm, NULL, LOG_LEVEL_WARNING, line);
	answer(vm, CTL_REFUSED, why);
	return true;
}

const char *pause_resume(struct vm *vm, struct client *c)
{
	if (!vm->paused)
		return "the VM is not paused";
	if (vm->resuming)
		return "another command resumes it already";
	vm->resuming = true;
	vm->resumer = c;
	for (size_t i = 0; i < vm->n_parts; i++)
		restart_retry(&vm->parts[i]);
	pause_step(vm);
	return NULL;
}

void pause_step(struct vm *vm)
{
	if (!vm->resuming)
		return;
	for (size_t i = 0; i < vm->n_parts; i++)
		if (!vm->parts[i].spare && vm->parts[i].state != PART_READY)
			return; /* what was attached later does not hold it up */
	if (!tell_vmm(vm, CTL_CONTINUE)) {
		vm_end(vm, WEIGHT_SIGNAL, CTL_EVENT_FAILED, "the vmm does not take its going on");
		return;
	}
	vm->paused = false;
	tell(vm, NULL, LOG_LEVEL_INFO, "the VM goes on");
	answer(vm, CTL_DONE, "");
}

void pause_forget(struct vm *vm, const struct client *c)
{
	if (vm->resumer == c)
		vm->resumer = NULL;
}
