/* SPDX-License-Identifier: Apache-2.0 */
/* The dialer; see dialer.h. Trust: its clients HOSTILE, one byte each time; what it was made with trusted. */
#include "cmd/supervisor/dialer.h"

#include "cmd/supervisor/own_id.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/sandbox/cgroup.h"
#include "lib/sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define EXIT_FAILED 1
#define CHOSEN_PAUSE_NS 2000000L /* so at most 500 connections a second */

/* What a server that has vanished is noticed by: seconds, and at last milliseconds. */
static const struct {
	int level, option, value;
} tuning[] = {
	{ IPPROTO_TCP, TCP_NODELAY, 1 },   { SOL_SOCKET, SO_KEEPALIVE, 1 },
	{ IPPROTO_TCP, TCP_KEEPIDLE, 15 }, { IPPROTO_TCP, TCP_KEEPINTVL, 5 },
	{ IPPROTO_TCP, TCP_KEEPCNT, 3 },   { IPPROTO_TCP, TCP_USER_TIMEOUT, 30000 },
};

/* The clients, by the numbers of their descriptors; the addresses are in the table. */
static struct {
	uint8_t n, next;
	bool chosen, opens;
	socklen_t len[DIAL_ADDRESSES_MAX];
} clients[DIALER_CLIENTS_MAX];
static struct pollfd waiting[DIALER_CLIENTS_MAX];
static size_t n_clients;

/* ---- before the sandbox ---- */

/* At a place that the filter knows, and never to be written again. */
static int make_table(const struct dialer *d)
{
	struct dialer_address *table =
		mmap((void *)DIALER_TABLE, DIALER_TABLE_LEN, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (table != (void *)DIALER_TABLE)
		return table == MAP_FAILED ? -errno : -EEXIST;
	for (size_t i = 0; i < d->n; i++) {
		memcpy(&table[i * DIAL_ADDRESSES_MAX], d->clients[i].address,
		       sizeof(d->clients[i].address));
		memcpy(clients[i].len, d->clients[i].len, sizeof(clients[i].len));
		clients[i].n = d->clients[i].n;
		clients[i].chosen = d->clients[i].chosen;
		clients[i].opens = d->clients[i].opens;
	}
	n_clients = d->n;
	return mprotect(table, DIALER_TABLE_LEN, PROT_READ) < 0 ? -errno : 0;
}

/* Channels from the first number up, all else closed. ready stays, at its new number. */
static int keep_fds(const struct dialer *d, int *ready)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC),
	    fds[DIALER_FD_CLIENTS + DIALER_CLIENTS_MAX + 1];
	size_t n = 0;

	while (n < DIALER_FD_CLIENTS)
		fds[n++] = null;
	for (size_t i = 0; i < d->n; i++)
		fds[n++] = d->clients[i].sock;
	fds[n] = *ready;
	*ready = (int)n;
	return fds_place(fds, n + 1);
}

/* By which the audit finds it; the filter lets nobody change it. */
static void take_name(pid_t supervisor)
{
	char name[32] = "dialer";

	if (supervisor)
		snprintf(name, sizeof(name), "dialer %d", (int)supervisor);
	prctl(PR_SET_NAME, name);
}

/* A file that it opens is the only one that Landlock leaves it; what is opened may be asked whatever its owner may ask. Who
 * opens none has no call for it: the last rule. */
static int confine(const struct dialer *d)
{
	struct sandbox_policy p = *dialer_declared.policy;
	_cleanup_(closep) int file = -1;

	if (!d->opens) {
		p.n_rules--;
		return sandbox_confine_self(&p, NULL);
	}
	file = open(d->opens, O_PATH | O_CLOEXEC);
	if (file < 0)
		return -errno;
	p.beneath = (struct sandbox_beneath){ .fd = file, .rights = SANDBOX_OPEN_DEVICE };
	return sandbox_confine_self(&p, NULL);
}

static int prepare(const struct dialer *d, int *ready)
{
	sigset_t all;
	int r;

	sigfillset(&all);
	if (sigprocmask(SIG_SETMASK, &all, NULL) < 0 || setsid() < 0)
		return -errno;
	take_name(d->supervisor);
	r = make_table(d);
	if (r == 0)
		r = keep_fds(d, ready);
	if (r == 0 && geteuid() == 0) /* sockets that have a path are root's to reach */
		r = own_id_take(CGROUP_DIALER_ID, d->any_local ? 0 : CGROUP_DIALER_ID);
	return r < 0 ? r : confine(d);
}

/* ---- connections ---- */

