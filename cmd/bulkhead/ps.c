/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead ps: a table of this user's VMs. */
#include "cmd/bulkhead/verbs.h"
#include "cmd/bulkhead/vmlink.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *state_name(uint32_t event)
{
	switch (event) {
	case 0:
		return "starting";
	case CTL_EVENT_RUNNING:
	case CTL_EVENT_REBOOT:
		return "running";
	case CTL_EVENT_PANIC:
		return "panicked";
	case CTL_EVENT_PAUSED:
		return "paused";
	}
	return "ending";
}

static void print_uptime(uint64_t s)
{
	if (s >= 86400)
		printf("%5llud%02lluh", (unsigned long long)s / 86400,
		       (unsigned long long)s / 3600 % 24);
	else
		printf("%02llu:%02llu:%02llu", (unsigned long long)s / 3600,
		       (unsigned long long)s / 60 % 60, (unsigned long long)s % 60);
}

static void print_vm(const struct vmlink_state *s)
{
	const struct control_info *info = &s->info;

	if (!s->told) {
		printf("%-20s %8s %-9s\n", s->name, "-", s->busy ? "busy" : "silent");
		return;
	}
	printf("%-20s %8u %-9s %4u %7lluM %-5s %8u ", s->name, info->pid, state_name(info->state),
	       info->cpus, (unsigned long long)(info->memory >> 20), info->soft ? "soft" : "kvm",
	       info->restarts);
	print_uptime(info->uptime_s);
	printf(" %s\n", *info->attached ? info->attached : "-");
	if (*info->why)
		printf("  paused: %s\n", info->why);
}

int verb_ps(int argc, char **argv)
{
	int r;

	if (argc > 0)
		return complain(EXIT_WORDS, "ps: '%.60s' is too much: ps takes no words", argv[0]);
	printf("%-20s %8s %-9s %4s %8s %-5s %8s %-8s %s\n", "NAME", "PID", "STATE", "CPUS",
	       "MEMORY", "ACCEL", "RESTARTS", "UPTIME", "ATTACHED");
	r = vmlink_ask_all(print_vm);
	if (r == -EOVERFLOW)
		return vmlink_complain("ps", r);
	if (r < 0)
		return complain(EXIT_START, "/proc/net/unix: %s", strerror(-r));
	return 0;
}
