/* SPDX-License-Identifier: Apache-2.0 */
/* What devices of the VM are joined to; see links.h. */
#include "cmd/bulkhead/links.h"

#include "cmd/bulkhead/opened.h"
#include "cmd/bulkhead/net/bridge.h"
#include "cmd/bulkhead/net/macvtap.h"
#include "cmd/bulkhead/segment/join.h"
#include "cmd/bulkhead/tap.h"
#include "cmd/bulkhead/verbs.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/passt/passt.h"
#include "lib/sandbox/cgroup.h"
#include "lib/sandbox/selinux.h"

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

/* A number that the user says may be that of one that was opened here. */
static bool is_ours(const struct links *l, int fd)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->fds[i] == fd)
			return true;
	return false;
}

static int one(int fd, int *ret)
{
	if (fd < 0)
		return fd;
	*ret = fd;
	return 0;
}

static int open_stream(struct links *l, const struct config_device *d, const char *value, int *ret,
		       const char **ret_why)
{
	int fd = atoi(value);

	(void)d;
	if (fcntl(fd, F_GETFD) < 0 || is_ours(l, fd)) {
		*ret_why = "there is no such descriptor: start the command with a UNIX stream "
			   "socket there";
		return -EBADF;
	}
	if (!is_stream(fd)) {
		*ret_why = "it is no connected UNIX stream socket";
		return -EINVAL;
	}
	*ret = fd;
	return 0;
}

static void note_made(struct links *l, unsigned int index, bool interface)
{
	l->made[l->n_made++] = (struct net_made){ index, interface };
}

static int open_tap(struct links *l, const struct config_device *d, const char *value, int *ret,
		    const char **ret_why)
{
	const struct tap_form form = { config_link_fds(d), kind_link_is_bare(d->kind, d->options),
				       kind_link_has_uso(d->kind, d->options) };
	unsigned int index = 0;
	int r = tap_open(value, &form, ret, ret_why);

	if (r < 0)
		return r;
	r = bridge_rule_tap(d, value, &index, ret_why);
	if (r < 0)
		fds_close(ret, form.queues);
	else if (index)
		note_made(l, index, false);
	return r;
}

static int open_bridge(struct links *l, const struct config_device *d, const char *value, int *ret,
		       const char **ret_why)
{
	unsigned int index = 0;
	int r = bridge_open(d, value, ret, &index, ret_why);

	if (r >= 0)
		note_made(l, index, true);
	return r;
}

static int open_macvtap(struct links *l, const struct config_device *d, const char *value, int *ret,
			const char **ret_why)
{
	unsigned int index = 0;
	int r = macvtap_open(d, value, ret, &index, ret_why);

	if (r >= 0)
		note_made(l, index, true);
	return r;
}

static int open_passt(struct links *l, const struct config_device *d, const char *value, int *ret,
		      const char **ret_why)
{
	_cleanup_(closep) int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(closep) int group = cgroup_network_of(l->supervisor);
	const struct kind_way *w = kind_way(d->kind, d->options);
	struct selinux_vm labels;
	const struct passt_birth birth = { group, proc, &labels };
	int r = proc < 0 ? -errno : selinux_vm_of(proc, l->supervisor, &labels);

	(void)value;
	*ret_why = "the VM's SELinux label cannot be read";
	return r < 0 ? r : one(passt_open(w, d->options, &birth, ret_why), ret);
}

static int open_segment(struct links *l, const struct config_device *d, const char *value, int *ret,
			const char **ret_why)
{
	(void)l;
	return one(segment_open(d, value, ret_why), ret);
}

/* By what a way opens: 0 with as many descriptors as it has, or a negative errno with what would be right. */
static int (*const openers[])(struct links *l, const struct config_device *d, const char *value,
			      int *ret, const char **ret_why) = {
	[KIND_OPENS_TAP] = open_tap,	     [KIND_OPENS_BRIDGE] = open_bridge,
	[KIND_OPENS_MACVTAP] = open_macvtap, [KIND_OPENS_PASST] = open_passt,
	[KIND_OPENS_SWITCH] = open_segment,  [KIND_OPENS_STREAM] = open_stream,
};

static const char *value_of(const struct config_device *d, char *out, size_t cap)
{
	snprintf(out, cap, "%.*s", (int)d->to.path_len, d->to.path);
	return out;
}

/* All that it has, into ret. dashes: before its kind, in the line that says why not. */
static int open_one(const struct config_device *d, struct links *l, const char *dashes, int *ret)
{
	const struct kind_way *w = kind_way(d->kind, d->options);
	char value[LINK_VALUE_MAX + 1];
	const char *why = "";
	int r = opened_check(d, &why);

	value_of(d, value, sizeof(value));
	if (r >= 0)
		r = openers[w->opens](l, d, value, ret, &why);
	if (r < 0)
		return complain(EXIT_START, "%s%s: %s%s%s: %s", dashes, d->kind->word, w->word,
				w->value ? "=" : "", value, why);
	return 0;
}

