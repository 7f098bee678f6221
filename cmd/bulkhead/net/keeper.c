/* SPDX-License-Identifier: Apache-2.0 */
/* The net keeper; see keeper.h. */
#include "cmd/bulkhead/net/keeper.h"

#include "cmd/bulkhead/net/messages.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/declared/declared.h"
#include "lib/kinds/kind.h"
#include "lib/sandbox/ids.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/netlink.h>
#include <linux/securebits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define N_FDS (NET_KEEPER_FD_NFTABLES + 1)

#define PAGES_LEN ((size_t)2 * NET_KEEPER_PAGE_LEN)

/* For each of what was made, in this order: what is held to rules goes before its rules. */
struct work {
	struct message interface[KIND_LINKS_MAX], table[KIND_LINKS_MAX];
	size_t n_interfaces, n_tables;
};

_Static_assert(KIND_LINKS_MAX *NET_KEEPER_MESSAGE_LEN <= NET_KEEPER_PAGE_LEN,
	       "a page has all messages of a VM");

static void plan(struct work *w, const struct net_made *made, size_t n)
{
	char name[RULES_NAME_MAX];

	w->n_interfaces = w->n_tables = 0;
	for (size_t i = 0; i < n && i < KIND_LINKS_MAX; i++) {
		if (made[i].interface)
			message_delete_interface(&w->interface[w->n_interfaces++], made[i].index);
		snprintf(name, sizeof(name), RULES_NAME, made[i].index);
		message_delete_table(&w->table[w->n_tables++], name);
	}
}

static uint8_t *place_of(uint64_t page, size_t i)
{
	return (uint8_t *)(uintptr_t)(page + i * NET_KEEPER_MESSAGE_LEN);
}

/* Into the pages, which cannot be written afterwards. */
static int write_pages(const struct work *w)
{
	void *pages = mmap((void *)NET_KEEPER_ROUTE, PAGES_LEN, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (pages != (void *)NET_KEEPER_ROUTE)
		return -ENOMEM;
	for (size_t i = 0; i < w->n_interfaces; i++)
		memcpy(place_of(NET_KEEPER_ROUTE, i), w->interface[i].bytes,
		       NET_KEEPER_MESSAGE_LEN);
	for (size_t i = 0; i < w->n_tables; i++)
		memcpy(place_of(NET_KEEPER_NFTABLES, i), w->table[i].bytes, NET_KEEPER_MESSAGE_LEN);
	return mprotect(pages, PAGES_LEN, PROT_READ) < 0 ? -errno : 0;
}

/* What has gone by itself, as a tap does with its last descriptor, is an error that nobody needs to know. */
static void send_pages(size_t n_interfaces, size_t n_tables)
{
	for (size_t i = 0; i < n_interfaces; i++)
		(void)!write(NET_KEEPER_FD_ROUTE, place_of(NET_KEEPER_ROUTE, i),
			     NET_KEEPER_MESSAGE_LEN);
	for (size_t i = 0; i < n_tables; i++)
		(void)!write(NET_KEEPER_FD_NFTABLES, place_of(NET_KEEPER_NFTABLES, i),
			     NET_KEEPER_MESSAGE_LEN);
}

static int netlink(int protocol)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
}

/* ---- its process ---- */

static int keep_fds(int vm, int ready)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fds[N_FDS] = {
		null, null, null, vm, ready, netlink(NETLINK_ROUTE), netlink(NETLINK_NETFILTER)
	};

	return fds_place(fds, N_FDS);
}

/* An id of its own, with root's one capability that it needs. */
static int confine(void)
{
	const uid_t own = jail_ids_of_root(getpid());

	if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) < 0 || setgroups(0, NULL) < 0 ||
	    setresgid(own, own, own) < 0 || setresuid(own, own, own) < 0)
		return -errno;
	return sandbox_confine_self(net_keeper_declared.policy, NULL);
}

static _Noreturn void run(const struct work *w, int vm, int ready)
{
	struct pollfd ended = { .fd = NET_KEEPER_FD_VM, .events = POLLIN };
	sigset_t all;

	sigfillset(&all);
	prctl(PR_SET_NAME, net_keeper_declared.name);
	if (sigprocmask(SIG_SETMASK, &all, NULL) < 0 || setsid() < 0 || write_pages(w) < 0 ||
	    keep_fds(vm, ready) < 0 || confine() < 0)
		_exit(1);
	(void)!write(NET_KEEPER_FD_READY, "", 1);
	close(NET_KEEPER_FD_READY);
	while (poll(&ended, 1, -1) < 0 && errno == EINTR)
		;
	send_pages(w->n_interfaces, w->n_tables);
	_exit(0);
}

/* ---- who starts it ---- */

pid_t net_keeper_start(const struct net_made *made, size_t n, pid_t vm, const char **ret_what)
{
	static struct work w;
	_cleanup_(closep) int pidfd = -1, ours = -1, theirs = -1;
	char byte;
	int pipes[2];
	pid_t pid;

	*ret_what = "what removes the VM's interfaces";
	plan(&w, made, n);
	pidfd = (int)syscall(SYS_pidfd_open, vm, 0);
	if (pidfd < 0 || pipe2(pipes, O_CLOEXEC) < 0)
		return -errno;
	ours = pipes[0];
	theirs = pipes[1];
	pid = fork();
	if (pid == 0)
		run(&w, pidfd, theirs);
	if (pid < 0)
		return -errno;
	closep(&theirs);
	return read(ours, &byte, 1) == 1 ? pid : -EPERM;
}

void net_keeper_undo(const struct net_made *made, size_t n)
{
	_cleanup_(closep) int route = netlink(NETLINK_ROUTE), nftables = netlink(NETLINK_NETFILTER);
	static struct work w;

	plan(&w, made, n);
	for (size_t i = 0; i < w.n_interfaces; i++)
		(void)!write(route, w.interface[i].bytes, w.interface[i].len);
	for (size_t i = 0; i < w.n_tables; i++)
		(void)!write(nftables, w.table[i].bytes, w.table[i].len);
}
