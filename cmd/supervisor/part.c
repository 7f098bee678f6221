/* SPDX-License-Identifier: Apache-2.0 */
/* What processes say, and how they die. HOSTILE. See vm.h. */
#include "cmd/supervisor/vm.h"

#include "cmd/supervisor/clock.h"
#include "cmd/supervisor/plug.h"
#include "lib/base/cleanup.h"
#include "lib/sandbox/cgroup.h"
#include "lib/sandbox/sandbox.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define LINES_A_SECOND 10
#define LINES_BURST 100
/* More than any device has: what it says is to be shown, and bounds how often it gets more patience */
#define BUSY_MAX 65536U
/* More than a socket holds; somebody else may have got hold of its end of the channel. */
#define LAST_WORDS_MAX 10000

struct part *vm_part(struct vm *vm, enum part_kind kind)
{
	for (size_t i = 0; i < vm->n_parts; i++)
		if (vm->parts[i].kind == kind)
			return &vm->parts[i];
	return NULL;
}

static void close_control(struct part *p)
{
	loop_remove(&p->vm->loop, &p->control_src);
	closep(&p->control);
}

void part_finish(struct part *p)
{
	if (p->control >= 0)
		shutdown(p->control, SHUT_WR);
}

void part_kill(struct part *p)
{
	if (p->process.pidfd < 0 || p->killed || p->over)
		return;
	p->killed = true;
	(void)syscall(SYS_pidfd_send_signal, p->process.pidfd, SIGKILL, NULL, 0);
}

void part_lose(struct part *p, enum weight weight, const char *fmt, ...)
{
	char text[CTL_TEXT_MAX + 1];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (restart_can(p)) {
		if (!p->again.is_lost)
			memcpy(p->again.lost, text, sizeof(text));
	} else if (p->spare && p->vm->state == VM_RUNNING) {
		plug_lose(p, text);
	} else {
		vm_end(p->vm, weight, CTL_EVENT_FAILED, "%s", text);
	}
	p->again.is_lost = true;
}

/* ---- what they say ---- */

static bool all_ready(const struct vm *vm)
{
	for (size_t i = 0; i < vm->n_parts; i++)
		if (vm->parts[i].state != PART_READY && !vm->parts[i].spare)
			return false;
	return true;
}

static void tell_start_time(const struct vm *vm)
{
	struct timespec t;
	char line[96];

	clock_gettime(CLOCK_MONOTONIC, &t);
	snprintf(line, sizeof(line), "%zu processes are ready after %.1f ms",
		 vm->n_parts - config_spares(vm->config),
		 ((double)t.tv_sec * 1e9 + (double)t.tv_nsec - (double)vm->since_ns) / 1e6);
	tell(vm, NULL, LOG_LEVEL_INFO, line);
}

static int on_ready(struct part *p, const struct control_msg *m)
{
	struct vm *vm = p->vm;

	(void)m;
	p->state = PART_READY;
	link_begin(p);
	restart_ready(p);
	tpm_step(vm);
	if (p->kind == PART_CONSOLE)
		size_begin(vm);
	if (vm->state == VM_STARTING && vm->config->verbose && vm->since_ns && all_ready(vm))
		tell_start_time(vm);
	return 0;
}

/* Refills by the second, up to the burst. */
bool part_may_speak(struct part *p)
{
	struct part_lines *l = &p->lines;
	time_t now = monotonic_s();

	if (now > l->since) {
		uint64_t more = (uint64_t)(now - l->since) * LINES_A_SECOND + l->left;

		l->left = more < LINES_BURST ? (unsigned int)more : LINES_BURST;
		l->since = now;
	}
	if (l->left == 0) {
		l->dropped++;
		return false;
	}
	l->left--;
	return true;
}

static int on_log(struct part *p, const struct control_msg *m)
{
	char line[64];

	if (m->number > LOG_LEVEL_DEBUG)
		return -EBADMSG;
	if (m->number >= LOG_LEVEL_INFO && !p->vm->config->verbose)
		return 0;
	if (!part_may_speak(p))
		return 0;
	if (p->lines.dropped) {
		snprintf(line, sizeof(line), "%u lines were left out", p->lines.dropped);
		p->lines.dropped = 0;
		tell(p->vm, p->name, LOG_LEVEL_WARNING, line);
	}
	tell(p->vm, p->name, (enum log_level)m->number, m->text);
	return 0;
}

