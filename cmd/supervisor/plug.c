/* SPDX-License-Identifier: Apache-2.0 */
/* Devices that come and go; see plug.h. */
#include "cmd/supervisor/plug.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* One is offered to the vmm at a time: it answers in turn, and says no names. */
#define BUSY (PLUG_STARTING | PLUG_OFFERED)
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

static struct part *find(struct vm *vm, unsigned int states)
{
	for (size_t i = 0; i < vm->n_parts; i++)
		if (vm->parts[i].spare && vm->parts[i].plug.state & states)
			return &vm->parts[i];
	return NULL;
}

bool plug_is_there(const struct part *p)
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

		if (plug_is_there(p))
			at += (size_t)snprintf(out + at, cap - at, "%s%s-%u", at ? "," : "",
					       p->device->word, p->plug.number);
	}
}

/* ---- the end of one ---- */

static void become_free(struct part *p)
{
	answer(p, CTL_DONE, p->plug.failed ? p->plug.why : NULL);
	p->plug.state = PLUG_FREE;
	p->plug.failed = false;
	p->again.n_channels = 0;
	p->again.lost[0] = '\0';
	p->again.is_lost = false;
}

static void forget(struct part *p)
{
	const struct ask a = { .what = ASK_FORGET, .part = (uint8_t)(p - p->vm->parts) };

	p->plug.state = PLUG_FORGETTING;
	if (launcher_ask(&p->vm->launcher, &a, -1) < 0)
		become_free(p); /* without a launcher the file is closed */
}

int plug_forgotten(struct part *p)
{
	if (p->plug.state != PLUG_FORGETTING)
		return -EBADMSG;
	become_free(p);
	return 0;
}

void plug_alone(struct part *p)
{
	if (p->plug.state == PLUG_FORGETTING)
		become_free(p);
}

