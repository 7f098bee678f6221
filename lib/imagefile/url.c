/* SPDX-License-Identifier: Apache-2.0 */
/* An address of the web; see url.h. */
#include "lib/imagefile/url.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static int wrong(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EINVAL;
}

bool url_is_meant(const char *text)
{
	size_t n =
		strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");

	return n && strncmp(text + n, "://", 3) == 0;
}

static bool is_letter_or_digit(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static bool is_in_v6(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') || c == ':' ||
	       c == '.';
}

/* What is printable, and read alike by everybody. */
static bool is_plain(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~' || strchr("\"<>\\^`{|}", text[i]))
			return false;
	return true;
}

/* Names of letters, digits, '-', '_' and '.', none of which begins with '-': getent would take it for an option. */
static bool is_name(const char *host, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		const bool first = i == 0 || host[i - 1] == '.';

		if (!is_letter_or_digit(host[i]) && (first || !strchr("-_.", host[i])))
			return false;
	}
	return true;
}

static bool is_address(const char *host, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!is_in_v6(host[i]))
			return false;
	return true;
}

/* *at: behind it. */
static int take_host(const char **at, const char *end, struct url *u)
{
	const char *from = *at, *to;

	u->v6 = from < end && *from == '[';
	if (u->v6) {
		from++;
		to = memchr(from, ']', (size_t)(end - from));
		if (!to)
			return -EINVAL;
		*at = to + 1;
	} else {
		for (to = from; to < end && *to != ':'; to++)
			;
		*at = to;
	}
	if (to == from || to - from > (ptrdiff_t)URL_HOST_MAX ||
	    !(u->v6 ? is_address : is_name)(from, (size_t)(to - from)))
		return -EINVAL;
	snprintf(u->host, sizeof(u->host), "%.*s", (int)(to - from), from);
	return 0;
}

static int take_port(const char *at, const char *end, struct url *u)
{
	unsigned int port = 0;

	u->port = u->tls ? 443 : 80;
	if (at == end)
		return 0;
	if (*at != ':' || end - at < 2 || end - at > 6)
		return -EINVAL;
	for (at++; at < end; at++) {
		if (*at < '0' || *at > '9')
			return -EINVAL;
		port = port * 10 + (unsigned int)(*at - '0');
	}
	u->port = port;
	return port >= 1 && port <= 65535 ? 0 : -EINVAL;
}

int url_parse(const char *text, size_t len, struct url *ret, const char **ret_why)
{
	struct url u = { .tls = len >= 8 && strncasecmp(text, "https://", 8) == 0 };
	const char *at = text + (u.tls ? 8 : 7), *end;

	if (!u.tls && !(len >= 7 && strncasecmp(text, "http://", 7) == 0))
		return wrong(ret_why, "only https:// and http:// are downloaded");
	if (len > URL_MAX)
		return wrong(ret_why, "an address has up to 2000 bytes");
	if (!is_plain(text, len))
		return wrong(ret_why,
			     "an address is printable ASCII without spaces: escape the rest "
			     "with %");
	end = at + strcspn(at, "/?#");
	if (end > text + len)
		end = text + len;
	if (memchr(at, '@', (size_t)(end - at)))
		return wrong(ret_why, "a user or password has no place in an address here");
	if (take_host(&at, end, &u) < 0)
		return wrong(ret_why, "its host is no name, and no address");
	if (take_port(at, end, &u) < 0)
		return wrong(ret_why, "its port is none of 1 to 65535");
	u.path = (size_t)(end - text);
	*ret = u;
	return 0;
}

void url_file_name(const char *text, const struct url *u, char *out, size_t cap)
{
	const char *from = text + u->path, *end = from + strcspn(from, "?#"), *slash = end;

	while (slash > from && slash[-1] != '/')
		slash--;
	snprintf(out, cap, "%.*s", (int)(end - slash), slash);
}
