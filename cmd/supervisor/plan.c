/* SPDX-License-Identifier: Apache-2.0 */
/* What each compartment gets; see plan.h. */
#include "cmd/supervisor/plan.h"

#include "cmd/supervisor/ram.h"
#include "lib/base/fd.h"

#include <stdarg.h>
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

static void say(struct launch *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(struct launch *l, const char *fmt, ...)
{
	size_t room = sizeof(l->text) - l->at;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(l->text + l->at, room, fmt, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= room || l->n_words == LAUNCH_WORDS_MAX) {
		l->failed = true;
		return;
	}
	l->argv[l->n_words++] = l->text + l->at;
	l->at += (size_t)len + 1;
}

/* A channel between a device and the vmm. Returns its number in the vmm, or -1. */
static int connect_vmm(struct launches *ls, struct launch *dev, int to)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		dev->failed = true;
		return -1;
	}
	give(&ls->l[0], pair[0], ls->next_channel, true);
	give(dev, pair[1], to, true);
	return ls->next_channel++;
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
	l->part = p;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		l->failed = true;
		return l;
	}
	p->control = pair[0];
	if (fd_set_nonblock(p->control, true) < 0)
		l->failed = true;
	give(l, pair[1], FD_CONTROL, true);
	say(l, "%s", program);
	return l;
}

static void plan_vmm(struct vm *vm, struct launches *ls, const struct opened *o, int ram)
{
	const struct vm_config *c = vm->config;
	struct launch *l = add(vm, ls, PART_VMM, "vmm", o->vmm);

	if (o->kvm >= 0)
		give(l, o->kvm, VMM_FD_KVM, false);
	give(l, o->kernel, VMM_FD_KERNEL, false);
	if (o->initrd >= 0)
		give(l, o->initrd, VMM_FD_INITRD, false);
	give(l, ram, VMM_FD_RAM, true);
	say(l, "--name=%s", c->name);
	say(l, "--accel=%s", o->kvm < 0 ? "soft" : "kvm");
	say(l, "--cpus=%u", c->cpus);
	say(l, "--memory=%llu", (unsigned long long)c->memory);
	say(l, "--cmdline=%s", c->cmdline);
	say(l, "--on-reboot=%s", c->on_reboot == ACTION_STOP ? "stop" : "restart");
	say(l, "--on-panic=%s", c->on_panic == ACTION_CONTINUE ? "continue" : "stop");
}

static void plan_console(struct vm *vm, struct launches *ls, const struct opened *o)
{
	struct launch *l = add(vm, ls, PART_CONSOLE, "dev-console", o->dev_console);

	give(l, ram_create_sealed(CONSOLE_STATE_NAME, CONSOLE_STATE_SIZE), CONSOLE_FD_STATE, true);
	say(l, "--input=%s", vm->config->input == INPUT_VIRTIO ? "virtio" : "serial");
	say(&ls->l[0], "--serial=%d", connect_vmm(ls, l, CONSOLE_FD_VFIO_USER));
	say(&ls->l[0], "--virtio=console:%d", connect_vmm(ls, l, CONSOLE_FD_VHOST_USER));
}

static void plan_disk(struct vm *vm, struct launches *ls, const struct opened *o, size_t i)
{
	const struct config_disk *d = &vm->config->disks[i];
	struct launch *l = add(vm, ls, PART_BLK, "dev-blk", o->dev_blk);

	if (vm->config->n_disks > 1)
		snprintf(l->part->name, sizeof(l->part->name), "dev-blk %zu", i + 1);
	give(l, o->disks[i], BLK_FD_IMAGE, false);
	say(l, "--readonly=%s", d->readonly ? "on" : "off");
	say(l, "--queues=%u", d->queues);
	say(l, "--serial=bulkhead-%zu", i);
	say(&ls->l[0], "--virtio=blk:%d", connect_vmm(ls, l, BLK_FD_VHOST_USER));
}

static void plan_rng(struct vm *vm, struct launches *ls, const struct opened *o)
{
	struct launch *l = add(vm, ls, PART_RNG, "dev-rng", o->dev_rng);

	say(l, "--rate=%llu", (unsigned long long)vm->config->rng_rate);
	say(&ls->l[0], "--virtio=rng:%d", connect_vmm(ls, l, RNG_FD_VHOST_USER));
}

/* The order of the disks is the order of their names in the guest. */
void plan(struct vm *vm, struct launches *ls, const struct opened *o, int ram)
{
	ls->next_channel = VMM_FD_CHANNELS;
	plan_vmm(vm, ls, o, ram);
	for (size_t i = 0; i < vm->config->n_disks; i++)
		plan_disk(vm, ls, o, i);
	if (vm->config->rng)
		plan_rng(vm, ls, o);
	plan_console(vm, ls, o);
}
