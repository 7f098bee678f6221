/* SPDX-License-Identifier: Apache-2.0 */
/* What is the same for every disk; see disk.h. */
#include "lib/diskkit/disk.h"

#include <errno.h>
#include <signal.h>

int disk_open(struct disk *ret, const struct disk_options *o, const char **ret_what)
{
	*ret_what = "signals";
	/* a file that would grow too far is an error, not the end */
	if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
		return -errno;
	return o->format == DISK_RAW ? disk_raw(ret, o, ret_what) : disk_volume(ret, o, ret_what);
}

int disk_confine(const struct disk *disk, struct process *c, const struct sandbox_policy *policy,
		 const char **ret_what)
{
	struct sandbox_policy limited = *policy;

	limited.limits.fsize = disk->fsize;
	return process_confine(c, &limited, ret_what);
}

int disk_end(const struct disk *disk, const char *process, int status)
{
	if (disk->finish && disk->finish() < 0 && status == 0)
		return control_fail(FD_CONTROL, "%s: image: what is in memory cannot be written",
				    process);
	return status;
}
