/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `bulkhead image import` reads of servers and of their processes; the first byte chooses: an address, a list of
 * checksums, a line that image-fetch says, a note beside a part, which part a server sends, how near an address is.
 */
#include "lib/imagefile/fetched.h"
#include "lib/imagefile/reach.h"
#include "tests/fuzz/fuzz.h"

#include <netinet/in.h>
#include <string.h>

#define TEXT_MAX 8192U

/* As the callers have it: a text with its end. */
static char text[TEXT_MAX + 1];

static void check_text(const char *t, size_t most)
{
	require(strlen(t) <= most);
	for (; *t; t++)
		require(*t >= ' ' && *t <= '~');
}

/* Whatever is taken is taken alike when it is put together anew. */
static void address(size_t len)
{
	const char *why = NULL;
	char name[256];
	struct url u;

	if (url_parse(text, len, &u, &why) < 0) {
		require(why);
		return;
	}
	check_text(text, URL_MAX);
	check_text(u.host, URL_HOST_MAX);
	require(*u.host && *u.host != '-' && !strpbrk(u.host, "@/?#\\ %[]"));
	require(u.port >= 1 && u.port <= 65535);
	require(u.path <= len && (!text[u.path] || strchr("/?#", text[u.path])));
	require(!memchr(text, '@', u.path));
	url_file_name(text, &u, name, sizeof(name));
	require(!strpbrk(name, "/?#"));
}

static void checksums(size_t len)
{
	struct digest d = { .kind = N_DIGESTS }, again;

	if (sums_find(text, len, "disk.img", &d) < 0) {
		require(d.kind == N_DIGESTS);
		return;
	}
	require(strlen(d.hex) == digest_hex_len(d.kind));
	require(digest_parse(d.kind, d.hex, strlen(d.hex), &again) == 0 &&
		strcmp(d.hex, again.hex) == 0);
}

static void line(size_t len)
{
	const char *why;
	struct said s;
	struct url u;

	if (said_parse(text, len, &s) < 0)
		return;
	check_text(s.text, URL_MAX);
	require(s.kind != SAID_VALIDATOR || strlen(s.text) <= VALIDATOR_MAX);
	require(s.kind != SAID_REDIRECT || url_parse(s.text, strlen(s.text), &u, &why) == 0);
}

static void note(size_t len)
{
	char again[ORIGIN_MAX];
	struct origin o;

	if (origin_parse(text, len, &o) < 0)
		return;
	require(origin_render(&o, again) == len && memcmp(again, text, len) == 0);
}

static void part(size_t len)
{
	struct content_range c;

	if (content_range_parse(text, len, &c) < 0)
		return;
	require(c.total <= INT64_MAX && (c.unsatisfied || (c.first <= c.last && c.last < c.total)));
}

static void nearness(size_t len)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in v4 = { .sin_family = AF_INET };

	memcpy(&v6.sin6_addr, text, len < 16 ? len : 16);
	(void)reach_of((const struct sockaddr *)&v6);
	memcpy(&v4.sin_addr, text, len < 4 ? len : 4);
	/* the same address, in IPv6's clothes */
	memset(&v6.sin6_addr, 0, 10);
	memset((uint8_t *)&v6.sin6_addr + 10, 0xff, 2);
	memcpy((uint8_t *)&v6.sin6_addr + 12, &v4.sin_addr, 4);
	require(reach_of((const struct sockaddr *)&v4) == reach_of((const struct sockaddr *)&v6));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const parts[])(
		size_t len) = { address, checksums, line, note, part, nearness };
	const size_t n = sizeof(parts) / sizeof(parts[0]);

	if (size < 1 || size > TEXT_MAX)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	parts[data[0] % n](size - 1);
	return 0;
}
