/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptor tables and messages that carry descriptors: too many, cut off, in pieces. */
#include "tests/unit/unit.h"

#include "lib/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

/* ---- fds_adopt, in a child as it closes what is not listed ---- */

static int adopt_in_child(void (*prepare)(void), const struct fd_row *rows, size_t n, int *ret_open)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		const struct fd_row *bad = NULL;
		int r, open_after = 0;

		prepare();
		r = fds_adopt(rows, n, &bad);
		for (int fd = 3; fd < 64; fd++)
			open_after += fcntl(fd, F_GETFD) >= 0;
		if (r < 0)
			_exit(bad >= rows && bad < rows + n ? 100 + (int)(bad - rows) : 99);
		_exit(open_after);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	*ret_open = WEXITSTATUS(status);
	return WEXITSTATUS(status) >= 99 ? -EBADF : 0;
}

/* ---- fds_place, in a child: each by the number of its file's bytes ---- */

static int place_in_child(int (*prepare)(int fds[5]), int *ret_open)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		int fds[5], n = 0;
		struct stat st;

		if (prepare(fds) < 0 || fds_place(fds, 5) < 0)
			_exit(99);
		for (int i = 0; i < 5; i++)
			if (fstat(i, &st) < 0 || st.st_size != (i == 4 ? 3 : i))
				_exit(50 + i);
		for (int fd = 0; fd < 64; fd++)
			n += fcntl(fd, F_GETFD) >= 0;
		_exit(n);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	*ret_open = WEXITSTATUS(status);
	return WEXITSTATUS(status) >= 99 ? -EBADF : 0;
}

/* Numbers that are each other's places, one of them twice. */
static int prepare_crossed(int fds[5])
{
	static const int at[4] = { 3, 2, 1, 0 };

	for (int i = 0; i < 4; i++) {
		int file = memfd_create("t", 0);

		if (ftruncate(file, i) < 0 || dup2(file, 20 + i) < 0)
			return -errno;
	}
	for (int i = 0; i < 4; i++) {
		if (dup2(20 + i, at[i]) < 0)
			return -errno;
		fds[i] = at[i];
	}
	fds[4] = at[3];
	return 0;
}

static int prepare_closed(int fds[5])
{
	int r = prepare_crossed(fds);

	fds[2] = 63;
	return r;
}

static void places_may_cross(void **state)
{
	int n;

	(void)state;
	assert_int_equal(place_in_child(prepare_crossed, &n), 0);
	assert_int_equal(n, 5);
	assert_int_equal(place_in_child(prepare_closed, &n), -EBADF);
}

/* 10 a socket, 11 an eventfd, 12 a character device, 13 a file, 20 and 40 strays */
static void prepare_table(void)
{
	int s[2], file = memfd_create("t", 0);

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, s) < 0 || dup2(s[0], 10) < 0 ||
	    dup2(eventfd(0, 0), 11) < 0 || dup2(open("/dev/null", O_RDWR), 12) < 0 ||
	    dup2(file, 13) < 0 || dup2(file, 20) < 0 || dup2(file, 40) < 0)
		_exit(98);
}

static void adopt_keeps_the_table_only(void **state)
{
	static const struct fd_row rows[] = {
		{ 10, FD_SOCKET, false, "socket" }, { 11, FD_EVENT, false, "event" },
		{ 12, FD_CHAR, false, "char" },	    { 13, FD_FILE, false, "file" },
		{ 14, FD_FILE, true, "absent" },
	};
	int open_after;

	(void)state;
	assert_int_equal(adopt_in_child(prepare_table, rows, ARRAY_SIZE(rows), &open_after), 0);
	assert_int_equal(open_after, 4);
}

static void adopt_names_the_bad_row(void **state)
{
	static const struct fd_row good = { 10, FD_SOCKET, false, "good" };
	static const struct fd_row bad[] = {
		{ 10, FD_FILE, false, "socket for a file" },
		{ 11, FD_SOCKET, false, "event for a socket" },
		{ 12, FD_FILE, false, "device for a file" },
		{ 13, FD_EVENT, false, "file for an event" },
		{ 13, FD_CHAR, true, "an optional row of the wrong kind" },
		{ 14, FD_ANY, false, "not open" },
	};
	int status;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct fd_row rows[] = { good, bad[i] };

		assert_int_equal(adopt_in_child(prepare_table, rows, 2, &status), -EBADF);
		assert_int_equal(status, 101);
	}
}

