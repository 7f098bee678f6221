/* SPDX-License-Identifier: Apache-2.0 */
/* Who has the other ends of network links; see network.h. */
#include "cmd/bulkhead/audit/network.h"

#include "cmd/bulkhead/audit/procdir.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* ---- the other end of a UNIX socket, as the kernel has it ---- */

struct question {
	struct nlmsghdr head;
	struct unix_diag_req of;
};

/* The kernel's answer: the attributes lie behind the message, each of them aligned. */
static uint32_t peer_in(const char *answer, size_t len)
{
	const struct nlmsghdr *h = (const void *)answer;
	size_t at = NLMSG_LENGTH(NLMSG_ALIGN(sizeof(struct unix_diag_msg)));
	struct rtattr a;
	uint32_t peer;

	if (!NLMSG_OK(h, len) || h->nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return 0;
	for (; h->nlmsg_len >= at + sizeof(a); at += RTA_ALIGN(a.rta_len)) {
		memcpy(&a, answer + at, sizeof(a));
		if (a.rta_len < sizeof(a) || a.rta_len > h->nlmsg_len - at)
			return 0;
		if (a.rta_type != UNIX_DIAG_PEER || RTA_PAYLOAD(&a) != sizeof(peer))
			continue;
		memcpy(&peer, answer + at + RTA_LENGTH(0), sizeof(peer));
		return peer;
	}
	return 0;
}

/* The inode of the other end of a socket that was made in this network namespace; 0: none, or it is not told. */
static uint32_t peer_of(uint64_t inode)
{
	struct question q = { .head = { .nlmsg_len = sizeof(q),
					.nlmsg_type = SOCK_DIAG_BY_FAMILY,
					.nlmsg_flags = NLM_F_REQUEST },
			      .of = { .sdiag_family = AF_UNIX,
				      .udiag_states = UINT32_MAX,
				      .udiag_ino = (uint32_t)inode,
				      .udiag_show = UDIAG_SHOW_PEER,
				      .udiag_cookie = { UINT32_MAX, UINT32_MAX } } };
	_Alignas(struct nlmsghdr) char answer[1024];
	_cleanup_(closep) int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	ssize_t n;

	if (fd < 0 || send(fd, &q, sizeof(q), 0) != sizeof(q))
		return 0;
	n = recv(fd, answer, sizeof(answer), 0);
	return n <= 0 ? 0 : peer_in(answer, (size_t)n);
}

/* ---- who holds it ---- */

struct search {
	struct subject *subject;
	char link[40]; /* as /proc/PID/fd has it */
	int dir;
};

static bool is_of_machine(const struct subject *s, pid_t pid)
{
	for (size_t i = 0; i < s->n_processes; i++)
		if (s->process[i].facts.pid == pid)
			return true;
	return false;
}

static int look_at_fd(void *owner, int fd)
{
	const struct search *s = owner;
	char name[32], link[64];

	snprintf(name, sizeof(name), "fd/%d", fd);
	return procdir_link(s->dir, name, link, sizeof(link)) == 0 && strcmp(link, s->link) == 0;
}

/* What cannot be seen is passed over. */
static int look_at_process(void *owner, int pid)
{
	struct search *search = owner;
	struct subject *s = search->subject;
	_cleanup_(closep) int dir = procdir_open(pid);

	search->dir = dir;
	if (dir < 0 || is_of_machine(s, pid) || s->n_network == SUBJECT_MAX_NETWORK ||
	    procdir_each(dir, "fd", look_at_fd, search) != 1)
		return 0;
	if (facts_read(pid, &s->network[s->n_network]) == 0)
		s->n_network++;
	return 0;
}

static int find_holder(struct subject *s, uint32_t inode)
{
	struct search search = { .subject = s };
	_cleanup_(closep) int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	snprintf(search.link, sizeof(search.link), "socket:[%u]", inode);
	return root < 0 ? -errno : procdir_each(root, "proc", look_at_process, &search);
}

/* ---- all links ---- */

/* Its last socket is that of its link, or of its relay, which has another process of the machine at its end. */
static bool may_have_link(const struct subject_process *p)
{
	return p->declared && (strcmp(p->declared->name, "net-relay") == 0 ||
			       strcmp(p->declared->name, "dev-net") == 0);
}

int network_read(struct subject *s)
{
	int r = 0;

	for (size_t i = 0; i < s->n_processes && r >= 0; i++) {
		const struct facts *f = &s->process[i].facts;

		for (size_t k = 0; k < f->n_fds && r >= 0 && may_have_link(&s->process[i]); k++) {
			uint32_t peer = f->fds[k].fd > 3 && f->fds[k].type == S_IFSOCK ?
						peer_of(f->fds[k].inode) :
						0;

			r = peer ? find_holder(s, peer) : 0;
		}
	}
	return r;
}

void network_free(struct subject *s)
{
	for (size_t i = 0; i < s->n_network; i++)
		facts_free(&s->network[i]);
	s->n_network = 0;
}
