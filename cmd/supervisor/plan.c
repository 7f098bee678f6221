/* SPDX-License-Identifier: Apache-2.0 */
/* What each process gets; see plan.h. */
#include "cmd/supervisor/plan.h"

#include "cmd/supervisor/plug.h"
#include "cmd/supervisor/ram.h"
#include "lib/base/fd.h"
#include "lib/fwcfg/flash.h"
#include "lib/fwcfg/fwcfg.h"

#include <stdio.h>
#include <sys/socket.h>

static void give(struct launch *l, int from, int to, bool ours)
{
	if (l->n_fds == JAIL_MAX_FDS || from < 0) {
		l->failed = true;
		return;
	}
	l->fds[l->n_fds] = (struct jail_fd){ from, to };
	l->ours[l->n_fds++] = ours;
}

static void give_state(struct launch *l, const struct device_kind *kind, const void *options,
		       bool has_files, bool is_device)
{
	for (size_t i = 0; i < KIND_STATES; i++) {
		const struct kind_state *s = &kind->state[i];

		if (!kind_gives_state(kind, i, options, has_files, is_device))
			continue;
		give(l,
		     s->once ? ram_create_unsealed(s->name, s->size) :
			       ram_create_sealed(s->name, s->size),
		     s->fd, true);
	}
}

/* A channel between a device and the vmm. Returns its number in the vmm, or -1. */
static int connect_vmm(struct launches *ls, struct launch *dev, int to)
{
	struct part_again *a = &dev->part->again;
	int pair[2];

	if (a->n_channels == LAUNCHER_MAX_CHANNELS ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		dev->failed = true;
		return -1;
	}
	dev->channels[a->n_channels] = to;
	a->numbers[a->n_channels++] = (uint32_t)(ls->next_channel - VMM_FD_CHANNELS);
	give(&ls->l[0], pair[0], ls->next_channel, true);
	give(dev, pair[1], to, true);
	return ls->next_channel++;
}

/* A channel between a device and the storage process behind it. */
static void connect_pair(struct launch *dev, int at, struct launch *storage, int to)
{
	struct launch *const ends[] = { dev, storage };
	const int numbers[] = { at, to };
	int pair[2];

	if (dev->part->again.n_channels == LAUNCHER_MAX_CHANNELS ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		dev->failed = true;
		return;
	}
	for (int i = 0; i < 2; i++) {
		struct part_again *a = &ends[i]->part->again;

		ends[i]->channels[a->n_channels] = numbers[i];
		a->peer[a->n_channels++] = ends[1 - i]->part;
		give(ends[i], pair[i], numbers[i], true);
	}
}

static struct launch *add(struct vm *vm, struct launches *ls, enum part_kind kind,
			  const char *program, int exe)
{
	struct part *p = &vm->parts[vm->n_parts++];
	struct launch *l = &ls->l[ls->n++];
	int pair[2];

	*p = (struct part){ .vm = vm,
			    .kind = kind,
			    .state = PART_STARTING,
			    .program = program,
			    .exe_fd = exe,
			    .process = JAIL_PROCESS_NONE,
			    .control = -1,
			    .exit_src = { .fd = -1 },
			    .control_src = { .fd = -1 } };
	snprintf(p->name, sizeof(p->name), "%s", program);
	restart_init(p);
	l->part = p;
	l->words = (struct words){ .text = l->text, .cap = sizeof(l->text), .argv = l->argv };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		l->failed = true;
		return l;
	}
	p->control = pair[0];
	if (fd_set_nonblock(p->control, true) < 0)
		l->failed = true;
	give(l, pair[1], FD_CONTROL, true);
	words_say(&l->words, "%s", program);
	return l;
}

static void plan_vmm(struct vm *vm, struct launches *ls, const struct opened *o, int ram, int log)
{
	const struct vm_config *c = vm->config;
	struct launch *l = add(vm, ls, PART_VMM, vmm_declared.name, o->vmm);

	if (o->kvm >= 0)
		give(l, o->kvm, VMM_FD_KVM, false);
	give(l, o->kernel, VMM_FD_KERNEL, false);
	if (o->initrd >= 0)
		give(l, o->initrd, VMM_FD_INITRD, false);
	give(l, ram, VMM_FD_RAM, true);
	if (log >= 0)
		give(l, log, VMM_FD_LOG, true);
	give(l, o->identity, VMM_FD_IDENTITY, false);
	words_say(&l->words, "--name=%s", c->name);
	words_say(&l->words, "--accel=%s", o->kvm < 0 ? "soft" : "kvm");
	if (c->hyperv)
		words_say(&l->words, "--hyperv=on");
	words_say(&l->words, "--cpus=%u", c->cpus);
	words_say(&l->words, "--memory=%llu", (unsigned long long)c->memory);
	if (c->firmware)
		words_say(&l->words, "--firmware=%llu", (unsigned long long)o->firmware_size);
	else
		words_say(&l->words, "--cmdline=%s", c->cmdline);
	words_say(&l->words, "--on-reboot=%s", c->on_reboot == REBOOT_STOP ? "stop" : "restart");
	words_say(&l->words, "--on-panic=%s", c->on_panic == PANIC_CONTINUE ? "continue" : "stop");
}

