/* SPDX-License-Identifier: Apache-2.0 */
/* The supervisor's stages; see bringup.h. */
#include "cmd/supervisor/bringup.h"

#include "cmd/supervisor/start.h"
#include "lib/base/cleanup.h"
#include "lib/base/cmdline.h"
#include "lib/kvm/host.h"
#include "lib/sandbox/sandbox.h"
#include "lib/sandbox/userns_why.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* An error of the host's, which often forbids what everything else rests on. */
static int complain_host(struct open_error *e, int error, const char *what)
{
	const char *why = userns_why(error);

	return open_complain(e, error, "this host does not let the VM be confined: %s: %s%s%s",
			     what, strerror(-error), *why ? ": " : "", why);
}

/* ---- the host ---- */

/* First of all, as --strict may refuse what there is; the claim on them lasts as long as this process. */
static int take_ids(struct vm *vm, struct jail_ids *ids, struct open_error *e)
{
	const char *what = "?";
	int r = jail_ids_take(config_processes(vm->config), ids, &what);

	if (r < 0)
		return complain_host(e, r, what);
	memcpy(vm->claims, ids->claims, sizeof(vm->claims)); /* never closed */
	return 0;
}

int bringup_host(struct bringup *b, struct vm *vm, struct open_error *e)
{
	int r;

	opened_init(&b->o);
	b->host = JAIL_HOST_NONE;
	r = take_ids(vm, &b->ids, e);
	return r < 0 ? r : group_enter(vm, b->ids.why, &b->group, &b->report, e);
}

/* ---- what has a path ---- */

/* What a user of the image would not think of, and would find out by a guest that says nothing more. */
static void advise(const struct vm *vm)
{
	if (vm->config->kernel && vm->config->on_panic == PANIC_STOP &&
	    !cmdline_says_panic(vm->config->cmdline))
		tell(vm, NULL, LOG_LEVEL_INFO,
		     "a kernel that panics before its pvpanic driver is loaded would hang: add "
		     "panic=-1 reboot=panic_warm to --cmdline");
}

/* What was found to run the guest's CPUs is said, and whether it may be used so. */
static int settle_accel(struct vm *vm, const struct opened *o, struct open_error *e)
{
	const struct config_facts facts = { .soft = o->kvm < 0 };
	struct config_error ce;

	vm->soft = facts.soft;
	if (*o->accel_why)
		tell(vm, NULL, LOG_LEVEL_INFO, o->accel_why);
	if (config_check_allowed(vm->config, &facts, &ce) < 0)
		return open_complain(e, -EPERM, "%s", ce.text);
	return 0;
}

int bringup_open(struct bringup *b, struct vm *vm, struct open_error *e)
{
	struct opened *o = &b->o;
	int r = opened_open(o, vm->config, vm->runtime, b->ids.n > 1, e);

	if (r == 0)
		r = group_refuse_kvm(vm->config, o->kvm < 0 ? NULL : kvm_host_lacks(o->kvm),
				     &b->report, e);
	if (r == 0)
		r = limits_set_io(vm->config, o, &b->group, e);
	if (r < 0)
		return r;
	group_tell(vm, &b->report);
	advise(vm);
	r = settle_accel(vm, o, e);
	if (r == 0)
		r = open_labels(o, vm->config, &vm->labels, e);
	if (r == 0)
		r = bringup_passts(b, vm, e);
	return r < 0 ? r : bringup_tpm(b, vm, e);
}

/* ---- the processes ---- */

/* The VM's own id, where it has one, may start processes in its group. */
static int use_group(struct vm *vm, struct cgroup *g, struct jail_host *host, struct open_error *e)
{
	int r = g->guest >= 0 && host->n_ids > 1 ? cgroup_give(g, host->base) : 0;

	host->cgroup_fd = g->guest;
	vm->memory_events = take_fd(&g->events);
	return r < 0 ? open_complain(e, r, "the VM's control group: %s", strerror(-r)) : 0;
}

static int become(const struct vm *vm, const struct jail_host *host, const char *domain,
		  struct open_error *e)
{
	int r = selinux_become(&vm->labels, host->proc_fd, domain);

	return r < 0 ? open_complain(e, r, "SELinux: this user's domain cannot become %s: %s",
				     domain, strerror(-r)) :
		       0;
}

static int start(struct vm *vm, struct opened *o, struct cgroup *g, struct jail_host *host,
		 struct open_error *e)
{
	const char *what = "?";
	int r = jail_host_enter(host, &what);

	if (r < 0)
		return complain_host(e, r, what);
	vm->owner = host->owner;
	r = use_group(vm, g, host, e); /* with the rights in its namespace */
	if (r == 0)
		r = become(vm, host, SELINUX_START, e);
	if (r == 0)
		r = boot_copy(o, e);
	if (r == 0)
		r = identity_seal(o, e);
	if (r == 0)
		r = parts_start(vm, o, host, e);
	opened_close(o);
	return r;
}

/* Its own session: the terminal's keys are the command's business. Standard error stays. */
static int leave_terminal(struct vm *vm, struct jail_host *host)
{
	setsid(); /* fails for a session leader, which is what is wanted */
	if (dup2(host->null_fd, 0) < 0 || dup2(host->null_fd, 1) < 0)
		return -errno;
	if (vm->config->detach)
		vm->null = take_fd(&host->null_fd);
	return 0;
}

static int open_jail(struct bringup *b, struct vm *vm, struct open_error *e)
{
	const char *what = "?";
	int r = jail_host_open(&b->host, &b->ids, &what);

	if (r < 0)
		return open_complain(e, r, "%s: %s", what, strerror(-r));
	vm->dialer.pidfd = take_fd(&b->o.dialer.pidfd);
	r = vm_watch(vm, b->o.listeners);
	if (r == 0 && b->o.tpm >= 0)
		r = tpm_watch(vm, take_fd(&b->o.tpm));
	return r < 0 ? open_complain(e, r, "event loop: %s", strerror(-r)) : 0;
}

static int start_all(struct bringup *b, struct vm *vm, struct open_error *e)
{
	int r = start(vm, &b->o, &b->group, &b->host, e);

	if (r == 0 && leave_terminal(vm, &b->host) < 0)
		r = open_complain(e, -EIO, "standard descriptors");
	if (r == 0 && jail_host_leave(&b->host) < 0)
		r = open_complain(e, -EPERM, "a cgroup namespace");
	return r < 0 ? r : become(vm, &b->host, SELINUX_SUPERVISOR, e);
}

int bringup_start(struct bringup *b, struct vm *vm, struct open_error *e)
{
	int r = open_jail(b, vm, e);

	if (r < 0)
		return r;
	r = start_all(b, vm, e);
	jail_host_close(&b->host);
	kvm_probe_end(&b->o.probe);
	cgroup_close(&b->group);
	return r;
}

/* ---- itself ---- */

int bringup_confine(struct vm *vm, struct open_error *e)
{
	const char *what = "?";
	int r = sandbox_confine_self(&supervisor_policy, &what);

	if (r < 0)
		return open_complain(e, r, "the supervisor cannot be confined: %s: %s", what,
				     strerror(-r));
	return launcher_await(&vm->launcher, e); /* which has confined itself at the same time */
}
