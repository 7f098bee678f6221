/* SPDX-License-Identifier: Apache-2.0 */
/* Devices that have died are started again by the launcher; see vm.h. */
#include "cmd/supervisor/vm.h"

#include "cmd/supervisor/clock.h"
#include "cmd/supervisor/plug.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

/* So many crashes at once, and one more a minute, before the VM ends of them. Who kills a device from outside
 * is not bounded here, but by the launcher. */
#define CRASHES 5U
#define CRASH_NS (60ULL * 1000 * 1000 * 1000)
/* A device that lives so long after its start is started again at once, and others the later the oftener. */
#define HEALTHY_MS 1000U
#define DELAY_FIRST_MS 50U
#define DELAY_MAX_MS 3200U
/* One that ended by itself may have done so because its vmm has, whose end is then on its way. */
#define DELAY_EXIT_MS 50U
#define DELAY_REFUSED_MS 1000U
/* One whose channel to the vmm has ended is about to end, too: how it did is of interest. */
#define HUNG_MS 1000U
/* For a device that was attached to end when its guest has let go of it. */
#define LEAVE_MS 10000U

static bool has_launcher(const struct vm *vm)
{
	return vm->launcher.sock >= 0;
}

bool restart_can(const struct part *p)
{
	if (p->device && (p->device->dials || p->device->opens) && !p->spare &&
	    p->vm->dialer.pidfd < 0)
		return false; /* a new one would find nobody to connect it, or to open what it needs */
	return p->device && p->device->restartable && p->vm->state == VM_RUNNING &&
	       has_launcher(p->vm) && (!p->spare || plug_is_there(p));
}

