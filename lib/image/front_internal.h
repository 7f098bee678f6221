/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/image: between front.c, front_open.c and front_worker.c. */
#ifndef BULKHEAD_IMAGE_FRONT_INTERNAL_H
#define BULKHEAD_IMAGE_FRONT_INTERNAL_H

#include "lib/image/front.h"

#define FRONT_NONE UINT16_MAX

/* Jobs that are no slot. */
#define FRONT_JOB_OPEN (UINT16_MAX - 1)
#define FRONT_JOB_CLOSE (UINT16_MAX - 2)

/* front.c: empty slots and the operations. */
void front_init(struct front *f);

/* ---- front_worker.c ---- */

/* Starts the thread and waits until it is confined. */
[[nodiscard]] int front_worker_start(struct front *f);
/* Waits for its end. */
void front_worker_join(struct front *f);
/* Has it do what is no request, and waits for it; nothing else is at it. */
[[nodiscard]] int front_worker_do(struct front *f, uint16_t job);
/* A job more; it is begun with the next front_worker_wake. */
static inline void front_worker_add(struct front *f, uint16_t job)
{
	f->worker.job[f->queued++ % (2 * FRONT_DEPTH)] = job;
}
void front_worker_wake(struct front *f);
/* The next job that is done, or false. */
[[nodiscard]] bool front_worker_take(struct front *f, uint16_t *ret_job);

/* Whether a request may change where bytes lie when the worker does it. */
static inline bool front_mutates(const struct front_slot *s)
{
	return !s->sync && s->io.op != IMAGE_READ && s->io.op != IMAGE_FLUSH;
}

#endif