static void nonblock_on_and_off(void **state)
{
	_cleanup_(closep) int fd = make_event();

	(void)state;
	assert_int_equal(fd_set_nonblock(fd, true), 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(fd_set_nonblock(fd, false), 0);
	assert_false(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(fd_set_nonblock(-1, true), -EBADF);
}

/* ---- messages ---- */

/* As a hostile peer would: any number of descriptors. */
static void send_raw(int sock, const void *data, size_t len, int fd, size_t n_fds)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * 64)];
	} u = { .space = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n_fds) {
		struct cmsghdr *c;

		mh.msg_control = u.space;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		for (size_t i = 0; i < n_fds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(int));
	}
	assert_int_equal(sendmsg(sock, &mh, MSG_NOSIGNAL), len);
}

static void descriptors_travel(void **state)
{
	_cleanup_(closep) int e = make_event();
	int s[2], fds[MSG_MAX_FDS], before;
	int pass[MSG_MAX_FDS];
	char buf[8];
	struct iovec iov = { (void *)(uintptr_t) "hello", 5 };
	size_t n = 99;

	(void)state;
	make_pair(SOCK_SEQPACKET, s);
	before = open_fds();
	for (size_t i = 0; i < MSG_MAX_FDS; i++)
		pass[i] = e;
	assert_int_equal(msg_send(s[0], &iov, 1, pass, MSG_MAX_FDS), 0);
	assert_int_equal(msg_recv(s[1], buf, sizeof(buf), fds, &n, 0), 5);
	assert_int_equal(n, MSG_MAX_FDS);
	assert_int_equal(open_fds(), before + MSG_MAX_FDS);
	for (size_t i = 0; i < n; i++)
		assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
	fds_close(fds, n);
	assert_int_equal(fds[0], -1);
	assert_int_equal(open_fds(), before);
	assert_int_equal(msg_send(s[0], &iov, 1, pass, MSG_MAX_FDS + 1), -EINVAL);
	close_pair(s);
}

static void too_many_descriptors_are_refused_and_closed(void **state)
{
	static const size_t counts[] = { MSG_MAX_FDS + 1, MSG_MAX_FDS + 2, 64 };
	_cleanup_(closep) int e = make_event();
	int s[2], fds[MSG_MAX_FDS];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		int before;
		size_t n = 99;
		char c;

		make_pair(SOCK_SEQPACKET, s);
		before = open_fds();
		send_raw(s[0], "x", 1, e, counts[i]);
		assert_int_equal(msg_recv(s[1], &c, 1, fds, &n, 0), -EBADMSG);
		assert_int_equal(n, 99);
		assert_int_equal(open_fds(), before);
		close_pair(s);
	}
}

static void a_packet_cut_off_is_refused(void **state)
{
	_cleanup_(closep) int e = make_event();
	int s[2], fds[MSG_MAX_FDS], before;
	char buf[4];
	size_t n = 99;

	(void)state;
	make_pair(SOCK_SEQPACKET, s);
	before = open_fds();
	send_raw(s[0], "12345", 5, e, 1);
	assert_int_equal(msg_recv(s[1], buf, 4, fds, &n, 0), -EBADMSG);
	assert_int_equal(open_fds(), before);
	send_raw(s[0], "1234", 4, e, 1);
	assert_int_equal(msg_recv(s[1], buf, 4, fds, &n, 0), 4);
	fds_close(fds, n);
	close_pair(s);
}

static void a_peer_that_is_gone(void **state)
{
	struct iovec iov = { (void *)(uintptr_t) "x", 1 };
	int s[2], fds[MSG_MAX_FDS];
	size_t n;
	char c;

	(void)state;
	make_pair(SOCK_STREAM, s);
	assert_int_equal(msg_recv(s[0], &c, 1, fds, &n, MSG_DONTWAIT), -EAGAIN);
	closep(&s[1]);
	assert_int_equal(msg_recv(s[0], &c, 1, fds, &n, 0), 0);
	/* SIGPIPE has its default action here: it would end the test */
	assert_int_equal(msg_send(s[0], &iov, 1, NULL, 0), -EPIPE);
	close_pair(s);
}

