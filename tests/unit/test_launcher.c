/* SPDX-License-Identifier: Apache-2.0 */
/* The launcher's bounds, by a clock of the test's own, and its answers. */
#include "tests/unit/unit.h"

#include "cmd/supervisor/answer.h"
#include "cmd/supervisor/ask.h"
#include "cmd/supervisor/bounds.h"

#include <errno.h>
#include <string.h>

#define SECOND 1000000000ULL

static void make(struct bounds *b)
{
	bounds_init(b, 0);
	for (uint8_t part = 1; part <= 8; part++)
		bounds_allow(b, part, 0);
}

static unsigned int ask_often(struct bounds *b, uint8_t part, uint64_t now, unsigned int times)
{
	unsigned int n = 0;

	while (times--)
		n += bounds_ask(b, part, false, now) == BOUNDS_FINE;
	return n;
}

static void test_only_what_is_allowed(void **state)
{
	struct bounds b;

	(void)state;
	make(&b);
	for (unsigned int part = 0; part < BOUNDS_MAX_PARTS; part++) {
		bool known = part >= 1 && part <= 8;

		assert_int_equal(bounds_know(&b, (uint8_t)part), known);
		assert_int_equal(bounds_ask(&b, (uint8_t)part, false, part * SECOND),
				 known ? BOUNDS_FINE : BOUNDS_UNKNOWN);
	}
}

static void test_one_at_a_time(void **state)
{
	struct bounds b;

	(void)state;
	make(&b);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(bounds_ask(&b, 3, true, 0), BOUNDS_ALIVE);
	/* which has cost nothing */
	assert_int_equal(ask_often(&b, 3, 0, 1000), BOUNDS_PART);
}

/* A thousand requests a second for ten minutes. */
static void test_rate_of_one_part(void **state)
{
	const uint64_t seconds = 600;
	unsigned int n = 0;
	struct bounds b;

	(void)state;
	make(&b);
	for (uint64_t t = 0; t < seconds * SECOND; t += SECOND / 1000)
		n += ask_often(&b, 1, t, 1);
	assert_in_range(n, seconds * SECOND / BOUNDS_PART_NS,
			BOUNDS_PART + seconds * SECOND / BOUNDS_PART_NS);
}

static void test_rate_of_all(void **state)
{
	const uint64_t seconds = 600;
	unsigned int n = 0;
	struct bounds b;

	(void)state;
	make(&b);
	for (uint64_t t = 0; t < seconds * SECOND; t += SECOND / 100)
		for (uint8_t part = 1; part <= 8; part++)
			n += ask_often(&b, part, t, 1);
	assert_in_range(n, seconds * SECOND / BOUNDS_ALL_NS,
			BOUNDS_ALL + seconds * SECOND / BOUNDS_ALL_NS);
}

/* One that is asked for too often leaves enough for the others. */
static void test_others_are_served(void **state)
{
	struct bounds b;

	(void)state;
	make(&b);
	assert_int_equal(ask_often(&b, 1, 0, 1000), BOUNDS_PART);
	assert_int_equal(bounds_ask(&b, 2, false, 0), BOUNDS_FINE);
}

/* ---- answers ---- */

static int turn(const struct answer *a, size_t n_fds, struct answer *ret)
{
	uint8_t wire[ANSWER_WIRE_MAX];
	int len = answer_encode(a, wire, sizeof(wire));

	assert_true(len > 0);
	return answer_decode(wire, (size_t)len, n_fds, ret);
}

