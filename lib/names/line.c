/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line of /proc/net/unix: Num RefCount Protocol Flags Type St Inode Path. HOSTILE: anybody on the host
 * chooses abstract names, a line's end among their bytes. Pure.
 */
#include "lib/names/internal.h"

#include <stdio.h>
#include <string.h>

#define LISTENS 0x10000U /* flags */
#define HEX "0123456789abcdef"

bool name_is_right(const char *name)
{
	size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				  "0123456789._-");

	return len > 0 && len <= NAMES_MAX && name[len] == '\0' && *name != '.';
}

/* "", or what names_listen makes. */
static bool rest_is_right(const char *rest)
{
	return *rest == '\0' || (*rest == '#' && strspn(rest + 1, HEX) == NAMES_REST_MAX - 1 &&
				 rest[NAMES_REST_MAX] == '\0');
}

bool line_decode(const char *line, uid_t uid, struct names_found *ret)
{
	struct names_found f = { .rest = "" };
	unsigned int flags, type;
	char path[128], prefix[32];
	size_t len, n;

	/* '@' is an abstract name */
	if (sscanf(line, "%*s %*s %*s %8x %4x %*s %*s %127s", &flags, &type, path) != 3 ||
	    !(flags & LISTENS) || type != SOCK_SEQPACKET)
		return false;
	len = (size_t)snprintf(prefix, sizeof(prefix), "@bulkhead/%u/", uid);
	if (strncmp(path, prefix, len) != 0)
		return false;
	n = strcspn(path + len, "#");
	if (n > NAMES_MAX)
		return false;
	memcpy(f.name, path + len, n);
	f.name[n] = '\0';
	if (!name_is_right(f.name) || !rest_is_right(path + len + n))
		return false;
	snprintf(f.rest, sizeof(f.rest), "%s", path + len + n);
	*ret = f;
	return true;
}
