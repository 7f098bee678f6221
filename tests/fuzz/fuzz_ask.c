/* SPDX-License-Identifier: Apache-2.0 */
/* What the launcher is asked: what decodes is printable and within its bounds, and can be said again. The first
 * byte is how many descriptors come with it. */
#include "tests/fuzz/fuzz.h"

#include "cmd/supervisor/ask.h"

#include <string.h>

static void check(const struct ask *a, size_t n_fds)
{
	require(strnlen(a->text, sizeof(a->text)) <= ASK_TEXT_MAX);
	for (const char *at = a->text; *at; at++)
		require(*at >= ' ' && *at <= '~');
	if (a->what == ASK_NEW || a->what == ASK_BEHIND)
		require(n_fds == 1 || (n_fds == 0 && a->what == ASK_NEW));
	else
		require(a->what >= ASK_AGAIN && a->what <= ASK_BESIDE &&
			n_fds == (a->what == ASK_FIND || a->what == ASK_BESIDE) && a->kind == 0 &&
			(a->number == 0) == (a->what != ASK_BESIDE) && !*a->text &&
			(n_fds == 0 || a->part == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t wire[ASK_WIRE_MAX];
	struct ask a, again;
	int len;

	if (size == 0 || ask_decode(data + 1, size - 1, data[0], &a) < 0)
		return 0;
	check(&a, data[0]);
	len = ask_encode(&a, wire, sizeof(wire));
	require(len > 0 && (size_t)len == size - 1 && memcmp(wire, data + 1, size - 1) == 0);
	require(ask_decode(wire, (size_t)len, data[0], &again) == 0);
	require(memcmp(&a, &again, sizeof(a)) == 0);
	return 0;
}
