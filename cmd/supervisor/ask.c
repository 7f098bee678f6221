/* SPDX-License-Identifier: Apache-2.0 */
/* What the launcher is asked: pure, no I/O; see ask.h. */
#include "cmd/supervisor/ask.h"

#include "lib/base/bytes.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

int ask_encode(const struct ask *a, void *out, size_t cap)
{
	struct bytes_writer w = bytes_writer(out, cap);

	bytes_put8(&w, (uint8_t)a->what);
	bytes_put8(&w, a->part);
	bytes_put8(&w, a->kind);
	bytes_put8(&w, a->number);
	bytes_put(&w, a->text, strnlen(a->text, ASK_TEXT_MAX));
	return bytes_written(&w);
}

static bool is_right(const struct ask *a, size_t n_fds)
{
	const bool bare = a->kind == 0 && a->number == 0 && !*a->text;

	switch (a->what) {
	case ASK_NEW:
		return n_fds <= 1;
	case ASK_BEHIND:
		return n_fds == 1;
	case ASK_AGAIN:
	case ASK_FORGET:
	case ASK_LARGER:
		return bare && n_fds == 0;
	case ASK_FIND:
		return bare && a->part == 0 && n_fds == 1;
	case ASK_BESIDE:
		return a->part == 0 && a->kind == 0 && a->number && !*a->text && n_fds == 1;
	}
	return false;
}

static bool is_printable(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return true;
}

int ask_decode(const void *data, size_t len, size_t n_fds, struct ask *ret)
{
	struct bytes_reader r = bytes_reader(data, len);
	struct ask a = { .what = (enum ask_what)bytes_get8(&r) };
	size_t text_len;

	a.part = bytes_get8(&r);
	a.kind = bytes_get8(&r);
	a.number = bytes_get8(&r);
	text_len = bytes_left(&r);
	if (r.failed || text_len > ASK_TEXT_MAX)
		return -EBADMSG;
	bytes_get(&r, a.text, text_len);
	if (!is_printable(a.text, text_len) || !is_right(&a, n_fds))
		return -EBADMSG;
	*ret = a;
	return 0;
}