static void test_answers_come_back(void **state)
{
	const struct answer started = { .part = 7, .result = ANSWER_STARTED };
	const struct answer failed = {
		.part = 2, .result = ANSWER_FAILED, .reason = -EACCES, .text = "its executable"
	};
	const struct answer refused = { .result = ANSWER_REFUSED, .reason = BOUNDS_TOO_OFTEN };
	const struct answer found = { .part = 4,
				      .result = ANSWER_FOUND,
				      .text = "18446744073709551615" };
	const struct answer unfound = { .result = ANSWER_UNFOUND, .reason = ANSWER_BESIDE };
	struct answer a;

	(void)state;
	for (size_t n = 0; n < 8; n++) {
		assert_int_equal(turn(&started, n, &a), n >= 2 && n <= 4 ? 0 : -EBADMSG);
		assert_int_equal(turn(&failed, n, &a), n <= 1 ? 0 : -EBADMSG);
		assert_int_equal(turn(&refused, n, &a), n == 0 ? 0 : -EBADMSG);
		assert_int_equal(turn(&found, n, &a), n == 0 ? 0 : -EBADMSG);
		assert_int_equal(turn(&unfound, n, &a), n == 0 ? 0 : -EBADMSG);
	}
	assert_int_equal(turn(&failed, 1, &a), 0);
	assert_int_equal(a.part, 2);
	assert_int_equal(a.reason, -EACCES);
	assert_string_equal(a.text, "its executable");
}

static void test_wrong_answers(void **state)
{
	static const struct answer wrong[] = {
		{ .result = 0 },
		{ .result = 7 },
		{ .result = 4, .reason = -1 },
		{ .result = ANSWER_FOUND, .part = 3, .reason = 1 },
		{ .result = ANSWER_FOUND, .part = 3, .text = "x" },
		{ .result = ANSWER_FOUND, .part = 3, .text = "1048576 " },
		{ .result = ANSWER_FOUND, .part = 3, .text = "-1" },
		{ .result = ANSWER_UNFOUND, .text = "1048576" },
		{ .result = ANSWER_UNFOUND, .reason = ANSWER_UNFOUND_N },
		{ .result = ANSWER_FORGOTTEN, .part = 3, .text = "1" },
		{ .result = ANSWER_UNFOUND, .part = 3 },
		{ .result = ANSWER_UNFOUND, .reason = -2 },
		{ .result = ANSWER_FAILED, .reason = 0 },
		{ .result = ANSWER_FAILED, .reason = 5 },
		{ .result = ANSWER_FAILED, .reason = -5000 },
		{ .result = ANSWER_REFUSED, .reason = BOUNDS_FINE },
		{ .result = ANSWER_REFUSED, .reason = BOUNDS_N },
		{ .result = ANSWER_FORGOTTEN, .reason = 1 },
		{ .result = ANSWER_FORGOTTEN, .text = "x" },
		{ .result = ANSWER_REFUSED, .reason = BOUNDS_ALIVE, .text = "x" },
	};
	struct answer a;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		for (size_t n = 0; n < 8; n++)
			assert_int_equal(turn(&wrong[i], n, &a), -EBADMSG);
}

static void test_bytes_of_any_length(void **state)
{
	uint8_t wire[ANSWER_WIRE_MAX + 8] = { 1, ANSWER_FAILED, 0, 0, 0xff, 0xff, 0xff, 0xff };
	struct answer a;

	(void)state;
	for (size_t len = 0; len <= sizeof(wire); len++) {
		int r = answer_decode(wire, len, 0, &a);

		assert_int_equal(r, len < 8 || len > ANSWER_WIRE_MAX ? -EBADMSG : 0);
	}
	wire[2] = 1;
	assert_int_equal(answer_decode(wire, 8, 0, &a), -EBADMSG);
}

static void test_text_is_shown_safely(void **state)
{
	struct answer a = { .result = ANSWER_FAILED, .reason = -1, .text = "a\033[2J\nb" }, got;

	(void)state;
	assert_int_equal(turn(&a, 0, &got), 0);
	assert_string_equal(got.text, "a?[2J?b");
}

/* ---- what it is asked ---- */

static int turn_ask(const struct ask *a, size_t n_fds, struct ask *ret)
{
	uint8_t wire[ASK_WIRE_MAX];
	int len = ask_encode(a, wire, sizeof(wire));

	assert_true(len > 0);
	return ask_decode(wire, (size_t)len, n_fds, ret);
}

