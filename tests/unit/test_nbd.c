/* SPDX-License-Identifier: Apache-2.0 */
/* The NBD codec and handshake: hostile bytes of either side first, then each side against the other. */
#include "tests/unit/unit.h"

#include "lib/nbd/hand.h"
#include "lib/nbd/uri.h"

#include <errno.h>
#include <string.h>

static const struct nbd_export offered = { .size = 1 << 20,
					   .flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH,
					   .block_min = 1,
					   .block_preferred = 4096,
					   .block_max = 1 << 20 };

/* The option that a client sends, and its data. */
static size_t option(uint8_t *out, uint32_t type, const void *data, size_t len)
{
	const struct nbd_option o = { type, (uint32_t)len };
	int n = nbd_option_encode(&o, out, NBD_OPTION_LEN);

	assert_int_equal(n, NBD_OPTION_LEN);
	if (len)
		memcpy(out + n, data, len);
	return (size_t)n + len;
}

static size_t reply(uint8_t *out, uint32_t to, uint32_t type, const void *data, size_t len)
{
	const struct nbd_option_reply r = { to, type, (uint32_t)len };
	int n = nbd_option_reply_encode(&r, out, NBD_OPTION_REPLY_LEN);

	assert_int_equal(n, NBD_OPTION_REPLY_LEN);
	if (len)
		memcpy(out + n, data, len);
	return (size_t)n + len;
}

/* Gives bytes as they are wanted. The last answer of nbd_hand_take, or 0 when there are no more. */
static int feed(struct nbd_hand *h, const uint8_t *data, size_t len)
{
	int r = 0;

	while (r == 0 && len && h->wants <= len) {
		size_t n = h->wants;

		assert_true(n > 0 && n <= NBD_HAND_IN_MAX);
		r = nbd_hand_take(h, data, n);
		data += n;
		len -= n;
	}
	return r;
}

static void client_after_hello(struct nbd_hand *h)
{
	uint8_t hello[NBD_HELLO_LEN];

	nbd_hand_client(h, "", false);
	assert_int_equal(nbd_hello_encode(3, hello, sizeof(hello)), NBD_HELLO_LEN);
	assert_int_equal(feed(h, hello, sizeof(hello)), 0);
}

static void server_after_flags(struct nbd_hand *h, uint32_t flags)
{
	uint8_t wire[NBD_CLIENT_FLAGS_LEN];

	nbd_hand_server(h, &offered);
	assert_int_equal(nbd_client_flags_encode(flags, wire, sizeof(wire)), sizeof(wire));
	assert_int_equal(feed(h, wire, sizeof(wire)), 0);
}

/* ---- hostile servers ---- */

static void a_client_refuses_what_is_no_hello(void **state)
{
	static const char *const hellos[] = { "NBDMAGICIHAVEOPX\0\3", "XBDMAGICIHAVEOPT\0\3" };
	struct nbd_hand h;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hellos); i++) {
		nbd_hand_client(&h, "", false);
		assert_int_equal(nbd_hand_take(&h, hellos[i], NBD_HELLO_LEN), -EBADMSG);
	}
	nbd_hand_client(&h, "", false); /* oldstyle's flags */
	assert_int_equal(nbd_hand_take(&h, "NBDMAGICIHAVEOPT\0\0", NBD_HELLO_LEN), -EOPNOTSUPP);
	nbd_hand_client(&h, "", false);
	assert_int_equal(nbd_hand_take(&h, hellos[0], NBD_HELLO_LEN - 1), -EBADMSG);
}

static void a_client_refuses_a_reply_that_is_too_long_or_to_another_option(void **state)
{
	uint8_t wire[NBD_OPTION_REPLY_LEN];
	struct nbd_option_reply r = { NBD_OPT_GO, NBD_REP_INFO, NBD_HAND_IN_MAX + 1 };
	struct nbd_hand h;

	(void)state;
	client_after_hello(&h);
	assert_int_equal(nbd_option_reply_encode(&r, wire, sizeof(wire)), sizeof(wire));
	assert_int_equal(feed(&h, wire, sizeof(wire)), -EBADMSG);
	client_after_hello(&h);
	assert_int_equal(feed(&h, wire, reply(wire, NBD_OPT_LIST, NBD_REP_ACK, NULL, 0)), -EBADMSG);
	client_after_hello(&h);
	assert_int_equal(feed(&h, wire, reply(wire, NBD_OPT_GO, 77, NULL, 0)), -EBADMSG);
}