static int on_denied(struct part *p, const struct control_msg *m)
{
	char call[64];

	p->state = PART_SPENT;
	sandbox_call_name((int)m->number, call, sizeof(call));
	part_lose(p, WEIGHT_DENIED, "%s was stopped by its filter: system call %s (%u)", p->name,
		  call, m->number);
	return 0;
}

/* What a vmm says after a device was lost, or has ended by itself, comes of that. */
static bool blame_lost(struct vm *vm)
{
	for (size_t i = 0; i < vm->n_parts; i++)
		if (*vm->parts[i].again.lost)
			vm_end(vm, WEIGHT_SIGNAL, CTL_EVENT_FAILED, "%s", vm->parts[i].again.lost);
	return vm->verdict.weight == WEIGHT_EXIT || vm->verdict.weight == WEIGHT_SIGNAL;
}

static int on_failed(struct part *p, const struct control_msg *m)
{
	/* devices say their own name first */
	size_t len = strlen(p->program);
	bool named = !strncmp(m->text, p->program, len) && !strncmp(m->text + len, ": ", 2);

	p->state = PART_SPENT;
	if (p->kind == PART_VMM && blame_lost(p->vm))
		return 0;
	p->again.by_itself = true;
	part_lose(p, WEIGHT_WORDS, "%s: %s", p->name, named ? m->text + len + 2 : m->text);
	return 0;
}

/*
 * While the guest runs, it or its vmm waits, who asks again and again: the user is told. While the VM
 * ends nothing new can begin, so that only a number that falls is progress; a device cannot go on for
 * ever by saying that it does.
 */
static int on_busy(struct part *p, const struct control_msg *m)
{
	if (!m->number || m->number > BUSY_MAX)
		return -EBADMSG;
	if (p->vm->state != VM_ENDING) {
		p->busy = resize_has(p) ? 0 : m->number;
		part_tell_busy(p);
		p->busy = 0;
	} else if (!p->busy || m->number < p->busy) {
		p->busy = m->number;
		p->progressed = true;
	}
	return 0;
}

/* Whom the vmm speaks with over the channel of that number, or NULL. */
static struct part *behind(struct vm *vm, uint32_t number)
{
	for (size_t i = 0; i < vm->n_parts; i++)
		for (size_t k = 0; k < vm->parts[i].again.n_channels; k++)
			if (!vm->parts[i].again.peer[k] && vm->parts[i].again.numbers[k] == number)
				return &vm->parts[i];
	return NULL;
}

/* Nobody can start it again. */
static bool lost_foreign(struct vm *vm, uint32_t number)
{
	for (size_t i = 0; i < vm->config->n_devices; i++) {
		const struct config_device *d = &vm->config->devices[i];

		if (vm->foreign[i] != number + 1)
			continue;
		vm_end(vm, WEIGHT_SIGNAL, CTL_EVENT_FAILED,
		       "--%s " CONFIG_FOREIGN "%.*s: what served it is gone", d->kind->word,
		       (int)d->path_len, d->path);
		return true;
	}
	return false;
}

/* The vmm may notice before the process has ended. */
static int on_lost(struct part *vmm, const struct control_msg *m)
{
	struct part *p = behind(vmm->vm, m->number);

	if (p)
		restart_hung(p);
	return p || lost_foreign(vmm->vm, m->number) ? 0 : -EBADMSG;
}

static int on_found(struct part *vmm, const struct control_msg *m)
{
	struct part *p = behind(vmm->vm, m->number);

	if (p)
		restart_served(p);
	return p ? 0 : -EBADMSG;
}

/* ---- the guest's events ---- */

static void run(struct part *p)
{
	p->vm->state = VM_RUNNING;
	p->vm->running_since = monotonic_s();
	clients_tell_started(p->vm);
}

/* What the guest can repeat at will counts as a line of its vmm. */
static void tell_guest(struct part *p, enum log_level level, const char *text)
{
	if (part_may_speak(p))
		tell(p->vm, NULL, level, text);
}

