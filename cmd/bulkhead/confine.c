/* SPDX-License-Identifier: Apache-2.0 */
/* The relay's filter; see confine.h. */
#include "cmd/bulkhead/confine.h"

#include "lib/base/cleanup.h"
#include "lib/sandbox/sandbox.h"

#include <asm/termbits.h>
#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

static const struct sandbox_rule rules[] = {
	SB_CALL(epoll_wait),
	SB_CALL(epoll_ctl),
	SB_CALL(read),
	SB_CALL(write),
	SB_CALL(recvfrom),       /* the console's stream */
	SB_CALL_EQ(sendto, 4, 0), /* without an address */
	SB_CALL(recvmsg),        /* the supervisor's messages */
	SB_CALL(sendmsg),
	SB_CALL(poll),
	SB_CALL(ppoll),
	SB_CALL(close),
	SB_CALL(wait4),          /* the supervisor's end */
	SB_IOCTL(TCSETS),        /* the terminal's modes, and back */
	SB_IOCTL(TCGETS),        /* tcsetattr looks whether it was done */
	SB_CALL(rt_sigaction),   /* termmode.c: stop, go on, and die with the modes given back */
	SB_CALL(rt_sigprocmask),
	SB_CALL(rt_sigreturn),
	SB_CALL(getpid),
	SB_CALL(gettid),
	SB_CALL(exit_group),
};

#define MAX_RULES (ARRAY_SIZE(rules) + 1)

int confine_relay(const char **ret_what)
{
	struct sandbox_rule all[MAX_RULES];
	const struct sandbox_policy policy = {
		.name = "bulkhead",
		.rules = all,
		.n_rules = MAX_RULES,
		.limits = { .nofile = 256, .nproc = 0, .as = SB_UNSET, .fsize = SB_UNSET,
			    .memlock = 0 },
	};
	const uid_t own = 0x62000000U + (uid_t)getpid() * 16; /* nobody else's, as in host.c */

	memcpy(all, rules, sizeof(rules));
	/* raise(), to nobody but itself */
	all[MAX_RULES - 1] = (struct sandbox_rule)SB_CALL_EQ(tgkill, 0, (uint64_t)getpid());
	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(own, own, own) < 0 ||
			       setresuid(own, own, own) < 0)) {
		*ret_what = "an id that is not root";
		return -errno;
	}
	return sandbox_confine_self(&policy, ret_what);
}