static const struct sockaddr *address_of(size_t client, uint8_t place)
{
	const struct dialer_address *table = (const void *)DIALER_TABLE;
	const struct dialer_address *a = &table[client * DIAL_ADDRESSES_MAX + place];

	return clients[client].len[place] == sizeof(a->path) ? (const struct sockaddr *)&a->path :
							       (const struct sockaddr *)a;
}

/* What was not sent when its owner gave it up is never to be: it is sent again, on another. */
static void drop_at_close(int sock)
{
	const struct linger at_once = { .l_onoff = 1 };

	(void)setsockopt(sock, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

static void tune(int sock)
{
	for (size_t i = 0; i < ARRAY_SIZE(tuning); i++)
		(void)setsockopt(sock, tuning[i].level, tuning[i].option, &tuning[i].value,
				 sizeof(int));
}

/* As the filter has it: the path is in the table. */
static int open_file(size_t client)
{
	const struct dialer_address *table = (const void *)DIALER_TABLE;
	int fd = openat(AT_FDCWD, table[client * DIAL_ADDRESSES_MAX].file, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* A socket, connected or about to be, or a negative errno. */
static int connect_to(size_t client, uint8_t place)
{
	const struct sockaddr *a = address_of(client, place);
	_cleanup_(closep) int sock =
		socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (sock < 0)
		return -errno;
	if (a->sa_family != AF_UNIX) {
		tune(sock);
		drop_at_close(sock);
	}
	if (connect(sock, a, clients[client].len[place]) < 0 && errno != EINPROGRESS)
		return -errno;
	return take_fd(&sock);
}

static int dial(size_t client, uint8_t place)
{
	return clients[client].opens ? open_file(client) : connect_to(client, place);
}

/* Who does not take the answer asks again. */
static void answer(size_t client, uint8_t place, unsigned int first)
{
	uint8_t wire[DIAL_ANSWER_LEN];
	struct iovec iov = { wire, sizeof(wire) };
	_cleanup_(closep) int sock = dial(client, place);
	const struct dial_answer a = { first, sock < 0 ? sock : 0 };

	dial_encode(&a, wire);
	(void)!msg_send(waiting[client].fd, &iov, 1, &sock, sock < 0 ? 0 : 1);
}

static void answer_in_turn(size_t client)
{
	const uint8_t place = clients[client].next;

	clients[client].next = (uint8_t)((place + 1) % clients[client].n);
	answer(client, place, clients[client].n);
}

/* A guest is behind the question: the host's programs are not to hear more from it than they can bear. */
static void answer_chosen(size_t client, uint8_t place)
{
	const struct timespec pause = { .tv_nsec = CHOSEN_PAUSE_NS };

	answer(client, place, place + 1U);
	(void)!ppoll(NULL, 0, &pause, NULL);
}

static bool answer_to(size_t client, uint8_t byte)
{
	if (clients[client].chosen && byte >= clients[client].n)
		return false;
	if (clients[client].chosen)
		answer_chosen(client, byte);
	else
		answer_in_turn(client);
	return true;
}

static void hear(size_t client)
{
	int fds[MSG_MAX_FDS];
	size_t n = 0;
	uint8_t byte;
	ssize_t got = msg_recv(waiting[client].fd, &byte, 1, fds, &n, MSG_DONTWAIT);

	if (got == -EAGAIN)
		return;
	if (got >= 0)
		fds_close(fds, n);
	if (got == 1 && n == 0 && answer_to(client, byte))
		return;
	/* nobody has it any more, or who has it breaks the protocol */
	closep(&waiting[client].fd);
}

/* Whoever starts the processes has the other ends, too: without them the VM has ended. A parent of another id could not
 * send a signal at its death. */
static bool has_clients(void)
{
	for (size_t i = 0; i < n_clients; i++)
		if (waiting[i].fd >= 0)
			return true;
	return false;
}

void dialer_run(struct dialer *d, int ready)
{
	if (prepare(d, &ready) < 0)
		_exit(EXIT_FAILED); /* the supervisor sees it */
	for (size_t i = 0; i < n_clients; i++)
		waiting[i] = (struct pollfd){ DIALER_FD_CLIENTS + (int)i, POLLIN, 0 };
	if (write(ready, "c", 1) != 1)
		_exit(EXIT_FAILED);
	close(ready);
	while (has_clients() && ppoll(waiting, n_clients, NULL, NULL) >= 0)
		for (size_t i = 0; i < n_clients; i++)
			if (waiting[i].fd >= 0 && waiting[i].revents)
				hear(i);
	_exit(has_clients() ? EXIT_FAILED : 0);
}
