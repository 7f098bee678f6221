/* SPDX-License-Identifier: Apache-2.0 */
/* What image-fetch says, and what is noted of it; see fetched.h. */
#include "lib/imagefile/fetched.h"

#include "lib/base/checked.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *const said_words[] = { "validator", "redirect", "again", "digest", NULL };

static const char origin_head[] = "bulkhead image import 1\n";

bool validator_is_fine(const char *text, size_t len)
{
	if (len == 0 || len > VALIDATOR_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	/* a weak one says that something is much the same */
	return strncmp(text, "W/", len < 2 ? len : 2) != 0;
}

static bool is_fine(enum said_kind kind, const char *text, size_t len)
{
	const char *why;
	struct digest d;
	struct url u;

	switch (kind) {
	case SAID_VALIDATOR:
		return validator_is_fine(text, len);
	case SAID_REDIRECT:
		return url_parse(text, len, &u, &why) == 0;
	case SAID_DIGEST:
		return digest_parse(DIGEST_SHA256, text, len, &d) == 0 ||
		       digest_parse(DIGEST_SHA512, text, len, &d) == 0;
	default:
		return len == 0;
	}
}

int said_parse(const char *line, size_t len, struct said *ret)
{
	struct said s = { 0 };

	for (size_t k = 0; said_words[k]; k++) {
		const size_t word = strlen(said_words[k]);

		if (len <= word || memcmp(line, said_words[k], word) != 0 || line[word] != ' ' ||
		    len - word - 1 > URL_MAX || memchr(line, '\0', len))
			continue;
		s.kind = (enum said_kind)k;
		memcpy(s.text, line + word + 1, len - word - 1);
		if (!is_fine(s.kind, s.text, len - word - 1))
			return -EBADMSG;
		*ret = s;
		return 0;
	}
	return -EBADMSG;
}

size_t origin_render(const struct origin *o, char out[ORIGIN_MAX])
{
	int n = snprintf(out, ORIGIN_MAX, "%s%s\n%s\n", origin_head, o->url, o->validator);

	return n > 0 && (size_t)n < ORIGIN_MAX ? (size_t)n : 0;
}

/* The next line, without its end; *text behind it. */
static int take_line(const char **text, size_t *len, char *out, size_t cap)
{
	const char *end = memchr(*text, '\n', *len);
	const size_t n = end ? (size_t)(end - *text) : 0;

	if (!end || n >= cap || memchr(*text, '\0', n))
		return -EBADMSG;
	memcpy(out, *text, n);
	out[n] = '\0';
	*text = end + 1;
	*len -= n + 1;
	return 0;
}

int origin_parse(const char *text, size_t len, struct origin *ret)
{
	const size_t head = strlen(origin_head);
	struct origin o = { 0 };
	const char *why;
	struct url u;

	if (len < head || memcmp(text, origin_head, head) != 0)
		return -EBADMSG;
	text += head;
	len -= head;
	if (take_line(&text, &len, o.url, sizeof(o.url)) < 0 ||
	    take_line(&text, &len, o.validator, sizeof(o.validator)) < 0 || len)
		return -EBADMSG;
	if (url_parse(o.url, strlen(o.url), &u, &why) < 0 ||
	    (*o.validator && !validator_is_fine(o.validator, strlen(o.validator))))
		return -EBADMSG;
	*ret = o;
	return 0;
}

/* Digits up to the byte `end`, or to the end if that is 0. */
static int take_number(const char **at, const char *stop, char end, uint64_t *ret)
{
	const char *from = *at;
	uint64_t n = 0;

	for (; *at < stop && **at >= '0' && **at <= '9'; (*at)++)
		if (!u64_mul(n, 10, &n) || !u64_add(n, (uint64_t)(**at - '0'), &n))
			return -EBADMSG;
	if (*at == from || (end ? *at == stop || **at != end : *at != stop))
		return -EBADMSG;
	*at += end ? 1 : 0;
	*ret = n;
	return 0;
}

int content_range_parse(const char *text, size_t len, struct content_range *ret)
{
	static const char unit[] = "bytes ";
	const char *at = text + strlen(unit), *stop = text + len;
	struct content_range c = { 0 };
	int r = 0;

	if (len <= strlen(unit) || memcmp(text, unit, strlen(unit)) != 0)
		return -EBADMSG;
	c.unsatisfied = stop - at > 2 && at[0] == '*' && at[1] == '/';
	if (c.unsatisfied)
		at += 2;
	else
		r = take_number(&at, stop, '-', &c.first);
	if (r == 0 && !c.unsatisfied)
		r = take_number(&at, stop, '/', &c.last);
	if (r == 0)
		r = take_number(&at, stop, 0, &c.total);
	if (r < 0 || (!c.unsatisfied && (c.first > c.last || c.last >= c.total)) ||
	    c.total > INT64_MAX)
		return -EBADMSG;
	*ret = c;
	return 0;
}