/* Packets that were sent before the end are there, whatever the peer left unread. */
static void last_words_are_heard(void **state)
{
	int s[2], fds[MSG_MAX_FDS];
	size_t n;
	char c = 0;

	(void)state;
	make_pair(SOCK_SEQPACKET, s);
	send_raw(s[0], "?", 1, -1, 0); /* never read */
	send_raw(s[1], "a", 1, -1, 0);
	send_raw(s[1], "b", 1, -1, 0);
	closep(&s[1]);
	assert_int_equal(msg_recv(s[0], &c, 1, fds, &n, 0), 1);
	assert_int_equal(c, 'a');
	assert_int_equal(msg_recv(s[0], &c, 1, fds, &n, 0), 1);
	assert_int_equal(c, 'b');
	assert_int_equal(msg_recv(s[0], &c, 1, fds, &n, 0), 0);
	close_pair(s);
}

static void a_full_stream_is_waited_for(void **state)
{
	static uint8_t out[1 << 20], in[1 << 20];
	struct iovec iov[3] = { { out, 1 }, { out + 1, 0 }, { out + 1, sizeof(out) - 1 } };
	_cleanup_(closep) int e = make_event();
	int s[2], status, fds[MSG_MAX_FDS];
	size_t got = 0, n_fds = 0;
	pid_t pid;

	(void)state;
	make_pair(SOCK_STREAM, s);
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 7 + i / 256);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(fd_set_nonblock(s[0], true) == 0 && msg_send(s[0], iov, 3, &e, 1) == 0);
	while (got < sizeof(in)) {
		size_t n_new = 0;
		ssize_t n = msg_recv(s[1], in + got, sizeof(in) - got, fds, &n_new, 0);

		assert_true(n > 0);
		got += (size_t)n;
		fds_close(fds, n_new);
		n_fds += n_new;
	}
	assert_int_equal(n_fds, 1); /* with the first piece only */
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_memory_equal(in, out, sizeof(in));
	close_pair(s);
}

/* ---- whole pieces of a stream ---- */

static void pieces_are_put_together(void **state)
{
	_cleanup_(closep) int e = make_event();
	int s[2], fds[MSG_MAX_FDS], before;
	char buf[6] = { 0 };
	size_t n = 0;

	(void)state;
	make_pair(SOCK_STREAM, s);
	before = open_fds();
	send_raw(s[0], "ab", 2, e, 3);
	send_raw(s[0], "c", 1, e, 0);
	send_raw(s[0], "defgh", 5, e, 5);
	assert_int_equal(stream_recv(s[1], buf, 5, fds, &n, false), 1);
	assert_memory_equal(buf, "abcde", 5);
	assert_int_equal(n, 8);
	fds_close(fds, n);
	n = 0;
	assert_int_equal(stream_recv(s[1], buf, 3, fds, &n, true), 1);
	assert_memory_equal(buf, "fgh", 3);
	assert_int_equal(n, 0);
	assert_int_equal(stream_recv(s[1], buf, 0, fds, &n, true), 1);
	assert_int_equal(open_fds(), before);
	close_pair(s);
}

static void the_end_before_and_within_a_message(void **state)
{
	_cleanup_(closep) int e = make_event();
	char buf[8];

	(void)state;
	for (size_t sent = 0; sent < sizeof(buf); sent++) {
		int s[2], fds[MSG_MAX_FDS], before;
		size_t n = 0;

		make_pair(SOCK_STREAM, s);
		if (sent)
			send_raw(s[0], "12345678", sent, e, 2);
		closep(&s[0]);
		before = open_fds();
		assert_int_equal(stream_recv(s[1], buf, sizeof(buf), fds, &n, false),
				 sent ? -EBADMSG : 0);
		assert_int_equal(n, 0);
		assert_int_equal(open_fds(), before);
		assert_int_equal(stream_recv(s[1], buf, 1, fds, &n, true), -EBADMSG);
		close_pair(s);
	}
}

