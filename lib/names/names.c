/* SPDX-License-Identifier: Apache-2.0 */
/* Where a user's running VMs are met; see names.h. */
#include "lib/names/names.h"

#include "lib/base/cleanup.h"
#include "lib/names/internal.h"
#include "lib/sandbox/peer.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define QUEUE 8	    /* of connections that wait to be taken */
#define ROUNDS 20   /* of all names whose queue is full */
#define PAUSE_MS 10 /* between two */
#define ABSTRACT_TRIES 4

static void pause_a_moment(void)
{
	const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000L };

	nanosleep(&pause, NULL);
}

void names_open(uid_t uid, const char *runtime, bool make, struct names *ret)
{
	int dir = dir_open(uid, runtime, make);

	*ret = (struct names){ .uid = uid, .dir = dir < 0 ? -1 : dir };
}

void names_close(struct names *n)
{
	closep(&n->dir);
}

/* ---- one address ---- */

int address_connect_as(const struct names_address *a, uid_t uid, int type)
{
	_cleanup_(closep) int sock = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (sock < 0 || connect(sock, (const struct sockaddr *)&a->sa, a->len) < 0)
		return -errno;
	return peer_is(sock, uid) ? take_fd(&sock) : -EACCES;
}

int address_connect(const struct names_address *a, uid_t uid)
{
	return address_connect_as(a, uid, SOCK_SEQPACKET);
}

int address_listen_as(const struct names_address *a, int type)
{
	_cleanup_(closep) int sock = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (sock < 0 || bind(sock, (const struct sockaddr *)&a->sa, a->len) < 0 ||
	    listen(sock, QUEUE) < 0)
		return -errno;
	return take_fd(&sock);
}

int address_listen(const struct names_address *a)
{
	return address_listen_as(a, SOCK_SEQPACKET);
}

/* rest: what the name is followed by, "" or "#RANDOM". */
static struct names_address abstract_address(uid_t uid, const char *name, const char *rest)
{
	struct names_address a = { .sa.sun_family = AF_UNIX };
	int len = snprintf(a.sa.sun_path + 1, sizeof(a.sa.sun_path) - 1, "bulkhead/%u/%s%s", uid,
			   name, rest);

	a.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
	return a;
}

/* ---- all of them ---- */

struct meeting {
	const struct names *n;
	const char *only;
	names_fn fn;
	void *owner;
	char (*met)[NAMES_MAX + 1]; /* names that fn has had */
	size_t n_met, cap;
	bool busy; /* some could not be asked in this round */
	bool last; /* of the rounds */
	int error;
};

static bool has_met(const struct meeting *m, const char *name)
{
	for (size_t i = 0; i < m->n_met; i++)
		if (strcmp(m->met[i], name) == 0)
			return true;
	return false;
}

static int note_met(struct meeting *m, const char *name)
{
	if (m->n_met == m->cap) {
		size_t cap = m->cap ? 2 * m->cap : 16;
		void *more = realloc(m->met, cap * sizeof(*m->met));

		if (!more)
			return -ENOMEM;
		m->met = more;
		m->cap = cap;
	}
	snprintf(m->met[m->n_met++], sizeof(*m->met), "%s", name);
	return 0;
}

/* The directory's come first: who is met there is not asked for again. */
static void meet(struct meeting *m, const char *name, const struct names_address *a, bool in_dir)
{
	int sock, r;

	if ((m->only && strcmp(m->only, name) != 0) || has_met(m, name))
		return;
	sock = address_connect(a, m->n->uid);
	if (sock == -ECONNREFUSED && in_dir)
		dir_remove_stale(m->n, name);
	m->busy |= sock == -EAGAIN;
	if (sock < 0 && (sock != -EAGAIN || !m->last))
		return;
	r = note_met(m, name);
	if (r == 0)
		m->fn(name, sock, m->owner);
	else if (sock >= 0)
		close(sock);
	m->error = r;
}

static void meet_in_dir(const struct names *n, const char *name, void *owner)
{
	const struct names_address a = dir_address(n->dir, name);
	struct meeting *m = owner;

	if (m->error == 0)
		meet(m, name, &a, true);
}

static void meet_line(struct meeting *m, const char *line)
{
	struct names_found f;
	struct names_address a;

	if (!line_decode(line, m->n->uid, &f))
		return;
	a = abstract_address(m->n->uid, f.name, f.rest);
	meet(m, f.name, &a, false);
}

static void meet_abstract(struct meeting *m)
{
	FILE *f = fopen("/proc/net/unix", "re");
	char *line = NULL;
	size_t cap = 0;

	if (!f) {
		m->error = -errno;
		return;
	}
	while (m->error == 0 && getline(&line, &cap, f) > 0)
		meet_line(m, line);
	free(line);
	fclose(f);
}

int names_each(const struct names *n, const char *only, names_fn fn, void *owner)
{
	struct meeting m = { .n = n, .only = only, .fn = fn, .owner = owner };

	for (int i = 1; i <= ROUNDS && m.error == 0; i++) {
		m.busy = false;
		m.last = i == ROUNDS;
		dir_each(n, meet_in_dir, &m);
		if (m.error == 0)
			meet_abstract(&m);
		if (!m.busy)
			break;
		if (!m.last)
			pause_a_moment();
	}
	free(m.met);
	return m.error;
}

static void take_one(const char *name, int sock, void *owner)
{
	(void)name;
	*(int *)owner = sock;
}

int names_connect(const struct names *n, const char *name)
{
	int sock = -ENOENT, r = names_each(n, name, take_one, &sock);

	return r < 0 && sock < 0 ? r : sock;
}

/* ---- taking one ---- */

/* Who has the plain name: another VM of this user, or somebody else. One that is just starting has it
 * before it listens. */
static bool is_ours(const struct names_address *a, uid_t uid)
{
	for (int i = 0; i < ABSTRACT_TRIES; i++) {
		_cleanup_(closep) int sock = address_connect(a, uid);

		if (sock >= 0)
			return true;
		if (sock != -ECONNREFUSED)
			return false;
		pause_a_moment();
	}
	return false;
}

static int listen_abstract(const struct names *n, const char *name)
{
	struct names_address a = abstract_address(n->uid, name, "");
	int sock = address_listen(&a);
	uint64_t number;
	char rest[NAMES_REST_MAX + 1];

	if (sock != -EADDRINUSE || is_ours(&a, n->uid))
		return sock;
	/* nobody can have taken what nobody can guess */
	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return -EIO;
	snprintf(rest, sizeof(rest), "#%016llx", (unsigned long long)number);
	a = abstract_address(n->uid, name, rest);
	return address_listen(&a);
}

int names_listen(const struct names *n, const char *name, int ret[NAMES_PLACES])
{
	_cleanup_(closep) int other = names_connect(n, name);
	_cleanup_(closep) int in_dir = -1;
	int abstract;

	if (other >= 0)
		return -EADDRINUSE;
	if (n->dir >= 0) {
		in_dir = dir_listen(n, name);
		if (in_dir == -EADDRINUSE)
			return in_dir; /* for want of room, say, the other place will do */
	}
	abstract = listen_abstract(n, name);
	if (abstract < 0)
		return abstract;
	ret[0] = abstract;
	ret[1] = take_fd(&in_dir);
	return 0;
}
