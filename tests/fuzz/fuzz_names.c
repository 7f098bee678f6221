/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of /proc/net/unix: what is taken for a VM's name may be shown, and fits into an address. */
#include "tests/fuzz/fuzz.h"

#include "lib/names/internal.h"

#include <stdlib.h>
#include <string.h>

static void check(const char *line, uid_t uid)
{
	struct names_found f;

	if (!line_decode(line, uid, &f))
		return;
	require(name_is_right(f.name) && strlen(f.name) <= NAMES_MAX);
	require(*f.rest == '\0' || strlen(f.rest) == NAMES_REST_MAX);
	require(strlen("bulkhead/4294967295/") + strlen(f.name) + strlen(f.rest) <
		sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = calloc(1, size + 1);

	require(line);
	memcpy(line, data, size);
	check(line, 0);
	check(line, 1000);
	free(line);
	return 0;
}
