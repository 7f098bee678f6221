/* SPDX-License-Identifier: Apache-2.0 */
/* Who is at the other end: in sight of all users, and where most of them look alike. */
#include "tests/unit/unit.h"

#include "lib/sandbox/peer.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

static uid_t overflow_uid(void)
{
	FILE *f = fopen("/proc/sys/kernel/overflowuid", "re");
	unsigned int uid = 0;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%u", &uid), 1);
	fclose(f);
	return uid;
}

static bool peer_of_pair_is(uid_t uid)
{
	int pair[2];
	bool is;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	is = peer_is(pair[0], uid);
	close(pair[0]);
	close(pair[1]);
	return is;
}

static void test_itself(void **state)
{
	(void)state;
	if (peer_uid_is_ambiguous(geteuid()))
		skip();
	assert_true(peer_of_pair_is(geteuid()));
	assert_false(peer_of_pair_is(geteuid() + 1));
	assert_false(peer_is(-1, geteuid()));
}

/* Above what the kernel lets the overflow id be. */
static void test_large_ids_are_never_ambiguous(void **state)
{
	(void)state;
	assert_false(peer_uid_is_ambiguous(65536));
	assert_false(peer_uid_is_ambiguous((uid_t)-1));
}

static void write_map(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		_exit(9);
	close(fd);
}

/* Runs in a user namespace of its own, where the id outside is `map`ped, or not. */
static int in_namespace(const char *map, int (*run)(uid_t overflow))
{
	const uid_t overflow = overflow_uid();
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (unshare(CLONE_NEWUSER) < 0)
			_exit(77);
		if (map)
			write_map("/proc/self/uid_map", map);
		_exit(run(overflow));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	return WEXITSTATUS(status);
}

/* Nobody is mapped: everybody is the same, the process itself, too. */
static int unmapped(uid_t overflow)
{
	return geteuid() != overflow || !peer_uid_is_ambiguous(overflow) ||
	       peer_of_pair_is(overflow);
}

/* The process itself has that very number: still nobody can say who it is. */
static int mapped_to_overflow(uid_t overflow)
{
	return unmapped(overflow);
}

static int mapped_apart(uid_t overflow)
{
	return geteuid() != 70000 || !peer_uid_is_ambiguous(overflow) ||
	       peer_uid_is_ambiguous(70000) || !peer_of_pair_is(70000) || peer_of_pair_is(overflow);
}

static void test_in_a_namespace(void **state)
{
	char map[32];

	(void)state;
	assert_int_equal(in_namespace(NULL, unmapped), 0);
	snprintf(map, sizeof(map), "%u %u 1", overflow_uid(), geteuid());
	assert_int_equal(in_namespace(map, mapped_to_overflow), 0);
	snprintf(map, sizeof(map), "70000 %u 1", geteuid());
	assert_int_equal(in_namespace(map, mapped_apart), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_itself),
		cmocka_unit_test(test_large_ids_are_never_ambiguous),
		cmocka_unit_test(test_in_a_namespace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
