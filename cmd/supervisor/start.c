/* SPDX-License-Identifier: Apache-2.0 */
/* Starts a VM's compartments; see start.h. */
#include "cmd/supervisor/start.h"

#include "cmd/supervisor/ram.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define MAX_WORDS 24

/* One compartment to be started: descriptors that were made for it are closed afterwards. */
struct launch {
	struct part *part;
	struct jail_fd fds[JAIL_MAX_FDS];
	bool ours[JAIL_MAX_FDS];
	size_t n_fds;
	char *argv[MAX_WORDS + 1];
	size_t n_words;
	char text[4096 + MAX_WORDS * 32];
	size_t at;
	bool failed;
};

struct launches {
	struct launch l[VM_MAX_PARTS]; /* the vmm first */
	size_t n;
	int next_channel; /* in the vmm */
};

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
	if (len < 0 || (size_t)len >= room || l->n_words == MAX_WORDS) {
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
static void plan(struct vm *vm, struct launches *ls, const struct opened *o, int ram)
{
	ls->next_channel = VMM_FD_CHANNELS;
	plan_vmm(vm, ls, o, ram);
	for (size_t i = 0; i < vm->config->n_disks; i++)
		plan_disk(vm, ls, o, i);
	if (vm->config->rng)
		plan_rng(vm, ls, o);
	plan_console(vm, ls, o);
}

/* What the exec of a program is refused for, when all else is in order. */
static const char *hint(const struct vm *vm, int error)
{
	return vm->labels.on && error == -EACCES ? ": run restorecon on the programs" : "";
}

/* NULL without SELinux. */
static const char *label_of(const struct part *p, char text[SELINUX_LABEL_MAX])
{
	if (!p->vm->labels.on)
		return NULL;
	selinux_label(&p->vm->labels, selinux_domain(p->program), text);
	return text;
}

static int begin(struct launch *l, const struct jail_host *host, unsigned int i,
		 struct open_error *e)
{
	char label[SELINUX_LABEL_MAX];
	const struct jail_spec spec = { .name = l->part->name,
					.exe_fd = l->part->exe_fd,
					.argv = l->argv,
					.fds = l->fds,
					.n_fds = l->n_fds,
					.id = jail_id(host, i + 1),
					.label = label_of(l->part, label) };
	const char *what = "?";
	int r;

	if (l->failed)
		return open_complain(e, -EMFILE, "%s: too many words or descriptors",
				     l->part->name);
	r = jail_begin(host, &spec, &l->part->process, &what);
	return r < 0 ? open_complain(e, r, "%s cannot be started: %s: %s", l->part->name, what,
				     strerror(-r)) :
		       0;
}

static int check_label(const struct part *p, const struct jail_host *host, const char **ret_what)
{
	char text[SELINUX_LABEL_MAX];
	const char *label = label_of(p, text);

	*ret_what = "its label";
	return label ? selinux_check(host->proc_fd, p->process.pid, label) : 0;
}

static int finish(struct part *p, const struct jail_host *host, struct open_error *e)
{
	const char *what = "?";
	int r = jail_finish(&p->process, &what);

	if (r == 0)
		r = check_label(p, host, &what);
	if (r == 0)
		return part_watch(p);
	return open_complain(e, r, "%s cannot be started: %s: %s%s", p->name, what, strerror(-r),
			     hint(p->vm, r));
}

static void close_made(struct launches *ls)
{
	for (size_t i = 0; i < ls->n; i++)
		for (size_t k = 0; k < ls->l[i].n_fds; k++)
			if (ls->l[i].ours[k])
				close(ls->l[i].fds[k].from);
}

/* It waits in the channel for dev-console, which a quick guest may have ended before this process
 * runs again. */
static int give_console(struct vm *vm, struct open_error *e)
{
	int r;

	if (vm->stream < 0)
		return 0;
	r = vm_give_stream(vm, take_fd(&vm->stream));
	vm->front_attached = r == 0;
	return r < 0 ? open_complain(e, r, "the console's stream: %s", strerror(-r)) : 0;
}

/* A device inherits it: what it declares, and there is no way up from it. The vmm, which needs more, is
 * begun before, and takes its own. */
static int limit_address_space(const struct vm *vm, struct open_error *e)
{
	static const struct declared_process device = { .space = DECLARED_DEVICE_SPACE };
	const struct declared_machine machine = { .memory = vm->config->memory };
	struct rlimit now;
	const rlim_t most = declared_address_space(&device, &machine);
	const struct rlimit rl = { most, most };

	if (getrlimit(RLIMIT_AS, &now) == 0 &&
	    (now.rlim_max <= most || setrlimit(RLIMIT_AS, &rl) == 0))
		return 0;
	return open_complain(e, -errno, "a limit of address space: %s", strerror(errno));
}

int parts_start(struct vm *vm, const struct opened *o, const struct jail_host *host,
		struct open_error *e)
{
	static struct launches ls;
	int ram = ram_create(vm->config->memory, vm->config->huge_pages);
	int r;

	if (ram < 0)
		return open_complain(e, ram, "%llu MiB of guest RAM: %s",
				     (unsigned long long)(vm->config->memory >> 20),
				     strerror(-ram));
	plan(vm, &ls, o, ram);
	r = give_console(vm, e);
	for (size_t i = 0; i < ls.n && r == 0; i++) {
		r = ls.l[i].part->kind == PART_VMM ? 0 : limit_address_space(vm, e);
		if (r == 0)
			r = begin(&ls.l[i], host, (unsigned int)i, e);
	}
	close_made(&ls);
	for (size_t i = 0; i < ls.n && r == 0; i++)
		r = finish(&vm->parts[i], host, e);
	return r;
}

void parts_kill(struct vm *vm)
{
	for (size_t i = 0; i < vm->n_parts; i++)
		jail_kill(&vm->parts[i].process);
}
