/* SPDX-License-Identifier: Apache-2.0 */
/* Streams that the command was started with; see links.h. */
#include "cmd/bulkhead/links.h"

#include "cmd/bulkhead/verbs.h"
#include "lib/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* No process of a VM has a socket of another family. */
static bool is_stream(int fd)
{
	struct sockaddr_storage peer = { .ss_family = AF_UNSPEC };
	socklen_t type_len = sizeof(int), peer_len = sizeof(peer);
	int type = 0;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) == 0 && type == SOCK_STREAM &&
	       getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0 &&
	       peer.ss_family == AF_UNIX;
}

static int number_of(const struct config_device *d)
{
	char value[24] = "";

	(void)!option_get(kind_option(d->kind, d->kind->link.option), d->options, value,
			  sizeof(value));
	return atoi(value);
}

static int check(const struct config_device *d, int fd)
{
	const char *word = d->kind->word, *option = d->kind->link.option;

	if (fcntl(fd, F_GETFD) < 0)
		return complain(EXIT_START,
				"--%s: %s=%d: there is no such descriptor: start the command with "
				"a UNIX stream socket there",
				word, option, fd);
	if (!is_stream(fd))
		return complain(EXIT_START, "--%s: %s=%d is no connected UNIX stream socket", word,
				option, fd);
	return 0;
}

static int check_once(const struct vm_config *c, size_t i, int fd)
{
	for (size_t k = 0; k < i; k++)
		if (c->devices[k].kind->link.fd && number_of(&c->devices[k]) == fd)
			return complain(EXIT_START, "--%s: %s=%d is of another device already",
					c->devices[i].kind->word, c->devices[i].kind->link.option,
					fd);
	return 0;
}

static int check_all(const struct vm_config *c)
{
	for (size_t i = 0; i < c->n_devices; i++) {
		const struct config_device *d = &c->devices[i];
		int r = 0;

		if (d->kind->link.fd)
			r = check(d, number_of(d));
		if (r == 0 && d->kind->link.fd)
			r = check_once(c, i, number_of(d));
		if (r)
			return r;
	}
	return 0;
}

static int take(struct config_device *d, const char *vm, struct links *l)
{
	int old = number_of(d), fd = fcntl(old, F_DUPFD_CLOEXEC, LINKS_ABOVE);
	char value[24];
	const char *why;

	if (fd < 0)
		return complain(EXIT_START, "--%s: %s", d->kind->word, strerror(errno));
	close(old);
	snprintf(value, sizeof(value), "%d", SUPERVISOR_FD_LINKS + (int)l->n);
	(void)!option_set(kind_option(d->kind, d->kind->link.option), d->options, value, &why);
	if (d->kind->link.settle)
		d->kind->link.settle(d->options, vm, (unsigned int)l->n);
	l->fds[l->n++] = fd;
	return 0;
}

static int close_others(const struct links *l)
{
	struct fd_row rows[KIND_LINKS_MAX];

	for (size_t i = 0; i < l->n; i++)
		rows[i] = (struct fd_row){ l->fds[i], FD_SOCKET, false, "a link" };
	return fds_adopt(rows, l->n, NULL) < 0 ?
		       complain(EXIT_START, "descriptors cannot be closed: %s", strerror(errno)) :
		       0;
}

int links_take(struct vm_config *c, struct links *ret)
{
	int r = check_all(c);

	*ret = (struct links){ .n = 0 };
	for (size_t i = 0; i < c->n_devices && r == 0; i++)
		if (c->devices[i].kind->link.fd)
			r = take(&c->devices[i], c->name, ret);
	return r ? r : close_others(ret);
}

void links_close(struct links *l)
{
	fds_close(l->fds, l->n);
	l->n = 0;
}
