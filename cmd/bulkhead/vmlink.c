/* SPDX-License-Identifier: Apache-2.0 */
/* Links to running VMs; see vmlink.h. */
#include "cmd/bulkhead/vmlink.h"

#include "cmd/bulkhead/verbs.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/names/names.h"
#include "lib/sandbox/peer.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

/* Where this user's VMs are met, or where another's, whose environment nobody knows. */
static void open_names(uid_t uid, struct names *ret)
{
	names_open(uid, uid == geteuid() ? getenv("XDG_RUNTIME_DIR") : NULL, false, ret);
}

int vmlink_open_of(uid_t uid, const char *name)
{
	const struct timeval timeout = { .tv_sec = VMLINK_TIMEOUT_S };
	_cleanup_(names_close) struct names n = NAMES_NONE;
	_cleanup_(closep) int fd = -1;
	int r;

	if (peer_uid_is_ambiguous(uid))
		return -EOVERFLOW;
	open_names(uid, &n);
	fd = names_connect(&n, name);
	if (fd < 0)
		return fd;
	r = fd_set_nonblock(fd, false);
	if (r < 0)
		return r;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
		return -errno;
	return take_fd(&fd);
}

int vmlink_open(const char *name)
{
	return vmlink_open_of(geteuid(), name);
}

int vmlink_complain(const char *name, int error)
{
	if (error == -ENOENT)
		return complain(EXIT_START, "no VM of yours is named '%.64s': see bulkhead ps",
				name);
	if (error == -EOVERFLOW)
		return complain(EXIT_START,
				"%.64s: user %u stands for all unknown users in this user "
				"namespace, so that no VM can be told to be yours: map an id for "
				"yourself, or ask from outside",
				name, geteuid());
	if (error == -EAGAIN)
		return complain(EXIT_START,
				"%.64s takes no more connections: it is asked by too many, or the "
				"name is another user's: try again",
				name);
	return complain(EXIT_START, "%.64s: %s", name, strerror(-error));
}

int vmlink_ask(int sock, const struct control_msg *q, enum control_type wanted,
	       struct control_msg *ret, int *ret_fd)
{
	int r = control_send(sock, q, -1);