static void descriptors_add_up(void **state)
{
	_cleanup_(closep) int e = make_event();
	int s[2], fds[MSG_MAX_FDS], before;
	char buf[4];
	size_t n = 0;

	(void)state;
	make_pair(SOCK_STREAM, s);
	before = open_fds();
	send_raw(s[0], "ab", 2, e, 5);
	send_raw(s[0], "cd", 2, e, 4);
	assert_int_equal(stream_recv(s[1], buf, sizeof(buf), fds, &n, false), -EBADMSG);
	assert_int_equal(n, 0);
	assert_int_equal(open_fds(), before);
	close_pair(s);
}

static void silence_in_the_middle_ends(void **state)
{
	int s[2], fds[MSG_MAX_FDS];
	char buf[4];
	size_t n = 0;

	(void)state;
	make_pair(SOCK_STREAM, s);
	assert_int_equal(fd_set_nonblock(s[1], true), 0);
	assert_int_equal(stream_recv(s[1], buf, sizeof(buf), fds, &n, false), -EAGAIN);
	send_raw(s[0], "a", 1, -1, 0);
	assert_int_equal(stream_recv(s[1], buf, sizeof(buf), fds, &n, false), -EBADMSG);
	close_pair(s);
}

/* A byte every 200 ms does not keep the receiver: the timeout is for the whole message. */
static void a_trickle_ends(void **state)
{
	struct timespec from, to;
	int s[2], fds[MSG_MAX_FDS];
	char buf[64];
	size_t n = 0;
	pid_t child;

	(void)state;
	make_pair(SOCK_STREAM, s);
	child = fork();
	assert_true(child >= 0);
	while (!child) {
		if (write(s[0], "a", 1) < 0)
			_exit(0);
		usleep(200000);
	}
	clock_gettime(CLOCK_MONOTONIC, &from);
	assert_int_equal(stream_recv(s[1], buf, sizeof(buf), fds, &n, false), -EBADMSG);
	clock_gettime(CLOCK_MONOTONIC, &to);
	assert_in_range(to.tv_sec - from.tv_sec, 0, 3); /* where the whole would take 12 s */
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close_pair(s);
}

static void only_events_are_events(void **state)
{
	int s[2], p[2], event = make_event(), null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int file = memfd_create("no event", MFD_CLOEXEC);

	(void)state;
	make_pair(SOCK_STREAM, s);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(fd_event_check(event), 0);
	assert_true(fcntl(event, F_GETFL) & O_NONBLOCK);
	assert_int_equal(fd_event_check(s[0]), -EBADF);
	assert_int_equal(fd_event_check(p[1]), -EBADF);
	assert_int_equal(fd_event_check(null), -EBADF);
	assert_int_equal(fd_event_check(file), -EBADF);
	assert_int_equal(fd_event_check(-1), -EBADF);
	assert_false(fcntl(p[1], F_GETFL) & O_NONBLOCK); /* others keep their ways */
	close_pair(s);
	close_pair(p);
	closep(&event);
	closep(&null);
	closep(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adopt_keeps_the_table_only),
		cmocka_unit_test(places_may_cross),
		cmocka_unit_test(adopt_names_the_bad_row),
		cmocka_unit_test(nonblock_on_and_off),
		cmocka_unit_test(descriptors_travel),
		cmocka_unit_test(too_many_descriptors_are_refused_and_closed),
		cmocka_unit_test(a_packet_cut_off_is_refused),
		cmocka_unit_test(a_peer_that_is_gone),
		cmocka_unit_test(last_words_are_heard),
		cmocka_unit_test(a_full_stream_is_waited_for),
		cmocka_unit_test(pieces_are_put_together),
		cmocka_unit_test(the_end_before_and_within_a_message),
		cmocka_unit_test(descriptors_add_up),
		cmocka_unit_test(silence_in_the_middle_ends),
		cmocka_unit_test(a_trickle_ends),
		cmocka_unit_test(only_events_are_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