static void reboot(struct part *p)
{
	if (p->vm->config->on_reboot == REBOOT_STOP)
		vm_end(p->vm, WEIGHT_FINAL, CTL_EVENT_REBOOT, "the guest asked for a reboot");
	else
		tell_guest(p, LOG_LEVEL_INFO, "the guest reboots");
	tpm_rebooted(p->vm);
}

static void power_off(struct part *p)
{
	vm_end(p->vm, WEIGHT_FINAL, CTL_EVENT_POWEROFF, "the guest powered off");
}

static void panic(struct part *p)
{
	if (p->vm->config->on_panic == PANIC_STOP)
		vm_end(p->vm, WEIGHT_FINAL, CTL_EVENT_PANIC, "the guest's kernel panicked");
	else
		tell_guest(p, LOG_LEVEL_WARNING, "the guest's kernel panicked");
}

static void crash(struct part *p)
{
	vm_end(p->vm, WEIGHT_FINAL, CTL_EVENT_CRASH, "the guest crashed: its CPU cannot go on");
}

static const struct {
	enum control_event event;
	unsigned int states; /* of the VM */
	void (*handle)(struct part *vmm);
} events[] = {
	{ CTL_EVENT_RUNNING, VM_STARTING, run },  { CTL_EVENT_POWEROFF, VM_RUNNING, power_off },
	{ CTL_EVENT_REBOOT, VM_RUNNING, reboot }, { CTL_EVENT_PANIC, VM_RUNNING, panic },
	{ CTL_EVENT_CRASH, VM_RUNNING, crash },
};

static int on_event(struct part *p, const struct control_msg *m)
{
	if (p->vm->state == VM_ENDING)
		return 0; /* said before it learned of the end */
	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		if (events[i].event != m->number || !(events[i].states & p->vm->state))
			continue;
		p->vm->event = events[i].event;
		events[i].handle(p);
		return 0;
	}
	return -EBADMSG;
}

static const struct {
	enum control_type type;
	unsigned int kinds;
	unsigned int states; /* of the part */
	int (*handle)(struct part *p, const struct control_msg *m);
} requests[] = {
	{ CTL_READY, PART_ANY, PART_STARTING, on_ready },
	{ CTL_LOG, PART_ANY, PART_STARTING | PART_READY | PART_SPENT, on_log },
	{ CTL_EVENT, PART_VMM, PART_READY, on_event },
	{ CTL_DENIED, PART_ANY, PART_STARTING | PART_READY, on_denied },
	{ CTL_FAILED, PART_ANY, PART_STARTING | PART_READY, on_failed },
	{ CTL_BUSY, PART_ANY & ~PART_VMM, PART_READY, on_busy },
	{ CTL_LOST, PART_VMM, PART_READY, on_lost },
	{ CTL_FOUND, PART_VMM, PART_READY, on_found },
	{ CTL_AWAY, PART_DEVICE, PART_READY, pause_on_away },
	{ CTL_BACK, PART_DEVICE, PART_READY, pause_on_back },
	{ CTL_PLUGGED, PART_VMM, PART_READY, plug_on_plugged },
	{ CTL_NOT_PLUGGED, PART_VMM, PART_READY, plug_on_not_plugged },
	{ CTL_UNPLUGGED, PART_VMM, PART_READY, plug_on_unplugged },
	{ CTL_CONFIG_CHANGED, PART_CONSOLE, PART_READY, size_on_taken },
	{ CTL_CONFIG_CHANGED, PART_DEVICE, PART_READY, link_on_taken },
	{ CTL_ANNOUNCED, PART_DEVICE, PART_READY, link_on_announced },
	{ CTL_TPM, PART_DEVICE, PART_READY, tpm_on_quiet },
};

static int dispatch(struct part *p, const struct control_msg *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
		if (requests[i].type == m->type && requests[i].kinds & p->kind &&
		    requests[i].states & p->state)
			return requests[i].handle(p, m);
	return -EBADMSG;
}

/* One message. False when there is none, or no peer. */
static bool take_message(struct part *p)
{
	struct control_msg m;
	_cleanup_(closep) int fd = -1;
	int r;

	if (p->control < 0)
		return false;
	r = control_recv(p->control, &m, &fd);
	if (r == -EAGAIN)
		return false;
	if (r > 0)
		r = dispatch(p, &m);
	else if (r == 0) {
		p->left = !p->killed; /* its end is said by its pidfd */
		close_control(p);
	}
	if (r < 0) {
		close_control(p);
		part_lose(p, WEIGHT_SIGNAL, "%s broke the control protocol", p->name);
		part_kill(p);
	}
	return r >= 0 && p->control >= 0;
}

