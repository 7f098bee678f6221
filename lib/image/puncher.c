/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that punches holes; see puncher.h. */
#include "lib/image/puncher.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define STACK (128U << 10)

static void count_one(int fd)
{
	const uint64_t one = 1;

	(void)!write(fd, &one, sizeof(one));
}

static bool wait_for_one(int fd)
{
	uint64_t one;
	ssize_t r;

	do
		r = read(fd, &one, sizeof(one));
	while (r < 0 && errno == EINTR);
	return r == sizeof(one);
}

static int punch(int fd, const struct puncher_hole *h)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)h->offset,
			 (off_t)h->len) < 0 ?
		       -errno :
		       0;
}

/* Woken without having been asked for a hole, it ends. */
static void *run(void *arg)
{
	struct puncher *p = arg;
	uint32_t n = 0;

	p->entered = p->enter ? p->enter(p->arg) : 0;
	count_one(p->done_fd);
	if (p->entered < 0)
		return NULL;
	while (wait_for_one(p->ask_fd) && n != atomic_load(&p->asked)) {
		struct puncher_hole *h = &p->hole[n % PUNCHER_MAX];

		h->result = punch(p->file_fd, h);
		atomic_store(&p->done, ++n);
		count_one(p->done_fd);
	}
	return NULL;
}

static int start(struct puncher *p)
{
	pthread_attr_t attr;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	r = pthread_create(&p->thread, &attr, run, p);
	pthread_attr_destroy(&attr);
	return -r;
}

static int await_entered(struct puncher *p)
{
	struct pollfd done = { .fd = p->done_fd, .events = POLLIN };

	while (ppoll(&done, 1, NULL, NULL) < 0)
		if (errno != EINTR)
			return -errno;
	return wait_for_one(p->done_fd) ? p->entered : -EIO;
}

static void close_events(struct puncher *p)
{
	closep(&p->ask_fd);
	closep(&p->done_fd);
}

int puncher_open(struct puncher *p, int file_fd, int (*enter)(void *arg), void *arg)
{
	int r = 0;

	*p = (struct puncher){ .file_fd = file_fd, .enter = enter, .arg = arg };
	p->ask_fd = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
	p->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->ask_fd < 0 || p->done_fd < 0)
		r = -errno;
	if (r == 0)
		r = start(p);
	if (r < 0) {
		close_events(p);
		return r;
	}
	r = await_entered(p);
	if (r < 0)
		puncher_close(p);
	return r;
}

void puncher_close(struct puncher *p)
{
	if (p->ask_fd < 0)
		return;
	count_one(p->ask_fd);
	pthread_join(p->thread, NULL);
	close_events(p);
}

void puncher_ask(struct puncher *p, uint64_t offset, uint64_t len, uint16_t tag)
{
	uint32_t n = atomic_load(&p->asked);

	p->hole[n % PUNCHER_MAX] =
		(struct puncher_hole){ .offset = offset, .len = len, .tag = tag };
	atomic_store(&p->asked, n + 1);
	count_one(p->ask_fd);
}

bool puncher_take(struct puncher *p, uint16_t *ret_tag, int *ret_result)
{
	const struct puncher_hole *h = &p->hole[p->taken % PUNCHER_MAX];
	uint64_t count;

	if (p->taken == atomic_load(&p->done))
		(void)!read(p->done_fd, &count, sizeof(count));
	if (p->taken == atomic_load(&p->done))
		return false;
	*ret_tag = h->tag;
	*ret_result = h->result;
	p->taken++;
	return true;
}
