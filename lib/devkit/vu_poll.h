/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to lib/devkit: brief polling. A driver that waits for each request before it makes the next
 * one pays for a notification, and the device for being woken, each time. So before the loop sleeps it
 * looks for a moment at the queues that its spec names (poll_queues), and does not ask for kicks meanwhile.
 *
 * The moment is found by how long kicks were waited for: twice as long after each wait that it would
 * have caught, none after one that was longer than VU_POLL_MAX. A device that loses its CPU while it
 * polls, or whose driver goes on as soon as it sleeps, has taken the CPU from somebody: it does not poll for
 * a while. So an idle guest costs nothing, and a guest at its worst
 * VU_POLL_MAX for each kick, which it could have by one more request.
 *
 * Cycles are those of the time stamp counter: a system call for the time is none that a device has.
 */
#ifndef BULKHEAD_DEVKIT_VU_POLL_H
#define BULKHEAD_DEVKIT_VU_POLL_H

#include <stdbool.h>
#include <stdint.h>

#define VU_POLL_MAX 100000ULL /* cycles: about 30 us */

struct vu_device;

struct vu_poll {
	bool on;	     /* queues that are found empty are polled before the loop sleeps */
	uint64_t window;     /* cycles; 0: none */
	uint64_t since;	     /* when there was nothing left to do; 0: a kick has come */
	unsigned int misses; /* kicks in a row that came right after it had polled for nothing */
	unsigned int rest;   /* kicks to wait for before it polls again */
};

/* Joins the loop of a device whose spec names queues, and leaves it. */
void vu_poll_begin(struct vu_device *d);
void vu_poll_end(struct vu_device *d);
/* A kick of a polled queue has come. */
void vu_poll_kicked(struct vu_device *d);
/* It had been waited for that many cycles. */
void vu_poll_learn(struct vu_poll *p, uint64_t waited);
/* Somebody else had the CPU while it polled. */
void vu_poll_disturbed(struct vu_poll *p);

#endif
