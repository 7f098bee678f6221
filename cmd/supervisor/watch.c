/* SPDX-License-Identifier: Apache-2.0 */
/* What the supervisor's loop hears beside the VM's processes: signals, its timer, the ends of its keeper and its dialer,
 * clients. */
#include "cmd/supervisor/vm.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

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

/*
 * Nobody could make another one: it had its addresses from before anything hostile was heard, and what it may connect to is
 * its filter's. So the connections that there are serve on, as long as they last; without a launcher's help
 * in any case (--on-crash=stop) the VM ends now, unless the dialer is done: nobody has a channel to it any more, as of a card whose
 * process has what it asked for.
 */
static const char *what_follows(const struct vm_config *c)
{
	if (config_has_server(c))
		return "a disk that loses its server ends the VM";
	for (size_t i = 0; i < c->n_devices; i++)
		if (config_reaches(&c->devices[i]))
			return "the guest reaches no more ports of the host";
	return "a card with vhost=on that loses its process ends the VM";
}

static void lose_dialer(struct vm *vm, int status)
{
	const char *name = WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : NULL;
	char how[64], line[160];

	if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "was killed by signal %s (%d)", name ? name : "?",
			 WTERMSIG(status));
	else
		snprintf(how, sizeof(how), "ended by itself with status %d", WEXITSTATUS(status));
	if (vm->config->on_crash == CRASH_STOP) {
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			return;
		vm_end(vm, WEIGHT_SIGNAL, CTL_EVENT_FAILED, "the dialer %s", how);
		return;
	}
	snprintf(line, sizeof(line), "the dialer %s: %s", how, what_follows(vm->config));
	tell(vm, NULL, LOG_LEVEL_WARNING, line);
}

/* At the VM's end it goes by itself, as soon as nobody has the other ends of its channels. */
static int on_dialer(struct loop_source *src, uint32_t events)
{
	struct vm *vm = src->owner;
	int status = 0, r = jail_reap(&vm->dialer, &status);

	(void)events;
	if (r == 0)
		return 0; /* who traces it has its status first, and then this is heard again */
	loop_remove(&vm->loop, src);
	jail_forget(&vm->dialer);
	if (vm->state != VM_ENDING)
		lose_dialer(vm, r < 0 ? 0 : status);
	return 0;
}

static int watch_signals(struct vm *vm)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : loop_add(&vm->loop, &vm->signals, fd, EPOLLIN, on_signal, vm);
}

static int watch_timer(struct vm *vm)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	return fd < 0 ? -errno : loop_add(&vm->loop, &vm->timer, fd, EPOLLIN, on_timer, vm);
}

int vm_watch(struct vm *vm, const int listeners[NAMES_PLACES])
{
	int r = loop_open(&vm->loop);

	if (r == 0)
		r = watch_signals(vm);
	if (r == 0)
		r = watch_timer(vm);
	if (r == 0 && vm->keeper >= 0)
		r = loop_add(&vm->loop, &vm->gone, take_fd(&vm->keeper), EPOLLIN, on_keeper, vm);
	if (r == 0 && vm->dialer.pidfd >= 0)
		r = loop_add(&vm->loop, &vm->dialer_exit, vm->dialer.pidfd, EPOLLIN | EPOLLET,
			     on_dialer, vm);
	return r < 0 ? r : clients_watch(vm, SUPERVISOR_FD_FRONT, listeners);
}