static bool is_same(const struct config_device *a, const struct config_device *b)
{
	const struct kind_way *w = kind_way(a->kind, a->options);

	return w->value && !w->shared && w == kind_way(b->kind, b->options) &&
	       a->to.path_len == b->to.path_len &&
	       memcmp(a->to.path, b->to.path, a->to.path_len) == 0;
}

static int check_once(const struct vm_config *c, size_t i)
{
	const struct config_device *d = &c->devices[i];
	char value[LINK_VALUE_MAX + 1];

	for (size_t k = 0; k < i; k++)
		if (config_is_linked(&c->devices[k]) && is_same(&c->devices[k], d))
			return complain(EXIT_START, "--%s: %s=%s is of another device already",
					d->kind->word, kind_way(d->kind, d->options)->word,
					value_of(d, value, sizeof(value)));
	return 0;
}

/* Above the numbers that they get; as what they are here the command ends with it. */
static int keep(const struct config_device *d, int old, struct links *l)
{
	int fd = fcntl(old, F_DUPFD_CLOEXEC, LINKS_ABOVE);

	if (fd < 0)
		return complain(EXIT_START, "--%s: %s", d->kind->word, strerror(errno));
	l->fds[l->n++] = fd;
	return 0;
}

static int take(struct vm_config *c, size_t i, struct links *l)
{
	const struct config_device *d = &c->devices[i];
	const unsigned int n = config_link_fds(d);
	int fds[KIND_LINK_FDS_EACH] = { -1 };
	int r = check_once(c, i);

	if (r == 0 && l->n + n > KIND_LINK_FDS_MAX)
		r = complain(EXIT_START,
			     "--%s: the queues of a VM's taps are %d at most, of all together",
			     d->kind->word, KIND_LINK_FDS_MAX);
	if (r == 0)
		r = open_one(d, l, "--", fds);
	for (unsigned int k = 0; k < n && r == 0; k++)
		r = keep(d, fds[k], l);
	if (r == 0)
		fds_close(fds, n);
	return r;
}

static int close_others(const struct links *l)
{
	struct fd_row rows[KIND_LINK_FDS_MAX];

	for (size_t i = 0; i < l->n; i++)
		rows[i] = (struct fd_row){ l->fds[i], FD_ANY, false, "a link" };
	return fds_adopt(rows, l->n, NULL) < 0 ?
		       complain(EXIT_START, "descriptors cannot be closed: %s", strerror(errno)) :
		       0;
}

static void settle_all(struct vm_config *c)
{
	unsigned int number = 0;

	for (size_t i = 0; i < c->n_devices; i++)
		if (c->devices[i].kind->link.settle && !c->devices[i].foreign)
			c->devices[i].kind->link.settle(c->devices[i].options, c->name, number++);
}

int links_take(struct vm_config *c, struct links *ret)
{
	int r = 0;

	*ret = (struct links){ .n = 0, .seed = -1 };
	settle_all(c);
	for (size_t i = 0; i < c->n_devices && r == 0; i++)
		if (config_is_handed(&c->devices[i]))
			r = take(c, i, ret);
	if (r == 0)
		r = close_others(ret);
	if (r)
		links_undo(ret);
	return r;
}

void links_undo(struct links *l)
{
	if (l->n_made)
		net_keeper_undo(l->made, l->n_made);
	l->n_made = 0;
}

void links_close(struct links *l)
{
	fds_close(l->fds, l->n);
	closep(&l->seed);
	l->n = 0;
}

static bool is_number(const struct config_device *d)
{
	return kind_way(d->kind, d->options)->opens == KIND_OPENS_STREAM;
}

int links_take_one(const struct config_device *d, int *ret)
{
	struct links l = { .n = 0, .seed = -1 };
	int r = config_is_linked(d) && is_number(d) ? open_one(d, &l, "", &l.fds[0]) : 0;

	if (r)
		return r;
	if (config_is_linked(d) && is_number(d))
		*ret = l.fds[l.n++];
	return close_others(&l);
}

/* Whose MAC address its supervisor alone knows, and which no net keeper would remove. */
static int refuse_ruled(const struct config_device *d)
{
	const struct kind_way *w = kind_way(d->kind, d->options);

	return complain(EXIT_START,
			"%s: %s=%.*s: a card that the host's kernel holds to rules is there from "
			"the VM's start: it cannot be attached",
			d->kind->word, w->word, (int)d->to.path_len, d->to.path);
}

int links_open_one(const struct config_device *d, pid_t supervisor, int *ret)
{
	struct links none = { .seed = -1, .supervisor = supervisor };

	if (!config_is_linked(d) || is_number(d))
		return 0;
	if (d->kind->link.ruled && d->kind->link.ruled(d->options))
		return refuse_ruled(d);
	if (!config_server(d)->attachable)
		return complain(
			EXIT_START,
			"%s: a card that %s serves is there from the VM's start: it cannot be "
			"attached",
			d->kind->word, config_server(d)->declared->name);
	if (config_link_fds(d) > 1)
		return complain(EXIT_START,
				"%s: a card with several queues is there from the VM's start: say "
				"queues=1 to attach one",
				d->kind->word);
	return open_one(d, &none, "", ret);
}
