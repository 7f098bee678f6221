/* SPDX-License-Identifier: Apache-2.0 */
/* The dialer as the supervisor sees it: names become addresses; see dialer.h. */
#include "cmd/supervisor/dialer.h"

#include "cmd/supervisor/child.h"
#include "cmd/supervisor/open.h"
#include "lib/base/cleanup.h"
#include "lib/files/lookup.h"
#include "lib/iscsi/uri.h"
#include "lib/nbd/uri.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOCKET_PATH_MAX sizeof(((struct sockaddr_un *)0)->sun_path)

/* ---- addresses ---- */

static bool add_address(struct dialer_client *c, const char *text, unsigned int port)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };

	if (c->n == DIAL_ADDRESSES_MAX)
		return true;
	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
		c->address[c->n].v4 = v4;
		c->len[c->n++] = sizeof(v4);
	} else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
		c->address[c->n].v6 = v6;
		c->len[c->n++] = sizeof(v6);
	} else {
		return false;
	}
	return true;
}

static void add_socket(struct dialer_client *c, const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	c->address[c->n].path = a;
	c->len[c->n++] = sizeof(a);
}

struct looked_up {
	struct dialer_client *client;
	unsigned int port;
};

static bool add_found(void *owner, const char *address)
{
	const struct looked_up *l = owner;

	return add_address(l->client, address, l->port);
}

static int find_addresses(struct dialer_client *c, const char *host, unsigned int port,
			  const char *word, struct open_error *e)
{
	struct looked_up l = { c, port };
	const unsigned int before = c->n;
	int r;

	if (add_address(c, host, port))
		return 0;
	r = lookup_host(host, add_found, &l);
	if (r == -ENOSYS)
		return open_complain(e, r,
				     "--%s: %s: a name is looked up by " LOOKUP_PROGRAM
				     ", which is not there: say an address",
				     word, host);
	return c->n > before || c->n == DIAL_ADDRESSES_MAX ?
		       0 :
		       open_complain(e, -EHOSTUNREACH, "--%s: %s: no address is known of that name",
				     word, host);
}

/* All ways to a target. */
static int find_portals(struct dialer_client *c, const struct config_file *address,
			const char *word, struct open_error *e)
{
	const char *why = "?";
	struct iscsi_uri u;
	int r = 0;

	if (iscsi_uri_parse(address->path, address->path_len, &u, &why) < 0)
		return open_complain(e, -EINVAL, "--%s: %s", word, why);
	for (unsigned int i = 0; i < u.n_portals && r == 0; i++)
		r = find_addresses(c, u.portal[i].host, u.portal[i].port, word, e);
	return r;
}

static int find_server(struct dialer *d, struct dialer_client *c, const struct config_file *address,
		       const char *word, struct open_error *e)
{
	const char *why = "?";
	struct nbd_uri u;

	if (iscsi_uri_is_meant(address->path, address->path_len))
		return find_portals(c, address, word, e);
	if (nbd_uri_parse(address->path, address->path_len, &u, &why) < 0)
		return open_complain(e, -EINVAL, "--%s: %s", word, why);
	if (!u.local)
		return find_addresses(c, u.host, (unsigned int)strtoul(u.port, NULL, 10), word, e);
	d->any_local = true;
	add_socket(c, u.socket);
	return 0;
}

