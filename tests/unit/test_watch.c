/* SPDX-License-Identifier: Apache-2.0 */
/* Who shares an eventfd fills it and has writes wait: they end all the same. */
#include "tests/unit/unit.h"

#include "cmd/vmm/accel/watch.h"

#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define FULL (UINT64_MAX - 1)
#define EVENTS 20

static struct watch own;

static void on_expiry(int sig)
{
	(void)sig;
	watch_expired(&own);
}

static int setup(void **state)
{
	(void)state;
	return own.ready ? 0 : watch_open(&own, SIGUSR1, on_expiry);
}

static uint64_t count_of(int fd)
{
	uint64_t n = 0;

	assert_int_equal(read(fd, &n, sizeof(n)), sizeof(n));
	return n;
}

static void test_a_full_counter(void **state)
{
	const uint64_t full = FULL;
	int fd = eventfd(0, EFD_CLOEXEC); /* not O_NONBLOCK */

	(void)state;
	assert_int_equal(write(fd, &full, sizeof(full)), sizeof(full));
	for (int i = 0; i < EVENTS; i++)
		watch_count(&own, fd);
	assert_true(count_of(fd) == full);
	watch_count(&own, fd);
	assert_true(count_of(fd) == 1);
	close(fd);
}

static void test_no_event_is_lost(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	(void)state;
	for (int i = 0; i < EVENTS; i++)
		watch_count(&own, fd);
	assert_int_equal(count_of(fd), EVENTS);
	close(fd);
}

/* It does not signal for ever whom it does not watch, and watches again afterwards. */
static void test_it_goes_to_sleep(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	(void)state;
	watch_count(&own, fd);
	while (own.armed)
		(void)poll(NULL, 0, 1);
	close(fd);
	test_a_full_counter(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_a_full_counter, setup),
		cmocka_unit_test_setup(test_no_event_is_lost, setup),
		cmocka_unit_test_setup(test_it_goes_to_sleep, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
