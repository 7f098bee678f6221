/* SPDX-License-Identifier: Apache-2.0 */
/* Starts an swtpm; see swtpm.h. */
#include "lib/swtpm/internal.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/base/said.h"
#include "lib/sandbox/cgroup.h"
#include "lib/tpm/ptm.h"
#include "lib/tpm/tpm.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEY_LEN 32
#define PATIENCE_MS \
	20000 /* for what any host does in a moment: silence is the end, not a slow start */
#define FAILED_TO_BEGIN 125
#define LANDLOCK_TRUNCATE (1ULL << 14)
#define LANDLOCK_ABI_TRUNCATE 3

static const char *const places[] = { "/usr/bin/swtpm", "/usr/local/bin/swtpm" };
const char swtpm_missing[] = "swtpm is not installed: the package is swtpm";

const char *swtpm_program(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	return NULL;
}

/* ---- the child ---- */

/* What it is made of; all but dir are its own copies. */
struct child {
	const char *dir;
	const char *program;
	int commands, control, key, lock, errors;
	const struct swtpm_birth *birth;
};

static _Noreturn void give_up(const char *what)
{
	dprintf(STDERR_FILENO, "%s: %s\n", what, strerror(errno));
	_exit(FAILED_TO_BEGIN);
}

static bool write_file(const char *path, const char *text)
{
	_cleanup_(closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* The user's own ids, and no others. */
static void map_user(uid_t uid, gid_t gid)
{
	char uids[40], gids[40];

	snprintf(uids, sizeof(uids), "%u %u 1", uid, uid);
	snprintf(gids, sizeof(gids), "%u %u 1", gid, gid);
	if (!write_file("/proc/self/setgroups", "deny") ||
	    !write_file("/proc/self/uid_map", uids) || !write_file("/proc/self/gid_map", gids))
		give_up("a user namespace");
}

static void leave_host(void)
{
	const int apart = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWPID |
			  CLONE_NEWCGROUP;
	const uid_t uid = geteuid();
	const gid_t gid = getegid();

	if (unshare(apart | (uid ? CLONE_NEWUSER : 0)) < 0)
		give_up("namespaces");
	if (uid)
		map_user(uid, gid);
}

static void place(const struct child *c)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fds[SWTPM_FDS] = { null, null, c->errors, c->commands, c->control, c->key, c->lock };

	if (fds_place(fds, ARRAY_SIZE(fds)) < 0)
		give_up("descriptors");
}

/* In its root, at a number that it cannot have itself. */
static void open_itself(const struct child *c)
{
	_cleanup_(closep) int fd = open(c->program, O_PATH | O_CLOEXEC);

	if (fd < 0 || dup3(fd, SWTPM_FD_PROGRAM, O_CLOEXEC) < 0)
		give_up(c->program);
}

static void drop_root(void)
{
	if (geteuid() == 0 && (setgroups(0, NULL) < 0 ||
			       setresgid(CGROUP_SWTPM_ID, CGROUP_SWTPM_ID, CGROUP_SWTPM_ID) < 0 ||
			       setresuid(CGROUP_SWTPM_ID, CGROUP_SWTPM_ID, CGROUP_SWTPM_ID) < 0))
		give_up("an id of its own");
}

/* A write that is too long, or to who listens no more, is an error to it. */
static void settle_signals(void)
{
	sigset_t none;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void confine(void)
{
	struct sandbox_policy policy = swtpm_policy;
	const char *what = "?";
	int r;

	policy.beneath.fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (sandbox_landlock_abi() >= LANDLOCK_ABI_TRUNCATE)
		policy.beneath.rights |= LANDLOCK_TRUNCATE;
	r = policy.beneath.fd < 0 ? -errno : sandbox_confine_self(&policy, &what);
	if (r < 0) {
		errno = -r;
		give_up(what);
	}
}

static _Noreturn void run(const struct child *c)
{
	static const char *const argv[] = {
		"swtpm",
		"socket",
		"--tpm2",
		"--fd",
		"3",
		"--ctrl",
		"type=unixio,clientfd=4",
		"--tpmstate",
		"dir=.,mode=0600",
		"--migration-key",
		"fd=5,format=binary,mode=aes-256-cbc",
		"--seccomp",
		"action=none", /* ours is there, and a list of what is allowed */
		NULL,
	};
	static const char *const envp[] = { "OPENSSL_CONF=/none", NULL };

	place(c);
	if (root_make(c->dir, SWTPM_FD_LOCK) < 0)
		give_up("its root");
	open_itself(c);
	drop_root();
	settle_signals();
	confine();
	syscall(SYS_execveat, SWTPM_FD_PROGRAM, "", argv, envp, AT_EMPTY_PATH);
	give_up("its program");
}

/* From the exec on, which is behind the fork. */
static void take_label(const struct swtpm_birth *b)
{
	char label[SELINUX_LABEL_MAX];

	if (!b->labels->on)
		return;
	selinux_label(b->labels, SELINUX_SWTPM, label);
	if (selinux_at_exec(b->proc_fd, label) < 0)
		give_up("its label");
}

/* In namespaces of its own, of which the one of processes begins with a child. */
static _Noreturn void begin(const struct child *c)
{
	pid_t pid;

	if (dup2(c->errors, STDERR_FILENO) < 0)
		_exit(FAILED_TO_BEGIN);
	take_label(c->birth);
	leave_host();
	pid = fork();
	if (pid < 0)
		give_up("a process");
	if (pid == 0)
		run(c);
	_exit(0);
}

/* ---- the start ---- */

/* Known to nobody once it has read it. */
static int make_key(void)
{
	_cleanup_(closep) int out = -1, in = -1;
	uint8_t key[KEY_LEN];
	int fds[2], r;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	out = fds[0];
	in = fds[1];
	r = getrandom(key, sizeof(key), 0) == KEY_LEN && write(in, key, KEY_LEN) == KEY_LEN ? 0 :
											      -EIO;
	explicit_bzero(key, sizeof(key));
	return r < 0 ? r : take_fd(&out);
}

static int pair(int *ours, int *theirs)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	*ours = fds[0];
	*theirs = fds[1];
	return 0;
}

/* The last line that it said: printable, and without its name. */
static const char *last_line(int errors, char *buf, size_t cap)
{
	const char *last;
	ssize_t n = read(errors, buf, cap - 1);

	buf[n > 0 ? n : 0] = '\0';
	last = said_last_line(buf);
	if (!last)
		return "it says nothing";
	return strncmp(last, "swtpm: ", 7) == 0 ? last + 7 : last;
}

static int ask(int control, enum ptm_command command, uint32_t value, uint64_t *ret)
{
	uint8_t request[PTM_REQUEST_MAX], answer[PTM_ANSWER_MAX + 1];
	struct iovec iov = { request, ptm_encode(command, value, request) };
	struct pollfd p = { .fd = control, .events = POLLIN };
	ssize_t n;
	int r = msg_send(control, &iov, 1, NULL, 0);

	if (r < 0)
		return r;
	do
		r = poll(&p, 1, PATIENCE_MS);
	while (r < 0 && errno == EINTR);
	if (r <= 0)
		return r < 0 ? -errno : -ETIMEDOUT;
	n = recv(control, answer, sizeof(answer), 0);
	return n <= 0 ? -EPIPE : ptm_decode(command, answer, (size_t)n, ret);
}

static int greet(int control, int errors, char why[SWTPM_WHY_MAX])
{
	const uint64_t needed = PTM_CAP_INIT | PTM_CAP_SHUTDOWN | PTM_CAP_SET_BUFFERSIZE;
	uint64_t caps = 0, size = 0;
	char line[512];
	int r = ask(control, PTM_GET_CAPABILITY, 0, &caps);

	if (r < 0)
		return swtpm_complain(why, r, "swtpm does not start: %s",
				      r == -ETIMEDOUT ? "it does not answer" :
							last_line(errors, line, sizeof(line)));
	if ((caps & needed) != needed)
		return swtpm_complain(
			why, -ENOTSUP,
			"this swtpm is too old: version 0.7 of the package swtpm or later "
			"is needed");
	r = ask(control, PTM_SET_BUFFERSIZE, TPM_BUFFER_LEN, &size);
	if (r < 0 || size > TPM_BUFFER_LEN)
		return swtpm_complain(
			why, -ENOTSUP,
			"this swtpm does not take buffers of %u bytes: version 0.7 of the "
			"package swtpm or later is needed",
			TPM_BUFFER_LEN);
	return 0;
}

static int await(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECHILD;
}

static void close_child(struct child *c)
{
	closep(&c->commands);
	closep(&c->control);
	closep(&c->key);
	closep(&c->lock);
	closep(&c->errors);
}

static int start(struct child *c, int errors_ours, int control, char why[SWTPM_WHY_MAX])
{
	char line[512];
	pid_t pid = cgroup_fork(c->birth->group);
	int r;

	if (pid == 0)
		begin(c);
	if (pid < 0)
		return swtpm_complain(why, -errno, "swtpm cannot be started: %s", strerror(errno));
	close_child(c);
	r = await(pid);
	if (r < 0)
		return swtpm_complain(why, r, "swtpm cannot be started: %s",
				      last_line(errors_ours, line, sizeof(line)));
	return greet(control, errors_ours, why);
}

static int prepare(struct child *c, int *errors, int *commands, int *control)
{
	int fds[2], r;

	c->key = make_key();
	if (c->key < 0)
		return c->key;
	r = pair(commands, &c->commands);
	if (r == 0)
		r = pair(control, &c->control);
	if (r < 0 || pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return r < 0 ? r : -errno;
	*errors = fds[0];
	c->errors = fds[1];
	return 0;
}

int swtpm_open(const char *dir, const struct swtpm_birth *birth, struct swtpm_channels *ret,
	       char why[SWTPM_WHY_MAX])
{
	struct child c = { dir, swtpm_program(), -1, -1, -1, -1, -1, birth };
	_cleanup_(closep) int commands = -1, control = -1, errors = -1;
	int r;

	if (!c.program)
		return swtpm_complain(why, -ENOENT, "%s", swtpm_missing);
	c.lock = directory_open(dir, birth->labels, why);
	if (c.lock < 0)
		return c.lock;
	r = prepare(&c, &errors, &commands, &control);
	if (r < 0) {
		close_child(&c);
		return swtpm_complain(why, r, "swtpm cannot be started: %s", strerror(-r));
	}
	r = start(&c, errors, control, why);
	if (r < 0)
		return r;
	ret->commands = take_fd(&commands);
	ret->control = take_fd(&control);
	return 0;
}