/* ---- TLS: what is asked, in which order, and what is believed ---- */

static void client_before_tls(struct nbd_hand *h, const char *name)
{
	uint8_t hello[NBD_HELLO_LEN];

	nbd_hand_client(h, name, true);
	assert_int_equal(nbd_hello_encode(3, hello, sizeof(hello)), NBD_HELLO_LEN);
	assert_int_equal(feed(h, hello, sizeof(hello)), 0);
}

static void a_client_names_its_export_behind_tls_alone(void **state)
{
	uint8_t wire[NBD_OPTION_REPLY_LEN];
	struct nbd_option o = { 0 };
	struct nbd_go go = { 0 };
	struct nbd_hand h;

	(void)state;
	client_before_tls(&h, "secret");
	assert_int_equal(h.n_out, NBD_CLIENT_FLAGS_LEN + NBD_OPTION_LEN);
	assert_int_equal(nbd_option_decode(h.out + NBD_CLIENT_FLAGS_LEN, NBD_OPTION_LEN, &o), 0);
	assert_int_equal(o.type, NBD_OPT_STARTTLS);
	assert_int_equal(o.len, 0);
	assert_int_equal(nbd_hand_secured(&h), -EBADMSG); /* not yet its turn */
	assert_int_equal(feed(&h, wire, reply(wire, NBD_OPT_STARTTLS, NBD_REP_ACK, NULL, 0)), 2);
	/* and nothing more in the clear */
	assert_int_equal(h.wants, 0);
	assert_int_equal(nbd_hand_take(&h, wire, 0), -EBADMSG);
	assert_int_equal(nbd_hand_secured(&h), 0);
	assert_int_equal(nbd_option_decode(h.out, NBD_OPTION_LEN, &o), 0);
	assert_int_equal(o.type, NBD_OPT_GO);
	assert_int_equal(nbd_go_decode(h.out + NBD_OPTION_LEN, h.n_out - NBD_OPTION_LEN, &go), 0);
	assert_int_equal(go.name_len, 6);
	assert_memory_equal(go.name, "secret", 6);
	assert_int_equal(nbd_hand_secured(&h), -EBADMSG);
}

static void a_client_that_wants_tls_does_without_nothing(void **state)
{
	static const struct {
		uint32_t option, type;
		int error;
	} rows[] = {
		{ NBD_OPT_STARTTLS, NBD_REP_ERR_UNSUP, -EPROTONOSUPPORT },
		{ NBD_OPT_STARTTLS, NBD_REP_ERR_POLICY, -EPROTONOSUPPORT },
		{ NBD_OPT_STARTTLS, NBD_REP_INFO, -EBADMSG },
		{ NBD_OPT_GO, NBD_REP_ACK, -EBADMSG },
		{ NBD_OPT_GO, NBD_REP_INFO, -EBADMSG },
	};
	uint8_t wire[64], info[16];
	struct nbd_hand h;
	int n;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		client_before_tls(&h, "");
		assert_int_equal(feed(&h, wire, reply(wire, rows[i].option, rows[i].type, NULL, 0)),
				 rows[i].error);
	}
	/* an answer that says more than yes */
	client_before_tls(&h, "");
	assert_int_equal(feed(&h, wire, reply(wire, NBD_OPT_STARTTLS, NBD_REP_ACK, "more", 4)),
			 -EBADMSG);
	/* an export that is described in the clear */
	client_before_tls(&h, "");
	n = nbd_info_encode(NBD_INFO_EXPORT, &offered, info, sizeof(info));
	assert_int_equal(feed(&h, wire,
			      reply(wire, NBD_OPT_STARTTLS, NBD_REP_INFO, info, (size_t)n)),
			 -EBADMSG);
}

static void a_client_tells_refusals_apart(void **state)
{
	static const struct {
		uint32_t type;
		int error;
	} rows[] = {
		{ NBD_REP_ERR_UNKNOWN, -ENOENT },
		{ NBD_REP_ERR_POLICY, -EACCES },
		{ NBD_REP_ERR_TLS_REQD, -ENOKEY },
		{ NBD_REP_ERR_INVALID, -EOPNOTSUPP },
	};
	uint8_t wire[64];
	struct nbd_hand h;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		client_after_hello(&h);
		assert_int_equal(feed(&h, wire, reply(wire, NBD_OPT_GO, rows[i].type, "no\n", 3)),
				 rows[i].error);
		assert_string_equal(h.refusal, "no?");
	}
}