static void test_requests_come_back(void **state)
{
	const struct ask disk = {
		.what = ASK_NEW, .part = 6, .kind = 2, .number = 1, .text = "format=raw,queues=2"
	};
	const struct ask again = { .what = ASK_AGAIN, .part = 255 };
	const struct ask forget = { .what = ASK_FORGET, .part = 6 };
	const struct ask find = { .what = ASK_FIND };
	const struct ask find_one = { .what = ASK_FIND, .part = 1 };
	const struct ask beside = { .what = ASK_BESIDE, .number = 8 };
	const struct ask none_beside = { .what = ASK_BESIDE };
	const struct ask larger = { .what = ASK_LARGER, .part = 6 };
	const struct ask behind = { .what = ASK_BEHIND, .part = 6, .text = "parser=apart" };
	struct ask a;

	(void)state;
	for (size_t n = 0; n < 8; n++) {
		assert_int_equal(turn_ask(&disk, n, &a), n <= 1 ? 0 : -EBADMSG);
		assert_int_equal(turn_ask(&again, n, &a), n == 0 ? 0 : -EBADMSG);
		assert_int_equal(turn_ask(&forget, n, &a), n == 0 ? 0 : -EBADMSG);
		assert_int_equal(turn_ask(&larger, n, &a), n == 0 ? 0 : -EBADMSG);
		/* all parts, and a file to compare theirs with */
		assert_int_equal(turn_ask(&find, n, &a), n == 1 ? 0 : -EBADMSG);
		assert_int_equal(turn_ask(&beside, n, &a), n == 1 ? 0 : -EBADMSG);
		assert_int_equal(turn_ask(&behind, n, &a), n == 1 ? 0 : -EBADMSG);
		assert_int_equal(turn_ask(&none_beside, n, &a), -EBADMSG);
		assert_int_equal(turn_ask(&find_one, n, &a), -EBADMSG);
	}
	assert_int_equal(turn_ask(&disk, 1, &a), 0);
	assert_string_equal(a.text, disk.text);
	assert_int_equal(a.what, ASK_NEW);
	assert_int_equal(a.part, 6);
	assert_int_equal(a.kind, 2);
	assert_int_equal(a.number, 1);
}

/* Each byte of a request that says no more than a part. */
static void test_requests_have_one_form(void **state)
{
	struct ask a = { .part = 77 };
	uint8_t wire[ASK_WIRE_MAX + 1] = { 0 };
	unsigned int good = 0;

	(void)state;
	for (unsigned int what = 0; what < 256; what++) {
		wire[0] = (uint8_t)what;
		good += ask_decode(wire, 4, 0, &a) == 0;
	}
	assert_int_equal(good, 4); /* those without a descriptor */
	for (size_t len = 0; len < 4; len++)
		assert_int_equal(ask_decode(wire, len, 0, &a), -EBADMSG);
	for (unsigned int what = ASK_AGAIN; what <= ASK_LARGER; what += 2)
		for (size_t at = 2; at <= 4; at++) {
			memset(wire, 0, sizeof(wire));
			wire[0] = (uint8_t)what;
			wire[at] = 'x';
			assert_int_equal(ask_decode(wire, at < 4 ? 4 : 5, 0, &a), -EBADMSG);
		}
	memset(wire, 'x', sizeof(wire));
	wire[0] = ASK_NEW;
	assert_int_equal(ask_decode(wire, ASK_WIRE_MAX, 0, &a), 0);
	assert_int_equal(strlen(a.text), ASK_TEXT_MAX);
	assert_int_equal(ask_decode(wire, ASK_WIRE_MAX + 1, 0, &a), -EBADMSG);
	for (unsigned int byte = 0; byte < 256; byte++) {
		wire[9] = (uint8_t)byte;
		assert_int_equal(ask_decode(wire, 20, 0, &a),
				 byte >= ' ' && byte <= '~' ? 0 : -EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_what_is_allowed),
		cmocka_unit_test(test_one_at_a_time),
		cmocka_unit_test(test_rate_of_one_part),
		cmocka_unit_test(test_rate_of_all),
		cmocka_unit_test(test_others_are_served),
		cmocka_unit_test(test_answers_come_back),
		cmocka_unit_test(test_requests_come_back),
		cmocka_unit_test(test_requests_have_one_form),
		cmocka_unit_test(test_wrong_answers),
		cmocka_unit_test(test_bytes_of_any_length),
		cmocka_unit_test(test_text_is_shown_safely),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
