/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dialer's filter. It may connect, with the addresses of the table alone: what is there cannot be changed, as there is
 * no call that maps memory or changes its protection. One that opens a file for a device may do so by its path there, and
 * Landlock lets that be this file alone.
 */
#include "lib/base/cleanup.h"
#include "lib/declared/declared.h"
#include "lib/sandbox/forms.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>

/* With the whole of an address in the table: a path that could be cut would be others', too. */
#define CONNECT(at, type)                                                                 \
	{                                                                                 \
		.nr = __NR_connect, .args = {                                             \
			{ SB_MASKED_EQ, 1, DIALER_TABLE + (at),                           \
			  ~(uint64_t)(DIALER_TABLE_LEN - 1) | (DIALER_ADDRESS_LEN - 1) }, \
			SB_IS(2, sizeof(type))                                            \
		}                                                                         \
	}
#define OPEN                                                                              \
	{                                                                                 \
		.nr = __NR_openat, .args = {                                              \
			{ SB_MASKED_EQ, 0, (uint32_t)AT_FDCWD, UINT32_MAX },              \
			{ SB_MASKED_EQ, 1, DIALER_TABLE,                                  \
			  ~(uint64_t)(DIALER_TABLE_LEN - 1) | (DIALER_ADDRESS_LEN - 1) }, \
			SB_IS(2, O_RDWR | O_CLOEXEC)                                      \
		}                                                                         \
	}
#define SOCKET_OF(family)                                                                         \
	SB_FORM(socket, SB_IS(0, (family)), SB_IS(1, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK), \
		SB_IS(2, 0))
#define TUNE(level, option) SB_FORM(setsockopt, SB_IS(1, (level)), SB_IS(2, (option)))

/* clang-format off */
static const struct sandbox_rule rules[] = {
	SB_PPOLL,
	SB_RECVMSG,
	SB_SENDMSG,
	SOCKET_OF(AF_INET),
	SOCKET_OF(AF_INET6),
	SOCKET_OF(AF_UNIX),
	TUNE(IPPROTO_TCP, TCP_NODELAY),
	TUNE(SOL_SOCKET, SO_KEEPALIVE),
	TUNE(SOL_SOCKET, SO_LINGER),
	TUNE(IPPROTO_TCP, TCP_KEEPIDLE),
	TUNE(IPPROTO_TCP, TCP_KEEPINTVL),
	TUNE(IPPROTO_TCP, TCP_KEEPCNT),
	TUNE(IPPROTO_TCP, TCP_USER_TIMEOUT),
	CONNECT(0, struct sockaddr_in),
	CONNECT(0, struct sockaddr_in6),
	CONNECT(DIALER_PATH_AT, struct sockaddr_un),
	SB_FORM(write, SB_IS(2, 1)), /* that it is confined */
	SB_CALL(close),
	SB_CALL(exit_group),
	OPEN, /* the last one: a dialer that opens nothing does without, see dialer_process.c */
};
/* clang-format on */

static const struct sandbox_policy policy = {
	.name = "dialer",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	/* channels, one connection at a time, and what comes with messages that are refused */
	.limits = { .nofile = DIALER_FD_CLIENTS + 64 + 16,
		    .nproc = 0,
		    .as = SB_UNSET,
		    .fsize = 0,
		    .memlock = 0 },
	.connects = true,
};

static const struct declared_held held[] = {
	{ "socket:", 64, "channels to its clients, and to a server by its path while it connects" },
	{ "server:", 1, "a connection to a server, until it is handed over" },
};

static const struct declared_gain gains[] = {
	{ "connections to the servers of one VM's disks, and to the host's sockets that its guest may reach",
	  NULL, "to no other address: the filter takes those of a table that nobody can write" },
	{ "of a disk that is attached, where its user may put no process into the VM's control group: a place outside of it",
	  NULL,
	  "its user's command started it, as no address is to come from anybody else, and said so; it ends with the disk, and what it "
	  "may take of the host its own limits say" },
	{ "its user's domain, where SELinux is", NULL,
	  "of the VM's domains none has a network; Landlock allows it no file and its filter opens none" },
	{ "of a card with vhost=on: descriptors of /dev/vhost-net", NULL,
	  "which its process needs new ones of when it is started again; Landlock leaves it that file alone, and what it opened "
	  "it has no call to use" },
	{ "its user's network, for those connections", NULL,
	  "it has no other call that takes an address, and no secret that a server would ask for" },
};

const struct declared_process dialer_declared = {
	.name = "dialer",
	.program = "supervisor",
	.job = "connects to the servers of one VM's disks, and to sockets that its guest reaches",
	.hostile = "single bytes of storage processes, of dev-vsock and dev-vhost-net",
	.place = DECLARED_USER,
	.policy = &policy,
	.held = held,
	.n_held = ARRAY_SIZE(held),
	.gains = gains,
	.n_gains = ARRAY_SIZE(gains),
};