static int on_control(struct loop_source *src, uint32_t events_mask)
{
	struct part *p = src->owner;

	if (events_mask & EPOLLOUT) {
		(void)!loop_set(&p->vm->loop, src, EPOLLIN);
		size_step(p->vm);
		link_step(p->vm);
		tpm_step(p->vm);
	}
	take_message(p);
	return 0;
}

/* ---- how they die ---- */

/* By whom: the kernel says it where the VM has a control group. */
static void judge_kill(struct part *p)
{
	const char *whom =
		", by another program, or by the kernel if memory ran out: its log says so";

	switch (cgroup_ran_out(p->vm->memory_events)) {
	case CGROUP_WANT_LIMIT:
		vm_end(p->vm, WEIGHT_SIGNAL, CTL_EVENT_FAILED,
		       "the VM went over its memory limit: the kernel has ended it");
		return;
	case CGROUP_WANT_HOST:
		vm_end(p->vm, WEIGHT_SIGNAL, CTL_EVENT_FAILED,
		       "%s was killed by the kernel: memory ran out, of the host or of a control "
		       "group around the VM",
		       p->name);
		return;
	case CGROUP_WANT_NONE:
		whom = ", by another program";
		break;
	case CGROUP_WANT_UNKNOWN:
		break;
	}
	p->again.outside = true;
	part_lose(p, WEIGHT_SIGNAL, "%s was killed by signal KILL (9)%s", p->name, whom);
}

static void judge(struct part *p, int status)
{
	const char *name;

	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
		if (!p->killed)
			judge_kill(p);
	} else if (WIFSIGNALED(status)) {
		name = sigabbrev_np(WTERMSIG(status));
		part_lose(p, WEIGHT_SIGNAL, "%s was killed by signal %s (%d)", p->name,
			  name ? name : "?", WTERMSIG(status));
	} else if (p->vm->state != VM_ENDING) {
		p->again.by_itself = true;
		part_lose(p, WEIGHT_EXIT, "%s ended by itself with status %d", p->name,
			  WEXITSTATUS(status));
	}
}

static void hear(struct part *p)
{
	for (int i = 0; p && i < LAST_WORDS_MAX && take_message(p); i++)
		;
}

/* Its descriptor tells again once the status is there. */
static void await_status(struct part *p)
{
	p->over = true;
	if (p->vm->state != VM_ENDING && !p->spare && !restart_can(p))
		vm_end(p->vm, WEIGHT_EXIT, CTL_EVENT_FAILED, "%s has ended while it was traced",
		       p->name);
}

static int on_exit_of(struct loop_source *src, uint32_t events_mask)
{
	struct part *p = src->owner;
	int status = 0, r;

	(void)events_mask;
	/* a device that ends after its vmm may be noticed before it */
	if (p->kind != PART_VMM)
		hear(vm_part(p->vm, PART_VMM));
	hear(p);
	r = jail_reap(&p->process, &status);
	if (r == 0) {
		await_status(p);
		return 0;
	}
	loop_remove(&p->vm->loop, &p->exit_src);
	jail_forget(&p->process);
	close_control(p);
	p->state = PART_GONE;
	p->away[0] = '\0';
	if (resize_ended(p, r < 0 ? 0 : status)) {
		vm_end_step(p->vm);
		return 0;
	}
	judge(p, r < 0 ? 0 : status);
	if (p->again.is_lost && restart_can(p))
		restart_begin(p);
	else if (p->spare)
		plug_ended(p);
	vm_end_step(p->vm);
	return 0;
}

int part_watch_end(struct part *p)
{
	return loop_add(&p->vm->loop, &p->exit_src, p->process.pidfd, EPOLLIN | EPOLLET, on_exit_of,
			p);
}

int part_watch(struct part *p)
{
	int r = loop_add(&p->vm->loop, &p->control_src, p->control, EPOLLIN, on_control, p);

	p->lines = (struct part_lines){ .left = LINES_BURST, .since = monotonic_s() };
	return r < 0 ? r : part_watch_end(p);
}
