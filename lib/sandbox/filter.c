/* SPDX-License-Identifier: Apache-2.0 */
/* From a policy to a seccomp filter; see sandbox.h. */
#include "lib/base/cleanup.h"
#include "lib/sandbox/forms.h"
#include "lib/sandbox/internal.h"

#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>

static const int implicit_calls[] = { __NR_sendmsg, __NR_restart_syscall };

static bool names_call(const struct sandbox_rule *rules, size_t n, int nr)
{
	for (size_t i = 0; i < n; i++)
		if (rules[i].nr == nr)
			return true;
	return false;
}

size_t sandbox_count_calls(const struct sandbox_policy *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_rules; i++)
		n += !names_call(p->rules, i, p->rules[i].nr);
	for (size_t i = 0; i < ARRAY_SIZE(implicit_calls); i++)
		n += !names_call(p->rules, p->n_rules, implicit_calls[i]);
	return n;
}

/* -EINVAL: a comparison that does not exist. */
static int translate_arg(const struct sandbox_arg *a, struct scmp_arg_cmp *ret)
{
	switch (a->cmp) {
	case SB_EQ:
		*ret = SCMP_CMP64(a->index, SCMP_CMP_EQ, a->value);
		return 0;
	case SB_MASKED_EQ:
		*ret = SCMP_CMP64(a->index, SCMP_CMP_MASKED_EQ, a->mask, a->value);
		return 0;
	case SB_NO_BITS:
		*ret = SCMP_CMP64(a->index, SCMP_CMP_MASKED_EQ, a->value, 0);
		return 0;
	case SB_OWN_PID:
		*ret = SCMP_CMP64(a->index, SCMP_CMP_EQ, (uint64_t)getpid());
		return 0;
	case SB_NONE:
		break;
	}
	return -EINVAL;
}

static int add_rule(scmp_filter_ctx ctx, const struct sandbox_rule *rule)
{
	struct scmp_arg_cmp cmp[SANDBOX_MAX_ARGS];
	unsigned int n = 0;

	while (n < SANDBOX_MAX_ARGS && rule->args[n].cmp != SB_NONE) {
		int r = translate_arg(&rule->args[n], &cmp[n]);

		if (r < 0)
			return r;
		n++;
	}
	return seccomp_rule_add_exact_array(ctx, SCMP_ACT_ALLOW, rule->nr, n, cmp);
}

static int add_rules(scmp_filter_ctx ctx, const struct sandbox_policy *p)
{
	for (size_t i = 0; i < p->n_rules; i++) {
		int r = add_rule(ctx, &p->rules[i]);

		if (r < 0)
			return r;
		/* the order of the rows: a hint to the filter, which is walked for every call */
		(void)seccomp_syscall_priority(ctx, p->rules[i].nr,
					       (uint8_t)(i < 254 ? 255 - i : 1));
	}
	return 0;
}

static int add_implicit(scmp_filter_ctx ctx, const struct sandbox_policy *p, int control_fd)
{
	static const struct sandbox_rule restart = SB_CALL(restart_syscall);
	const struct sandbox_rule report =
		SB_FORM(sendmsg, SB_IS(0, control_fd), SB_IS(2, MSG_NOSIGNAL));
	int r;

	r = names_call(p->rules, p->n_rules, restart.nr) ? 0 : add_rule(ctx, &restart);
	if (r == 0 && control_fd >= 0 && !names_call(p->rules, p->n_rules, report.nr))
		r = add_rule(ctx, &report);
	if (r == 0 && control_fd >= 0)
		r = seccomp_rule_add_exact(ctx, SCMP_ACT_KILL_PROCESS, SANDBOX_DEATH_CALL, 0);
	return r;
}

/* Whether a policy allows what would take the trap handler's place, or its death. */
static bool defeats_trap(const struct sandbox_policy *p)
{
	return names_call(p->rules, p->n_rules, SANDBOX_DEATH_CALL) ||
	       names_call(p->rules, p->n_rules, __NR_rt_sigaction);
}

int filter_build(const struct sandbox_policy *p, int control_fd, scmp_filter_ctx *ret)
{
	scmp_filter_ctx ctx;
	int r;

	if (control_fd >= 0 && defeats_trap(p))
		return -EINVAL;
	ctx = seccomp_init(control_fd >= 0 || p->inherited ? SCMP_ACT_TRAP : SCMP_ACT_KILL_PROCESS);
	if (!ctx)
		return -ENOMEM;
	r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (r == 0) /* the caller has set no_new_privs or fails for want of it */
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0);
	if (r == 0)
		r = add_rules(ctx, p);
	if (r == 0)
		r = add_implicit(ctx, p, control_fd);
	if (r < 0) {
		seccomp_release(ctx);
		return r;
	}
	*ret = ctx;
	return 0;
}

int filter_load(scmp_filter_ctx ctx)
{
	return seccomp_load(ctx);
}

void filter_release(scmp_filter_ctx *ctx)
{
	if (*ctx)
		seccomp_release(*ctx);
	*ctx = NULL;
}

int sandbox_export(const struct sandbox_policy *p, int control_fd, int out_fd)
{
	_cleanup_(filter_release) scmp_filter_ctx ctx = NULL;
	int r = filter_build(p, control_fd, &ctx);

	return r < 0 ? r : seccomp_export_bpf(ctx, out_fd);
}

void sandbox_call_name(int nr, char *out, size_t cap)
{
	char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, nr);

	snprintf(out, cap, "%s", name ? name : "unknown");
	free(name);
}
