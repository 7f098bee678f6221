/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that calls the volume; see front.h. */
#include "lib/image/front_internal.h"

#include "lib/base/cleanup.h"
#include "lib/image/iov.h"
#include "lib/image/thread.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define STACK (256U << 10)
#define GROUP 32U	   /* jobs whose metadata is written at once */
#define GROUP_OF_COPIES 8U /* that copy clusters, and take longer: the guest goes on meanwhile */

/* ---- one job ---- */

static int transfer(struct volume *v, const struct image_io *io, const struct iovec *iov, size_t n,
		    uint64_t at)
{
	return io->op == IMAGE_READ ? volume_readv(v, iov, n, io->offset + at) :
				      volume_writev(v, iov, n, io->offset + at);
}

/* The rest of a request of which the ring has done `at` bytes. */
static int transfer_rest(struct volume *v, const struct image_io *io, uint64_t at)
{
	struct iovec window[FRONT_PIECES];
	int r = 0;

	if (at == 0)
		return transfer(v, io, io->iov, io->n_iov, 0);
	while (r == 0 && at < io->len) {
		uint64_t len = io->len - at;
		size_t n = iov_window(io->iov, io->n_iov, at, &len, window, FRONT_PIECES);

		r = transfer(v, io, window, n, at);
		at += len;
	}
	return r;
}

static int run_request(struct volume *v, const struct front_slot *s)
{
	const struct image_io *io = &s->io;

	if (s->sync)
		return volume_flush(v);
	switch (io->op) {
	case IMAGE_READ:
	case IMAGE_WRITE:
		return transfer_rest(v, io, s->at);
	case IMAGE_FLUSH:
		return volume_flush(v);
	case IMAGE_DISCARD:
		return volume_discard(v, io->offset, io->len);
	case IMAGE_ZERO:
		break;
	}
	return volume_zero(v, io->offset, io->len, io->may_unmap);
}

static int run_own(struct front *f, uint16_t job)
{
	struct front_worker *w = &f->worker;
	int r;

	if (job == FRONT_JOB_OPEN)
		return f->setup.open(f->setup.arg, &w->volume, &w->error);
	r = w->volume ? volume_flush(w->volume) : 0;
	volume_close(w->volume);
	w->volume = NULL;
	return r;
}

/* Returns whether metadata may have changed. */
static bool run_job(struct front *f, uint16_t job)
{
	struct front_slot *s;

	if (job >= FRONT_DEPTH) {
		f->worker.result = run_own(f, job);
		return false;
	}
	s = &f->slot[job];
	s->result = run_request(f->worker.volume, s);
	return front_mutates(s);
}

/* What the guest is told has left this process: the one after it goes on from the files. */
static void settle(struct front *f, uint32_t from, uint32_t to)
{
	int r = volume_settle(f->worker.volume);

	for (uint32_t n = from; r < 0 && n != to; n++) {
		uint16_t job = f->worker.job[n % (2 * FRONT_DEPTH)];
		struct front_slot *s = job < FRONT_DEPTH ? &f->slot[job] : NULL;

		if (s && front_mutates(s) && s->result == 0)
			s->result = r;
	}
}

static uint32_t run_group(struct front *f, uint32_t from, uint32_t asked)
{
	const uint32_t group = f->worker.volume && f->worker.volume->backing ? GROUP_OF_COPIES :
									       GROUP;
	bool changed = false;
	uint32_t to = from;

	while (to != asked && to - from < group)
		changed |= run_job(f, f->worker.job[to++ % (2 * FRONT_DEPTH)]);
	if (changed)
		settle(f, from, to);
	return to;
}

/* ---- the thread ---- */

static void *run(void *arg)
{
	struct front *f = arg;
	struct front_worker *w = &f->worker;
	uint32_t n = 0;

	w->result = f->setup.confine ? f->setup.confine(f->setup.arg) : 0;
	event_count(w->done_fd, 1);
	if (w->result < 0)
		return NULL;
	while (event_take(w->ask_fd)) {
		uint32_t asked = atomic_load(&w->asked);

		if (atomic_load(&w->ending))
			break;
		while (n != asked) {
			uint32_t first = n;

			n = run_group(f, first, asked);
			atomic_store(&w->done, n);
			event_count(w->done_fd, n - first);
		}
	}
	return NULL;
}

/* What done_fd has counted, at least one; or an error. */
static int await(struct front_worker *w, uint32_t *ret_n)
{
	struct pollfd done = { .fd = w->done_fd, .events = POLLIN };

	while (ppoll(&done, 1, NULL, NULL) < 0)
		if (errno != EINTR)
			return -errno;
	*ret_n = (uint32_t)event_take(w->done_fd);
	return *ret_n ? 0 : -EIO;
}

int front_worker_start(struct front *f)
{
	struct front_worker *w = &f->worker;
	uint32_t confined;
	int r = 0;

	w->ask_fd = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE); /* as the launcher lets it */
	w->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->ask_fd < 0 || w->done_fd < 0)
		r = -errno;
	if (r == 0)
		r = thread_start(&w->thread, STACK, run, f);
	if (r < 0) {
		closep(&w->ask_fd);
		closep(&w->done_fd);
		return r;
	}
	r = await(w, &confined);
	if (r == 0)
		r = w->result;
	if (r < 0)
		front_worker_join(f);
	return r;
}

void front_worker_join(struct front *f)
{
	if (f->worker.ask_fd < 0)
		return;
	atomic_store(&f->worker.ending, true);
	event_count(f->worker.ask_fd, 1);
	pthread_join(f->worker.thread, NULL);
	closep(&f->worker.ask_fd);
	closep(&f->worker.done_fd);
}

/* ---- the main thread's side ---- */

void front_worker_wake(struct front *f)
{
	if (f->queued == atomic_load(&f->worker.asked))
		return;
	atomic_store(&f->worker.asked, f->queued);
	event_count(f->worker.ask_fd, 1);
}

bool front_worker_take(struct front *f, uint16_t *ret_job)
{
	if (f->taken == atomic_load(&f->worker.done)) {
		if (f->heard != f->queued)
			f->heard += (uint32_t)event_take(f->worker.done_fd);
		if (f->taken == atomic_load(&f->worker.done))
			return false;
	}
	*ret_job = f->worker.job[f->taken++ % (2 * FRONT_DEPTH)];
	return true;
}

int front_worker_do(struct front *f, uint16_t job)
{
	uint32_t n = 0;
	uint16_t done;
	int r = 0;

	front_worker_add(f, job);
	front_worker_wake(f);
	while (r == 0 && !front_worker_take(f, &done)) {
		r = await(&f->worker, &n);
		f->heard += n;
	}
	return r < 0 ? r : f->worker.result;
}
