/* SPDX-License-Identifier: Apache-2.0 */
/* The connection to the server; see link.h. */
#include "cmd/storage-nbd/link.h"

#include "cmd/storage-nbd/policy.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/storagekit/dial.h"
#include "lib/tls/tls.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* ---- TLS ---- */

static void wire_begin(struct nbd_wire *w, int sock)
{
	(void)w;
	tls_begin(sock);
}

static int wire_secure(struct nbd_wire *w)
{
	(void)w;
	return tls_handshake();
}

static ssize_t wire_transfer(struct nbd_wire *w, const struct iovec *iov, size_t n, bool send)
{
	(void)w;
	return send ? tls_send(iov, n) : tls_receive(iov, n);
}

static void wire_end(struct nbd_wire *w)
{
	(void)w;
	tls_end();
}

/* ---- what is said of it ---- */

static const char *word_of(int error)
{
	const char *word = strerrordesc_np(-error);

	return word ? word : "failed";
}

static const char *reason(const struct link *l, int error)
{
	switch (error) {
	case -EPROTO:
		return tls_why();
	case -ENOENT:
		return "the server has no export of that name";
	case -EACCES:
		return l->client.hand.reply.type ?
			       "the server does not let this export be written, or "
			       "used: readonly=on may be right" :
			       "the server refuses";
	case -ENOKEY:
		return "the server serves with TLS alone: say nbds://";
	case -EPROTONOSUPPORT:
		return "the server has no TLS: nbd:// would be without";
	case -EOPNOTSUPP:
		return "the server lacks what a disk takes: flush, FUA, write-zeroes and sectors of 512 "
		       "bytes";
	case -ENODATA:
		return "the export has not one sector";
	case -EBADMSG:
		return "it is no NBD server, or breaks the protocol";
	case -ETIMEDOUT:
		return "the server does not answer";
	case -EPIPE:
	case -ECONNRESET:
		return l->client.secured && !l->client.known ?
			       "the server ended the connection once TLS was made: it may want "
			       "tls-cert= and tls-key=, or another one" :
			       "the server ended the connection";
	default:
		return word_of(error);
	}
}

static const char *place(const struct link *l, char *out, size_t cap)
{
	if (l->uri.local)
		snprintf(out, cap, "%s", l->uri.socket);
	else
		snprintf(out, cap, "%s:%s", l->uri.host, l->uri.port);
	return out;
}

static int complain(const struct link *l, int error, struct link_error *e)
{
	const char *words = l->client.hand.refusal;
	char at[NBD_URI_HOST_MAX + 8];

	snprintf(e->text, sizeof(e->text), "%.120s: %s%s%.100s", place(l, at, sizeof(at)),
		 reason(l, error), *words ? ": " : "", words);
	return error;
}

/* ---- the first one ---- */

static int ask(void)
{
	struct iovec iov = { (char[]){ "c" }, 1 };

	return msg_send(STORAGE_NBD_FD_DIALER, &iov, 1, NULL, 0);
}

/* Its answer: a socket, or what the dialer was told. */
static int take_answer(struct dial_answer *ret, int flags)
{
	uint8_t wire[DIAL_ANSWER_LEN];
	int fds[MSG_MAX_FDS];
	size_t n = 0;
	ssize_t got = msg_recv(STORAGE_NBD_FD_DIALER, wire, sizeof(wire), fds, &n, flags);

	if (got < 0)
		return (int)got;
	if (got == 0)
		return -ENOTCONN;
	if (dial_decode(wire, (size_t)got, n, ret) < 0) {
		fds_close(fds, n);
		return -EBADMSG;
	}
	return ret->error ? ret->error : fds[0];
}

/* One address. 0, or a negative errno; *ret_addresses how many there are. */
static int try_one(struct link *l, int control_fd, unsigned int *ret_addresses)
{
	struct dial_answer a = { .addresses = 1 };
	struct pollfd p[] = { { .fd = STORAGE_NBD_FD_DIALER, .events = POLLIN },
			      { .fd = control_fd, .events = POLLIN } };
	int r = ask();

	if (r == 0 && ppoll(p, ARRAY_SIZE(p), NULL, NULL) < 0)
		r = -errno;
	if (r == 0 && p[1].revents)
		return -ECANCELED;
	if (r == 0)
		r = take_answer(&a, 0);
	*ret_addresses = a.addresses;
	if (r < 0)
		return r;
	nbd_client_connect(&l->client, r);
	r = nbd_client_await(&l->client, control_fd, LINK_PATIENCE_MS);
	return r == -EPIPE ? l->client.why : r;
}

int link_connect(struct link *l, int control_fd, struct link_error *e)
{
	unsigned int n = 1;
	int r = -ENOTCONN;

	for (unsigned int i = 0; i < n && r < 0 && r != -ECANCELED; i++)
		r = try_one(l, control_fd, &n);
	return r < 0 ? complain(l, r, e) : 0;
}

