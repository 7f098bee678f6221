/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many times the command waits for VMs that do not answer: however many there are, once for all. The
 * waits are counted, not timed: poll and nanosleep are this file's.
 */
#include "tests/unit/unit.h"

#include "cmd/bulkhead/verbs.h"
#include "cmd/bulkhead/vmlink.h"
#include "lib/names/names.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#define N_VMS 30
#define ROUNDS_MOST 20 /* names.c's */

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout);
int __real_poll(struct pollfd *fds, nfds_t n, int timeout);
int __wrap_nanosleep(const struct timespec *t, struct timespec *rest);

static unsigned int n_waits, n_pauses;

/* Nobody answers later than at once. */
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	assert_true(timeout >= 0);
	n_waits++;
	return __real_poll(fds, n, 0);
}

int __wrap_nanosleep(const struct timespec *t, struct timespec *rest)
{
	(void)rest;
	assert_true(t->tv_sec == 0);
	n_pauses++;
	return 0;
}

int complain(int status, const char *fmt, ...)
{
	(void)fmt;
	return status;
}

/* ---- listeners ---- */

static char runtime[64];
static int socks[4 * N_VMS];
static size_t n_socks;

static int setup(void **state)
{
	(void)state;
	strcpy(runtime, "/tmp/bulkhead-names.XXXXXX");
	assert_non_null(mkdtemp(runtime));
	assert_int_equal(setenv("XDG_RUNTIME_DIR", runtime, 1), 0);
	n_waits = n_pauses = 0;
	n_socks = 0;
	return 0;
}

static int teardown(void **state)
{
	char command[96];

	(void)state;
	for (size_t i = 0; i < n_socks; i++)
		close(socks[i]);
	snprintf(command, sizeof(command), "rm -rf %s", runtime);
	return system(command);
}

static const char *name_of(unsigned int i)
{
	static char name[32];

	snprintf(name, sizeof(name), "unit-%d-%u", (int)getpid(), i);
	return name;
}

/* Takes the name as a supervisor does, and listens no more to it. The directory may be another, or
 * none. */
static int take_somewhere(unsigned int i)
{
	struct names n;
	int s[NAMES_PLACES] = { -1, -1 }, r;

	names_open(geteuid(), runtime, true, &n);
	r = names_listen(&n, name_of(i), s);
	names_close(&n);
	for (size_t k = 0; k < NAMES_PLACES && r == 0; k++)
		socks[n_socks++] = s[k];
	return r;
}

static int take(unsigned int i)
{
	int r = take_somewhere(i);

	assert_true(r < 0 || socks[n_socks - 1] >= 0); /* in the directory, too */
	return r;
}

/* An abstract name whose queue of connections is full. */
static void squat(unsigned int i)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int len = snprintf(sa.sun_path + 1, sizeof(sa.sun_path) - 1, "bulkhead/%u/%s", geteuid(),
			   name_of(i));
	socklen_t sa_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), r;

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sa_len), 0);
	assert_int_equal(listen(fd, 0), 0);
	socks[n_socks++] = fd;
	do {
		fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		r = connect(fd, (struct sockaddr *)&sa, sa_len);
		socks[n_socks++] = fd;
	} while (r == 0);
	assert_int_equal(errno, EAGAIN);
}

/* ---- tests ---- */

static unsigned int n_told, n_silent, n_busy;

static void count(const struct vmlink_state *s)
{
	char prefix[32];

	snprintf(prefix, sizeof(prefix), "unit-%d-", (int)getpid());
	if (strncmp(s->name, prefix, strlen(prefix)) != 0)
		return; /* a real one on this machine */
	n_told += s->told;
	n_busy += s->busy;
	n_silent += !s->told && !s->busy;
}

static void ask(void)
{
	n_told = n_silent = n_busy = 0;
	assert_int_equal(vmlink_ask_all(count), 0);
}

static void test_silent_ones_are_waited_for_together(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < N_VMS; i++)
		assert_int_equal(take(i), 0);
	n_waits = n_pauses = 0;
	ask();
	assert_int_equal(n_silent, N_VMS);
	assert_int_equal(n_told + n_busy, 0);
	assert_in_range(n_waits, 1, 2);
	/* each start looks whether the others live, so that some of these queues are full by now */
	assert_in_range(n_pauses, 0, ROUNDS_MOST);
}

static void test_full_ones_are_tried_again_together(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < N_VMS; i++)
		squat(i);
	ask();
	assert_int_equal(n_busy, N_VMS);
	assert_int_equal(n_told + n_silent, 0);
	assert_in_range(n_pauses, 1, ROUNDS_MOST);
	assert_in_range(n_waits, 0, 1);
	assert_int_equal(vmlink_open(name_of(0)), -EAGAIN);
}

static void test_a_name_is_one_vms(void **state)
{
	int sock;

	(void)state;
	assert_int_equal(take(1), 0);
	assert_int_equal(take(1), -EADDRINUSE);
	assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0); /* by its abstract name */
	sock = vmlink_open(name_of(1));
	assert_true(sock >= 0);
	close(sock);
	assert_int_equal(vmlink_open(name_of(2)), -ENOENT);
}

static bool is_there(unsigned int i)
{
	char path[160];
	struct stat st;

	snprintf(path, sizeof(path), "%s/bulkhead/%s", runtime, name_of(i));
	return lstat(path, &st) == 0;
}

static void end_all(void)
{
	while (n_socks)
		close(socks[--n_socks]);
}

static void test_what_ended_is_removed(void **state)
{
	(void)state;
	for (unsigned int i = 1; i <= 3; i++)
		assert_int_equal(take(i), 0);
	end_all();
	assert_true(is_there(1) && is_there(2) && is_there(3));
	assert_int_equal(vmlink_open(name_of(1)), -ENOENT);
	assert_false(is_there(1));
	assert_int_equal(take(4), 0); /* the start of the next */
	assert_true(!is_there(2) && !is_there(3) && is_there(4));
	end_all();
	ask();
	assert_false(is_there(4));
}

/* A directory that others may change, or enter, is no place for names. */
static void test_directories_that_will_not_do(void **state)
{
	char folder[96];
	struct stat st;

	(void)state;
	snprintf(folder, sizeof(folder), "%s/bulkhead", runtime);
	assert_int_equal(chmod(runtime, 0770), 0);
	(void)!take_somewhere(5);
	assert_int_equal(lstat(folder, &st), -1); /* not even made */
	assert_int_equal(chmod(runtime, 0755), 0);
	assert_int_equal(symlink("/tmp", folder), 0);
	assert_int_equal(take_somewhere(6), 0);
	assert_false(is_there(6));
	assert_int_equal(unlink(folder), 0);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(chmod(folder, 0750), 0);
	assert_int_equal(take_somewhere(7), 0);
	assert_false(is_there(7));
	assert_int_equal(chmod(folder, 0700), 0);
	assert_int_equal(take(8), 0);
	assert_true(is_there(8));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_silent_ones_are_waited_for_together, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_full_ones_are_tried_again_together, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_name_is_one_vms, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_ended_is_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_directories_that_will_not_do, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
