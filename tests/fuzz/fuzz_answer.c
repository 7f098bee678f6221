/* SPDX-License-Identifier: Apache-2.0 */
/* The launcher's answers: what decodes is printable and within its bounds, and can be said again. The first
 * byte is how many descriptors come with it. */
#include "tests/fuzz/fuzz.h"

#include "cmd/supervisor/answer.h"
#include "cmd/supervisor/bounds.h"

#include <string.h>

static void check(const struct answer *a, size_t n_fds)
{
	require(n_fds <= ANSWER_MAX_FDS && strnlen(a->text, sizeof(a->text)) <= ANSWER_TEXT_MAX);
	for (const char *at = a->text; *at; at++)
		require(*at >= ' ' && *at <= '~');
	if (a->result == ANSWER_STARTED)
		require(n_fds >= 2 && a->reason == 0);
	else if (a->result == ANSWER_FAILED)
		require(n_fds <= 1 && a->reason < 0);
	else if (a->result == ANSWER_FORGOTTEN)
		require(n_fds == 0 && a->reason == 0 && !*a->text);
	else if (a->result == ANSWER_FOUND)
		require(n_fds == 0 && a->reason == 0 &&
			strspn(a->text, "0123456789") == strlen(a->text));
	else if (a->result == ANSWER_UNFOUND)
		require(n_fds == 0 && a->reason >= 0 && a->reason < ANSWER_UNFOUND_N &&
			a->part == 0 && !*a->text);
	else
		require(n_fds == 0 && a->reason >= BOUNDS_UNKNOWN && a->reason < BOUNDS_N);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t wire[ANSWER_WIRE_MAX];
	struct answer a, again;
	int len;

	if (size == 0 || answer_decode(data + 1, size - 1, data[0], &a) < 0)
		return 0;
	check(&a, data[0]);
	len = answer_encode(&a, wire, sizeof(wire));
	require(len > 0 && (size_t)len <= size - 1);
	require(answer_decode(wire, (size_t)len, data[0], &again) == 0);
	require(again.part == a.part && again.result == a.result && again.reason == a.reason &&
		strcmp(again.text, a.text) == 0);
	return 0;
}
