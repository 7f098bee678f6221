/* SPDX-License-Identifier: Apache-2.0 */
/* How a VM ends; see vm.h. */
#include "cmd/supervisor/vm.h"

#include "lib/base/cleanup.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/timerfd.h>

/* For the vmm to go by itself after the guest's last event, and for the devices to finish. */
#define PATIENCE_S 3
/* For a device that finishes requests to have finished another one. */
#define PROGRESS_S 15

static void set_patience(struct vm *vm, time_t seconds)
{
	const struct itimerspec t = { .it_value = { .tv_sec = seconds } };

	(void)timerfd_settime(vm->timer.fd, 0, &t, NULL);
}

static void note(struct vm *vm, enum weight weight, enum control_event event, const char *text)
{
	struct verdict *v = &vm->verdict;

	if (weight <= v->weight)
		return;
	v->weight = weight;
	v->event = event;
	snprintf(v->text, sizeof(v->text), "%s", text);
}

/*
 * After its guest's last event a vmm ends by itself. And a device that ends by itself, or with a word of a
 * message cut short, mostly does so because its vmm has, whose end is then on its way and says why: by a
 * signal perhaps. One that lives on ends of the device's end. Either is waited for, as long as patience
 * lasts.
 */
static bool ends_by_itself(const struct vm *vm, const struct part *vmm)
{
	bool by_device = vm->verdict.weight <= WEIGHT_WORDS && vmm->state != PART_SPENT;

	return vm->event == vm->verdict.event || by_device || vmm->left;
}

static void begin(struct vm *vm)
{
	struct part *vmm = vm_part(vm, PART_VMM);

	vm->state = VM_ENDING;
	restart_stop(vm);
	vm_forget_stream(vm);
	set_patience(vm, PATIENCE_S);
	clients_tell_ending(vm);
	if (vmm && vmm->state != PART_GONE && !ends_by_itself(vm, vmm))
		part_kill(vmm);
	vm_end_step(vm);
}

void vm_end(struct vm *vm, enum weight weight, enum control_event event, const char *fmt, ...)
{
	char text[CTL_TEXT_MAX + 1];
	bool had_final = vm->verdict.weight == WEIGHT_FINAL;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* a guest that has powered off has done so; a part that fails afterwards is a bug to see */
	if (had_final && event == CTL_EVENT_FAILED)
		tell(vm, NULL, LOG_LEVEL_WARNING, text);
	note(vm, weight, event, text);
	if (vm->state != VM_ENDING)
		begin(vm);
}

void vm_end_step(struct vm *vm)
{
	struct part *vmm = vm_part(vm, PART_VMM);
	bool left = false;

	if (vm->state != VM_ENDING || (vmm && vmm->state != PART_GONE))
		return;
	for (size_t i = 0; i < vm->n_parts; i++) {
		if (vm->parts[i].state == PART_GONE)
			continue;
		left = true;
		if (!pair_is_needed(&vm->parts[i]))
			part_finish(&vm->parts[i]);
	}
	if (!left)
		loop_stop(&vm->loop, 0);
}

void vm_end_hard(struct vm *vm)
{
	restart_abandon(vm);
	for (size_t i = 0; i < vm->n_parts; i++) {
		struct part *p = &vm->parts[i];

		if (p->state == PART_GONE)
			continue;
		if (p->killed)
			part_tell_killed(p);
		part_kill(p);
	}
	set_patience(vm, PATIENCE_S); /* SIGKILL is as good as done; asked again all the same */
}

/* Whose user wants the end at once has no more patience. */
void vm_end_overdue(struct vm *vm)
{
	const struct part *vmm = vm_part(vm, PART_VMM);
	bool progress = false;

	for (size_t i = 0; i < vm->n_parts; i++) {
		struct part *p = &vm->parts[i];

		if (p->state == PART_GONE || !p->progressed)
			continue;
		p->progressed = false;
		part_tell_busy(p);
		progress = true;
	}
	if (progress && vmm && vmm->state == PART_GONE && vm->verdict.event != CTL_EVENT_KILLED)
		set_patience(vm, PROGRESS_S);
	else
		vm_end_hard(vm);
}

int vm_exit_status(const struct vm *vm)
{
	switch (vm->verdict.event) {
	case CTL_EVENT_POWEROFF:
	case CTL_EVENT_REBOOT:
		return 0;
	case CTL_EVENT_PANIC:
		return 3;
	case CTL_EVENT_CRASH:
		return 4;
	case CTL_EVENT_KILLED:
		return 6;
	case CTL_EVENT_RUNNING:
	case CTL_EVENT_FAILED:
	case CTL_EVENT_PAUSED:
		break;
	}
	/* a process that refuses what it was given before the guest ran: it could not start */
	return vm->event == 0 && vm->verdict.weight == WEIGHT_WORDS ? 1 : 5;
}
