/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far a job says that it is, and the line that its user is shown of it: the first 8 bytes are the time that
 * it has run, the rest what it says.
 */
#include "lib/imagefile/progress.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define LINE_BYTES 59 /* as little as the command has */

static void check_line(const struct progress *p, uint64_t since_ns)
{
	char line[LINE_BYTES];
	size_t len;

	memset(line, '\x1b', sizeof(line));
	len = progress_line(p, since_ns & 0xff, since_ns, line, sizeof(line));
	require(len < sizeof(line));
	for (size_t i = 0; i < len; i++)
		require(line[i] >= ' ' && line[i] <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[PROGRESS_WIRE_LEN];
	struct progress p;
	uint64_t since_ns;

	if (size < sizeof(since_ns))
		return 0;
	memcpy(&since_ns, data, sizeof(since_ns));
	data += sizeof(since_ns);
	size -= sizeof(since_ns);
	if (progress_decode(data, size, &p) < 0)
		return 0;
	require(size == PROGRESS_WIRE_LEN && p.done <= p.total);
	progress_encode(&p, again);
	require(memcmp(again, data, sizeof(again)) == 0);
	check_line(&p, since_ns);
	return 0;
}
