/* SPDX-License-Identifier: Apache-2.0 */
/* What the host gives; see guarantee.h. */
#include "lib/sandbox/guarantee.h"

#include "lib/base/cleanup.h"
#include "lib/sandbox/cgroup_internal.h"
#include "lib/sandbox/jail.h"
#include "lib/sandbox/sandbox.h"
#include "lib/sandbox/selinux.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define LANDLOCK_OF_PORTS 4
#define LANDLOCK_OF_SCOPES 6

const struct guarantee_row guarantees[N_GUARANTEES] = {
	[GUARANTEE_NAMESPACES] = { "namespaces",
				   "no file, process, network or user of the host is in sight",
				   "user namespaces", "no VM starts", NEED_ALWAYS },
	[GUARANTEE_FILTER] = { "filter", "a counted list of system calls", "seccomp",
			       "no VM starts", NEED_ALWAYS },
	[GUARANTEE_IDS] = { "ids",
			    "a user id for each process that serves the guest, which no other has",
			    "root, or subordinate ids (/etc/subuid, /etc/subgid, newuidmap)",
			    "a VM's processes share their user's id", NEED_STRICT },
	[GUARANTEE_PATHS] = { "paths", "no right on any path, even below a directory in hand",
			      "Landlock", "the empty root and the filter stand alone",
			      NEED_STRICT },
	[GUARANTEE_MEMORY] = { "memory limit", "the VM's memory as a whole is bounded",
			       "cgroup v2 with memory", "each process has its own bounds only",
			       NEED_STRICT },
	[GUARANTEE_TASKS] = { "task limit", "not one process or thread more than the VM needs",
			      "cgroup v2 with pids", "each process has its own bound only",
			      NEED_STRICT },
	[GUARANTEE_PORTS] = { "TCP ports", "no TCP port, in whatever network",
			      "Landlock, version 4", "the empty network namespace stands alone",
			      NEED_FURTHER },
	[GUARANTEE_SCOPES] = { "scopes", "no signal to, no abstract socket of, others",
			       "Landlock, version 6", "the namespaces stand alone", NEED_FURTHER },
	[GUARANTEE_CORES] = { "core scheduling", "no core is shared with another VM at a time",
			      "core scheduling, or a CPU without SMT",
			      "siblings of a core may run two VMs", NEED_FURTHER },
	[GUARANTEE_LABELS] = { "labels",
			       "processes and disks of a VM have a label that no other VM's may touch",
			       "SELinux with Bulkhead's module", "the other walls stand alone",
			       NEED_FURTHER },
	[GUARANTEE_KVM] = { "KVM's limits",
			    "of KVM nothing but the machine: no paravirtual features but "
			    "the clock, no Hyper-V, no nested virtualisation",
			    "Linux 5.10", "a guest reaches more of the host's KVM", NEED_STRICT },
};

/* Without SMT there is no sibling. */
static bool has_siblings(void)
{
	char text[8];

	return cgroup_text(AT_FDCWD, "/sys/devices/system/cpu/smt/active", text, sizeof(text)) <
		       0 ||
	       text[0] != '0';
}

static bool has_core_cookies(void)
{
	unsigned long cookie = 0;

	return prctl(PR_SCHED_CORE, PR_SCHED_CORE_GET, 0, PR_SCHED_CORE_SCOPE_THREAD, &cookie) == 0;
}

static const char *lacks_controller(const struct cgroup_place *place, const char *why,
				    unsigned int controller)
{
	if (!place)
		return why;
	return place->controllers & controller ? NULL : "its cgroup lacks the controller";
}

static const char *lacks_landlock(int needed)
{
	int abi = sandbox_landlock_abi();

	if (abi >= needed)
		return NULL;
	return abi == 0 ? "no Landlock" : "an older Landlock";
}

void guarantees_look(const struct cgroup_place *place, const char *why, const char *why_no_ids,
		     struct guarantee_report *ret)
{
	/* clang-format off */
	*ret = (struct guarantee_report){ .missing = {
		[GUARANTEE_IDS] = *why_no_ids ? why_no_ids : NULL,
		[GUARANTEE_PATHS] = lacks_landlock(1),
		[GUARANTEE_MEMORY] = lacks_controller(place, why, CGROUP_MEMORY),
		[GUARANTEE_TASKS] = lacks_controller(place, why, CGROUP_PIDS),
		[GUARANTEE_PORTS] = lacks_landlock(LANDLOCK_OF_PORTS),
		[GUARANTEE_SCOPES] = lacks_landlock(LANDLOCK_OF_SCOPES),
		[GUARANTEE_CORES] = has_siblings() && !has_core_cookies() ? "not in this kernel" :
									    NULL,
		[GUARANTEE_LABELS] = selinux_lacks(),
	} };
	/* clang-format on */
}

/* The next from i on that is missing, or N_GUARANTEES. */
static size_t next_missing(const struct guarantee_report *r, enum guarantee_need need, size_t i)
{
	while (i < N_GUARANTEES && (!r->missing[i] || guarantees[i].need != need))
		i++;
	return i;
}

static size_t list(const struct guarantee_report *r, enum guarantee_need need, bool why, char *text,
		   size_t cap)
{
	size_t n = 0, at = 0;

	*text = '\0';
	for (size_t i = next_missing(r, need, 0), next; i < N_GUARANTEES; i = next, n++) {
		next = next_missing(r, need, i + 1);
		if (at < cap)
			at += (size_t)snprintf(text + at, cap - at, "%s%s", n ? ", " : "",
					       guarantees[i].name);
		/* one reason for all that share it */
		if (why && at < cap &&
		    (next == N_GUARANTEES || strcmp(r->missing[i], r->missing[next]) != 0))
			at += (size_t)snprintf(text + at, cap - at, " (%s)", r->missing[i]);
	}
	return n;
}

size_t guarantees_say(const struct guarantee_report *r, enum guarantee_need need, char *text,
		      size_t cap)
{
	return list(r, need, true, text, cap);
}

size_t guarantees_name(const struct guarantee_report *r, enum guarantee_need need, char *text,
		       size_t cap)
{
	return list(r, need, false, text, cap);
}
