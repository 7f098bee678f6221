/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk becomes larger while its guest runs. Nobody's bound is raised: its process is ended in good order, so
 * that nobody uses the image while its user's command changes it, and the one that is started then measures it as
 * any does. The guest's requests wait meanwhile; its vmm sees another capacity, and tells it. See vm.h.
 *
 *	NONE     a command asks: the launcher is shown the file        SOUGHT
 *	SOUGHT   it serves it to a disk: that one's process is to end   ENDING
 *	ENDING   it has, and so has a storage process behind it, which
 *	         is asked to after it: the command is told             OPEN
 *	OPEN     the command is done, gone, or silent for too long: the
 *	         launcher is asked                                     BACK
 *	BACK     the vmm has the disk again: the command is answered   NONE
 *
 * A command that stands still may go on later: the launcher starts no process on an image that somebody still has open to
 * change it (image_change_lock), and ours ends itself before it has been silent for so long (cmd/bulkhead/resize.c). Whatever
 * goes wrong leads to NONE, by a refusal; a process that dies is started again as any.
 */
#include "cmd/supervisor/vm.h"

#include "cmd/supervisor/clock.h"
#include "cmd/supervisor/plug.h"
#include "lib/sandbox/peer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define CANNOT "its size can be changed by bulkhead image resize, while no VM uses it"

/* Between two messages of who changes the file. */
#define SILENCE_MS 15000U

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
	return p->vm->resize.part == p || p->vm->resize.file == p;
}

void resize_note(struct part *p, const struct config_device *d)
{
	const struct option *format = kind_option(d->kind, "format");

	p->format[0] = '\0';
	if (!format || config_readonly(d))
		return;
	if (!option_get(format, d->options, p->format, sizeof(p->format)))
		p->format[0] = '\0';
}

/* ---- which disk ---- */

static const char *busy(const struct vm *vm)
{
	const struct resize *z = &vm->resize;
	static char why[CTL_TEXT_MAX + 1];

	if (z->state == RESIZE_BACK && z->file->again.waits)
		snprintf(why, sizeof(why),
			 "process %d was to change the size of a disk, and still has its image "
			 "open: the disk waits for its end",
			 z->pid);
	else
		snprintf(why, sizeof(why),
			 "another command changes the size of a disk: try again once process %d "
			 "is done",
			 z->pid);
	return why;
}

const char *resize_ask(struct vm *vm, struct client *c, int fd)
{
	const struct ask a = { .what = ASK_FIND };

	if (vm->paused)
		return "the VM is paused: bulkhead resume lets it go on";
	if (vm->resize.state != RESIZE_NONE)
		return busy(vm);
	if (vm->launcher.sock < 0)
		return config_spares(vm->config) ?
			       "the launcher has ended, and with it what is needed: " CANNOT :
			       "a VM that was started with --on-crash stop starts no disk again: " CANNOT;
	if (launcher_ask_beside(&vm->launcher, c->beside) < 0 ||
	    launcher_ask(&vm->launcher, &a, fd) < 0)
		return "the launcher does not listen: try again";
	vm->resize =
		(struct resize){ .state = RESIZE_SOUGHT, .asker = c, .pid = peer_pid(c->src.fd) };
	return NULL;
}

static const char *refusal(const struct part *p, const struct part *file)
{
	if (!*file->format)
		return "that disk is read-only";
	if (p->state != PART_READY || file->state != PART_READY || !restart_can(p) ||
	    !restart_can(file))
		return "its process is about to start or to end: try again";
	return NULL;
}

static void finish(struct part *p)
{
	part_finish(p);
	restart_await_end(p);
}

int resize_on_found(struct vm *vm, const struct answer *a)
{
	struct part *file = a->part < vm->n_parts ? &vm->parts[a->part] : NULL, *p;
	const char *why =
		a->reason == ANSWER_BESIDE ?
			"say --data-file FILE if its disk has one, and the one that it has" :
			"none of its disks is served from that file, or it is read-only there";

	if (vm->resize.state != RESIZE_SOUGHT || !file ||
	    (a->result == ANSWER_FOUND && !file->device))
		return -EBADMSG;
	p = pair_device(file);
	if (a->result == ANSWER_FOUND)
		why = refusal(p, file);
	if (why || !vm->resize.asker || vm->state != VM_RUNNING) {
		be_over(vm, why);
		return 0;
	}
	vm->resize.state = RESIZE_ENDING;
	vm->resize.part = p;
	vm->resize.file = file;
	snprintf(vm->resize.size, sizeof(vm->resize.size), "%.20s", a->text);
	finish(p);
	return 0;
}

