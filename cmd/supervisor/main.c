/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervisor: one VM's life. Opens what the user named, starts the compartments, watches them,
 * answers the command and clients, and ends everything when anything ends.
 *
 * Trust: argv and the command trusted; messages of every compartment HOSTILE; clients are the
 * user's own, their messages checked all the same.
 * Holds: 3 the command's channel, 4 the console's stream (optional); pidfds and control channels,
 * the listening sockets. Not for long: kernel, initrd, disks, /dev/kvm.
 */
#include "cmd/supervisor/group.h"
#include "cmd/supervisor/open.h"
#include "cmd/supervisor/start.h"
#include "cmd/supervisor/vm.h"
#include "lib/base/cleanup.h"
#include "lib/base/cmdline.h"
#include "lib/base/fd.h"
#include "lib/kvm/host.h"
#include "lib/sandbox/sandbox.h"
#include "lib/sandbox/userns_why.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#define RUNTIME_WORD "--runtime-dir="
#define EXIT_START 1 /* nothing was started, or not for long */

/* The command shows it; without one it goes to standard error. */
static int give_up(const struct open_error *e)
{
	struct control_msg m = { .type = CTL_ENDED, .number = CTL_EVENT_FAILED };

	m.text_len = strnlen(e->text, CTL_TEXT_MAX);
	memcpy(m.text, e->text, m.text_len);
	if (control_send(SUPERVISOR_FD_FRONT, &m, -1) < 0)
		fprintf(stderr, "bulkhead: %s\n", e->text);
	return EXIT_START;
}

static int parse(int argc, char **argv, struct vm *vm, struct vm_config *c, struct open_error *e)
{
	struct config_error ce;
	unsigned long long since = 0;
	int skip = argc > 1 && sscanf(argv[1], "--since=%llu", &since) == 1 ? 2 : 1;
	const size_t len = strlen(RUNTIME_WORD);

	if (argc > skip && strncmp(argv[skip], RUNTIME_WORD, len) == 0)
		vm->runtime = argv[skip++] + len;

	vm->since_ns = since;
	config_init(c);
	if (config_parse_words(c, argc - skip, argv + skip, &ce) < 0 || config_check(c, &ce) < 0)
		return open_complain(e, -EINVAL, "%s", ce.text);
	return c->name ? 0 : open_complain(e, -EINVAL, "--name: a VM must have one");
}

/* ---- signals and the timer ---- */

static int on_signal(struct loop_source *src, uint32_t events)
{
	struct vm *vm = src->owner;
	struct signalfd_siginfo si;

	(void)events;
	if (read(src->fd, &si, sizeof(si)) != sizeof(si))
		return 0;
	if ((si.ssi_signo == SIGTERM || si.ssi_signo == SIGINT) && vm->signals_seen++ == 0)
		vm_press_power(vm, true);
	else
		vm_kill(vm, "a signal");
	return 0;
}

static int on_timer(struct loop_source *src, uint32_t events)
{
	struct vm *vm = src->owner;
	uint64_t times;

	(void)events;
	(void)!read(src->fd, &times, sizeof(times));
	if (vm->state == VM_ENDING)
		vm_end_overdue(vm);
	else
		vm_end(vm, WEIGHT_FINAL, CTL_EVENT_KILLED,
		       "the VM was ended: its guest did not power off in %u s",
		       vm->config->stop_timeout_s);
	return 0;
}

/* Without its keeper nobody would remove the VM's control group. */
static int on_keeper(struct loop_source *src, uint32_t events)
{
	struct vm *vm = src->owner;

	(void)events;
	loop_remove(&vm->loop, src);
	vm_kill(vm, "the end of its keeper");
	return 0;
}

static int watch(struct vm *vm, const int listeners[NAMES_PLACES])
{
	sigset_t set;
	int fd, r;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
		return -errno;
	r = loop_open(&vm->loop);
	if (r < 0)
		return r;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	r = fd < 0 ? -errno : loop_add(&vm->loop, &vm->signals, fd, EPOLLIN, on_signal, vm);
	if (r < 0)
		return r;
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	r = fd < 0 ? -errno : loop_add(&vm->loop, &vm->timer, fd, EPOLLIN, on_timer, vm);
	if (r < 0)
		return r;
	if (vm->keeper >= 0)
		r = loop_add(&vm->loop, &vm->gone, take_fd(&vm->keeper), EPOLLIN, on_keeper, vm);
	return r < 0 ? r : clients_watch(vm, SUPERVISOR_FD_FRONT, listeners);
}

/* ---- stages ---- */

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

