/* SPDX-License-Identifier: Apache-2.0 */
/* See own_id.h. */
#include "cmd/supervisor/own_id.h"

#include <errno.h>
#include <grp.h>
#include <linux/securebits.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <unistd.h>

int own_id_take(uid_t id, uid_t files)
{
	if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) < 0 || setgroups(0, NULL) < 0 ||
	    setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0)
		return -errno;
	(void)setfsuid(files);
	return (uid_t)setfsuid((uid_t)-1) == files ? 0 : -EPERM;
}
