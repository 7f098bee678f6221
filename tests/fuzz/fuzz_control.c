/* SPDX-License-Identifier: Apache-2.0 */
/* The control protocol: what decodes can be said again and then decodes the same. */
#include "tests/fuzz/fuzz.h"

#include "lib/control/control.h"

#include <string.h>

static void check_text(const struct control_msg *m)
{
	require(m->text_len <= CTL_TEXT_MAX && m->text[m->text_len] == 0);
	for (size_t i = 0; i < m->text_len; i++)
		require(m->text[i] >= ' ' && m->text[i] <= '~');
	require(strnlen(m->info.name, sizeof(m->info.name)) <= CTL_NAME_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t wire[CTL_WIRE_MAX], again[CTL_WIRE_MAX];
	struct control_msg m, n;
	int len;

	if (control_decode(data, size, &m) < 0)
		return 0;
	check_text(&m);
	require(control_n_fds(m.type) <= 1);
	len = control_encode(&m, wire, sizeof(wire));
	require(len > 0 && (size_t)len == size);
	require(control_decode(wire, (size_t)len, &n) == 0);
	require(control_encode(&n, again, sizeof(again)) == len);
	require(memcmp(wire, again, (size_t)len) == 0);
	return 0;
}
