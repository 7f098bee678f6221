/* SPDX-License-Identifier: Apache-2.0 */
/* Enters the relay's sandbox; see confine.h. */
#include "cmd/bulkhead/confine.h"

#include "lib/sandbox/ids.h"

#include <errno.h>
#include <grp.h>
#include <unistd.h>

int confine_relay(const char **ret_what)
{
	const uid_t own = jail_ids_of_root(getpid()); /* nobody else's */

	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(own, own, own) < 0 ||
			       setresuid(own, own, own) < 0)) {
		*ret_what = "an id that is not root";
		return -errno;
	}
	return sandbox_confine_self(&relay_policy, ret_what);
}