static void say_virtio(struct launches *ls, const struct kind_virtio *v, int channel)
{
	words_say(&ls->l[0].words, "--virtio=%s:%u:%#x:%u:%u:%u:%#llx:%d", v->name, v->id,
		  v->class_code, v->n_queues, v->queues_min, v->config_len,
		  (unsigned long long)v->features, channel);
}

/* No process of ours: the vmm speaks with another's. */
static void plan_foreign(struct vm *vm, struct launches *ls, const struct opened *o, size_t i)
{
	struct kind_virtio v = vm->config->devices[i].kind->virtio;

	if (v.foreign.features) {
		v.features = v.foreign.features;
		v.n_queues = v.queues_min = v.foreign.n_queues;
	}
	vm->foreign[i] = (uint32_t)(ls->next_channel - VMM_FD_CHANNELS) + 1;
	give(&ls->l[0], o->foreign[i], ls->next_channel, false);
	say_virtio(ls, &v, ls->next_channel++);
}

/* What firmware is told: the vmm writes it, the device reads it. */
static void give_items(struct launches *ls, struct launch *l, const struct device_kind *kind)
{
	int fd = ram_create_sized(FWCFG_IMAGE_NAME, FWCFG_IMAGE_SIZE);

	give(&ls->l[0], fd, VMM_FD_ITEMS, true);
	give(l, fd, kind->items_fd, false);
}

/* A flash memory is its file, as far as that is the store; the device writes what the guest reads. */
static void plan_flash(struct launches *ls, struct launch *l, const struct opened *o,
		       const struct device_kind *kind)
{
	int fd = ram_create_sealed(FLASH_VIEW_NAME, o->flash_size);

	give(&ls->l[0], fd, VMM_FD_FLASH, true);
	give(l, fd, kind->view_fd, false);
	words_say(&ls->l[0].words, "--flash=%llu:%d", (unsigned long long)o->flash_size,
		  connect_vmm(ls, l, kind->flash_fd));
}

/* What the device is on the bus, and the vmm's end of its channels. */
static void plan_bus(struct launches *ls, struct launch *l, const struct opened *o,
		     const struct device_kind *kind, const struct device_kind *server)
{
	const struct kind_virtio *v = kind_on_bus(kind, server);

	if (kind->serial_fd)
		words_say(&ls->l[0].words, "--serial=%d", connect_vmm(ls, l, kind->serial_fd));
	if (kind->registers_fd)
		words_say(&ls->l[0].words, "--registers=%d",
			  connect_vmm(ls, l, kind->registers_fd));
	if (kind->items_fd)
		give_items(ls, l, kind);
	if (kind->flash_fd)
		plan_flash(ls, l, o, kind);
	if (kind->tpm_fd)
		words_say(&ls->l[0].words, "--tpm=%d", connect_vmm(ls, l, kind->tpm_fd));
	if (!v->id)
		return;
	l->part->channel = (uint32_t)(ls->next_channel - VMM_FD_CHANNELS);
	say_virtio(ls, v, connect_vmm(ls, l, server->virtio.fd));
}

static void give_files(struct launch *l, const struct opened *o, size_t i, int first)
{
	give(l, o->files[i], first, false);
	for (int k = 0; k < KIND_FILES_MAX - 1; k++)
		if (o->more[i][k] >= 0)
			give(l, o->more[i][k], first + 1 + k, false);
}

static void give_link(struct launch *l, const struct opened *o, size_t i, int first)
{
	for (int k = 0; k < KIND_LINK_FDS_EACH; k++)
		if (o->links[i][k] >= 0)
			give(l, o->links[i][k], first + k, false);
}

/* A stream between a device and the process behind it. No process that is started again gets another one. */
static void connect_stream(struct launch *dev, int at, struct launch *relay, int to)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		dev->failed = true;
		return;
	}
	give(dev, pair[0], at, true);
	give(relay, pair[1], to, true);
}

static void plan_storage(struct launch *l, const struct vm *vm, const struct opened *o, size_t i,
			 struct launch *dev)
{
	const struct config_device *d = &vm->config->devices[i];
	const struct device_kind *behind = l->part->device;

	resize_note(l->part, d);
	give_files(l, o, i, behind->file.fd);
	give_state(l, d->kind, d->options, true, false);
	if (behind->dials)
		words_say_server(&l->words, vm->config, d);
	connect_pair(dev, d->kind->file.fd, l, behind->storage_fd);
}

