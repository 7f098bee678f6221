/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting an event of an eventfd that a device shares, without waiting for whoever fills it. An
 * eventfd takes no RWF_NOWAIT for writes, and O_NONBLOCK belongs to everybody who has it: so a timer
 * signals the writing thread again and again until the write is over. It is armed at most once a
 * period, however many events are counted.
 */
#ifndef BULKHEAD_VMM_ACCEL_WATCH_H
#define BULKHEAD_VMM_ACCEL_WATCH_H

#include <signal.h>
#include <time.h>

/* One per thread, and only that thread's. All zeroes: nothing watches, writes may wait. */
struct watch {
	timer_t timer;
	volatile sig_atomic_t ready, armed, writing;
};

/* Makes the calling thread's timer, whose signal's handler must call watch_expired. */
[[nodiscard]] int watch_open(struct watch *w, int sig, void (*handler)(int));
void watch_expired(struct watch *w);
/* Two periods at most. A counter that stays full is an event already. */
void watch_count(struct watch *w, int eventfd);

#endif