static void the_longest_name_fits(void **state)
{
	static char name[NBD_HAND_EXPORT_MAX + 1];
	uint8_t hello[NBD_HELLO_LEN];
	struct nbd_hand h;

	(void)state;
	memset(name, 'x', NBD_HAND_EXPORT_MAX);
	nbd_hand_client(&h, name, false);
	assert_int_equal(nbd_hello_encode(3, hello, sizeof(hello)), NBD_HELLO_LEN);
	assert_int_equal(feed(&h, hello, sizeof(hello)), 0);
	assert_in_range(h.n_out, NBD_HAND_EXPORT_MAX, NBD_HAND_OUT_MAX);
}

/* ---- addresses ---- */

static void addresses_are_taken_apart(void **state)
{
	static const struct {
		const char *text;
		struct nbd_uri u;
	} rows[] = {
		{ "nbd://h", { .host = "h", .port = NBD_PORT } },
		{ "nbd://h/", { .host = "h", .port = NBD_PORT } },
		{ "nbds://a.b-c_d:1/x/y%20%2c",
		  { .tls = true, .host = "a.b-c_d", .port = "1", .name = "x/y ," } },
		{ "nbd://[::1]:65535//x", { .host = "::1", .port = "65535", .name = "/x" } },
		{ "nbd+unix:///?socket=/s", { .local = true, .socket = "/s" } },
		{ "nbds+unix:///x?socket=/a%3Fb",
		  { .tls = true, .local = true, .name = "x", .socket = "/a?b" } },
		{ "nbd+unix://?socket=/s", { .local = true, .socket = "/s" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct nbd_uri u;
		const char *why = "";

		if (nbd_uri_parse(rows[i].text, strlen(rows[i].text), &u, &why) < 0)
			fail_msg("%s: %s", rows[i].text, why);
		assert_memory_equal(&u, &rows[i].u, sizeof(u));
		assert_true(nbd_uri_is_meant(rows[i].text, strlen(rows[i].text)));
	}
}

static void addresses_that_are_none(void **state)
{
	static const char *const bad[] = {
		"",
		"nbd:",
		"nbd:/h",
		"nbd://",
		"nbd://:1/x",
		"nbd://h:/x",
		"nbd://h:0",
		"nbd://h:65536",
		"nbd://h:123456",
		"nbd://h:1x",
		"nbd://-h",
		"nbd://h h",
		"nbd://[::1",
		"nbd://[]",
		"nbd://[h/]",
		"nbd://h/x#y",
		"nbd://h/x?y",
		"nbd://h/%",
		"nbd://h/%0",
		"nbd://h/%0g",
		"nbd://h/%00",
		"nbd://h/%0a",
		"nbd://u:p@h/x",
		"nbd+unix://h/x?socket=/s",
		"nbd+unix:///x",
		"nbd+unix:///x?socket=",
		"nbd+unix:///x?socket=s",
		"nbd+unix:///x?s=/s",
		"nbd+vsock://1/x",
		"NBD://h",
	};
	static char longest[NBD_URI_MAX + 2];
	const char *why;
	struct nbd_uri u;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (nbd_uri_parse(bad[i], strlen(bad[i]), &u, &why) != -EINVAL)
			fail_msg("%s", bad[i]);
	memset(longest, 'x', sizeof(longest) - 1);
	memcpy(longest, "nbd://h/", 8);
	assert_int_equal(nbd_uri_parse(longest, 8 + NBD_HAND_EXPORT_MAX, &u, &why), 0);
	assert_int_equal(nbd_uri_parse(longest, 9 + NBD_HAND_EXPORT_MAX, &u, &why), -EINVAL);
	assert_int_equal(nbd_uri_parse(longest, NBD_URI_MAX + 1, &u, &why), -EINVAL);
	assert_false(nbd_uri_is_meant("nbd", 3) || nbd_uri_is_meant("/nbd://h", 8) ||
		     nbd_uri_is_meant("disk.nbd", 8));
}

static void a_client_wants_an_export_before_the_end(void **state)
{
	uint8_t wire[64];
	struct nbd_hand h;

	(void)state;
	client_after_hello(&h);
	assert_int_equal(feed(&h, wire, reply(wire, NBD_OPT_GO, NBD_REP_ACK, NULL, 0)), -EBADMSG);
}

static int give_info(const void *info, size_t len)
{
	uint8_t wire[64];
	struct nbd_hand h;

	client_after_hello(&h);
	return feed(&h, wire, reply(wire, NBD_OPT_GO, NBD_REP_INFO, info, len));
}

static void a_client_refuses_an_export_that_cannot_be(void **state)
{
	static const struct nbd_export bad[] = {
		{ .size = 1ULL << 63, .flags = NBD_FLAG_HAS_FLAGS },
		{ .size = 512, .flags = NBD_FLAG_READ_ONLY },
	};
	static const struct nbd_export bad_blocks[] = {
		{ .block_min = 0, .block_preferred = 1, .block_max = 1 },
		{ .block_min = 3, .block_preferred = 4, .block_max = 3 },
		{ .block_min = 1, .block_preferred = 3, .block_max = 3 },
		{ .block_min = 512, .block_preferred = 256, .block_max = 512 },
		{ .block_min = 512, .block_preferred = 512, .block_max = 256 },
		{ .block_min = 512, .block_preferred = 512, .block_max = 513 },
		{ .block_min = 1 << 17, .block_preferred = 1 << 17, .block_max = 1 << 17 },
	};
	uint8_t info[16];
	int n;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		n = nbd_info_encode(NBD_INFO_EXPORT, &bad[i], info, sizeof(info));
		assert_int_equal(give_info(info, (size_t)n), -EBADMSG);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad_blocks); i++) {
		n = nbd_info_encode(NBD_INFO_BLOCK_SIZE, &bad_blocks[i], info, sizeof(info));
		assert_int_equal(give_info(info, (size_t)n), -EBADMSG);
	}
	n = nbd_info_encode(NBD_INFO_EXPORT, &offered, info, sizeof(info));
	assert_int_equal(give_info(info, (size_t)n - 1), -EBADMSG);
	assert_int_equal(give_info(info, (size_t)n), 0);
	assert_int_equal(give_info("\0\11?", 3), 0); /* not known */
	assert_int_equal(give_info("\0", 1), -EBADMSG);
}

