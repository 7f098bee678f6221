/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop: removal in the middle of a batch, stopping and failing callbacks. */
#include "tests/unit/unit.h"

#include "lib/base/loop.h"

#include <errno.h>
#include <sys/epoll.h>

#define N 4

struct world {
	struct loop loop;
	struct loop_source src[N];
	int fd[N];
	int calls[N];
	int order[64];
	int n_calls;
	int victim; /* to be removed by whoever is called first, or -1 */
};

static int start(void **state)
{
	static struct world w;

	w = (struct world){ .victim = -1 };
	assert_int_equal(loop_open(&w.loop), 0);
	for (int i = 0; i < N; i++) {
		w.fd[i] = make_event();
		w.src[i].fd = -1;
	}
	*state = &w;
	return 0;
}

static int stop(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < N; i++) {
		loop_remove(&w->loop, &w->src[i]);
		closep(&w->fd[i]);
	}
	loop_close(&w->loop);
	loop_close(&w->loop); /* harmless */
	return 0;
}

static void ring(int fd)
{
	uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

static int note(struct loop_source *src, uint32_t events)
{
	struct world *w = src->owner;
	int i = (int)(src - w->src);
	uint64_t n;

	assert_true(events & EPOLLIN);
	assert_int_equal(read(src->fd, &n, sizeof(n)), sizeof(n));
	w->calls[i]++;
	w->n_calls++;
	return 0;
}

static int note_and_stop(struct loop_source *src, uint32_t events)
{
	struct world *w = src->owner;

	(void)note(src, events);
	loop_stop(&w->loop, 7);
	return 0;
}

static int fail_now(struct loop_source *src, uint32_t events)
{
	(void)src, (void)events;
	return -EIO;
}

/* The first of a batch removes the others and itself. */
static int remove_all(struct loop_source *src, uint32_t events)
{
	struct world *w = src->owner;

	(void)events;
	w->n_calls++;
	for (int i = 0; i < N; i++)
		loop_remove(&w->loop, &w->src[i]);
	return 0;
}

static void add(struct world *w, int i, loop_fn fn)
{
	assert_int_equal(loop_add(&w->loop, &w->src[i], w->fd[i], EPOLLIN, fn, w), 0);
}

static void idle_times_out(void **state)
{
	struct world *w = *state;

	add(w, 0, note);
	assert_int_equal(loop_run_once(&w->loop, 0), 0);
	assert_int_equal(w->n_calls, 0);
}

static void each_ready_source_is_called_once(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < N; i++) {
		add(w, i, note);
		if (i != 2)
			ring(w->fd[i]);
	}
	assert_int_equal(loop_run_once(&w->loop, 0), 0);
	for (int i = 0; i < N; i++)
		assert_int_equal(w->calls[i], i != 2);
}

static void removed_sources_are_not_called(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < N; i++) {
		add(w, i, remove_all);
		ring(w->fd[i]);
	}
	assert_int_equal(loop_run_once(&w->loop, 0), 0);
	assert_int_equal(w->n_calls, 1);
	assert_int_equal(loop_run_once(&w->loop, 0), 0);
	assert_int_equal(w->n_calls, 1);
	for (int i = 0; i < N; i++)
		assert_int_equal(w->src[i].fd, -1);
	add(w, 0, note); /* and may come back */
	assert_int_equal(loop_run_once(&w->loop, 0), 0);
	assert_int_equal(w->calls[0], 1);
}

static void a_masked_source_is_silent(void **state)
{
	struct world *w = *state;

	add(w, 0, note);
	ring(w->fd[0]);
	assert_int_equal(loop_set(&w->loop, &w->src[0], 0), 0);
	assert_int_equal(loop_run_once(&w->loop, 0), 0);
	assert_int_equal(w->n_calls, 0);
	assert_int_equal(loop_set(&w->loop, &w->src[0], EPOLLIN), 0);
	assert_int_equal(loop_run_once(&w->loop, 0), 0);
	assert_int_equal(w->n_calls, 1);
}

static void stop_ends_the_batch(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < N; i++) {
		add(w, i, note_and_stop);
		ring(w->fd[i]);
	}
	assert_int_equal(loop_run(&w->loop), 7);
	assert_int_equal(w->n_calls, 1);
}

static void failure_is_returned(void **state)
{
	struct world *w = *state;

	add(w, 0, fail_now);
	ring(w->fd[0]);
	assert_int_equal(loop_run(&w->loop), -EIO);
}

static void errors_leave_the_source_alone(void **state)
{
	struct world *w = *state;

	assert_int_equal(loop_add(&w->loop, &w->src[0], -1, EPOLLIN, note, w), -EBADF);
	assert_int_equal(w->src[0].fd, -1);
	add(w, 0, note);
	assert_int_equal(loop_add(&w->loop, &w->src[1], w->fd[0], EPOLLIN, note, w), -EEXIST);
	assert_int_equal(w->src[1].fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(idle_times_out, start, stop),
		cmocka_unit_test_setup_teardown(each_ready_source_is_called_once, start, stop),
		cmocka_unit_test_setup_teardown(removed_sources_are_not_called, start, stop),
		cmocka_unit_test_setup_teardown(a_masked_source_is_silent, start, stop),
		cmocka_unit_test_setup_teardown(stop_ends_the_batch, start, stop),
		cmocka_unit_test_setup_teardown(failure_is_returned, start, stop),
		cmocka_unit_test_setup_teardown(errors_leave_the_source_alone, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
