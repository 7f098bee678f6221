/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of /proc, in which whoever is looked at chooses the names: what is kept can be shown. */
#include "tests/fuzz/fuzz.h"

#include "cmd/bulkhead/audit/procfs.h"

#include <string.h>

static void check_shown(const char *text, size_t cap)
{
	size_t len = strnlen(text, cap);

	require(len < cap);
	for (size_t i = 0; i < len; i++)
		require(text[i] >= ' ' && text[i] <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proc_limit limits[RLIM_NLIMITS];
	struct proc_status status;
	struct proc_map map;
	char *text = malloc(size + 1), path[16];
	uint32_t flags;
	uint64_t number;

	require(text);
	memcpy(text, data, size);
	text[size] = '\0';
	if (procfs_status(text, &status) == 0)
		check_shown(status.name, sizeof(status.name));
	if (procfs_map(text, &map) == 0)
		check_shown(map.name, sizeof(map.name));
	(void)!procfs_flags(text, &flags);
	(void)!procfs_column(text, 9, &number);
	procfs_limits(text, limits);
	if (procfs_cgroup(text, "memory", path, sizeof(path)))
		require(strnlen(path, sizeof(path)) < sizeof(path));
	(void)!procfs_cgroup(text, "", path, sizeof(path));
	free(text);
	return 0;
}
