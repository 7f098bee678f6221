/* SPDX-License-Identifier: Apache-2.0 */
/* The launcher's answers: pure, no I/O; see answer.h. */
#include "cmd/supervisor/answer.h"

#include "cmd/supervisor/bounds.h"
#include "lib/base/bytes.h"

#include <errno.h>
#include <string.h>

int answer_encode(const struct answer *a, void *out, size_t cap)
{
	struct bytes_writer w = bytes_writer(out, cap);

	bytes_put8(&w, a->part);
	bytes_put8(&w, (uint8_t)a->result);
	bytes_put16(&w, 0);
	bytes_put32(&w, (uint32_t)a->reason);
	bytes_put(&w, a->text, strnlen(a->text, ANSWER_TEXT_MAX));
	return bytes_written(&w);
}

static bool is_number(const char *text)
{
	return text[strspn(text, "0123456789")] == '\0';
}

static bool is_right(const struct answer *a, size_t n_fds)
{
	switch (a->result) {
	case ANSWER_STARTED:
		return a->reason == 0 && n_fds >= 2 && n_fds <= ANSWER_MAX_FDS && !*a->text;
	case ANSWER_FAILED:
		return a->reason < 0 && a->reason > -4096 && n_fds <= 1;
	case ANSWER_REFUSED:
		return a->reason >= BOUNDS_UNKNOWN && a->reason < BOUNDS_N && n_fds == 0 &&
		       !*a->text;
	case ANSWER_FORGOTTEN:
		return a->reason == 0 && n_fds == 0 && !*a->text;
	case ANSWER_FOUND:
		return a->reason == 0 && n_fds == 0 && is_number(a->text);
	case ANSWER_UNFOUND:
		return a->part == 0 && a->reason >= ANSWER_NO_PART &&
		       a->reason < ANSWER_UNFOUND_N && n_fds == 0 && !*a->text;
	}
	return false;
}

static void make_printable(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

int answer_decode(const void *data, size_t len, size_t n_fds, struct answer *ret)
{
	struct bytes_reader r = bytes_reader(data, len);
	struct answer a = { .part = bytes_get8(&r) };
	unsigned int reserved;

	a.result = (enum answer_result)bytes_get8(&r);
	reserved = bytes_get16(&r);
	a.reason = (int32_t)bytes_get32(&r);
	if (r.failed || reserved || bytes_left(&r) > ANSWER_TEXT_MAX)
		return -EBADMSG;
	bytes_get(&r, a.text, bytes_left(&r));
	if (!is_right(&a, n_fds))
		return -EBADMSG;
	make_printable(a.text);
	*ret = a;
	return 0;
}
