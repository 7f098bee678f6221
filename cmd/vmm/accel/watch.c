/* SPDX-License-Identifier: Apache-2.0 */
/* Writes to shared eventfds that a timer ends; see watch.h. */
#include "cmd/vmm/accel/watch.h"

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#define PERIOD_NS 1000000

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static void set(const struct watch *w, long period_ns)
{
	const struct itimerspec every = { { 0, period_ns }, { 0, period_ns } };

	timer_settime(w->timer, 0, &every, NULL);
}

int watch_open(struct watch *w, int sig, void (*handler)(int))
{
	struct sigaction sa = { .sa_handler = handler }; /* no SA_RESTART: it ends what waits */
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = sig };

	ev.sigev_notify_thread_id = gettid();
	if (sigaction(sig, &sa, NULL) < 0 || timer_create(CLOCK_MONOTONIC, &ev, &w->timer) < 0)
		return -errno;
	w->ready = 1;
	return 0;
}

void watch_expired(struct watch *w)
{
	int error = errno;

	if (!w->writing && w->armed) {
		w->armed = 0;
		set(w, 0);
	}
	errno = error;
}

/* From `writing` on the timer goes on, also where a signal comes before the write has begun. */
void watch_count(struct watch *w, int eventfd)
{
	const uint64_t one = 1;

	w->writing = 1;
	if (w->ready && !w->armed) {
		w->armed = 1;
		set(w, PERIOD_NS);
	}
	(void)!write(eventfd, &one, sizeof(one));
	w->writing = 0;
}
