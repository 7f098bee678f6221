/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that work pieces of a disk off; see pool.h. */
#include "cmd/image-tool/pool.h"

#include "cmd/image-tool/policy.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define STACK (256U << 10)

/* POOL_PARTS is a power of two: many grows when their number is one. */
_Static_assert((POOL_PARTS & (POOL_PARTS - 1)) == 0, "enlarge");

static unsigned int count_cpus(void)
{
	cpu_set_t set;
	unsigned int n;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	n = (unsigned int)CPU_COUNT(&set);
	return n < 1 ? 1 : n > 8 ? 8 : n;
}

/* ---- tasks ---- */

void pool_task_init(struct pool_task *t, uint64_t offset)
{
	t->offset = offset;
	t->len = 0;
	t->n_parts = 0;
	t->many = NULL;
}

/* A window of many small pieces, of which an image has few. */
static int enlarge(struct pool_task *t)
{
	size_t n = t->n_parts * 2;
	struct piece *many = calloc(n, sizeof(*many)); /* realloc would be another call */

	if (!many)
		return -ENOMEM;
	memcpy(many, t->many ? t->many : t->few, t->n_parts * sizeof(*many));
	free(t->many);
	t->many = many;
	return 0;
}

int pool_task_add(struct pool_task *t, const struct piece *p)
{
	bool full = t->n_parts >= POOL_PARTS && !(t->n_parts & (t->n_parts - 1));
	int r = full ? enlarge(t) : 0;

	if (r < 0)
		return r;
	*(t->many ? &t->many[t->n_parts] : &t->few[t->n_parts]) = *p;
	t->n_parts++;
	t->len += p->len;
	return 0;
}

void pool_task_drop(struct pool_task *t)
{
	free(t->many);
	t->many = NULL;
}

/* ---- threads ---- */

static bool take(struct pool *p, struct pool_task *ret)
{
	while (!p->waiting)
		pthread_cond_wait(&p->more, &p->lock);
	*ret = p->queue[p->head];
	p->head = (p->head + 1) % POOL_QUEUE;
	p->waiting--;
	p->busy++;
	pthread_cond_signal(&p->room);
	return !p->error.error;
}

static void done(struct pool *p, const struct pool_error *e)
{
	if (e->error < 0 && !p->error.error)
		p->error = *e;
	p->busy--;
	pthread_cond_signal(&p->room);
}

static void work_on(struct pool *p, struct pool_thread *t)
{
	struct pool_task task;

	for (;;) {
		struct pool_error e = { .error = 0 };
		bool go = take(p, &task);

		pthread_mutex_unlock(&p->lock);
		if (go) {
			int r = p->work(p->owner, t, &task, &e);

			e.error = r;
		}
		pool_task_drop(&task);
		pthread_mutex_lock(&p->lock);
		done(p, &e);
	}
}

static void *run(void *arg)
{
	struct pool_thread *t = arg;
	struct pool *p = t->pool;
	int r = sandbox_enter_thread(&p->filter);

	pthread_mutex_lock(&p->lock);
	if (r < 0)
		p->error = (struct pool_error){ r, NULL, "a thread's filter" };
	p->entered++;
	pthread_cond_signal(&p->room);
	if (r == 0)
		work_on(p, t);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static int start(struct pool *p, struct pool_thread *t)
{
	pthread_attr_t attr;
	int r = unpacker_init(&t->unpacker);

	t->pool = p;
	t->bytes = malloc(POOL_PIECE_MAX);
	t->scratch = malloc(POOL_PIECE_MAX);
	if (r < 0 || !t->bytes || !t->scratch)
		return -ENOMEM;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	r = pthread_create(&t->thread, &attr, run, t);
	pthread_attr_destroy(&attr);
	return -r;
}

int pool_open(struct pool *p, unsigned int n)
{
	int r = sandbox_prepare_thread(&image_copier_policy, &p->filter);

	if (r < 0)
		return r;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->more, NULL);
	pthread_cond_init(&p->room, NULL);
	p->n = n ? n : count_cpus();
	for (unsigned int i = 0; i < p->n && r == 0; i++)
		r = start(p, &p->thread[i]);
	if (r < 0)
		return r;
	pthread_mutex_lock(&p->lock);
	while (p->entered < p->n)
		pthread_cond_wait(&p->room, &p->lock);
	r = p->error.error;
	pthread_mutex_unlock(&p->lock);
	return r;
}

void pool_use(struct pool *p, pool_fn work, void *owner)
{
	p->work = work;
	p->owner = owner;
}

int pool_give(struct pool *p, const struct pool_task *task)
{
	int r;

	pthread_mutex_lock(&p->lock);
	while (p->waiting == POOL_QUEUE)
		pthread_cond_wait(&p->room, &p->lock);
	r = p->error.error;
	if (r == 0) {
		p->queue[(p->head + p->waiting++) % POOL_QUEUE] = *task;
		pthread_cond_signal(&p->more);
	}
	pthread_mutex_unlock(&p->lock);
	return r;
}

int pool_drain(struct pool *p)
{
	int r;

	pthread_mutex_lock(&p->lock);
	while (p->waiting || p->busy)
		pthread_cond_wait(&p->room, &p->lock);
	r = p->error.error;
	pthread_mutex_unlock(&p->lock);
	return r;
}

int pool_read(struct pool_thread *t, const struct pool_task *task, struct pool_error *e)
{
	uint64_t at = 0;

	for (size_t i = 0; i < task->n_parts; i++) {
		const struct piece *p = task->many ? &task->many[i] : &task->few[i];
		int r = piece_read(p, &t->unpacker, t->bytes + at, p->len);

		if (r < 0) {
			e->name = p->name;
			e->what = r == -EILSEQ ? "what is compressed there is broken" : "reading";
			return r;
		}
		at += p->len;
	}
	return 0;
}