static void a_server_that_goes_on_for_ever_is_left(void **state)
{
	uint8_t wire[64];
	size_t len = reply(wire, NBD_OPT_GO, NBD_REP_INFO, "\0\11", 2);
	struct nbd_hand h;
	int r = 0;
	unsigned int n = 0;

	(void)state;
	client_after_hello(&h);
	while (r == 0 && n++ < 1000)
		r = feed(&h, wire, len);
	assert_int_equal(r, -EBADMSG);
	assert_true(n < NBD_HAND_STEPS_MAX);
}

static void a_refusal_is_kept_in_printable_words(void **state)
{
	uint8_t wire[1024], words[300];
	struct nbd_hand h;

	(void)state;
	memset(words, 'x', sizeof(words));
	words[0] = '\033';
	client_after_hello(&h);
	assert_int_equal(feed(&h, wire,
			      reply(wire, NBD_OPT_GO, NBD_REP_ERR_UNKNOWN, words, sizeof(words))),
			 -ENOENT);
	assert_int_equal(strlen(h.refusal), NBD_HAND_TEXT_MAX);
	assert_int_equal(h.refusal[0], '?');
	assert_int_equal(h.refusal[1], 'x');
}

/* ---- hostile clients ---- */

static void a_server_refuses_flags_that_it_did_not_offer(void **state)
{
	static const uint32_t flags[] = { 0, 2, 4 | 1, ~0U };
	uint8_t wire[NBD_CLIENT_FLAGS_LEN];
	struct nbd_hand h;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		nbd_hand_server(&h, &offered);
		assert_int_equal(nbd_client_flags_encode(flags[i], wire, sizeof(wire)), 4);
		assert_int_equal(feed(&h, wire, sizeof(wire)), -EBADMSG);
	}
}

