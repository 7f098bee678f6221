/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk becomes larger while its guest runs. Nobody's bound is raised: its process is ended in good order, so
 * that nobody uses the image while its user's command changes it, and the one that is started then measures it as
 * any does. The guest's requests wait meanwhile; its vmm sees another capacity, and tells it. See vm.h.
 *
 *	NONE     a command asks: the launcher is shown the file        SOUGHT
 *	SOUGHT   it serves it to a disk: that one's process is to end   ENDING
 *	ENDING   it has: the command is told                           OPEN
 *	OPEN     the command is done, or gone: the launcher is asked   BACK
 *	BACK     the vmm has the disk again: the command is answered   NONE
 *
 * Whatever goes wrong leads to NONE, by a refusal; a process that dies is started again as any.
 */
#include "cmd/supervisor/vm.h"

#include "cmd/supervisor/plug.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define CANNOT "its size can be changed by bulkhead image resize, while no VM uses it"

/* Who has asked, if he is still there; type CTL_DONE, CTL_RESIZING or CTL_REFUSED. */
static int answer(struct vm *vm, enum control_type type, const char *text)
{
	struct control_msg m = { .type = type, .text_len = strnlen(text, CTL_TEXT_MAX) };

	memcpy(m.text, text, m.text_len);
	return vm->resize.asker ? tell_peer(vm->resize.asker->src.fd, &m, -1) : -EPIPE;
}

static void be_over(struct vm *vm, const char *why)
{
	(void)!answer(vm, why ? CTL_REFUSED : CTL_DONE, why ? why : "");
	vm->resize = (struct resize){ .state = RESIZE_NONE };
}

bool resize_has(const struct part *p)
{
	return p->vm->resize.part == p;
}

void resize_note(struct part *p, const struct config_device *d)
{
	const struct option *format = kind_option(p->device, "format");

	p->format[0] = '\0';
	if (!format || config_readonly(d))
		return;
	if (!option_get(format, d->options, p->format, sizeof(p->format)))
		p->format[0] = '\0';
}

/* ---- which disk ---- */

const char *resize_ask(struct vm *vm, struct client *c, int fd)
{
	const struct ask a = { .what = ASK_FIND };

	if (vm->paused)
		return "the VM is paused: bulkhead resume lets it go on";
	if (vm->resize.state != RESIZE_NONE)
		return "another command changes the size of a disk: try again";
	if (vm->launcher.sock < 0)
		return config_spares(vm->config) ?
			       "the launcher has ended, and with it what is needed: " CANNOT :
			       "a VM that was started with --on-crash stop starts no disk again: " CANNOT;
	if (launcher_ask(&vm->launcher, &a, fd) < 0)
		return "the launcher does not listen: try again";
	vm->resize = (struct resize){ .state = RESIZE_SOUGHT, .asker = c };
	return NULL;
}

static const char *refusal(const struct part *p)
{
	if (p->device->number == KIND_BEHIND)
		return "a storage process has it (parser=apart, or rates): " CANNOT;
	if (!*p->format)
		return "that disk is read-only";
	if (p->state != PART_READY || !restart_can(p))
		return "its process is about to start or to end: try again";
	return NULL;
}

int resize_on_found(struct vm *vm, const struct answer *a)
{
	struct part *p = a->part < vm->n_parts ? &vm->parts[a->part] : NULL;
	const char *why = "none of its disks is served from that file, or it is read-only there";

	if (vm->resize.state != RESIZE_SOUGHT || !p || (a->result == ANSWER_FOUND && !p->device))
		return -EBADMSG;
	if (a->result == ANSWER_FOUND)
		why = refusal(p);
	if (why || !vm->resize.asker || vm->state != VM_RUNNING) {
		be_over(vm, why);
		return 0;
	}
	vm->resize.state = RESIZE_ENDING;
	vm->resize.part = p;
	part_finish(p);
	restart_await_end(p);
	return 0;
}

/* ---- in the user's hands, and back ---- */

static void give_back(struct vm *vm, bool larger)
{
	struct part *p = vm->resize.part;

	vm->resize.state = RESIZE_BACK;
	p->again.larger = larger;
	if (p->plug.state != PLUG_ENDING) {
		restart_now(p);
		return;
	}
	be_over(vm, "it was detached meanwhile");
	p->state = PART_GONE;
	plug_ended(p);
}

bool resize_ended(struct part *p, int status)
{
	struct vm *vm = p->vm;
	struct part_again *a = &p->again;

	if (!resize_has(p) || vm->resize.state != RESIZE_ENDING || vm->state != VM_RUNNING)
		return false;
	if (a->is_lost || !WIFEXITED(status) || WEXITSTATUS(status) != 0 || !restart_can(p)) {
		be_over(vm, "its process died, or did not finish its requests: try again");
		return false;
	}
	snprintf(a->lost, sizeof(a->lost), "%s was ended for its disk to become larger", p->name);
	pause_part(p);
	vm->resize.state = RESIZE_OPEN;
	if (answer(vm, CTL_RESIZING, p->format) < 0)
		give_back(vm, false);
	return true;
}

const char *resize_done(struct vm *vm, const struct client *c, bool larger)
{
	if (vm->resize.state != RESIZE_OPEN || vm->resize.asker != c)
		return "no disk of this VM waits for that";
	give_back(vm, larger);
	return NULL;
}

bool resize_served(struct part *p)
{
	if (!resize_has(p) || p->vm->resize.state != RESIZE_BACK)
		return false;
	be_over(p->vm, NULL);
	return true;
}

void resize_lost(struct part *p, const char *why)
{
	if (resize_has(p))
		be_over(p->vm, why);
}

void resize_alone(struct vm *vm)
{
	if (vm->resize.state == RESIZE_SOUGHT)
		be_over(vm, "the launcher has ended: " CANNOT);
}

void resize_leave(struct vm *vm, const struct client *c)
{
	if (vm->resize.asker != c)
		return;
	vm->resize.asker = NULL;
	if (vm->resize.state == RESIZE_OPEN)
		give_back(vm, false);
}
