/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the net keeper is while its VM runs; see keeper.h. It may send whole messages of its pages alone: what is there
 * cannot be changed, as there is no call that maps memory or changes its protection.
 */
#include "lib/base/cleanup.h"
#include "lib/declared/declared.h"
#include "lib/sandbox/forms.h"

#include <linux/capability.h>
#include <sys/syscall.h>

#define SEND(fd, page)                                                                           \
	{                                                                                        \
		.nr = __NR_write, .args = {                                                      \
			SB_IS(0, (fd)),                                                          \
			{ SB_MASKED_EQ, 1, (page),                                               \
			  ~(uint64_t)(NET_KEEPER_PAGE_LEN - 1) | (NET_KEEPER_MESSAGE_LEN - 1) }, \
			SB_IS(2, NET_KEEPER_MESSAGE_LEN)                                         \
		}                                                                                \
	}

/* clang-format off */
static const struct sandbox_rule rules[] = {
	SB_CALL(poll), /* the VM's end */
	SB_FORM(write, SB_IS(0, NET_KEEPER_FD_READY), SB_IS(2, 1)),
	SEND(NET_KEEPER_FD_ROUTE, NET_KEEPER_ROUTE),
	SEND(NET_KEEPER_FD_NFTABLES, NET_KEEPER_NFTABLES),
	SB_CALL_EQ(close, 0, NET_KEEPER_FD_READY),
	SB_CALL(exit_group),
};
/* clang-format on */

static const struct sandbox_policy policy = {
	.name = "net-keeper",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = {
		.nofile = NET_KEEPER_FD_NFTABLES + 2, /* one for entering Landlock */
		.nproc = 0,
		.as = SB_UNSET,
		.fsize = SB_UNSET,
		.memlock = 0,
	},
	.capabilities = 1U << CAP_NET_ADMIN,
};

static const struct fd_row fds[] = {
	{ NET_KEEPER_FD_VM, FD_ANY, false, "the end of the VM's first process" },
	{ NET_KEEPER_FD_ROUTE, FD_SOCKET, false, "netlink, for interfaces" },
	{ NET_KEEPER_FD_NFTABLES, FD_SOCKET, false, "netlink, for tables of nftables" },
};

static const struct declared_gain gains[] = {
	{ "the end, before the VM's, of the interfaces and packet filters that root made for it",
	  NULL,
	  "needed to remove them; nobody speaks to it, and its filter sends the kernel messages of pages alone "
	  "that were written before the VM ran and cannot be changed" },
};

const struct declared_process net_keeper_declared = {
	.name = "net-keeper",
	.program = "bulkhead",
	.job = "removes the interfaces and rules that root made for one VM's network cards",
	.hostile = "nothing",
	.place = DECLARED_USER,
	.policy = &policy,
	.fds = fds,
	.n_fds = ARRAY_SIZE(fds),
	.gains = gains,
	.n_gains = ARRAY_SIZE(gains),
};