/* An error of the host's, which often forbids what everything else rests on. */
static int complain_host(struct open_error *e, int error, const char *what)
{
	const char *why = userns_why(error);

	return open_complain(e, error, "this host does not let the VM be confined: %s: %s%s%s",
			     what, strerror(-error), *why ? ": " : "", why);
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

static int confine(struct open_error *e)
{
	const char *what = "?";
	int r = sandbox_confine_self(&supervisor_policy, &what);

	return r < 0 ? open_complain(e, r, "the supervisor cannot be confined: %s: %s", what,
				     strerror(-r)) :
		       0;
}

/* What a user of the image would not think of, and would find out by a guest that says nothing more. */
static void advise(const struct vm *vm)
{
	if (vm->config->on_panic == PANIC_STOP && !cmdline_says_panic(vm->config->cmdline))
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

static int bring_up(struct vm *vm, struct open_error *e)
{
	struct opened o;
	struct cgroup group;
	struct guarantee_report report;
	struct jail_ids ids;
	struct jail_host host = JAIL_HOST_NONE;
	const char *what = "?";
	int r;

	opened_init(&o);
	r = take_ids(vm, &ids, e);
	if (r < 0)
		return r;
	r = group_enter(vm, ids.why, &group, &report, e); /* a child of its keeper from here */
	if (r < 0)
		return r;
	r = opened_open(&o, vm->config, vm->runtime, ids.n > 1, e); /* 2 all that has a path */
	if (r < 0)
		return r;
	r = group_refuse_kvm(vm->config, o.kvm < 0 ? NULL : kvm_host_lacks(o.kvm), &report, e);
	if (r == 0)
		r = limits_set_io(vm->config, &o, &group, e);
	if (r < 0)
		return r;
	group_tell(vm, &report);
	advise(vm);
	r = settle_accel(vm, &o, e);
	if (r < 0)
		return r;
	r = open_labels(&o, vm->config, &vm->labels, e);
	if (r < 0)
		return r;
	r = jail_host_open(&host, &ids, &what);
	if (r < 0)
		return open_complain(e, r, "%s: %s", what, strerror(-r));
	r = watch(vm, o.listeners);
	if (r < 0)
		return open_complain(e, r, "event loop: %s", strerror(-r));
	r = start(vm, &o, &group, &host, e); /* 3 the compartments */
	if (r == 0 && leave_terminal(vm, &host) < 0)
		r = open_complain(e, -EIO, "standard descriptors");
	if (r == 0 && jail_host_leave(&host) < 0)
		r = open_complain(e, -EPERM, "a cgroup namespace");
	if (r == 0)
		r = become(vm, &host, SELINUX_SUPERVISOR, e);
	jail_host_close(&host);
	kvm_probe_end(&o.probe);
	cgroup_close(&group);
	if (r == 0)
		r = launcher_await(&vm->launcher, e);
	if (r == 0)
		r = confine(e); /* 4 no way back */
	return r;
}

int main(int argc, char **argv)
{
	static struct vm vm;
	static struct vm_config config;
	struct open_error e = { "the command's channel is missing: start it by bulkhead run" };
	int r;

	vm = (struct vm){ .config = &config,
			  .state = VM_STARTING,
			  .stream = -1,
			  .null = -1,
			  .launcher = LAUNCHER_NONE,
			  .answers = { .fd = -1 },
			  .launcher_exit = { .fd = -1 },
			  .restarts = { .fd = -1 },
			  .keeper = -1,
			  .memory_events = -1,
			  .labels = SELINUX_VM_NONE,
			  .gone = { .fd = -1 },
			  .pid = getpid(),
			  .listeners = { { .fd = -1 }, { .fd = -1 } },
			  .front = { .fd = -1 } };
	/* while its user's files can still be opened; the lines of the end must not wait for it */
	(void)fd_unshare_output(STDERR_FILENO);
	if (fds_adopt(supervisor_declared.fds, supervisor_declared.n_fds, NULL) < 0 ||
	    parse(argc, argv, &vm, &config, &e) < 0) /* 1 words only */
		return give_up(&e);
	/* its place is kept for the pipe to the launcher; start.c */
	(void)dup2(SUPERVISOR_FD_FRONT, SUPERVISOR_FD_LAUNCHER);
	vm.stream = fcntl(SUPERVISOR_FD_STREAM, F_GETFD) < 0 ? -1 : SUPERVISOR_FD_STREAM;
	if (bring_up(&vm, &e) < 0) {
		parts_kill(&vm);
		return give_up(&e);
	}
	r = loop_run(&vm.loop); /* 5 hostile from here */
	parts_kill(&vm);
	if (r < 0)
		vm_end(&vm, WEIGHT_EXIT, CTL_EVENT_FAILED, "the supervisor's loop failed (%d)", -r);
	clients_tell_ended(&vm);
	return vm_exit_status(&vm);
}
