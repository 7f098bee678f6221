/* SPDX-License-Identifier: Apache-2.0 */
/* A device that is to be attached, until the launcher has been asked for it; see plug.h. */
#include "cmd/supervisor/plug.h"

#include "lib/base/cleanup.h"

#include <stdio.h>
#include <string.h>

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

		if (p->spare && p->plug.state != PLUG_FREE && kind_said(p->device) == kind &&
		    p->plug.number == number)
			return true;
	}
	return false;
}

/* Of the kind, those that were there from the start and those that were attached. */
static bool is_full(const struct vm *vm, const struct device_kind *kind)
{
	size_t n = config_count_all(vm->config, kind);

	for (size_t i = 0; i < vm->n_parts; i++) {
		const struct part *p = &vm->parts[i];

		n += p->spare && p->plug.state != PLUG_FREE && kind_said(p->device) == kind;
	}
	return kind->number == KIND_MANY && n >= kind->most;
}

/* Behind those that were there from the start. */
static unsigned int next_number(const struct vm *vm, const struct device_kind *kind)
{
	unsigned int number = (unsigned int)config_count_own(vm->config, kind) + 1;

	while (is_taken(vm, kind, number))
		number++;
	return number;
}

static void renew(struct part *p, const struct device_kind *kind, unsigned int number)
{
	unsigned int n = p->again.n;

	restart_init(p);
	p->again.n = n; /* what ps counts is of the VM */
	p->device = kind;
	p->program = kind->declared->name;
	p->plug.number = number;
	p->plug.asker = NULL;
	p->plug.failed = p->plug.held = false;
	snprintf(p->name, sizeof(p->name), "%s %u", p->program, number);
}

static void take(struct part *p, const struct config_device *d, struct client *asker)
{
	renew(p, config_server(d), next_number(p->vm, d->kind));
	p->again.n_channels = 1;
	p->again.numbers[0] = p->plug.channel;
	p->channel = p->plug.channel;
	p->plug.asker = asker;
	p->plug.state = PLUG_STARTING;
	resize_note(p, d);
}

static void take_behind(struct part *p, const struct config_device *d, struct part *device)
{
	renew(p, config_behind(d), device->plug.number);
	p->plug.state = PLUG_BEHIND;
	resize_note(p, d);
	pair_tie(device, p);
}

/* p is the device, or what is behind it. */
static int ask_for(struct part *p, const char *options, int fd)
{
	const struct part *device = pair_device(p);
	struct ask a = { .what = p == device ? ASK_NEW : ASK_BEHIND,
			 .part = (uint8_t)(p - p->vm->parts),
			 .kind = (uint8_t)kind_index(kind_said(device->device)),
			 .number = (uint8_t)(device->plug.number - 1) };
	int r = fd < 0 ? 0 : launcher_ask_beside(&p->vm->launcher, device->plug.asker->beside);

	memcpy(a.text, options, strlen(options));
	if (r == 0)
		r = launcher_ask(&p->vm->launcher, &a, fd);
	if (r < 0)
		return r;
	p->plug.held = true;
	p->state = PART_ASKED;
	return 0;
}

/* What has the files is asked for first; the command is answered when all has come, or ended. */
static void ask_for_all(struct part *p, const char *options, int fd)
{
	struct part *behind = pair_behind(p);
	int r = behind ? ask_for(behind, options, fd) : 0;

	if (r == 0)
		r = ask_for(p, options, behind ? -1 : fd);
	if (r == 0)
		return;
	plug_fail(p, "the launcher does not listen: try again");
	plug_end(p);
}

/* What came is what is said. */
static bool has_files(const struct client *c, const struct config_device *d)
{
	bool right = true;

	for (unsigned int i = 1; i < KIND_FILES_MAX; i++)
		right &= (config_device_file(d, i).path != NULL) == (c->beside[i - 1] >= 0);
	return right;
}

/* Of a kind that serves a file, or is joined to what the command opens. */
static bool has_descriptor(const struct config_device *d)
{
	return d->kind->file.fd || config_is_linked(d);
}

/* The whole of what stands against it; or NULL. */
static const char *refusal(const struct vm *vm, const struct config_device *d)
{
	const struct device_kind *const needed[] = { config_server(d), config_behind(d) };
	static char why[CTL_TEXT_MAX + 1];

	if (config_check_attached(vm->config, d, why, sizeof(why)) < 0)
		return why;
	if (!config_spares(vm->config))
		return "a VM that was started with --on-crash stop has no launcher, and so takes no "
		       "more devices";
	if (vm->launcher.sock < 0)
		return "the launcher has ended: this VM takes no more devices";
	if (!config_server(d)->attachable) {
		snprintf(why, sizeof(why), "a %s that %s serves is there from the VM's start",
			 d->kind->word, config_server(d)->declared->name);
		return why;
	}
	if (is_full(vm, d->kind)) {
		snprintf(why, sizeof(why), "a VM has at most %u %ss", d->kind->most, d->kind->word);
		return why;
	}
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		if (!needed[i] || vm->attachable[kind_index(needed[i])])
			continue;
		snprintf(why, sizeof(why), "the program %s was not there when the VM was started",
			 needed[i]->declared->name);
		return why;
	}
	return NULL;
}

static const char *no_room(const struct vm *vm, const struct config_device *d)
{
	static char why[CTL_TEXT_MAX + 1];
	const unsigned int n = config_spares(vm->config);

	if (config_behind(d))
		snprintf(why, sizeof(why),
			 "this %s has two processes, and of the %u for what is attached fewer are "
			 "left: detach a device first",
			 d->kind->word, n);
	else
		snprintf(why, sizeof(why),
			 "%u devices are attached already: detach one of them first", n);
	return why;
}

const char *plug_attach(struct vm *vm, struct client *asker, const char *text, int fd)
{
	size_t len = strcspn(text, ",");
	const struct device_kind *kind = find_kind(text, len);
	const char *options = text[len] ? text + len + 1 : text + len, *no;
	static char why[CTL_TEXT_MAX + 1];
	struct config_device d;
	struct part *p, *behind;

	*why = '\0';
	if (!kind)
		return "there is no such kind of device, or none that can be attached";
	if (strlen(options) > ASK_TEXT_MAX)
		return "its options are too long: 360 bytes are the most";
	if (!kind->link.n_ways && (kind->file.fd != 0) != (fd >= 0))
		return "that is not how it is attached";
	if (config_device_options(kind, options, &d, why, sizeof(why)) < 0)
		return *why ? why : "its options will not do";
	if (has_descriptor(&d) != (fd >= 0) || !has_files(asker, &d))
		return "that is not how it is attached";
	no = refusal(vm, &d);
	if (no)
		return no;
	if (plug_find(vm, PLUG_BUSY))
		return "another device is being attached: try again";
	p = plug_find(vm, PLUG_FREE);
	if (!p)
		return no_room(vm, &d);
	take(p, &d, asker);
	behind = config_behind(&d) ? plug_find(vm, PLUG_FREE) : NULL;
	if (config_behind(&d) && !behind) {
		p->plug.state = PLUG_FREE;
		p->again.n_channels = 0;
		return no_room(vm, &d);
	}
	if (behind)
		take_behind(behind, &d, p);
	ask_for_all(p, options, fd);
	return NULL;
}