static void a_server_refuses_an_option_that_is_too_long(void **state)
{
	const struct nbd_option o = { NBD_OPT_GO, NBD_HAND_IN_MAX + 1 };
	uint8_t wire[NBD_OPTION_LEN];
	struct nbd_hand h;

	(void)state;
	server_after_flags(&h, 3);
	assert_int_equal(nbd_option_encode(&o, wire, sizeof(wire)), sizeof(wire));
	assert_int_equal(feed(&h, wire, sizeof(wire)), -EBADMSG);
}

/* The type of the last reply in out. */
static uint32_t last_said(const struct nbd_hand *h)
{
	struct nbd_option_reply r;

	assert_true(h->n_out >= NBD_OPTION_REPLY_LEN);
	assert_int_equal(nbd_option_reply_decode(h->out + h->n_out - NBD_OPTION_REPLY_LEN,
						 NBD_OPTION_REPLY_LEN, &r),
			 0);
	return r.type;
}

static void a_server_refuses_what_it_does_not_know_and_goes_on(void **state)
{
	static const uint8_t short_go[] = { 0, 0, 0, 9, 'x' };
	static const uint8_t infos_cut[] = { 0, 0, 0, 0, 0, 2, 0, 3 };
	uint8_t wire[64], go[32];
	struct nbd_hand h;
	int n = nbd_go_encode("other", 5, go, sizeof(go));

	(void)state;
	server_after_flags(&h, 3);
	assert_int_equal(feed(&h, wire, option(wire, 8, NULL, 0)), 0); /* structured replies */
	assert_int_equal(last_said(&h), NBD_REP_ERR_UNSUP);
	assert_int_equal(feed(&h, wire, option(wire, NBD_OPT_GO, short_go, sizeof(short_go))), 0);
	assert_int_equal(last_said(&h), NBD_REP_ERR_INVALID);
	assert_int_equal(feed(&h, wire, option(wire, NBD_OPT_GO, infos_cut, sizeof(infos_cut))), 0);
	assert_int_equal(last_said(&h), NBD_REP_ERR_INVALID);
	assert_int_equal(feed(&h, wire, option(wire, NBD_OPT_GO, go, (size_t)n)), 0);
	assert_int_equal(last_said(&h), NBD_REP_ERR_UNKNOWN);
	assert_int_equal(feed(&h, wire, option(wire, NBD_OPT_LIST, "x", 1)), 0);
	assert_int_equal(last_said(&h), NBD_REP_ERR_INVALID);
	assert_int_equal(feed(&h, wire, option(wire, NBD_OPT_ABORT, NULL, 0)), -ECONNRESET);
	assert_int_equal(last_said(&h), NBD_REP_ACK);
}

static void a_client_that_goes_on_for_ever_is_left(void **state)
{
	uint8_t wire[64];
	size_t len = option(wire, NBD_OPT_LIST, NULL, 0);
	struct nbd_hand h;
	int r = 0;
	unsigned int n = 0;

	(void)state;
	server_after_flags(&h, 3);
	while (r == 0 && n++ < 1000)
		r = feed(&h, wire, len);
	assert_int_equal(r, -EBADMSG);
	assert_true(n <= NBD_HAND_STEPS_MAX);
}

static void an_old_client_gets_its_zeroes(void **state)
{
	uint8_t wire[64];
	struct nbd_hand h;

	(void)state;
	server_after_flags(&h, 1);
	assert_int_equal(feed(&h, wire, option(wire, NBD_OPT_EXPORT_NAME, NULL, 0)), 1);
	assert_int_equal(h.n_out, 8 + 2 + 124);
	server_after_flags(&h, 3);
	assert_int_equal(feed(&h, wire, option(wire, NBD_OPT_EXPORT_NAME, NULL, 0)), 1);
	assert_int_equal(h.n_out, 8 + 2);
	server_after_flags(&h, 3);
	assert_int_equal(feed(&h, wire, option(wire, NBD_OPT_EXPORT_NAME, "a", 1)), -EBADMSG);
}

/* ---- each against the other ---- */

static void both_sides_agree(void **state)
{
	struct nbd_hand client, server;
	int c = 0, s = 0;

	(void)state;
	nbd_hand_client(&client, "", false);
	nbd_hand_server(&server, &offered);
	for (int i = 0; i < 20 && c == 0; i++) {
		c = feed(&client, server.out, server.n_out);
		server.n_out = 0;
		if (s == 0)
			s = feed(&server, client.out, client.n_out);
		client.n_out = 0;
	}
	assert_int_equal(c, 1);
	assert_int_equal(s, 1);
	assert_memory_equal(&client.export, &offered, sizeof(offered));
	assert_int_equal(nbd_hand_take(&client, "", 0), -EBADMSG);
}