/* ---- another one ---- */

static int set_timer(struct link *l, unsigned int ms)
{
	const struct itimerspec t = {
		.it_value = { ms / 1000, (long)(ms % 1000) * 1000000L },
	};

	l->armed_ms = ms;
	return timerfd_settime(l->timer_fd, 0, &t, NULL) < 0 ? -errno : 0;
}

/* What waits for it, once it is away for long. */
static void report(struct link *l)
{
	if (!l->report || l->away_ms < LINK_AWAY_MS)
		return;
	l->pause_ms = LINK_REPORT_MS; /* whoever comes meanwhile is not to wait for long */
	nbd_client_fail(&l->client, -EIO);
	storage_completed(l->storage);
}

/* Sooner or later, as often as it failed. */
static int pause_and_retry(struct link *l)
{
	unsigned int ms = l->pause_ms;

	l->pause_ms = ms * 2 < LINK_PAUSE_MAX_MS ? ms * 2 : LINK_PAUSE_MAX_MS;
	return set_timer(l, ms);
}

static void lost(struct nbd_client *c)
{
	struct link *l = c->lost_owner;
	struct link_error e = { "" };

	storage_forget_image(l->storage);
	if (!l->told) {
		(void)complain(l, c->why, &e);
		log_line(LOG_LEVEL_WARNING, "%s: the disk waits for it", e.text);
	}
	l->told = true;
	(void)!pause_and_retry(l);
}

/* It has not come up in time, or is to be tried. */
static int on_timer(struct loop_source *src, uint32_t events)
{
	struct link *l = src->owner;
	uint64_t ticks;

	(void)events;
	if (read(l->timer_fd, &ticks, sizeof(ticks)) != sizeof(ticks))
		return 0;
	if (l->client.up) {
		l->pause_ms = LINK_PAUSE_MIN_MS;
		l->away_ms = 0;
		if (l->told)
			log_line(LOG_LEVEL_INFO, "the server is there again");
		l->told = false;
		return 0;
	}
	if (l->asked)
		return 0; /* the dialer never waits for a server */
	if (l->alone)
		return -ENOTCONN;
	if (!l->client.gone) {
		storage_forget_image(l->storage);
		nbd_client_hang_up(&l->client);
	}
	l->away_ms += l->away_ms < LINK_AWAY_MS ? l->armed_ms : 0;
	report(l);
	l->asked = true;
	return ask();
}

/* The connection that there is serves on; when that is lost, too, the process ends. */
static int lose_dialer(struct link *l)
{
	if (!l->client.up)
		return -ENOTCONN;
	loop_remove(l->loop, &l->dialer);
	l->alone = true;
	log_line(LOG_LEVEL_WARNING,
		 "the dialer has ended: a connection that is lost will not be made again");
	return 0;
}

static int on_dialer(struct loop_source *src, uint32_t events)
{
	struct link *l = src->owner;
	struct dial_answer a;
	int r = take_answer(&a, MSG_DONTWAIT);

	(void)events;
	if (r == -EAGAIN)
		return 0;
	if (r == -ENOTCONN && !l->asked)
		return lose_dialer(l);
	if (r == -ENOTCONN || r == -EBADMSG || !l->asked)
		return r < 0 ? r : -EBADMSG;
	l->asked = false;
	if (r < 0)
		return pause_and_retry(l);
	nbd_client_connect(&l->client, r);
	r = storage_watch_image(l->storage);
	/* by then it is up, or given up */
	return r < 0 ? r : set_timer(l, LINK_PATIENCE_MS);
}

int link_keep(struct link *l, struct storage *s)
{
	int r;

	l->storage = s;
	l->client.lost = lost;
	l->client.lost_owner = l;
	r = storage_watch_image(s);
	if (r == 0)
		r = loop_add(l->loop, &l->timer, l->timer_fd, EPOLLIN, on_timer, l);
	if (r == 0)
		r = loop_add(l->loop, &l->dialer, STORAGE_NBD_FD_DIALER, EPOLLIN, on_dialer, l);
	return r;
}

int link_open(struct link *l, const struct nbd_uri *uri, bool readonly, struct loop *loop)
{
	*l = (struct link){ .uri = *uri, .loop = loop, .pause_ms = LINK_PAUSE_MIN_MS };
	l->wire = (struct nbd_wire){ wire_begin, wire_secure, wire_transfer, wire_end };
	l->timer.fd = l->dialer.fd = -1;
	nbd_client_open_remote(&l->client, -1, readonly, l->uri.name, uri->tls ? &l->wire : NULL);
	l->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return l->timer_fd < 0 ? -errno : 0;
}
