/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that transfer, flush and punch holes; see workers.h. */
#include "lib/image/workers.h"

#include "lib/base/cleanup.h"
#include "lib/image/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define STACK (128U << 10)

static ssize_t call(int fd, const struct workers_job *j)
{
	switch (j->op) {
	case WORKERS_READ:
		return preadv(fd, j->iov, (int)j->n_iov, (off_t)j->offset);
	case WORKERS_WRITE:
		return pwritev(fd, j->iov, (int)j->n_iov, (off_t)j->offset);
	case WORKERS_SYNC:
		return fdatasync(fd);
	case WORKERS_PUNCH:
		break;
	}
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)j->offset,
			 (off_t)j->len);
}

/* An entry is not written again while its number is still to be begun: there are no more tags. */
static bool begin(struct workers *w, uint16_t *ret_tag)
{
	uint32_t n = atomic_load(&w->begun);

	do {
		if (n == atomic_load(&w->asked))
			return false;
		*ret_tag = w->queue[n % WORKERS_JOBS];
	} while (!atomic_compare_exchange_weak(&w->begun, &n, n + 1));
	return true;
}

static void finish(struct workers *w, uint16_t tag)
{
	uint32_t n = atomic_fetch_add(&w->done, 1);

	atomic_store(&w->finished[n % WORKERS_JOBS], tag + 1U);
	event_count(w->done_fd, 1);
}

static int enter(struct workers *w)
{
	int r = w->enter ? w->enter(w->arg) : 0;

	if (r < 0)
		atomic_store(&w->entered, r);
	event_count(w->done_fd, 1);
	return r;
}

/* Woken without a job, it ends. */
static void *run(void *arg)
{
	struct workers *w = arg;
	uint16_t tag;

	if (enter(w) < 0)
		return NULL;
	while (event_take(w->ask_fd) && begin(w, &tag)) {
		ssize_t r = call(w->file_fd, &w->job[tag]);

		w->job[tag].result = r < 0 ? -errno : (int)r;
		finish(w, tag);
	}
	return NULL;
}

static int start(struct workers *w)
{
	int r = thread_start(&w->thread[w->n_threads], STACK, run, w);

	if (r == 0)
		w->n_threads++;
	return r;
}

static int await_entered(struct workers *w)
{
	struct pollfd done = { .fd = w->done_fd, .events = POLLIN };
	uint64_t n_entered = 0;

	while (n_entered < w->n_threads) {
		if (ppoll(&done, 1, NULL, NULL) < 0 && errno != EINTR)
			return -errno;
		n_entered += event_take(w->done_fd);
	}
	return atomic_load(&w->entered);
}

int workers_open(struct workers *w, unsigned int n, int file_fd, int (*enter_)(void *arg),
		 void *arg)
{
	int r = 0;

	*w = (struct workers){ .file_fd = file_fd, .enter = enter_, .arg = arg };
	w->ask_fd = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
	w->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->ask_fd < 0 || w->done_fd < 0)
		r = -errno;
	while (r == 0 && w->n_threads < n)
		r = start(w);
	if (r == 0)
		r = await_entered(w);
	if (r < 0)
		workers_close(w);
	return r;
}

void workers_close(struct workers *w)
{
	if (w->ask_fd >= 0)
		event_count(w->ask_fd, w->n_threads);
	while (w->n_threads)
		pthread_join(w->thread[--w->n_threads], NULL);
	closep(&w->ask_fd);
	closep(&w->done_fd);
}

void workers_ask(struct workers *w, uint16_t tag, const struct workers_job *job)
{
	uint32_t n = atomic_load(&w->asked);

	w->job[tag] = *job;
	w->queue[n % WORKERS_JOBS] = tag;
	atomic_store(&w->asked, n + 1);
	w->n_unsaid++;
	w->n_unheard++;
}

void workers_wake(struct workers *w)
{
	if (w->n_unsaid)
		event_count(w->ask_fd, w->n_unsaid);
	w->n_unsaid = 0;
}

void workers_hear(struct workers *w)
{
	if (w->n_unheard)
		w->n_unheard -= (uint32_t)event_take(w->done_fd);
}

bool workers_take(struct workers *w, uint16_t *ret_tag, int *ret_result)
{
	_Atomic uint32_t *next = &w->finished[w->taken % WORKERS_JOBS];

	if (!atomic_load(next))
		return false;
	*ret_tag = (uint16_t)(atomic_load(next) - 1);
	*ret_result = w->job[*ret_tag].result;
	atomic_store(next, 0);
	w->taken++;
	return true;
}
