/* SPDX-License-Identifier: Apache-2.0 */
/* Starts a VM's processes: the mechanism; see start.h. */
#include "cmd/supervisor/start.h"

#include "cmd/supervisor/plan.h"
#include "cmd/supervisor/ram.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/declared/blocks.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>

/* What the exec of a program is refused for, when all else is in order. */
static const char *hint(const struct vm *vm, int error)
{
	return vm->labels.on && error == -EACCES ? ": run restorecon on the programs" : "";
}

/* NULL without SELinux. */
static const char *label_of(const struct part *p, char text[SELINUX_LABEL_MAX])
{
	const struct declared_process *d = declared_find(p->program);

	if (!p->vm->labels.on || !d || !d->domain)
		return NULL;
	selinux_label(&p->vm->labels, d->domain, text);
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

	if (l->failed || l->words.failed)
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

/* ---- the launcher ---- */

static bool is_channel(const struct launch *l, int to)
{
	for (size_t i = 0; i < l->part->again.n_channels; i++)
		if (l->channels[i] == to)
			return true;
	return to == FD_CONTROL;
}

/* What the part has beside the channels, which are new each time. */
static void describe(const struct launch *l, const struct jail_host *host, uint8_t i,
		     struct launcher_part *ret)
{
	*ret = (struct launcher_part){ .number = i,
				       .pidfd = l->part->process.pidfd,
				       .exe_fd = l->part->exe_fd,
				       .argv = l->argv,
				       .n_channels = l->part->again.n_channels,
				       .id = jail_id(host, i + 1U) };
	memcpy(ret->channels, l->channels, sizeof(ret->channels));
	(void)label_of(l->part, ret->label);
	for (size_t k = 0; k < l->n_fds; k++)
		if (!is_channel(l, l->fds[k].to))
			ret->given[ret->n_given++] = l->fds[k];
}

/* The channel goes to where it has a number of its own. */
static int place_channel(struct launcher *l)
{
	int r = dup3(l->sock, SUPERVISOR_FD_LAUNCHER, O_CLOEXEC);

	closep(&l->sock);
	l->sock = r;
	return r < 0 ? -errno : 0;
}

/* Parts that have nothing in them yet, and what may come into them. */
static void describe_spares(struct vm *vm, const struct opened *o, const struct jail_host *host,
			    struct launcher_kit *kit)
{
	for (size_t i = 0; i < KINDS_MAX; i++) {
		bool may = i < n_kinds_all && kind_may_come(kinds_all[i]);

		kit->programs[i] = may ? o->programs[i] : -1;
		vm->attachable[i] = kit->programs[i] >= 0;
	}
	for (size_t i = 0; i < vm->n_parts; i++)
		if (vm->parts[i].spare)
			kit->parts[kit->n++] =
				(struct launcher_part){ .number = (uint8_t)i,
							.spare = true,
							.pidfd = -1,
							.exe_fd = -1,
							.id = jail_id(host, i + 1U) };
}

static int start_launcher(struct vm *vm, const struct launches *ls, const struct opened *o,
			  const struct jail_host *host, struct open_error *e)
{
	static struct launcher_kit kit;
	int r;

	for (size_t i = 0; i < ls->n; i++)
		if (ls->l[i].part->kind != PART_VMM)
			describe(&ls->l[i], host, (uint8_t)i, &kit.parts[kit.n++]);
	describe_spares(vm, o, host, &kit);
	kit.config = vm->config;
	r = launcher_start(host, &vm->labels, &kit, &vm->launcher, e);
	if (r < 0)
		return r;
	r = place_channel(&vm->launcher);
	if (r == 0)
		r = restart_watch(vm);
	return r < 0 ? open_complain(e, r, "the launcher: %s", strerror(-r)) : 0;
}

/* Huge pages come without seals: not where a program without a filter gets the file. */
static bool may_be_huge(const struct vm_config *c)
{
	for (size_t i = 0; i < c->n_devices; i++)
		if (c->devices[i].foreign)
			return false;
	return c->huge_pages;
}

int parts_start(struct vm *vm, const struct opened *o, const struct jail_host *host,
		struct open_error *e)
{
	static struct launches ls;
	_cleanup_(closep) int ram = ram_create(vm->config->memory, may_be_huge(vm->config));
	_cleanup_(closep) int log = -1;
	int r;

	if (ram < 0)
		return open_complain(e, ram, "%llu MiB of guest RAM: %s",
				     (unsigned long long)(vm->config->memory >> 20),
				     strerror(-ram));
	if (o->kvm < 0) { /* the software CPU alone does not see by itself what devices write */
		log = ram_create_sealed(DIRTY_LOG_NAME, declared_log_len(vm->config->memory));
		if (log < 0)
			return open_complain(e, log, "the log of what devices write: %s",
					     strerror(-log));
	}
	plan(vm, &ls, o, take_fd(&ram), take_fd(&log));
	r = give_console(vm, e);
	for (size_t i = 0; i < ls.n && r == 0; i++) {
		r = ls.l[i].part->kind == PART_VMM ? 0 : limit_address_space(vm, e);
		if (r == 0)
			r = begin(&ls.l[i], host, (unsigned int)i, e);
	}
	for (size_t i = 0; i < ls.n && r == 0; i++)
		r = finish(&vm->parts[i], host, e);
	if (vm->config->on_crash == CRASH_STOP)
		close(SUPERVISOR_FD_LAUNCHER);
	else if (r == 0)
		r = start_launcher(vm, &ls, o, host, e);
	close_made(&ls);
	return r;
}

void parts_kill(struct vm *vm)
{
	for (size_t i = 0; i < vm->n_parts; i++)
		jail_kill(&vm->parts[i].process);
	launcher_end(&vm->launcher);
}
