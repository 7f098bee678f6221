/* SPDX-License-Identifier: Apache-2.0 */
/* The disk that cloud-init reads; see seed.h. */
#include "cmd/bulkhead/seed.h"

#include "cmd/bulkhead/image/starter.h"
#include "cmd/bulkhead/verbs.h"
#include "lib/base/cleanup.h"
#include "lib/control/control.h"
#include "lib/files/files.h"
#include "lib/imagefile/seed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)
#define PRIVATE "-" /* in a hash's place */

_Static_assert(SEED_KEYS_MAX == CONFIG_SSH_KEYS_MAX, "each has its place");
_Static_assert(SEED_DISK_MAX == CONFIG_SEED_DISK_MAX, "one bound");

struct maker {
	struct seed_job job;
	struct starter_task task;
	char paths[CONFIG_SEED_FILES][CONFIG_PATH_MAX + 1];
	int disk;
	int control, say; /* the command's ends */
	bool failed;	  /* and a line said why */
};

/* ---- inputs ---- */

static int add_input(struct maker *m, enum seed_input i, const char *path)
{
	const char *word = i == SEED_PASSWORD_HASH ? "--password-hash-file" : seed_input_word(i);
	const size_t most = seed_input_max(i);
	char what[64], why[400];
	struct stat st = { 0 };
	int fd;

	snprintf(what, sizeof(what), "%.*s", (int)strcspn(word, " "), word);
	fd = file_open(what, path, O_RDONLY, false, &st, why, sizeof(why));
	if (fd < 0)
		return complain(EXIT_START, "%s", why);
	starter_give(&m->task, fd, SEED_FD_INPUTS + (int)i);
	m->job.inputs[i] = path;
	if ((uint64_t)st.st_size > most)
		return complain(EXIT_START, "%s: %s has %lld bytes: up to %zu are right", what,
				path, (long long)st.st_size, most);
	return 0;
}

static int add_files(struct maker *m, const struct vm_config *c)
{
	int r = 0;

	for (int i = 0; i < CONFIG_SEED_FILES && r == 0; i++) {
		const struct config_file *f = &c->seed.files[i];

		if (!f->path)
			continue;
		snprintf(m->paths[i], sizeof(m->paths[i]), "%.*s", (int)f->path_len, f->path);
		r = add_input(m, SEED_USER_DATA + (enum seed_input)i, m->paths[i]);
	}
	return r;
}

_Static_assert((int)SEED_USER_DATA == (int)CONFIG_SEED_USER_DATA &&
		       (int)SEED_META_DATA == (int)CONFIG_SEED_META_DATA &&
		       (int)SEED_NETWORK_CONFIG == (int)CONFIG_SEED_NETWORK_CONFIG,
	       "in one order");

/* In no core of this process, and no longer among its words, which everybody reads. */
static int add_hash(struct maker *m, const char *hash)
{
	static const struct rlimit none = { 0, 0 };
	const size_t len = strlen(hash);
	int fd = memfd_create("hash", MFD_CLOEXEC);
	ssize_t n;

	(void)setrlimit(RLIMIT_CORE, &none);
	n = fd < 0 ? -1 : write(fd, hash, len);
	explicit_bzero((char *)(uintptr_t)hash, len);
	if (fd < 0 || n != (ssize_t)len)
		return complain(EXIT_START, "--password-hash: %s", strerror(errno));
	starter_give(&m->task, fd, SEED_FD_INPUTS + SEED_PASSWORD_HASH);
	m->job.inputs[SEED_PASSWORD_HASH] = "--password-hash";
	return 0;
}

static int add_short_form(struct maker *m, struct config_seed *s)
{
	static char name[CONFIG_PATH_MAX + 40];
	int r = 0;

	m->job.user = s->user;
	m->job.hostname = s->hostname;
	if (s->password_hash) {
		r = add_hash(m, s->password_hash);
		s->password_hash = PRIVATE;
	} else if (s->password_hash_file) {
		r = add_input(m, SEED_PASSWORD_HASH, s->password_hash_file);
		snprintf(name, sizeof(name), "--password-hash-file %s", s->password_hash_file);
		m->job.inputs[SEED_PASSWORD_HASH] = name;
	}
	for (size_t i = 0; i < s->n_keys && r == 0; i++)
		r = add_input(m, SEED_KEYS + (enum seed_input)i, s->keys[i]);
	return r;
}