/* ---- in the user's hands, and back ---- */

/* The VM, or the guest, has done without it meanwhile. */
static void give_up(struct part *p, struct part *file)
{
	be_over(p->vm, "it was detached meanwhile");
	p->state = file->state = PART_GONE;
	plug_ended(p);
}

static void give_back(struct vm *vm, bool larger)
{
	struct part *p = vm->resize.part, *file = vm->resize.file;

	vm->resize.state = RESIZE_BACK;
	file->again.larger = larger;
	if (p->plug.state == PLUG_ENDING) {
		give_up(p, file);
		return;
	}
	restart_now(file);
	if (p->state == PART_AWAY)
		restart_now(p);
}

/* The other of the two comes back, too: who waits for a storage process that has died can end no more. */
static bool abandon(struct part *died)
{
	struct part *p = died->vm->resize.part;

	be_over(died->vm, "its process died, or did not finish its requests: try again");
	if (p->state == PART_AWAY) {
		restart_now(p);
	} else if (p != died) {
		part_lose(p, WEIGHT_SIGNAL, "%s lost its storage process while it ended", p->name);
		part_kill(p);
	}
	return false;
}

bool resize_ended(struct part *p, int status)
{
	struct vm *vm = p->vm;
	struct part_again *a = &p->again;
	const struct resize *z = &vm->resize;
	char text[CTL_TEXT_MAX + 1];

	if (!resize_has(p) || z->state != RESIZE_ENDING || vm->state != VM_RUNNING)
		return false;
	if (a->is_lost || !WIFEXITED(status) || WEXITSTATUS(status) != 0 || !restart_can(p) ||
	    (p != z->part && z->part->state != PART_AWAY))
		return abandon(p);
	snprintf(a->lost, sizeof(a->lost), "%s was ended for its disk to become larger", p->name);
	pause_part(p);
	if (p != z->file) {
		finish(z->file);
		return true;
	}
	vm->resize.state = RESIZE_OPEN;
	vm->resize.heard_ms = monotonic_ms();
	restart_remind(vm);
	snprintf(text, sizeof(text), *z->size ? "%s %s" : "%s", p->format, z->size);
	if (answer(vm, CTL_RESIZING, text) < 0)
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

void resize_goes_on(struct vm *vm, const struct client *c)
{
	if (vm->resize.state == RESIZE_OPEN && vm->resize.asker == c)
		vm->resize.heard_ms = monotonic_ms();
}

uint64_t resize_due(const struct vm *vm)
{
	return vm->resize.state == RESIZE_OPEN ? vm->resize.heard_ms + SILENCE_MS : 0;
}

void resize_take_back(struct vm *vm)
{
	char line[CTL_TEXT_MAX + 1];

	if (!resize_due(vm) || resize_due(vm) > monotonic_ms())
		return;
	snprintf(line, sizeof(line),
		 "%s: process %d, which was to change the size of its disk, has said nothing for "
		 "%u s: the disk is taken back",
		 vm->resize.part->name, vm->resize.pid, SILENCE_MS / 1000);
	tell(vm, NULL, LOG_LEVEL_WARNING, line);
	(void)!answer(vm, CTL_REFUSED,
		      "nothing was heard of the change for too long, so that the VM has taken the "
		      "disk back: try again");
	vm->resize.asker = NULL;
	give_back(vm, false);
}

/* Said once. */
void resize_hold(struct part *p)
{
	char line[CTL_TEXT_MAX + 1], who[48] = "another program";

	if (p->again.waits)
		return;
	p->again.waits = true;
	if (resize_has(p))
		snprintf(who, sizeof(who), "process %d", p->vm->resize.pid);
	snprintf(line, sizeof(line),
		 "%s is not started before %s has closed its image, which it may still change",
		 p->name, who);
	tell(p->vm, NULL, LOG_LEVEL_WARNING, line);
}

void resize_served(struct part *p)
{
	if (resize_has(p) && p->vm->resize.state == RESIZE_BACK)
		be_over(p->vm, NULL);
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
