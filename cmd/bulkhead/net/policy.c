/* SPDX-License-Identifier: Apache-2.0 */
/* What the net keeper is while its VM runs; see keeper.h. */
#include "lib/base/cleanup.h"
#include "lib/declared/declared.h"
#include "lib/sandbox/forms.h"

#include <linux/capability.h>
#include <sys/syscall.h>

/* clang-format off */
static const struct sandbox_rule rules[] = {
	SB_CALL(poll), /* the VM's end */
	SB_CALL_EQ(write, 0, NET_KEEPER_FD_READY),
	SB_CALL_EQ(write, 0, NET_KEEPER_FD_ROUTE),
	SB_CALL_EQ(write, 0, NET_KEEPER_FD_NFTABLES),
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
	{ "the host's interfaces and packet filters, where root made some for the VM", NULL,
	  "needed to remove them at its end; nobody speaks to it, and all that it says to the kernel "
	  "is written before the VM runs" },
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