	if (r < 0)
		return r;
	r = control_recv(sock, ret, ret_fd);
	if (r == -EAGAIN)
		return -ETIMEDOUT;
	if (r <= 0)
		return r < 0 ? r : -EPIPE;
	if (ret->type == wanted || ret->type == CTL_REFUSED)
		return 1;
	closep(ret_fd);
	return -EPROTO;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Nothing of note was said, and there may be more: -EAGAIN. */
static int take_answer(int sock, enum control_type wanted, struct control_msg *ret)
{
	_cleanup_(closep) int fd = -1;
	int r = control_recv(sock, ret, &fd);

	if (r <= 0)
		return r < 0 ? r : -EPIPE;
	if (ret->type == CTL_ENDING)
		return -EAGAIN;
	return ret->type == wanted || ret->type == CTL_REFUSED || ret->type == CTL_ENDED ? 1 :
											   -EPROTO;
}

int vmlink_await(int sock, enum control_type wanted, int64_t ms, struct control_msg *ret)
{
	const int64_t end = now_ms() + ms;
	int r = -EAGAIN;

	while (r == -EAGAIN) {
		int64_t left = ms < 0 ? -1 : end - now_ms();
		struct pollfd p = { .fd = sock, .events = POLLIN };
		int ready = poll(&p, 1, ms < 0 ? -1 : left > 0 ? (int)left : 0);

		if (ready == 0)
			return -ETIMEDOUT;
		if (ready > 0)
			r = take_answer(sock, wanted, ret);
		else if (errno != EINTR)
			return -errno;
	}
	return r;
}

/* ---- all of them ---- */

struct names_user {
	void (*fn)(const char *name, void *owner);
	void *owner;
};

static void tell_name(const char *name, int sock, void *owner)
{
	const struct names_user *u = owner;

	if (sock < 0)
		return;
	close(sock);
	u->fn(name, u->owner);
}

int vmlink_each(void (*fn)(const char *name, void *owner), void *owner)
{
	_cleanup_(names_close) struct names n = NAMES_NONE;
	struct names_user u = { .fn = fn, .owner = owner };

	if (peer_uid_is_ambiguous(geteuid()))
		return 0;
	open_names(geteuid(), &n);
	return names_each(&n, NULL, tell_name, &u);
}

struct asked {
	char name[CTL_NAME_MAX + 1];
	struct vmlink_state state;
};

/* One row of each: poll wants its own kind together. */
struct question {
	struct asked *vms;
	struct pollfd *socks; /* fd -1: no answer is awaited */
	size_t n, cap, left;
	bool failed;
};

static void question_free(struct question *q)
{
	for (size_t i = 0; i < q->n; i++)
		closep(&q->socks[i].fd);
	free(q->vms);
	free(q->socks);
}

static bool make_room(struct question *q)
{
	size_t cap = q->cap ? 2 * q->cap : 16;
	void *vms, *socks;

	if (q->n < q->cap)
		return true;
	vms = realloc(q->vms, cap * sizeof(*q->vms));
	if (vms)
		q->vms = vms;
	socks = realloc(q->socks, cap * sizeof(*q->socks));
	if (socks)
		q->socks = socks;
	if (vms && socks)
		q->cap = cap;
	return vms && socks;
}

static void ask_one(const char *name, int sock, void *owner)
{
	const struct control_msg query = { .type = CTL_QUERY };
	struct question *q = owner;
	struct asked *a;

	if (!make_room(q)) {
		q->failed = true;
		closep(&sock);
		return;
	}
	a = &q->vms[q->n];
	*a = (struct asked){ .state.busy = sock == -EAGAIN };
	snprintf(a->name, sizeof(a->name), "%s", name);
	/* its queue is empty, so that this takes no time */
	if (sock >= 0 && control_send(sock, &query, -1) < 0)
		closep(&sock);
	q->left += sock >= 0;
	q->socks[q->n++] = (struct pollfd){ .fd = sock < 0 ? -1 : sock, .events = POLLIN };
}

static void hear(struct question *q, size_t i)
{
	struct control_msg m;
	int fd = -1, r = control_recv(q->socks[i].fd, &m, &fd);

	if (r == -EAGAIN)
		return;
	closep(&fd);
	if (r > 0 && m.type == CTL_INFO) {
		q->vms[i].state.told = true;
		q->vms[i].state.info = m.info;
	}
	closep(&q->socks[i].fd);
	q->left--;
}

static void hear_all(struct question *q)
{
	const int64_t end = now_ms() + VMLINK_TIMEOUT_S * INT64_C(1000);

	while (q->left) {
		int64_t left = end - now_ms();
		int r = poll(q->socks, q->n, left > 0 ? (int)left : 0);

		if (r == 0 || (r < 0 && errno != EINTR))
			return;
		for (size_t i = 0; i < q->n && r > 0; i++)
			if (q->socks[i].fd >= 0 && q->socks[i].revents)
				hear(q, i);
	}
}

int vmlink_ask_all(void (*fn)(const struct vmlink_state *s))
{
	_cleanup_(names_close) struct names n = NAMES_NONE;
	_cleanup_(question_free) struct question q = { 0 };
	int r;

	if (peer_uid_is_ambiguous(geteuid()))
		return -EOVERFLOW;
	open_names(geteuid(), &n);
	r = names_each(&n, NULL, ask_one, &q);
	if (r < 0 || q.failed)
		return r < 0 ? r : -ENOMEM;
	hear_all(&q);
	for (size_t i = 0; i < q.n; i++) {
		q.vms[i].state.name = q.vms[i].name;
		fn(&q.vms[i].state);
	}
	return 0;
}