static void requests_and_replies_go_there_and_back(void **state)
{
	const struct nbd_request q = { .flags = NBD_CMD_FLAG_FUA,
				       .command = NBD_CMD_WRITE,
				       .cookie = 0x0102030405060708,
				       .offset = 1ULL << 40,
				       .len = 4096 };
	const struct nbd_reply a = { .error = EIO, .cookie = ~0ULL };
	uint8_t wire[NBD_REQUEST_LEN];
	struct nbd_request q2;
	struct nbd_reply a2;

	(void)state;
	assert_int_equal(nbd_request_encode(&q, wire, sizeof(wire) - 1), -EMSGSIZE);
	assert_int_equal(nbd_request_encode(&q, wire, sizeof(wire)), NBD_REQUEST_LEN);
	assert_memory_equal(wire, "\x25\x60\x95\x13\0\1\0\1\1\2\3\4\5\6\7\x8", 16); /* big-endian */
	assert_int_equal(nbd_request_decode(wire, sizeof(wire), &q2), 0);
	assert_int_equal(q2.offset, q.offset);
	assert_int_equal(q2.len, q.len);
	assert_int_equal(nbd_request_decode(wire, sizeof(wire) - 1, &q2), -EBADMSG);
	wire[0] ^= 1;
	assert_int_equal(nbd_request_decode(wire, sizeof(wire), &q2), -EBADMSG);
	assert_int_equal(nbd_reply_encode(&a, wire, sizeof(wire)), NBD_REPLY_LEN);
	assert_int_equal(nbd_reply_decode(wire, NBD_REPLY_LEN, &a2), 0);
	assert_int_equal(a2.error, EIO);
	assert_int_equal(nbd_reply_decode(wire, NBD_REPLY_LEN + 1, &a2), -EBADMSG);
	wire[3] ^= 1;
	assert_int_equal(nbd_reply_decode(wire, NBD_REPLY_LEN, &a2), -EBADMSG);
}

static void errors_are_those_of_the_list(void **state)
{
	(void)state;
	assert_int_equal(nbd_error_of(0), 0);
	assert_int_equal(nbd_error_of(-ENOSPC), ENOSPC);
	assert_int_equal(nbd_error_of(-EROFS), EPERM);
	assert_int_equal(nbd_error_of(-ENOTDIR), EIO);
	assert_int_equal(nbd_result_of(0), 0);
	assert_int_equal(nbd_result_of(ENOSPC), -ENOSPC);
	assert_int_equal(nbd_result_of(ENOTDIR), -EIO);
	assert_int_equal(nbd_result_of(~0U), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_refuses_what_is_no_hello),
		cmocka_unit_test(a_client_refuses_a_reply_that_is_too_long_or_to_another_option),
		cmocka_unit_test(a_client_names_its_export_behind_tls_alone),
		cmocka_unit_test(a_client_that_wants_tls_does_without_nothing),
		cmocka_unit_test(a_client_tells_refusals_apart),
		cmocka_unit_test(the_longest_name_fits),
		cmocka_unit_test(addresses_are_taken_apart),
		cmocka_unit_test(addresses_that_are_none),
		cmocka_unit_test(a_client_wants_an_export_before_the_end),
		cmocka_unit_test(a_client_refuses_an_export_that_cannot_be),
		cmocka_unit_test(a_server_that_goes_on_for_ever_is_left),
		cmocka_unit_test(a_refusal_is_kept_in_printable_words),
		cmocka_unit_test(a_server_refuses_flags_that_it_did_not_offer),
		cmocka_unit_test(a_server_refuses_an_option_that_is_too_long),
		cmocka_unit_test(a_server_refuses_what_it_does_not_know_and_goes_on),
		cmocka_unit_test(a_client_that_goes_on_for_ever_is_left),
		cmocka_unit_test(an_old_client_gets_its_zeroes),
		cmocka_unit_test(both_sides_agree),
		cmocka_unit_test(requests_and_replies_go_there_and_back),
		cmocka_unit_test(errors_are_those_of_the_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
