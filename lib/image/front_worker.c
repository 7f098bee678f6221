/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that calls the volume; see front.h. */
#include "lib/image/front_internal.h"

#include "lib/base/cleanup.h"
#include "lib/image/iov.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define STACK (256U << 10)
#define GROUP 32U /* jobs whose metadata is written at once */

static void count_one(int fd)
{
	const uint64_t one = 1;

	(void)!write(fd, &one, sizeof(one));
}

static bool wait_for_one(int fd)
{
	uint64_t n;
	ssize_t r;

	do
		r = read(fd, &n, sizeof(n));
	while (r < 0 && errno == EINTR);
	return r == sizeof(n);
}

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
	bool changed = false;
	uint32_t to = from;

	while (to != asked && to - from < GROUP)
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
	count_one(w->done_fd);
	if (w->result < 0)
		return NULL;
	while (wait_for_one(w->ask_fd)) {
		uint32_t asked = atomic_load(&w->asked);

		if (atomic_load(&w->ending))
			break;
		while (n != asked) {
			n = run_group(f, n, asked);
			atomic_store(&w->done, n);
			count_one(w->done_fd);
		}
	}
	return NULL;
}

static int start_thread(struct front *f)
{
	pthread_attr_t attr;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	r = pthread_create(&f->worker.thread, &attr, run, f);
	pthread_attr_destroy(&attr);
	return -r;
}

static int await(struct front_worker *w)
{
	struct pollfd done = { .fd = w->done_fd, .events = POLLIN };

	while (ppoll(&done, 1, NULL, NULL) < 0)
		if (errno != EINTR)
			return -errno;
	return wait_for_one(w->done_fd) ? 0 : -EIO;
}

int front_worker_start(struct front *f)
{
	struct front_worker *w = &f->worker;
	int r = 0;

	w->ask_fd = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE); /* as the launcher lets it */
	w->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->ask_fd < 0 || w->done_fd < 0)
		r = -errno;
	if (r == 0)
		r = start_thread(f);
	if (r < 0) {
		closep(&w->ask_fd);
		closep(&w->done_fd);
		return r;
	}
	r = await(w);
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
	count_one(f->worker.ask_fd);
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
	count_one(f->worker.ask_fd);
}

bool front_worker_take(struct front *f, uint16_t *ret_job)
{
	uint64_t count;

	if (f->taken == atomic_load(&f->worker.done))
		(void)!read(f->worker.done_fd, &count, sizeof(count));
	if (f->taken == atomic_load(&f->worker.done))
		return false;
	*ret_job = f->worker.job[f->taken++ % (2 * FRONT_DEPTH)];
	return true;
}

int front_worker_do(struct front *f, uint16_t job)
{
	uint16_t done;
	int r = 0;

	front_worker_add(f, job);
	front_worker_wake(f);
	while (r == 0 && !front_worker_take(f, &done)) {
		r = await(&f->worker);
	}
	return r < 0 ? r : f->worker.result;
}
