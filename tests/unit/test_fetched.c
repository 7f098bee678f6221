/* SPDX-License-Identifier: Apache-2.0 */
/* What `bulkhead image import` reads of others: addresses, checksums, what image-fetch says; and how near an address is. */
#include "tests/unit/unit.h"

#include "lib/imagefile/fetched.h"
#include "lib/imagefile/reach.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B64 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void test_addresses(void **state)
{
	static const struct {
		const char *text, *host;
		unsigned int port;
		bool tls;
		const char *name;
	} rows[] = {
		{ "https://a.example/d/x.img", "a.example", 443, true, "x.img" },
		{ "HTTP://A-b_c.example", "A-b_c.example", 80, false, "" },
		{ "http://127.0.0.1:8080/x.img?a=/b#/c", "127.0.0.1", 8080, false, "x.img" },
		{ "http://[::1]:65535/", "::1", 65535, false, "" },
		{ "http://[::ffff:1.2.3.4]?x", "::ffff:1.2.3.4", 80, false, "" },
		{ "http://a.:1#x", "a.", 1, false, "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *why = NULL;
		char name[64];
		struct url u;

		assert_int_equal(url_parse(rows[i].text, strlen(rows[i].text), &u, &why), 0);
		assert_string_equal(u.host, rows[i].host);
		assert_int_equal(u.port, rows[i].port);
		assert_int_equal(u.tls, rows[i].tls);
		url_file_name(rows[i].text, &u, name, sizeof(name));
		assert_string_equal(name, rows[i].name);
	}
	assert_true(url_is_meant("ftp://x"));
	assert_true(url_is_meant("git+ssh://x"));
	assert_false(url_is_meant("a/b://x"));
	assert_false(url_is_meant("://x"));
	assert_false(url_is_meant("x.img"));
}

static void test_addresses_that_are_none(void **state)
{
	static const char *const wrong[] = {
		"",
		"http:/a",
		"http://",
		"http:///x",
		"ftp://a/",
		"file:///etc/passwd",
		"http://a b/",
		"http://a/\t",
		"http://a/\x7f",
		"http://a/\xc3\xa4",
		"http://u@a/",
		"http://u:p@a/",
		"http://a\\@b/",
		"http://a/\\",
		"http://-a/",
		"http://a.-b/",
		"http://.a/",
		"http://a..b/",
		"http://%61/",
		"http://a:/",
		"http://a:0/",
		"http://a:65536/",
		"http://a:123456/",
		"http://a:8x/",
		"http://a:+1/",
		"http://[::1/",
		"http://[]/",
		"http://[::1]x/",
		"http://[g::]/",
		"http://[::1%25lo]/",
		"http://a/<x>",
		"http://a/{x}",
		"http://a;b/",
		"http://a,b/",
		"https:\\\\a/",
		" http://a/",
	};
	static char long_one[URL_MAX + 2] = "http://a/";
	char host[URL_HOST_MAX + 32];
	const char *why = NULL;
	struct url u = { .port = 7 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		if (url_parse(wrong[i], strlen(wrong[i]), &u, &why) != -EINVAL || !why)
			fail_msg("row %zu: %s", i, wrong[i]);
	memset(long_one + strlen(long_one), 'x', URL_MAX + 1 - strlen(long_one));
	assert_int_equal(url_parse(long_one, URL_MAX + 1, &u, &why), -EINVAL);
	long_one[URL_MAX] = '\0';
	assert_int_equal(url_parse(long_one, URL_MAX, &u, &why), 0);
	snprintf(host, sizeof(host), "http://%0254d/", 1);
	u.port = 7;
	assert_int_equal(url_parse(host, strlen(host), &u, &why), -EINVAL);
	assert_int_equal(u.port, 7); /* untouched */
}

static void test_checksums(void **state)
{
	static const struct {
		const char *list;
		int r;
		char first;
	} rows[] = {
		{ A64 "  x\n", 0, 'a' },
		{ A64 " *x", 0, 'a' },
		{ A64 "  ./d/x\r\n", 0, 'a' },
		{ B64 "  y\n" A64 "  x\n", 0, 'a' },
		{ B64 "  x y\n" A64 "  x\n", 0, 'a' },
		{ "SHA256 (x) = " A64 "\n", 0, 'a' },
		{ "SHA512 (d/x) = " A64 A64 "\n", 0, 'a' },
		{ A64 "  x\n" B64 B64 "  x\n", 0, 'b' },
		{ B64 B64 "  x\n" A64 "  x\n", 0, 'b' },
		{ A64 "  x\n" A64 "  x\n", 0, 'a' },
		{ A64 "  x\n" B64 "  x\n", -EEXIST, 0 },
		{ "", -ENOENT, 0 },
		{ "\n\n\r\n", -ENOENT, 0 },
		{ A64, -ENOENT, 0 },
		{ A64 " x\n", -ENOENT, 0 },
		{ A64 "a  x\n", -ENOENT, 0 },
		{ A64 "  x/\n", -ENOENT, 0 },
		{ A64 "  xx\n", -ENOENT, 0 },
		{ " " A64 "  x\n", -ENOENT, 0 },
		{ "g" A64 "  x\n", -ENOENT, 0 },
		{ "SHA256 (x) = " A64 A64 "\n", -ENOENT, 0 },
		{ "SHA256 (x)= " A64 "\n", -ENOENT, 0 },
		{ "MD5 (x) = d41d8cd98f00b204e9800998ecf8427e\n", -ENOENT, 0 },
		{ "SHA256 (", -ENOENT, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct digest d = { .hex = "-" };
		int r = sums_find(rows[i].list, strlen(rows[i].list), "x", &d);

		if (r != rows[i].r || d.hex[0] != (r ? '-' : rows[i].first))
			fail_msg("row %zu: %d, %s", i, r, d.hex);
	}
}

static void test_what_is_said(void **state)
{
	static const char *const right[] = { "validator \"a b\"", "redirect http://a/", "again ",
					     "digest " A64, "digest " A64 B64 };
	static const char *const wrong[] = {
		"",
		"again",
		"again x",
		"validator",
		"validator ",
		"validator W/\"a\"",
		"validator a\x01",
		"redirect ftp://a/",
		"redirect a",
		"digest a",
		"digest " A64 "a",
		("DIGEST " A64),
		" again ",
		"redirect  http://a/",
		"validator \xc3\xa4",
	};
	static char line[SAID_MAX + 8];
	struct said s;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(right); i++)
		assert_int_equal(said_parse(right[i], strlen(right[i]), &s), 0);
	assert_int_equal(s.kind, SAID_DIGEST);
	assert_string_equal(s.text, A64 B64);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		if (said_parse(wrong[i], strlen(wrong[i]), &s) != -EBADMSG)
			fail_msg("row %zu: %s", i, wrong[i]);
	assert_int_equal(said_parse("validator a\0b", 13, &s), -EBADMSG);
	snprintf(line, sizeof(line), "validator %0*d", (int)VALIDATOR_MAX, 1);
	assert_int_equal(said_parse(line, strlen(line), &s), 0);
	snprintf(line, sizeof(line), "validator %0*d", (int)VALIDATOR_MAX + 1, 1);
	assert_int_equal(said_parse(line, strlen(line), &s), -EBADMSG);
	memset(line, 'x', sizeof(line));
	memcpy(line, "redirect http://a/", 18);
	assert_int_equal(said_parse(line, sizeof(line), &s), -EBADMSG);
}

static void test_what_is_noted(void **state)
{
	static const char head[] = "bulkhead image import 1\n";
	static const char *const wrong[] = {
		"",	"http://a/\n",		"http://a/\n\"x\"",    "ftp://a/\n\"x\"\n",
		"\n\n", "http://a/\nW/\"x\"\n", "http://a/\n\"x\"\n\n"
	};
	const struct origin o = { "https://a.example/x", "\"one two\"" };
	char text[ORIGIN_MAX], other[256];
	struct origin back;
	size_t len = origin_render(&o, text);

	(void)state;
	assert_int_equal(origin_parse(text, len, &back), 0);
	assert_string_equal(back.url, o.url);
	assert_string_equal(back.validator, o.validator);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(origin_parse(text, i, &back), -EBADMSG);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		snprintf(other, sizeof(other), "%s%s", head, wrong[i]);
		if (origin_parse(other, strlen(other), &back) != -EBADMSG)
			fail_msg("row %zu", i);
	}
	snprintf(other, sizeof(other), "%shttp://a/\n\n", head); /* nothing to go on with */
	assert_int_equal(origin_parse(other, strlen(other), &back), 0);
	assert_string_equal(back.validator, "");
}

static void test_parts(void **state)
{
	static const char *const wrong[] = {
		"",
		"bytes",
		"bytes ",
		"bytes 0-9",
		"bytes 0-9/",
		"bytes 0-9/*",
		"bytes 0-9/9",
		"bytes 9-0/10",
		"bytes -9/10",
		"bytes 0-/10",
		"bytes 0-9/10x",
		"bytes +0-9/10",
		"bytes  0-9/10",
		"items 0-9/10",
		"bytes */",
		"bytes */*",
		"bytes */1 ",
		"bytes 0-9/18446744073709551616",
		"bytes 0-18446744073709551615/18446744073709551615",
		"bytes */9223372036854775808",
	};
	struct content_range c;

	(void)state;
	assert_int_equal(content_range_parse("bytes 5-9/10", 12, &c), 0);
	assert_true(!c.unsatisfied && c.first == 5 && c.last == 9 && c.total == 10);
	assert_int_equal(content_range_parse("bytes */10", 10, &c), 0);
	assert_true(c.unsatisfied && c.total == 10);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		if (content_range_parse(wrong[i], strlen(wrong[i]), &c) != -EBADMSG)
			fail_msg("row %zu: %s", i, wrong[i]);
}

static enum scope reach(const char *text)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		return reach_of((struct sockaddr *)&v4);
	assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
	return reach_of((struct sockaddr *)&v6);
}

