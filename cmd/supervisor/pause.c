/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM that waits for its user, because a device dies again and again (--on-crash=pause), or the server of a disk is
 * away (--on-storage-error=stop); see vm.h.
 */
#include "cmd/supervisor/vm.h"

#include "lib/base/cleanup.h"

#include <stdio.h>
#include <string.h>

static bool tell_vmm(struct vm *vm, enum control_type type, uint32_t number)
{
	const struct control_msg m = { .type = type, .number = number };
	const struct part *vmm = vm_part(vm, PART_VMM);

	return vmm && tell_peer(vmm->control, &m, -1) == 0;
}

/* Who has asked, if he is still there. */
static void answer(struct vm *vm, enum control_type type, const char *why)
{
	struct control_msg m = { .type = type };

	snprintf(m.text, sizeof(m.text), "%s", why);
	m.text_len = strlen(m.text);
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

static bool stand_still(struct vm *vm, enum control_pause how, const char *why)
{
	if (vm->paused)
		return true;
	if (!tell_vmm(vm, CTL_PAUSE, how))
		return false;
	vm->paused = true;
	snprintf(vm->why, sizeof(vm->why), "%s", why);
	return true;
}

/* ---- a device that dies again and again ---- */

/* A storage process that finds no server is as one whose server is away. */
static bool is_wanted(const struct part *p)
{
	const struct vm_config *c = p->vm->config;

	return c->on_crash == CRASH_PAUSE ||
	       (p->device->dials && c->on_storage_error == STORAGE_ERROR_STOP);
}

bool pause_begin(struct part *p, const char *why)
{
	struct vm *vm = p->vm;
	/* without its storage process no device would give its rings back */
	enum control_pause how = p->device->number == KIND_BEHIND ? CTL_PAUSE_VCPUS : CTL_PAUSE_ALL;
	char line[CTL_TEXT_MAX + 1];

	if (!is_wanted(p) || !stand_still(vm, how, why))
		return false;
	snprintf(line, sizeof(line),
		 "%.*s; the VM is paused: bulkhead resume %s tries again, bulkhead stop %s ends it",
		 (int)sizeof(line) - 80 - 2 * CTL_NAME_MAX, why, vm->config->name,
		 vm->config->name);
	tell(vm, NULL, LOG_LEVEL_WARNING, line);
	answer(vm, CTL_REFUSED, why);
	return true;
}

/* ---- a server that is away ---- */

static const struct part *find_away(const struct vm *vm)
{
	for (size_t i = 0; i < vm->n_parts; i++)
		if (*vm->parts[i].away)
			return &vm->parts[i];
	return NULL;
}

/* Once for each time that its user has let the VM go on. */
static void stop_for(struct part *p)
{
	struct vm *vm = p->vm;
	const char *name = vm->config->name;
	bool still = stand_still(vm, CTL_PAUSE_VCPUS, p->away);
	char line[CTL_TEXT_MAX + 1];

	if (still)
		snprintf(line, sizeof(line),
			 "%s; the VM is paused: once the server is back, bulkhead resume %s lets "
			 "it go on; bulkhead stop %s ends it",
			 p->away, name, name);
	else
		snprintf(line, sizeof(line), "%s; the VM is not paused: its vmm does not listen",
			 p->away);
	if (part_may_speak(p))
		tell(vm, NULL, LOG_LEVEL_WARNING, line);
	answer(vm, CTL_REFUSED, p->away);
}

int pause_on_away(struct part *p, const struct control_msg *m)
{
	if (!p->device->dials || p->vm->config->on_storage_error != STORAGE_ERROR_STOP || *p->away)
		return -EBADMSG;
	snprintf(p->away, sizeof(p->away), "%s: %.100s", p->name, m->text);
	if (p->vm->state != VM_ENDING)
		stop_for(p);
	return 0;
}

int pause_on_back(struct part *p, const struct control_msg *m)
{
	struct vm *vm = p->vm;
	char line[CTL_TEXT_MAX + 1];

	(void)m;
	if (!*p->away)
		return -EBADMSG;
	if (strcmp(vm->why, p->away) == 0)
		snprintf(vm->why, sizeof(vm->why), "%s: the server is there again", p->name);
	p->away[0] = '\0';
	snprintf(line, sizeof(line),
		 "%s: the server is there again: bulkhead resume %s lets the VM go on", p->name,
		 vm->config->name);
	if (vm->paused && vm->state != VM_ENDING && part_may_speak(p))
		tell(vm, NULL, LOG_LEVEL_INFO, line);
	return 0;
}

const char *pause_why(const struct vm *vm)
{
	const struct part *away = find_away(vm);

	if (!vm->paused)
		return "";
	return away ? away->away : vm->why;
}

/* ---- it goes on ---- */

const char *pause_resume(struct vm *vm, struct client *c)
{
	static char why[CTL_TEXT_MAX + 1];

	if (!vm->paused)
		return "the VM is not paused";
	if (vm->resuming)
		return "another command resumes it already";
	if (find_away(vm)) {
		snprintf(why, sizeof(why), "its server is still away: %s", find_away(vm)->away);
		return why;
	}
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
	if (!tell_vmm(vm, CTL_CONTINUE, 0)) {
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