/* Firecracker's convention: what listens for the guest on port 80 is PATH_80. */
static int add_reached(struct dialer_client *c, const char *beside, uint32_t port, const char *word,
		       struct open_error *e)
{
	char path[SOCKET_PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s_%u", beside, port);
	if (strlen(path) >= SOCKET_PATH_MAX)
		return open_complain(e, -ENAMETOOLONG,
				     "--%s: %s: a socket's path has up to %zu bytes: say a shorter "
				     "--name, or set XDG_RUNTIME_DIR to a shorter one",
				     word, path, SOCKET_PATH_MAX - 1);
	add_socket(c, path);
	return 0;
}

static int find_reached(struct dialer_client *c, const struct config_device *device,
			const char *name, const char *runtime, struct open_error *e)
{
	_cleanup_(names_close) struct names n = NAMES_NONE;
	const char *word = device->kind->word;
	char beside[SOCKET_PATH_MAX];
	uint32_t port;
	int r;

	names_open(geteuid(), runtime, true, &n);
	r = names_path_beside(&n, name, word, beside, sizeof(beside));
	if (r == -ENAMETOOLONG)
		return open_complain(e, r,
				     "--%s: the directory of %s+%s has a path too long for "
				     "sockets: set XDG_RUNTIME_DIR to a shorter one",
				     word, name, word);
	if (r < 0)
		return open_complain(e, r,
				     "--%s: its sockets need a directory of yours: set "
				     "XDG_RUNTIME_DIR to one that nobody else may write to",
				     word);
	while (r == 0 && c->n < DIAL_ADDRESSES_MAX &&
	       device->kind->reaches(device->options, c->n, &port))
		r = add_reached(c, beside, port, word, e);
	return r;
}

/* ---- clients ---- */

static struct dialer_client *next_client(struct dialer *d, const char *word, struct open_error *e)
{
	if (!d->clients)
		d->clients = calloc(DIALER_CLIENTS_MAX, sizeof(*d->clients));
	if (!d->clients || d->n == DIALER_CLIENTS_MAX) {
		open_complain(e, -ENOMEM, "--%s: no room for a dialer", word);
		return NULL;
	}
	return &d->clients[d->n];
}

int dialer_add_channel(struct dialer *d, const struct config_file *address, const char *word,
		       int sock, struct open_error *e)
{
	struct dialer_client *c = next_client(d, word, e);
	int r = c ? find_server(d, c, address, word, e) : -ENOMEM;

	if (r == 0)
		d->clients[d->n++].sock = sock;
	return r;
}

static int make_channel(const char *word, int pair[2], struct open_error *e)
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ?
		       open_complain(e, -errno, "--%s: a channel: %s", word, strerror(errno)) :
		       0;
}

/* r: whether the dialer has its end now. */
static int keep_theirs(const int pair[2], int r)
{
	if (r == 0)
		return pair[1];
	close(pair[0]);
	close(pair[1]);
	return r;
}

int dialer_add(struct dialer *d, const struct config_device *device, struct open_error *e)
{
	const struct config_file address = { device->path, device->path_len };
	const char *word = device->kind->word;
	int pair[2], r = make_channel(word, pair, e);

	return r < 0 ? r : keep_theirs(pair, dialer_add_channel(d, &address, word, pair[0], e));
}

int dialer_add_reached(struct dialer *d, const struct config_device *device, const char *name,
		       const char *runtime, struct open_error *e)
{
	const char *word = device->kind->word;
	struct dialer_client *c = next_client(d, word, e);
	int pair[2], r = c ? make_channel(word, pair, e) : -ENOMEM;

	if (r < 0)
		return r;
	r = find_reached(c, device, name, runtime, e);
	if (r == 0) {
		c->chosen = d->any_local = true;
		c->sock = pair[0];
		d->n++;
	}
	return keep_theirs(pair, r);
}

int dialer_add_opened(struct dialer *d, const char *path, const char *word, struct open_error *e)
{
	struct dialer_client *c = next_client(d, word, e);
	int pair[2], r = c ? make_channel(word, pair, e) : -ENOMEM;

	if (r < 0)
		return r;
	snprintf(c->address[0].file, sizeof(c->address[0].file), "%s", path);
	c->n = 1;
	c->opens = d->any_local = true;
	d->opens = path;
	c->sock = pair[0];
	d->n++;
	return keep_theirs(pair, 0);
}

/* ---- the process ---- */

int dialer_start(struct dialer *d, struct open_error *e)
{
	_cleanup_(closep) int ready = -1;
	int pipes[2];
	pid_t pid;
	char byte;

	if (d->n == 0)
		return 0;
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return open_complain(e, -errno, "the dialer: %s", strerror(errno));
	ready = pipes[0];
	pid = child_fork(&d->pidfd);
	if (pid == 0)
		dialer_run(d, pipes[1]);
	close(pipes[1]);
	if (pid < 0)
		return open_complain(e, -EAGAIN, "the dialer cannot be started");
	return read(ready, &byte, 1) == 1 ?
		       0 :
		       open_complain(e, -EPERM, "the dialer cannot be confined");
}

void dialer_close(struct dialer *d)
{
	for (size_t i = 0; i < d->n; i++)
		closep(&d->clients[i].sock);
	free(d->clients);
	closep(&d->pidfd);
	*d = (struct dialer){ .pidfd = -1 };
}
