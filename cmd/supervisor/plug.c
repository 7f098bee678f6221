/* SPDX-License-Identifier: Apache-2.0 */
/* Devices that come and go; see plug.h. */
#include "cmd/supervisor/plug.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HERE (PLUG_THERE | PLUG_ASKED)

void plug_init(struct vm *vm, struct part *p, uint32_t channel)
{
	*p = (struct part){ .vm = vm,
			    .kind = PART_DEVICE,
			    .state = PART_GONE,
			    .program = "",
			    .exe_fd = -1,
			    .process = JAIL_PROCESS_NONE,
			    .control = -1,
			    .exit_src = { .fd = -1 },
			    .control_src = { .fd = -1 },
			    .spare = true,
			    .plug = { .state = PLUG_FREE, .channel = channel } };
	restart_init(p);
}

struct part *plug_find(struct vm *vm, unsigned int states)
{
	for (size_t i = 0; i < vm->n_parts; i++)
		if (vm->parts[i].spare && vm->parts[i].plug.state & states)
			return &vm->parts[i];
	return NULL;
}

bool plug_is(const struct part *p, unsigned int states)
{
	return p->spare && pair_device(p)->plug.state & states;
}

bool plug_is_there(const struct part *p)
{
	return plug_is(p, HERE);
}

/* A device, and not what is behind one. */
static bool is_here(const struct part *p)
{
	return p->spare && p->plug.state & HERE;
}

/* ---- answers ---- */

/* why: NULL: done. */
static void answer(struct part *p, enum control_type done, const char *why)
{
	struct control_msg m = { .type = why ? CTL_REFUSED : done };

	if (!p->plug.asker)
		return;
	if (why)
		m.text_len = strnlen(why, CTL_TEXT_MAX);
	else if (done == CTL_ADDED)
		m.text_len = (size_t)snprintf(m.text, sizeof(m.text), "%s-%u", p->device->word,
					      p->plug.number);
	if (why)
		memcpy(m.text, why, m.text_len);
	m.number = p->plug.slot;
	(void)!tell_peer(p->plug.asker->src.fd, &m, -1);
	p->plug.asker = NULL;
}

void plug_leave(struct vm *vm, const struct client *asker)
{
	for (size_t i = 0; i < vm->n_parts; i++)
		if (vm->parts[i].plug.asker == asker)
			vm->parts[i].plug.asker = NULL;
}

void plug_list(const struct vm *vm, char *out, size_t cap)
{
	size_t at = 0;

	*out = '\0';
	for (size_t i = 0; i < vm->n_parts && at < cap; i++) {
		const struct part *p = &vm->parts[i];

		if (is_here(p))
			at += (size_t)snprintf(out + at, cap - at, "%s%s-%u", at ? "," : "",
					       p->device->word, p->plug.number);
	}
}

/* ---- the end of one ---- */

static void empty(struct part *p)
{
	p->plug.state = PLUG_FREE;
	p->plug.failed = false;
	p->again.n_channels = 0;
	p->again.lost[0] = '\0';
	p->again.is_lost = false;
}

static void become_free(struct part *p)
{
	struct part *behind = pair_behind(p);

	answer(p, CTL_DONE, p->plug.failed ? p->plug.why : NULL);
	pair_untie(p);
	empty(p);
	if (behind)
		empty(behind);
}

static bool is_held(const struct part *p)
{
	const struct part *behind = pair_behind(p);

	return p->plug.held || (behind && behind->plug.held);
}

/* Without a launcher the file is closed. */
static void let_go(struct part *p)
{
	const struct ask a = { .what = ASK_FORGET, .part = (uint8_t)(p - p->vm->parts) };

	if (p->plug.held && launcher_ask(&p->vm->launcher, &a, -1) < 0)
		p->plug.held = false;
}

/* All of its processes have ended. */
static void forget(struct part *p)
{
	struct part *behind = pair_behind(p);

	p->plug.state = PLUG_FORGETTING;
	let_go(p);
	if (behind)
		let_go(behind);
	if (!is_held(p))
		become_free(p);
}

int plug_forgotten(struct part *p)
{
	struct part *device = pair_device(p);

	if (device->plug.state != PLUG_FORGETTING || !p->plug.held)
		return -EBADMSG;
	p->plug.held = false;
	if (!is_held(device))
		become_free(device);
	return 0;
}

void plug_alone(struct part *p)
{
	struct part *device = pair_device(p);

	p->plug.held = false;
	if (device->plug.state == PLUG_FORGETTING && !is_held(device))
		become_free(device);
}

/* Ends a process. Whether there is none. */
static bool end_process(struct part *p)
{
	switch (p->state) {
	case PART_AWAY:
		if (resize_has(p)) /* a command changes its file: afterwards */
			break;
		p->state = PART_GONE;
		return true;
	case PART_GONE:
		return true;
	case PART_READY:
	case PART_SPENT:
		part_finish(p);
		restart_await_end(p);
		break;
	case PART_STARTING:
		part_kill(p);
		break;
	case PART_ASKED: /* it ends as soon as it is there */
		break;
	}
	return false;
}

/* The vmm does not have it, or no more. What is behind a device ends after it. */
void plug_end(struct part *p)
{
	struct part *behind = pair_behind(p);

	p->plug.state = PLUG_ENDING;
	if (end_process(p) && (!behind || end_process(behind)))
		forget(p);
}

void plug_fail(struct part *p, const char *why)
{
	if (!p->plug.failed)
		snprintf(p->plug.why, sizeof(p->plug.why), "%s", why);
	p->plug.failed = true;
}