/* The vmm does not have it, or no more. */
static void end(struct part *p)
{
	p->plug.state = PLUG_ENDING;
	switch (p->state) {
	case PART_AWAY:
		if (resize_has(p)) /* a command changes its file: afterwards */
			break;
		p->state = PART_GONE;
		forget(p);
		break;
	case PART_GONE:
		forget(p);
		break;
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
}

static void fail(struct part *p, const char *why)
{
	if (!p->plug.failed)
		snprintf(p->plug.why, sizeof(p->plug.why), "%s", why);
	p->plug.failed = true;
}

/* ---- to attach ---- */

static const struct device_kind *find_kind(const char *word, size_t len)
{
	for (size_t i = 0; i < n_kinds_all; i++)
		if (kinds_all[i]->attachable && strlen(kinds_all[i]->word) == len &&
		    memcmp(kinds_all[i]->word, word, len) == 0)
			return kinds_all[i];
	return NULL;
}

static bool is_taken(const struct vm *vm, const struct device_kind *kind, unsigned int number)
{
	for (size_t i = 0; i < vm->n_parts; i++) {
		const struct part *p = &vm->parts[i];

		if (p->spare && p->plug.state != PLUG_FREE && p->device == kind &&
		    p->plug.number == number)
			return true;
	}
	return false;
}

/* Behind those that were there from the start. */
static unsigned int next_number(const struct vm *vm, const struct device_kind *kind)
{
	unsigned int number = (unsigned int)config_count(vm->config, kind) + 1;

	while (is_taken(vm, kind, number))
		number++;
	return number;
}

static void take(struct part *p, const struct device_kind *kind, struct client *asker)
{
	unsigned int n = p->again.n;

	restart_init(p);
	p->again.n = n; /* what ps counts is of the VM */
	p->again.n_channels = 1;
	p->again.numbers[0] = p->plug.channel;
	p->channel = p->plug.channel;
	p->device = kind;
	p->program = kind->declared->name;
	p->plug.number = next_number(p->vm, kind);
	p->plug.asker = asker;
	p->plug.failed = false;
	p->plug.state = PLUG_STARTING;
	snprintf(p->name, sizeof(p->name), "%s %u", p->program, p->plug.number);
}

static int send_beside(const struct part *p)
{
	int r = 0;

	for (uint8_t i = 1; i < KIND_FILES_MAX && r == 0; i++) {
		const struct ask a = { .what = ASK_BESIDE, .number = i };
		const int fd = p->plug.asker->beside[i - 1];

		if (fd >= 0)
			r = launcher_ask(&p->vm->launcher, &a, fd);
	}
	return r;
}

static const char *ask_for(struct part *p, const char *options, int fd)
{
	struct ask a = { .what = ASK_NEW,
			 .part = (uint8_t)(p - p->vm->parts),
			 .kind = (uint8_t)kind_index(p->device),
			 .number = (uint8_t)(p->plug.number - 1) };
	int r;

	memcpy(a.text, options, strlen(options));
	r = send_beside(p);
	if (r == 0)
		r = launcher_ask(&p->vm->launcher, &a, fd);
	if (r == 0) {
		p->state = PART_ASKED;
		return NULL;
	}
	p->plug.state = PLUG_FREE;
	p->again.n_channels = 0;
	return "the launcher does not listen: try again";
}

/* What came is what is said. */
static bool has_files(const struct client *c, const struct config_device *d)
{
	bool right = true;

	for (unsigned int i = 1; i < KIND_FILES_MAX; i++)
		right &= (config_device_file(d, i).path != NULL) == (c->beside[i - 1] >= 0);
	return right;
}

const char *plug_attach(struct vm *vm, struct client *asker, const char *text, int fd)
{
	size_t len = strcspn(text, ",");
	const struct device_kind *kind = find_kind(text, len);
	const char *options = text[len] ? text + len + 1 : text + len;
	static char why[CTL_TEXT_MAX + 1];
	struct config_device d;
	struct part *p;

	*why = '\0';
	if (!kind)
		return "there is no such kind of device, or none that can be attached";
	if ((kind->file.fd != 0) != (fd >= 0) || strlen(options) > ASK_TEXT_MAX)
		return "that is not how it is attached";
	if (config_device_options(kind, options, &d, why, sizeof(why)) < 0)
		return *why ? why : "its options will not do";
	if (!has_files(asker, &d))
		return "that is not how it is attached";
	if (config_check_attached(vm->config, &d, why, sizeof(why)) < 0)
		return why;
	if (!config_spares(vm->config))
		return "a VM that was started with --on-crash stop has no launcher, and so takes no "
		       "more devices";
	if (vm->launcher.sock < 0)
		return "the launcher has ended: this VM takes no more devices";
	if (!vm->attachable[kind_index(kind)]) {
		snprintf(why, sizeof(why), "the program %s was not there when the VM was started",
			 kind->declared->name);
		return why;
	}
	if (find(vm, BUSY))
		return "another device is being attached: try again";
	p = find(vm, PLUG_FREE);
	if (!p) {
		snprintf(why, sizeof(why),
			 "%u devices are attached already: detach one of them first",
			 config_spares(vm->config));
		return why;
	}
	take(p, kind, asker);
	resize_note(p, &d);
	return ask_for(p, options, fd);
}

void plug_refused(struct part *p, const char *why)
{
	p->state = PART_GONE;
	fail(p, why);
	become_free(p);
}

bool plug_ready(struct part *p)
{
	const struct kind_virtio *v = &p->device->virtio;
	struct control_msg m = { .type = CTL_PLUG, .number = p->plug.channel };

	if (p->plug.state & HERE)
		return false;
	if (p->plug.state != PLUG_STARTING)
		return true;
	m.text_len = (size_t)snprintf(m.text, sizeof(m.text), "%s:%u:%#x:%u:%u:%u:%#llx", v->name,
				      v->id, v->class_code, v->n_queues, v->queues_min,
				      v->config_len, (unsigned long long)v->features);
	p->plug.state = PLUG_OFFERED;
	if (tell_peer(vm_part(p->vm, PART_VMM)->control, &m, p->again.channels[0]) < 0) {
		fail(p, "the vmm does not listen: try again");
		end(p);
	}
	closep(&p->again.channels[0]);
	return true;
}

int plug_on_plugged(struct part *vmm, const struct control_msg *m)
{
	struct part *p = find(vmm->vm, PLUG_OFFERED);

	if (!p)
		return -EBADMSG;
	p->plug.slot = m->number;
	p->plug.state = PLUG_THERE;
	answer(p, CTL_ADDED, NULL);
	if (p->state != PART_GONE) /* else its process has died meanwhile */
		return 0;
	memcpy(p->again.lost, p->plug.why, sizeof(p->again.lost));
	p->plug.failed = false;
	if (restart_can(p))
		restart_begin(p);
	else
		plug_ended(p);
	return 0;
}

int plug_on_not_plugged(struct part *vmm, const struct control_msg *m)
{
	struct part *p = find(vmm->vm, PLUG_OFFERED);

	if (!p)
		return -EBADMSG;
	fail(p, m->text);
	end(p);
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
		if (!plug_is_there(&vm->parts[i]))
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

		if (!plug_is_there(p) || p->plug.slot != m->number)
			continue;
		end(p);
		return 0;
	}
	return -EBADMSG;
}

/* ---- a process that dies ---- */

void plug_lose(struct part *p, const char *text)
{
	if (p->plug.state & (BUSY | HERE))
		fail(p, text);
}

void plug_ended(struct part *p)
{
	if (p->vm->state != VM_RUNNING)
		return;
	switch (p->plug.state) {
	case PLUG_THERE:
	case PLUG_ASKED: /* the guest is to see that it is gone */
		tell(p->vm, NULL, LOG_LEVEL_WARNING, p->plug.failed ? p->plug.why : p->again.lost);
		p->plug.failed = false;
		(void)ask_guest(p);
		break;
	case PLUG_OFFERED: /* the vmm answers */
	case PLUG_FREE:
	case PLUG_FORGETTING:
		break;
	case PLUG_STARTING:
		fail(p, p->again.lost);
		forget(p);
		break;
	case PLUG_ENDING:
		forget(p);
		break;
	}
}
