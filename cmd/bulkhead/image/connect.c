/* SPDX-License-Identifier: Apache-2.0 */
/* Connections for image-fetch; see connect.h. */
#include "cmd/bulkhead/image/connect.h"

#include "cmd/bulkhead/verbs.h"
#include "lib/base/cleanup.h"
#include "lib/files/lookup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define ADDRESSES_MAX 16
#define ANSWER_MS 10000 /* of each address */

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t len;
};

struct addresses {
	uint16_t port;
	size_t n;
	struct address list[ADDRESSES_MAX];
};

static bool add_address(void *owner, const char *text)
{
	struct addresses *a = owner;
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(a->port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(a->port) };
	struct address *next = &a->list[a->n];

	if (a->n == ADDRESSES_MAX)
		return true;
	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		*next = (struct address){ .v4 = v4, .len = sizeof(v4) };
	else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
		*next = (struct address){ .v6 = v6, .len = sizeof(v6) };
	else
		return false;
	a->n++;
	return true;
}

static int fail(const char *url, const char *host, const char *why)
{
	return complain(EXIT_START, "image import: %.300s: %.253s: %s", url, host, why);
}

static int find_addresses(const char *url, const struct url *u, struct addresses *a)
{
	int r = add_address(a, u->host) ? 0 : lookup_host(u->host, add_address, a);

	if (r == -ENOSYS)
		return fail(url, u->host,
			    "a name is looked up by " LOOKUP_PROGRAM
			    ", which is not there: say an address");
	return a->n ? 0 : fail(url, u->host, "no address is known of that name");
}

/* Until it is connected: 0 or a negative errno. */
static int await(int sock, int signals)
{
	struct pollfd p[] = { { .fd = sock, .events = POLLOUT },
			      { .fd = signals, .events = POLLIN } };
	int error = 0, n;
	socklen_t len = sizeof(error);

	do
		n = poll(p, ARRAY_SIZE(p), ANSWER_MS);
	while (n < 0 && errno == EINTR);
	if (n > 0 && p[1].revents)
		return -EINTR;
	if (n == 0)
		return -ETIMEDOUT;
	if (n < 0 || getsockopt(sock, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return -errno;
	return -error;
}

static int dial(const struct address *a, int signals, int *ret_sock)
{
	_cleanup_(closep) int sock =
		socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (sock < 0)
		return -errno;
	r = connect(sock, &a->any, a->len) < 0 ? -errno : 0;
	if (r == -EINPROGRESS)
		r = await(sock, signals);
	if (r == 0)
		*ret_sock = take_fd(&sock);
	return r;
}

static bool is_within(const struct connect_bound *bound, const struct address *a)
{
	return !bound->known || reach_of(&a->any) <= bound->reach;
}

int image_connect(const char *url, const struct url *u, struct connect_bound *bound, int signals,
		  int *ret_sock)
{
	struct addresses a = { .port = (uint16_t)u->port };
	int r = find_addresses(url, u, &a), error = -EACCES;

	if (r)
		return r;
	for (size_t i = 0; i < a.n; i++) {
		if (!is_within(bound, &a.list[i]))
			continue;
		error = dial(&a.list[i], signals, ret_sock);
		if (error == -EINTR)
			return error;
		if (error < 0)
			continue;
		if (!bound->known)
			*bound = (struct connect_bound){ true, reach_of(&a.list[i].any) };
		return 0;
	}
	if (error == -EACCES)
		return fail(url, u->host,
			    "a server outside redirects to an address of this host or of a private "
			    "network: that is not followed");
	return fail(url, u->host, strerror(-error));
}