/* ---- to attach ---- */

const char *plug_no_file(const struct part *p)
{
	return pair_device(p)->device->link.n_ways ?
		       "what it would be joined to is no stream socket or tap, as is said" :
		       "its image is no file that is open for all that is done with it";
}

void plug_refused(struct part *p, const char *why)
{
	struct part *device = pair_device(p);

	p->state = PART_GONE;
	p->plug.held = false;
	plug_fail(device, why);
	if (device->plug.state == PLUG_STARTING)
		plug_end(device);
	else
		plug_ended(p);
}

/* The first process behind a device is spoken with before the device is ready. */
static bool behind_ready(struct part *p)
{
	if (plug_is_there(p))
		return false;
	if (plug_is(p, PLUG_STARTING))
		pair_ready(p);
	return true;
}

bool plug_ready(struct part *p)
{
	const struct kind_virtio *v = &p->device->virtio;
	struct control_msg m = { .type = CTL_PLUG, .number = p->plug.channel };

	if (p->plug.state == PLUG_BEHIND)
		return behind_ready(p);
	if (p->plug.state & HERE)
		return false;
	if (p->plug.state != PLUG_STARTING)
		return true;
	m.text_len = (size_t)snprintf(m.text, sizeof(m.text), "%s:%u:%#x:%u:%u:%u:%#llx", v->name,
				      v->id, v->class_code, v->n_queues, v->queues_min,
				      v->config_len, (unsigned long long)v->features);
	p->plug.state = PLUG_OFFERED;
	if (tell_peer(vm_part(p->vm, PART_VMM)->control, &m, p->again.channels[0]) < 0) {
		plug_fail(p, "the vmm does not listen: try again");
		plug_end(p);
	}
	closep(&p->again.channels[0]);
	return true;
}

/* It has died before the guest had the device. */
static void revive(struct part *p, const char *why)
{
	if (p->state != PART_GONE)
		return;
	memcpy(p->again.lost, why, sizeof(p->again.lost));
	if (restart_can(p))
		restart_begin(p);
	else
		plug_ended(p);
}

int plug_on_plugged(struct part *vmm, const struct control_msg *m)
{
	struct part *p = plug_find(vmm->vm, PLUG_OFFERED);
	struct part *behind = p ? pair_behind(p) : NULL;

	if (!p)
		return -EBADMSG;
	p->plug.slot = m->number;
	p->plug.state = PLUG_THERE;
	p->plug.failed = false;
	answer(p, CTL_ADDED, NULL);
	revive(p, p->plug.why);
	if (behind)
		revive(behind, p->plug.why);
	return 0;
}

int plug_on_not_plugged(struct part *vmm, const struct control_msg *m)
{
	struct part *p = plug_find(vmm->vm, PLUG_OFFERED);

	if (!p)
		return -EBADMSG;
	plug_fail(p, m->text);
	plug_end(p);
	return 0;
}

/* ---- to detach ---- */

/* It may have missed that it was asked before. */
static bool ask_guest(struct part *p)
{
	const struct control_msg m = { .type = CTL_UNPLUG, .number = p->plug.slot };

	if (tell_peer(vm_part(p->vm, PART_VMM)->control, &m, -1) < 0)
		return false;
	p->plug.state = PLUG_ASKED;
	return true;
}

static struct part *find_name(struct vm *vm, const char *name)
{
	char is[40];

	for (size_t i = 0; i < vm->n_parts; i++) {
		if (!is_here(&vm->parts[i]))
			continue;
		snprintf(is, sizeof(is), "%s-%u", vm->parts[i].device->word,
			 vm->parts[i].plug.number);
		if (strcmp(is, name) == 0)
			return &vm->parts[i];
	}
	return NULL;
}

const char *plug_detach(struct vm *vm, struct client *asker, const char *name)
{
	struct part *p = find_name(vm, name);

	if (!p)
		return "no device that was attached has that name: bulkhead ps shows them";
	if (p->plug.asker)
		return "another command waits for it already";
	if (!ask_guest(p))
		return "the vmm does not listen: try again";
	p->plug.asker = asker;
	return NULL;
}

int plug_on_unplugged(struct part *vmm, const struct control_msg *m)
{
	struct vm *vm = vmm->vm;

	for (size_t i = 0; i < vm->n_parts; i++) {
		struct part *p = &vm->parts[i];

		if (!is_here(p) || p->plug.slot != m->number)
			continue;
		plug_end(p);
		return 0;
	}
	return -EBADMSG;
}

/* ---- a process that dies ---- */

void plug_lose(struct part *p, const char *text)
{
	if (plug_is(p, PLUG_BUSY | HERE))
		plug_fail(pair_device(p), text);
}

void plug_ended(struct part *p)
{
	struct part *device = pair_device(p);

	if (p->vm->state != VM_RUNNING)
		return;
	switch (device->plug.state) {
	case PLUG_THERE:
	case PLUG_ASKED: /* the guest is to see that it is gone */
		tell(p->vm, NULL, LOG_LEVEL_WARNING,
		     device->plug.failed ? device->plug.why : p->again.lost);
		device->plug.failed = false;
		(void)ask_guest(device);
		break;
	case PLUG_OFFERED: /* the vmm answers */
	case PLUG_FREE:
	case PLUG_FORGETTING:
	case PLUG_BEHIND:
		break;
	case PLUG_STARTING:
		plug_fail(device, p->again.lost);
		plug_end(device);
		break;
	case PLUG_ENDING:
		if (p != device) /* without it the device finishes nothing */
			part_kill(device);
		plug_end(device);
		break;
	}
}