/* The VM ends of it, unless it is one that was attached. */
static void lose_for_good(struct part *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void lose_for_good(struct part *p, const char *fmt, ...)
{
	char text[CTL_TEXT_MAX + 1];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	p->state = PART_GONE;
	resize_lost(p, text);
	link_lost(p, text);
	if (!p->spare || p->vm->state != VM_RUNNING) {
		vm_end(p->vm, WEIGHT_SIGNAL, CTL_EVENT_FAILED, "%s", text);
		return;
	}
	plug_lose(p, text);
	plug_ended(p);
}

/* ---- when ---- */

/* When there is something to be done about a part; 0: at no time. */
static uint64_t due(const struct part *p)
{
	if (p->state == PART_AWAY)
		return p->again.due_ms;
	return p->state & (PART_READY | PART_SPENT) ? p->again.hung_ms : 0;
}

/* For what is due first: a part, or the user's command that has one. */
static void set_timer(struct vm *vm)
{
	const uint64_t now = monotonic_ms();
	struct itimerspec t = { 0 };
	uint64_t wait = UINT64_MAX;

	for (size_t i = 0; i <= vm->n_parts; i++) {
		uint64_t at = i < vm->n_parts ? due(&vm->parts[i]) : resize_due(vm);
		uint64_t left = at > now ? at - now : 1;

		if (at && left < wait)
			wait = left;
	}
	if (wait == UINT64_MAX)
		return;
	t.it_value.tv_sec = (time_t)(wait / 1000);
	t.it_value.tv_nsec = (long)(wait % 1000) * 1000000;
	(void)timerfd_settime(vm->restarts.fd, 0, &t, NULL);
}

void restart_remind(struct vm *vm)
{
	set_timer(vm);
}

static void ask(struct part *p)
{
	const struct ask a = { .what = p->again.larger ? ASK_LARGER : ASK_AGAIN,
			       .part = (uint8_t)(p - p->vm->parts) };

	if (launcher_ask(&p->vm->launcher, &a, -1) == 0)
		p->state = PART_ASKED;
	else
		lose_for_good(p, "%s; it is not started again: the launcher does not listen",
			      p->again.lost);
}

static void plan(struct part *p, uint64_t delay_ms)
{
	p->state = PART_AWAY;
	p->again.due_ms = monotonic_ms() + delay_ms;
	if (delay_ms == 0)
		ask(p);
	else
		set_timer(p->vm);
}

void restart_now(struct part *p)
{
	p->again.n_asked++;
	plan(p, 0);
}

/* It lives, but nobody can speak with it. */
static void give_up(struct part *p)
{
	p->again.hung_ms = 0;
	part_lose(p, WEIGHT_SIGNAL,
		  resize_has(p) ? "%s did not finish its requests" :
				  "%s ended its channel to the vmm",
		  p->name);
	part_kill(p);
}

void restart_hung(struct part *p)
{
	if (p->state != PART_READY)
		return;
	p->again.hung_ms = monotonic_ms() + HUNG_MS;
	set_timer(p->vm);
}

void restart_await_end(struct part *p)
{
	p->again.hung_ms = monotonic_ms() + LEAVE_MS;
	set_timer(p->vm);
}

void restart_served(struct part *p)
{
	p->again.hung_ms = 0;
	resize_served(p);
}

static void carry_on(struct part *p)
{
	if (p->state == PART_AWAY)
		ask(p);
	else
		give_up(p);
}

static int on_timer(struct loop_source *src, uint32_t events)
{
	struct vm *vm = src->owner;
	uint64_t times, now = monotonic_ms();

	(void)events;
	(void)!read(src->fd, &times, sizeof(times));
	for (size_t i = 0; i < vm->n_parts && vm->state == VM_RUNNING; i++)
		if (due(&vm->parts[i]) && due(&vm->parts[i]) <= now)
			carry_on(&vm->parts[i]);
	if (vm->state == VM_RUNNING)
		resize_take_back(vm);
	set_timer(vm);
	return 0;
}

/* ---- whether ---- */

static uint64_t next_delay(struct part_again *a)
{
	bool healthy = a->ready && monotonic_ms() - a->ready_ms >= HEALTHY_MS;
	uint64_t least = a->by_itself ? DELAY_EXIT_MS : 0;

	if (healthy)
		a->delay_ms = 0;
	else if (a->delay_ms == 0)
		a->delay_ms = DELAY_FIRST_MS;
	else if (a->delay_ms < DELAY_MAX_MS)
		a->delay_ms *= 2;
	return a->delay_ms > least ? a->delay_ms : least;
}

void restart_retry(struct part *p)
{
	struct part_again *a = &p->again;

	if (p->state != PART_AWAY || a->due_ms || resize_has(p))
		return;
	a->crashes = bucket_full(CRASHES, CRASH_NS, monotonic_ns());
	a->delay_ms = 0;
	restart_now(p);
}

void restart_begin(struct part *p)
{
	struct part_again *a = &p->again;

	/* killed from outside while it served: nothing that a guest could repeat; the launcher's bounds hold */
	bool innocent = a->outside && a->ready;

	if (!innocent && !bucket_take(&a->crashes, monotonic_ns())) {
		if (!p->spare && pause_begin(p, a->lost)) {
			resize_lost(p, a->lost);
			pause_part(p);
			return;
		}
		lose_for_good(p, "%s; it was started again %u times, and is not once more", a->lost,
			      a->n_asked);
		return;
	}
	a->n_asked++;
	a->hung_ms = 0;
	plan(p, innocent ? 0 : next_delay(a));
	a->ready = a->outside = a->by_itself = a->is_lost = false;
}

void restart_stop(struct vm *vm)
{
	for (size_t i = 0; i < vm->n_parts; i++)
		if (vm->parts[i].state == PART_AWAY)
			vm->parts[i].state = PART_GONE;
}

/* ---- the launcher's answers ---- */

static void close_channels(struct part_again *a)
{
	fds_close(a->channels, LAUNCHER_MAX_CHANNELS);
}

/* Takes the descriptors over. */
static int adopt(struct part *p, const int *fds, size_t n)
{
	struct part_again *a = &p->again;

	if (n != 2 + a->n_channels)
		return -EBADMSG;
	close_channels(a);
	memcpy(a->channels, fds + 2, a->n_channels * sizeof(fds[0]));
	p->process = (struct jail_process){ .pidfd = fds[0], .status_fd = -1 };
	p->control = fds[1];
	p->state = PART_STARTING;
	a->larger = a->waits = false;
	p->killed = p->left = p->over = p->progressed = false;
	p->busy = 0;
	if (part_watch(p) < 0)
		vm_end(p->vm, WEIGHT_EXIT, CTL_EVENT_FAILED, "%s cannot be watched", p->name);
	pair_began(p);
	if (p->vm->state == VM_ENDING || plug_is(p, PLUG_ENDING))
		part_kill(p);
	return 0;
}

/* What has ended is reaped as any part. */
static int bury(struct part *p, const struct answer *a, const int *fds, size_t n)
{
	const char *reason = strerrordesc_np(-a->reason);
	char text[CTL_TEXT_MAX + 1];

	snprintf(text, sizeof(text), "%s cannot be started%s: %s: %s", p->name,
		 plug_is(p, PLUG_STARTING) ? "" : " again", a->text, reason ? reason : "failed");
	memcpy(p->again.lost, text, sizeof(text));
	p->again.is_lost = true;
	p->again.larger = false; /* the launcher knows */
	if (n == 0) {
		p->state = PART_GONE;
		if (restart_can(p))
			restart_begin(p);
		else if (p->spare)
			plug_ended(p);
		return 0;
	}
	p->process = (struct jail_process){ .pidfd = fds[0], .status_fd = -1 };
	p->state = PART_SPENT;
	p->killed = true;
	p->over = false;
	return part_watch_end(p);
}

/* The supervisor has checked its options; what came with them is out of its sight. */
static int refuse_new(struct part *p, const struct answer *a)
{
	if (a->reason == BOUNDS_NO_FILE)
		plug_refused(p, plug_no_file(p));
	else if (a->reason == BOUNDS_TOO_OFTEN)
		plug_refused(p, "devices were started too often lately: try again in a second");
	else if (a->reason == BOUNDS_CHANGING)
		plug_refused(p, "another program changes its image");
	else
		return -EBADMSG;
	return 0;
}

/* There is no process, and there will be none. */
static void end_away(struct part *p)
{
	p->state = PART_GONE;
	if (p->spare)
		plug_ended(p);
}

static int refuse(struct part *p, const struct answer *a)
{
	if (plug_is(p, PLUG_STARTING) || (plug_is(p, PLUG_ENDING) && !p->again.n_asked))
		return refuse_new(p, a); /* it may end because what is behind it was refused */
	if (a->reason != BOUNDS_TOO_OFTEN && a->reason != BOUNDS_CHANGING)
		return -EBADMSG;
	if (p->vm->state == VM_ENDING || plug_is(p, PLUG_ENDING)) {
		end_away(p);
		return 0;
	}
	if (a->reason == BOUNDS_CHANGING)
		resize_hold(p);
	plan(p, DELAY_REFUSED_MS);
	return 0;
}

static int take_answer(struct vm *vm, const struct answer *a, const int *fds, size_t n)
{
	struct part *p = a->part < vm->n_parts ? &vm->parts[a->part] : NULL;

	if (a->result == ANSWER_FOUND || a->result == ANSWER_UNFOUND)
		return resize_on_found(vm, a);
	if (p && a->result == ANSWER_FORGOTTEN)
		return plug_forgotten(p);
	if (!p || p->state != PART_ASKED)
		return -EBADMSG;
	switch (a->result) {
	case ANSWER_FOUND:
	case ANSWER_UNFOUND:
	case ANSWER_FORGOTTEN:
	case ANSWER_STARTED:
		return adopt(p, fds, n);
	case ANSWER_FAILED:
		return bury(p, a, fds, n);
	case ANSWER_REFUSED:
		break;
	}
	return refuse(p, a);
}

/* The VM goes on without, as long as none of its devices dies. */
static void lose_launcher(struct vm *vm, const char *how)
{
	char line[96];

	loop_remove(&vm->loop, &vm->answers);
	loop_remove(&vm->loop, &vm->launcher_exit);
	launcher_end(&vm->launcher);
	if (vm->state != VM_ENDING) {
		snprintf(line, sizeof(line), "the launcher %s: a device that dies ends the VM",
			 how);
		tell(vm, NULL, LOG_LEVEL_WARNING, line);
	}
	resize_alone(vm);
	for (size_t i = 0; i < vm->n_parts; i++) {
		struct part *p = &vm->parts[i];

		plug_alone(p);
		if (p->state != PART_ASKED && p->state != PART_AWAY)
			continue;
		if (plug_is(p, PLUG_STARTING))
			lose_for_good(p, "%s is not started: the launcher %s", p->name, how);
		else
			lose_for_good(p, "%s; it is not started again: the launcher %s",
				      p->again.lost, how);
	}
	vm_end_step(vm);
}

void restart_abandon(struct vm *vm)
{
	bool asked = false;

	for (size_t i = 0; i < vm->n_parts; i++)
		asked |= vm->parts[i].state == PART_ASKED;
	if (asked)
		lose_launcher(vm, "does not answer");
}

static int on_answer(struct loop_source *src, uint32_t events)
{
	struct vm *vm = src->owner;
	int fds[ANSWER_MAX_FDS];
	size_t n = 0;
	struct answer a;
	int r = launcher_hear(&vm->launcher, &a, fds, &n);

	(void)events;
	if (r == -EAGAIN)
		return 0;
	if (r == 0) {
		loop_remove(&vm->loop, src); /* its end is said by its pidfd */
		return 0;
	}
	if (r > 0)
		r = take_answer(vm, &a, fds, n);
	if (r < 0) {
		fds_close(fds, n);
		lose_launcher(vm, "broke its protocol");
		return 0;
	}
	vm_end_step(vm);
	return 0;
}

static int on_launcher_exit(struct loop_source *src, uint32_t events)
{
	(void)events;
	lose_launcher(src->owner, "has ended");
	return 0;
}

/* ---- one that is back ---- */

static int give_channel(struct part *p, size_t i)
{
	const struct part *vmm = vm_part(p->vm, PART_VMM);
	const struct control_msg m = { .type = CTL_CHANNEL, .number = p->again.numbers[i] };

	return p->again.peer[i] ? 0 : tell_peer(vmm->control, &m, p->again.channels[i]);
}

static int give_channels(struct part *p)
{
	int r = 0;

	pair_ready(p);
	for (size_t i = 0; i < p->again.n_channels && r == 0; i++)
		r = give_channel(p, i);
	close_channels(&p->again);
	return r;
}

static int give_stream(struct part *p)
{
	const struct control_msg m = { .type = CTL_CONSOLE };

	return p->kind == PART_CONSOLE && p->vm->stream >= 0 ?
		       tell_peer(p->control, &m, p->vm->stream) :
		       0;
}

void restart_ready(struct part *p)
{
	struct part_again *a = &p->again;
	char line[CTL_TEXT_MAX + 1];
	bool again = a->n_channels ? a->channels[0] >= 0 : *a->lost;

	a->ready = true;
	a->ready_ms = monotonic_ms();
	if (p->spare && plug_ready(p))
		return;
	if (!again || p->vm->state != VM_RUNNING)
		return;
	if (give_stream(p) < 0 || give_channels(p) < 0) {
		part_lose(p, WEIGHT_SIGNAL, "%s cannot be given its channels", p->name);
		part_kill(p);
		return;
	}
	if (resize_has(p)) { /* nothing has gone wrong */
		a->lost[0] = '\0';
		pause_step(p->vm);
		return;
	}
	a->n++;
	snprintf(line, sizeof(line), "%.*s; started again", (int)sizeof(line) - 20, a->lost);
	a->lost[0] = '\0';
	tell(p->vm, NULL, LOG_LEVEL_WARNING, line);
	pause_step(p->vm);
}

void restart_init(struct part *p)
{
	p->again = (struct part_again){ .crashes = bucket_full(CRASHES, CRASH_NS, monotonic_ns()),
					.channels = { -1, -1 } };
}

int restart_watch(struct vm *vm)
{
	struct loop *l = &vm->loop;
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	int r = fd < 0 ? -errno : loop_add(l, &vm->restarts, fd, EPOLLIN, on_timer, vm);

	if (r == 0)
		r = loop_add(l, &vm->answers, vm->launcher.sock, EPOLLIN, on_answer, vm);
	return r < 0 ? r :
		       loop_add(l, &vm->launcher_exit, vm->launcher.process.pidfd, EPOLLIN,
				on_launcher_exit, vm);
}