static void plan_relay(struct launch *l, const struct vm *vm, const struct opened *o, size_t i,
		       struct launch *dev)
{
	const struct config_device *d = &vm->config->devices[i];
	const struct device_kind *behind = l->part->device;

	give_link(l, o, i, behind->link_fd);
	give_state(l, behind, d->options, false, true);
	connect_stream(dev, kind_way(d->kind, d->options)->fd, l, behind->storage_fd);
}

/* It has the number of its device. */
static void plan_behind(struct vm *vm, struct launches *ls, const struct opened *o, size_t i,
			struct launch *dev, unsigned int number)
{
	const struct config_device *d = &vm->config->devices[i];
	const struct device_kind *behind = config_behind(d);
	const char *program = behind->declared->name;
	struct launch *l = add(vm, ls, PART_DEVICE, program, o->programs[kind_index(behind)]);

	l->part->device = behind;
	if (config_count_own(vm->config, d->kind) > 1)
		snprintf(l->part->name, sizeof(l->part->name), "%s %u", program, number + 1);
	words_say_same_options(&l->words, d, behind);
	if (behind->link_fd)
		plan_relay(l, vm, o, i, dev);
	else
		plan_storage(l, vm, o, i, dev);
}

/* What it is joined to, and to whom it speaks. */
static void give_ends(struct launch *l, const struct opened *o, size_t i,
		      const struct config_device *d)
{
	const struct device_kind *kind = d->kind, *server = l->part->device;

	if (kind->file.fd && !config_behind(d))
		give_files(l, o, i, kind->file.fd);
	if (config_is_linked(d) && !config_behind(d))
		give_link(l, o, i,
			  server == kind ? kind_way(kind, d->options)->fd : server->link_fd);
	if (kind->meets_fd)
		give(l, o->meets[i], kind->meets_fd, false);
	if (config_reaches(d) || config_opens(d))
		give(l, o->reach[i], server->reach_fd, false);
}

static void plan_device(struct vm *vm, struct launches *ls, const struct opened *o, size_t i,
			unsigned int number)
{
	const struct config_device *d = &vm->config->devices[i];
	const struct device_kind *kind = d->kind, *behind = config_behind(d);
	const struct device_kind *server = config_server(d);
	struct launch *l = add(vm, ls, kind->takes_stream ? PART_CONSOLE : PART_DEVICE,
			       server->declared->name, o->programs[kind_index(server)]);

	l->part->device = server;
	l->part->plug.number = number + 1;
	resize_note(l->part, d);
	if (config_count_own(vm->config, kind) > 1)
		snprintf(l->part->name, sizeof(l->part->name), "%s %u", server->declared->name,
			 number + 1);
	give_ends(l, o, i, d);
	give_state(l, server, d->options, !behind, true);
	words_say_options(&l->words, d, server, number);
	plan_bus(ls, l, o, kind, server);
	if (behind)
		plan_behind(vm, ls, o, i, l, number);
}

/* What is attached later has numbers of channels behind those of the start. */
static void plan_spares(struct vm *vm, const struct launches *ls)
{
	for (unsigned int i = 0; i < config_spares(vm->config); i++)
		plug_init(vm, &vm->parts[vm->n_parts++],
			  (uint32_t)(ls->next_channel - VMM_FD_CHANNELS) + i);
}

/* The place of a disk among the vmm's virtio devices. */
static int place_of(const struct vm_config *c, unsigned int number)
{
	int place = 0;

	for (size_t i = 0; i < c->n_devices; i++) {
		const struct config_device *d = &c->devices[i];

		if (config_is_disk(d) && --number == 0)
			return place;
		place += d->kind->virtio.id && !d->off;
	}
	return -1;
}

static void say_boot(const struct vm_config *c, struct launches *ls)
{
	unsigned int number;

	for (unsigned int i = 0; (number = config_boot(c, i)) != 0; i++)
		words_say(&ls->l[0].words, "--boot=%d", place_of(c, number));
}

/* The order of the devices is the order of their names in the guest. */
void plan(struct vm *vm, struct launches *ls, const struct opened *o, int ram, int log)
{
	const struct vm_config *c = vm->config;
	unsigned int number = 0;

	ls->next_channel = VMM_FD_CHANNELS;
	plan_vmm(vm, ls, o, ram, log);
	for (size_t i = 0; i < c->n_devices; i++) {
		number = i > 0 && c->devices[i].kind == c->devices[i - 1].kind ? number + 1 : 0;
		if (c->devices[i].foreign)
			plan_foreign(vm, ls, o, i);
		else if (!c->devices[i].off)
			plan_device(vm, ls, o, i, number);
	}
	say_boot(c, ls);
	plan_spares(vm, ls);
}
