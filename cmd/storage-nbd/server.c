/* SPDX-License-Identifier: Apache-2.0 */
/* The server; see server.h. */
#include "cmd/storage-nbd/server.h"

#include "cmd/storage-nbd/policy.h"
#include "lib/tls/tls.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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

static const char *reason(const struct server *s, int error)
{
	switch (error) {
	case -EPROTO:
		return tls_why();
	case -ENOENT:
		return "the server has no export of that name";
	case -EACCES:
		return s->client.hand.reply.type ?
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
		return s->client.secured && !s->client.known ?
			       "the server ended the connection once TLS was made: it may want "
			       "tls-cert= and tls-key=, or another one" :
			       "the server ended the connection";
	default:
		return word_of(error);
	}
}

static const char *place(const struct server *s, char *out, size_t cap)
{
	if (s->uri.local)
		snprintf(out, cap, "%s", s->uri.socket);
	else
		snprintf(out, cap, "%s:%s", s->uri.host, s->uri.port);
	return out;
}

static void explain(const void *client, int error, struct link_error *e)
{
	const struct server *s = client;
	const char *words = s->client.hand.refusal;
	char at[NBD_URI_HOST_MAX + 8];

	snprintf(e->text, sizeof(e->text), "%.120s: %s%s%.100s", place(s, at, sizeof(at)),
		 reason(s, error), *words ? ": " : "", words);
}

/* ---- what the link asks of it ---- */

static enum link_state state(const void *client)
{
	const struct server *s = client;

	if (s->client.up)
		return LINK_UP;
	return s->client.gone ? LINK_GONE : LINK_COMING;
}

static int connect_to(void *client, int sock)
{
	struct server *s = client;

	nbd_client_connect(&s->client, sock);
	return 0;
}

static int await(void *client, int control_fd, int timeout_ms)
{
	struct server *s = client;
	int r = nbd_client_await(&s->client, control_fd, timeout_ms);

	return r == -EPIPE ? s->client.why : r;
}

static bool served(const void *client)
{
	const struct server *s = client;

	return s->client.answered;
}

static void hang_up(void *client)
{
	struct server *s = client;

	nbd_client_hang_up(&s->client);
}

static void fail(void *client, int result)
{
	struct server *s = client;

	nbd_client_fail(&s->client, result);
}

static const struct link_client of_nbd = {
	.server = "server",
	.state = state,
	.connect = connect_to,
	.await = await,
	.served = served,
	.hang_up = hang_up,
	.fail = fail,
	.explain = explain,
};

static void lost(struct nbd_client *c)
{
	link_lost(c->lost_owner, c->why);
}

static void found(struct nbd_client *c)
{
	link_found(c->lost_owner);
}

int server_open(struct server *s, const struct nbd_uri *uri, bool readonly, struct loop *loop)
{
	*s = (struct server){ .uri = *uri };
	s->wire = (struct nbd_wire){ wire_begin, wire_secure, wire_transfer, wire_end };
	nbd_client_open_remote(&s->client, -1, readonly, s->uri.name, uri->tls ? &s->wire : NULL);
	s->client.lost = lost;
	s->client.found = found;
	s->client.lost_owner = &s->link;
	return link_open(&s->link, &of_nbd, s, &s->client.image, STORAGE_NBD_FD_DIALER, loop);
}
