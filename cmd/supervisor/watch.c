/* SPDX-License-Identifier: Apache-2.0 */
/* What the supervisor's loop hears beside the VM's processes: signals, its timer, its keeper's end, clients. */
#include "cmd/supervisor/vm.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
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
	return r < 0 ? r : clients_watch(vm, SUPERVISOR_FD_FRONT, listeners);
}
