/* SPDX-License-Identifier: Apache-2.0 */
/* Capabilities: none, in any set; see internal.h and capabilities(7). */
#include "lib/sandbox/internal.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <unistd.h>

#define CAP_NUMBER_END 64 /* the kernel's format has room for these */

/* Root's id gives nothing, and no id change gives or takes capabilities, for ever. */
#define SECUREBITS_SHUT                                                                          \
	(SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |                         \
	 SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE | \
	 SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

static int bounding_drop(void)
{
	for (unsigned long cap = 0; cap < CAP_NUMBER_END; cap++) {
		if (prctl(PR_CAPBSET_DROP, cap) == 0)
			continue;
		if (errno == EINVAL)
			break; /* past the last one that this kernel knows */
		return -errno;
	}
	return prctl(PR_SET_SECUREBITS, SECUREBITS_SHUT) < 0 ? -errno : 0;
}

int caps_keep_only(uint64_t kept)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const uint32_t low = (uint32_t)kept, high = (uint32_t)(kept >> 32);
	struct __user_cap_data_struct data[2] = { { .effective = low, .permitted = low },
						  { .effective = high, .permitted = high } };
	int r;

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -errno;
	r = bounding_drop();
	if (r < 0 && r != -EPERM)
		return r;
	return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

int caps_drop_all(void)
{
	return caps_keep_only(0);
}

/* An ambient capability is a permitted one. */
bool caps_are_empty(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];

	if (syscall(SYS_capget, &head, d) < 0)
		return false;
	for (int i = 0; i < 2; i++)
		if (d[i].effective || d[i].permitted || d[i].inheritable)
			return false;
	for (unsigned long cap = 0; cap < CAP_NUMBER_END; cap++) {
		int r = prctl(PR_CAPBSET_READ, cap);

		if (r < 0)
			break;
		if (r > 0)
			return false;
	}
	return true;
}