/* ---- the process ---- */

static int render(const void *job, const char **argv, char *text, size_t cap)
{
	return seed_job_render(job, argv, text, cap);
}

/* What the process says, until it has ended and nobody says any more. */
static void hear(struct maker *m, int *sock)
{
	struct control_msg msg;
	int fd = -1;

	while (control_recv(*sock, &msg, &fd) > 0) {
		closep(&fd);
		if (m->failed || (msg.type != CTL_FAILED && msg.type != CTL_DENIED))
			continue;
		m->failed = true;
		if (msg.type == CTL_FAILED)
			complain(0, "%s", msg.text);
		else
			complain(0, "image-seed was stopped by its filter: system call %u",
				 msg.number);
	}
	closep(sock);
}

static int await(struct maker *m, pid_t starter)
{
	int status;

	hear(m, &m->control);
	hear(m, &m->say);
	while (waitpid(starter, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_START;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (!m->failed)
		complain(0, "--cloud-init: image-seed failed");
	return EXIT_START;
}

static int open_channels(struct maker *m, struct starter *s, int *ret_life)
{
	int control[2], say[2], life[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0)
		return -errno;
	m->control = control[0];
	starter_give(&m->task, control[1], 3);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, say) < 0)
		return -errno;
	m->say = say[0];
	s->say = say[1];
	if (pipe2(life, O_CLOEXEC) < 0)
		return -errno;
	s->life = life[0];
	*ret_life = life[1];
	return 0;
}

static int run(struct maker *m)
{
	struct starter s = { .tasks = &m->task, .n = 1, .life = -1, .say = -1 };
	_cleanup_(closep) int life = -1;
	const char *what = "channels";
	int r = open_channels(m, &s, &life);
	const int ours[] = { m->control, m->say, life, m->disk };

	if (r == 0)
		r = starter_start(&s, ours, ARRAY_SIZE(ours), &what);
	if (r < 0)
		return complain(EXIT_START, "--cloud-init: %s: %s", what, strerror(-r));
	return await(m, r);
}

static int open_disk(struct maker *m)
{
	int theirs;

	m->disk = memfd_create("cloud-init", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	theirs = m->disk < 0 ? -1 : fcntl(m->disk, F_DUPFD_CLOEXEC, 0);
	if (theirs < 0)
		return complain(EXIT_START, "--cloud-init: its disk: %s", strerror(errno));
	starter_give(&m->task, theirs, SEED_FD_DISK);
	return 0;
}

/* Above the numbers that the supervisor's descriptors get. */
static int take_disk(struct maker *m, struct links *links)
{
	links->seed = fcntl(m->disk, F_DUPFD_CLOEXEC, LINKS_ABOVE);
	if (links->seed < 0 || fcntl(m->disk, F_ADD_SEALS, SEALS) < 0)
		return complain(EXIT_START, "--cloud-init: its disk: %s", strerror(errno));
	closep(&m->disk);
	return 0;
}

int seed_take(struct vm_config *c, struct links *links)
{
	static struct maker m;
	int r;

	if (!config_has_seed(c))
		return 0;
	m = (struct maker){ .job = { .vm = c->name }, .disk = -1, .control = -1, .say = -1 };
	m.task = (struct starter_task){ .program = "image-seed",
					.job = &m.job,
					.render = render,
					.exe = -1,
					.process = JAIL_PROCESS_NONE };
	r = open_disk(&m);
	if (r == 0)
		r = add_files(&m, c);
	if (r == 0)
		r = add_short_form(&m, &c->seed);
	if (r == 0)
		r = run(&m);
	return r ? r : take_disk(&m, links);
}