static void test_how_near(void **state)
{
	static const struct {
		const char *text;
		enum scope reach;
	} rows[] = {
		{ "1.1.1.1", SCOPE_WORLD },
		{ "9.255.255.255", SCOPE_WORLD },
		{ "11.0.0.0", SCOPE_WORLD },
		{ "172.15.0.1", SCOPE_WORLD },
		{ "172.32.0.1", SCOPE_WORLD },
		{ "192.167.0.1", SCOPE_WORLD },
		{ "100.63.0.1", SCOPE_WORLD },
		{ "100.128.0.1", SCOPE_WORLD },
		{ "126.0.0.1", SCOPE_WORLD },
		{ "128.0.0.1", SCOPE_WORLD },
		{ "223.255.0.1", SCOPE_WORLD },
		{ "2001:db8::1", SCOPE_WORLD },
		{ "10.0.0.1", SCOPE_NETWORK },
		{ "172.16.0.1", SCOPE_NETWORK },
		{ "172.31.255.255", SCOPE_NETWORK },
		{ "192.168.0.1", SCOPE_NETWORK },
		{ "169.254.169.254", SCOPE_NETWORK },
		{ "100.64.0.1", SCOPE_NETWORK },
		{ "fd00::1", SCOPE_NETWORK },
		{ "fc00::1", SCOPE_NETWORK },
		{ "fe80::1", SCOPE_NETWORK },
		{ "fec0::1", SCOPE_NETWORK },
		{ "::ffff:10.0.0.1", SCOPE_NETWORK },
		{ "64:ff9b::192.168.0.1", SCOPE_NETWORK },
		{ "2002:a00:1::", SCOPE_NETWORK },
		{ "127.0.0.1", SCOPE_HOST },
		{ "127.255.255.255", SCOPE_HOST },
		{ "0.0.0.0", SCOPE_HOST },
		{ "255.255.255.255", SCOPE_HOST },
		{ "224.0.0.1", SCOPE_HOST },
		{ "::1", SCOPE_HOST },
		{ "::", SCOPE_HOST },
		{ "::127.0.0.1", SCOPE_HOST },
		{ "::ffff:127.0.0.1", SCOPE_HOST },
		{ "64:ff9b::127.0.0.1", SCOPE_HOST },
		{ "2002:7f00:1::", SCOPE_HOST },
		{ "ff02::1", SCOPE_HOST },
		{ "::ffff:1.1.1.1", SCOPE_WORLD },
		{ "64:ff9b::1.1.1.1", SCOPE_WORLD },
		{ "fe00::1", SCOPE_NETWORK }, /* public is what begins with 2000::/3 */
		{ "4000::1", SCOPE_NETWORK },
		{ "192.0.0.8", SCOPE_NETWORK },
		{ "192.88.99.1", SCOPE_NETWORK },
		{ "198.18.0.1", SCOPE_NETWORK },
		{ "240.0.0.1", SCOPE_HOST },
		{ "::ffff:224.0.0.1", SCOPE_HOST },
		{ "::ffff:0:10.0.0.1", SCOPE_HOST }, /* SIIT's, on no wire */
		{ "64:ff9b::169.254.169.254", SCOPE_NETWORK },
		{ "64:ff9b::224.0.0.1", SCOPE_HOST },
		/* a translator of one's own, however it cuts them */
		{ "64:ff9b:1::1.1.1.1", SCOPE_NETWORK },
		{ "64:ff9b:1::127.0.0.1", SCOPE_HOST },
		{ "64:ff9b:1:7f00:0:100::", SCOPE_HOST },
		{ "64:ff9b:1:7f:0:1::", SCOPE_HOST },
		{ "64:ff9b:1:0:7f:0:100:0", SCOPE_HOST },
		{ "64:ff9b:2::1.1.1.1", SCOPE_NETWORK },
		/* 6to4, and what is not */
		{ "2002:101:101::1", SCOPE_WORLD },
		{ "2002:a9fe:a9fe::1", SCOPE_NETWORK },
		{ "2002:e000:1::", SCOPE_HOST },
		{ "2003:a00:1::", SCOPE_WORLD },
		/* Teredo, whose client is inverted */
		{ "2001::f5ff:fffe", SCOPE_NETWORK },
		{ "2001:0:101:101::80ff:fffe", SCOPE_HOST },
		{ "2001:0:101:101::fefe:fefe", SCOPE_NETWORK },
		{ "2001:1ff::1", SCOPE_NETWORK },
		{ "2001:200::1", SCOPE_WORLD },
		/* ISATAP, with either bit */
		{ "2001:db8::5efe:10.0.0.1", SCOPE_NETWORK },
		{ "2001:db8::200:5efe:192.168.0.1", SCOPE_NETWORK },
		{ "2001:db8::5efe:127.0.0.1", SCOPE_HOST },
		{ "2001:db8::200:5efe:127.0.0.1", SCOPE_HOST },
		{ "2001:db8::5efe:1.1.1.1", SCOPE_WORLD },
		{ "2001:db8::100:5efe:127.0.0.1", SCOPE_WORLD },
	};
	const struct sockaddr_un path = { .sun_family = AF_UNIX };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (reach(rows[i].text) != rows[i].reach)
			fail_msg("%s", rows[i].text);
	assert_int_equal(reach_of((const struct sockaddr *)&path), SCOPE_HOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_addresses_that_are_none),
		cmocka_unit_test(test_checksums),
		cmocka_unit_test(test_what_is_said),
		cmocka_unit_test(test_what_is_noted),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_how_near),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
