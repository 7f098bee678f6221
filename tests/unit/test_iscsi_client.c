/* SPDX-License-Identifier: Apache-2.0 */
/* The iSCSI client and targets that this test plays: hostile ones first, then ones that are reset, busy, or another. */
#include "tests/unit/unit.h"

#include "lib/base/cleanup.h"
#include "lib/image/iscsi_client.h"
#include "tests/unit/faketarget.h"

#include <errno.h>
#include <string.h>

#define LEN 4096U
#define GUARD 0xa5

static struct iscsi_client c;
static struct faketarget t;
static const struct iscsi_who who = { .initiator = "iqn.a:a",
				      .target = "iqn.b:b",
				      .user = "",
				      .isid = { 0x80 } };
static uint8_t memory[ISCSI_CLIENT_DEPTH][2 * LEN];
static struct iovec iov[ISCSI_CLIENT_DEPTH];
static int results[ISCSI_CLIENT_DEPTH];
static unsigned int n_done, n_lost;

static void on_done(void *owner, uint64_t handle, int result)
{
	(void)owner;
	results[handle] = result;
	n_done++;
}

static void on_lost(struct iscsi_client *client)
{
	assert_ptr_equal(client, &c);
	n_lost++;
}

static int turn(void)
{
	int r = 0;

	for (int i = 0; i < 10 && r == 0; i++)
		r = image_reap(&c.image);
	return r;
}

static void connect_again(void)
{
	int pair[2];

	make_pair(SOCK_STREAM, pair);
	faketarget_take(&t, pair[1]);
	assert_int_equal(iscsi_client_connect(&c, pair[0]), 0);
}

/* Login and all that is asked before the first read. What image_reap says of it. */
static int look(void)
{
	int r = turn();

	while (r == 0 && c.phase != ISCSI_CLIENT_UP && c.phase != ISCSI_CLIENT_GONE) {
		faketarget_answer_look(&t);
		r = turn();
	}
	return r;
}

static int begin(void **state)
{
	const uint8_t lun[ISCSI_LUN_LEN] = { 0, 1 };

	(void)state;
	faketarget_open(&t);
	memset(memory, GUARD, sizeof(memory));
	n_done = n_lost = 0;
	iscsi_client_open(&c, &who, lun, false, 512);
	c.image.done = on_done;
	c.lost = on_lost;
	connect_again();
	return 0;
}

static int up(void **state)
{
	begin(state);
	assert_int_equal(look(), 0);
	assert_int_equal(c.phase, ISCSI_CLIENT_UP);
	return 0;
}

static int end(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < ISCSI_CLIENT_DEPTH; i++)
		for (unsigned int k = LEN; k < 2 * LEN; k++)
			assert_int_equal(memory[i][k], GUARD);
	image_close(&c.image);
	faketarget_close(&t);
	return 0;
}

/* Asks, and the target has heard it: its tag. */
static void ask_so(unsigned int i, enum image_op op, bool sync)
{
	const struct image_io io = { .op = op,
				     .sync = sync,
				     .offset = (uint64_t)i * LEN,
				     .len = LEN,
				     .iov = &iov[i],
				     .n_iov = 1,
				     .handle = i };

	iov[i] = (struct iovec){ memory[i], LEN };
	results[i] = 1;
	assert_int_equal(image_queue(&c.image, &io), 0);
	assert_int_equal(image_submit(&c.image), 0);
}

static void ask(unsigned int i, enum image_op op)
{
	ask_so(i, op, false);
}

static void ask_stable(unsigned int i)
{
	ask_so(i, IMAGE_WRITE, true);
}

static uint32_t asked(unsigned int i, enum image_op op, uint8_t operation)
{
	ask(i, op);
	faketarget_hear(&t);
	assert_int_equal(t.in[0] & 0x3f, ISCSI_COMMAND);
	assert_int_equal(t.in[32], operation);
	return faketarget_tag(&t);
}

/* Broken for good: nobody who does that is tried again. */
static void assert_broken(const char *why)
{
	assert_int_equal(turn(), -EBADMSG);
	assert_non_null(strstr(c.why, why));
	assert_int_equal(n_lost, 0);
}

static void assert_lost(const char *why)
{
	assert_int_equal(turn(), 0);
	assert_int_equal(c.phase, ISCSI_CLIENT_GONE);
	assert_int_equal(n_lost, 1);
	assert_non_null(strstr(c.why, why));
	n_lost = 0;
}

enum { READ16 = 0x88, WRITE16 = 0x8a, FLUSH16 = 0x91 };
#define NOT_ASKED "data that were not asked for"
#define NO_DATA "asks for data that there are not"
#define NO_ANSWER "answers what it was not asked"

/* ---- data that come ---- */

static void test_data_that_belong_nowhere(void **state)
{
	static const struct {
		uint32_t tag, offset, len;
	} bad[] = {
		{ 1, 0, 512 },	 /* another task's */
		{ 0, 512, 512 }, /* not the next */
		{ 0, UINT32_MAX, 512 }, { 0, 0, LEN + 1 },
		{ 0, 0, LEN + 512 },	{ 0, 0, ISCSI_DATA_MAX },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		uint32_t tag = asked(0, IMAGE_READ, READ16);

		faketarget_data(&t, tag ^ bad[i].tag << 16, bad[i].offset, bad[i].len, false);
		assert_broken(NOT_ASKED);
		end(state);
		up(state);
	}
}

static void test_data_more_than_once_or_behind_the_end(void **state)
{
	uint32_t tag = asked(0, IMAGE_READ, READ16);

	(void)state;
	faketarget_data(&t, tag, 0, 512, false);
	assert_int_equal(turn(), 0);
	faketarget_data(&t, tag, 0, 512, false);
	assert_broken(NOT_ASKED);
}

static void test_data_behind_the_answer(void **state)
{
	uint32_t tag = asked(0, IMAGE_READ, READ16);

	(void)state;
	faketarget_data(&t, tag, 0, LEN, true);
	assert_int_equal(turn(), 0);
	assert_int_equal(results[0], 0);
	assert_int_equal(memory[0][LEN - 1], FAKETARGET_BYTE);
	faketarget_data(&t, tag, LEN, 512, false);
	assert_broken(NOT_ASKED);
}

static void test_data_to_a_write(void **state)
{
	uint32_t tag = asked(0, IMAGE_WRITE, WRITE16);

	(void)state;
	faketarget_data(&t, tag, 0, 512, false);
	assert_broken(NOT_ASKED);
	assert_int_equal(memory[0][0], GUARD);
}

static void test_a_short_read_is_an_error(void **state)
{
	uint32_t tag = asked(0, IMAGE_READ, READ16);

	(void)state;
	faketarget_data(&t, tag, 0, 512, true);
	assert_int_equal(turn(), 0);
	assert_int_equal(results[0], -EIO);
	tag = asked(1, IMAGE_READ, READ16);
	faketarget_respond(&t, tag, SCSI_GOOD, 0, 0, 0);
	assert_int_equal(turn(), 0);
	assert_int_equal(results[1], -EIO);
}

/* ---- data that it asks for ---- */

static void test_r2t_for_what_there_is_not(void **state)
{
	static const struct {
		uint32_t tag, offset, len;
	} bad[] = {
		{ 1, 512, 512 },
		{ 0, 0, 512 }, /* came with the command */
		{ 0, 1024, 512 },
		{ 0, UINT32_MAX - 511, 512 },
		{ 0, 512, 0 },
		{ 0, 512, 510 },
		{ 0, 512, LEN },
		{ 0, 512, UINT32_MAX - 3 },
		{ 0, 512, FAKETARGET_BURST + 4 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		uint32_t tag = asked(0, IMAGE_WRITE, WRITE16);

		faketarget_r2t(&t, tag ^ bad[i].tag << 16, bad[i].offset, bad[i].len);
		assert_broken(NO_DATA);
		end(state);
		up(state);
	}
}

static void test_r2t_to_a_read_and_twice(void **state)
{
	uint32_t tag = asked(0, IMAGE_READ, READ16);

	faketarget_r2t(&t, tag, 0, 512);
	assert_broken(NO_DATA);
	end(state);
	up(state);
	tag = asked(0, IMAGE_WRITE, WRITE16);
	faketarget_r2t(&t, tag, 512, 512);
	faketarget_r2t(&t, tag, 512, 512);
	assert_broken(NO_DATA);
}

/* A write of four kibibytes, 512 bytes with its command and the rest up to there as it is asked. */
static void give_up_to(uint32_t tag, uint32_t end)
{
	for (uint32_t at = 512; at < end; at += 512) {
		faketarget_r2t(&t, tag, at, 512);
		assert_int_equal(turn(), 0);
		faketarget_hear(&t);
		assert_int_equal(t.in[0], ISCSI_DATA_OUT);
		assert_int_equal(t.data_len, 512);
	}
}

static void give(uint32_t tag)
{
	give_up_to(tag, LEN);
}

static void test_r2t_behind_the_end(void **state)
{
	uint32_t tag = asked(0, IMAGE_WRITE, WRITE16);

	(void)state;
	give_up_to(tag, LEN - 512);
	faketarget_r2t(&t, tag, LEN - 512, FAKETARGET_BURST);
	assert_broken(NO_DATA);
}

static void test_a_write_that_was_not_given_whole(void **state)
{
	uint32_t tag = asked(0, IMAGE_WRITE, WRITE16);

	(void)state;
	faketarget_respond(&t, tag, SCSI_GOOD, 0, 0, 0);
	assert_broken("has written what it was not sent");
}

/* ---- answers ---- */

static void test_answers_to_nothing(void **state)
{
	uint32_t tag = asked(0, IMAGE_READ, READ16);

	faketarget_data(&t, tag, 0, LEN, true);
	assert_int_equal(turn(), 0);
	faketarget_respond(&t, tag, SCSI_GOOD, 0, 0, 0);
	assert_broken(NO_ANSWER);
	for (uint32_t bad = 0; bad < 3; bad++) {
		end(state);
		up(state);
		tag = asked(0, IMAGE_FLUSH, FLUSH16);
		faketarget_respond(&t,
				   bad == 0 ? ISCSI_NO_TAG :
				   bad == 1 ? tag ^ 1 :
					      tag | 0xff,
				   SCSI_GOOD, 0, 0, 0);
		assert_broken(NO_ANSWER);
	}
}

static void test_pdus_that_nobody_sends_an_initiator(void **state)
{
	static const uint8_t bad[] = { 0x00, ISCSI_COMMAND, ISCSI_LOGIN, 0x22, ISCSI_LOGIN_RESPONSE,
				       0x24, 0x30,	    0x3e };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		faketarget_say(&t, bad[i], 0, NULL, 0);
		assert_broken("no iSCSI target, or breaks the protocol");
		end(state);
		up(state);
	}
	faketarget_say(&t, ISCSI_LOGOUT_RESPONSE, 0, NULL, 0);
	assert_broken("ends the session");
	end(state);
	up(state);
	t.ahs = 1; /* an additional header, which nobody asked for */
	faketarget_say(&t, ISCSI_NOP_IN, 0, NULL, 0);
	assert_broken("breaks the protocol");
	end(state);
	up(state);
	faketarget_announce(&t, ISCSI_RESPONSE, ISCSI_TEXT_MAX + 1);
	assert_broken("more than it may");
}

static void test_pings(void **state)
{
	(void)state;
	faketarget_ping(&t, 77);
	assert_int_equal(turn(), 0);
	faketarget_hear(&t);
	assert_int_equal(t.in[0], ISCSI_NOP_OUT | 0x40);
	assert_int_equal(t.in[23], 77);
	/* one that asks and asks, and takes no answer */
	faketarget_stop_hearing(&t, c.sock);
	for (unsigned int i = 0; i <= ISCSI_CLIENT_PINGS + 1; i++)
		faketarget_ping(&t, i);
	assert_broken("asks and does not hear");
}

static void test_a_target_that_wants_an_end(void **state)
{
	faketarget_event(&t, ISCSI_EVENT_LOGOUT);
	assert_int_equal(turn(), 0);
	faketarget_hear(&t);
	assert_int_equal(t.in[0], ISCSI_LOGOUT | 0x40);
	ask(0, IMAGE_FLUSH); /* for the next session */
	faketarget_say(&t, ISCSI_LOGOUT_RESPONSE, ISCSI_NO_TAG - 1, NULL, 0);
	assert_lost("ends the session");
	connect_again();
	assert_int_equal(look(), 0);
	faketarget_hear(&t);
	assert_int_equal(t.in[32], FLUSH16);
	faketarget_say(&t, ISCSI_REJECT, ISCSI_NO_TAG, NULL, 0);
	assert_lost("rejects a request");
	end(state);
	up(state);
	faketarget_event(&t, ISCSI_EVENT_DROP_SESSION);
	assert_lost("ends the session");
}

/* At any byte of what it says, and with any of it twice as slow: nothing is taken for more than it is. */
static void test_it_may_end_at_any_byte(void **state)
{
	for (size_t n = 1; n < ISCSI_BHS_LEN + 512; n += 7) {
		uint32_t tag = asked(0, IMAGE_READ, READ16);

		t.cut = n;
		faketarget_data(&t, tag, 0, 512, true);
		assert_int_equal(turn(), 0);
		assert_int_equal(results[0], 1);
		faketarget_close(&t);
		assert_lost("ended the connection");
		end(state);
		up(state);
	}
}

/* ---- a disk that was reset ---- */

/* What was in its cache is its owner's to write again. */
static void test_a_flush_that_finds_a_reset(void **state)
{
	uint32_t tag = asked(0, IMAGE_WRITE, WRITE16);

	(void)state;
	assert_int_equal(t.in[33], 0);
	assert_true(c.image.cached);
	give(tag);
	faketarget_respond(&t, tag, SCSI_GOOD, 0, 0, 0);
	assert_int_equal(turn(), 0);
	assert_int_equal(results[0], 0);
	tag = asked(1, IMAGE_FLUSH, FLUSH16);
	ask(2, IMAGE_READ); /* may never be answered by one that was reset */
	faketarget_respond(&t, tag, SCSI_CHECK_CONDITION, SCSI_KEY_UNIT_ATTENTION, 0x29, 0);
	assert_lost("was reset");
	assert_int_equal(n_done, 1);
	connect_again();
	assert_int_equal(look(), 0);
	faketarget_hear(&t);
	assert_int_equal(t.in[32], FLUSH16);
	faketarget_respond(&t, faketarget_tag(&t), SCSI_GOOD, 0, 0, 0);
	faketarget_hear(&t);
	faketarget_data(&t, faketarget_tag(&t), 0, LEN, true);
	assert_int_equal(turn(), 0);
	assert_int_equal(n_done, 3);
	assert_int_equal(results[1], 0);
	assert_int_equal(results[2], 0);
}

static void test_what_is_to_be_stable(void **state)
{
	uint32_t tag;

	(void)state;
	ask_stable(0);
	faketarget_hear(&t);
	assert_int_equal(t.in[32], WRITE16);
	assert_int_equal(t.in[33], 8);
	tag = faketarget_tag(&t);
	give(tag);
	faketarget_respond(&t, tag, SCSI_GOOD, 0, 0, 0);
	assert_int_equal(turn(), 0);
	assert_int_equal(results[0], 0);
}

static void test_a_cache_without_fua(void **state)
{
	uint32_t tag;

	(void)state;
	t.fua = false;
	assert_int_equal(look(), 0);
	ask_stable(0);
	faketarget_hear(&t);
	tag = faketarget_tag(&t);
	assert_int_equal(t.in[32], WRITE16);
	assert_int_equal(t.in[33], 0);
	give(tag);
	faketarget_respond(&t, tag, SCSI_GOOD, 0, 0, 0);
	assert_int_equal(turn(), 0);
	assert_int_equal(results[0], 1); /* not done yet */
	faketarget_hear(&t);
	assert_int_equal(t.in[32], FLUSH16);
	faketarget_respond(&t, faketarget_tag(&t), SCSI_GOOD, 0, 0, 0);
	assert_int_equal(turn(), 0);
	assert_int_equal(results[0], 0);
}

static void test_no_cache_and_one_that_does_not_say(void **state)
{
	uint32_t tag;

	t.cached = false;
	assert_int_equal(look(), 0);
	assert_false(c.image.cached);
	ask_stable(0);
	faketarget_hear(&t);
	tag = faketarget_tag(&t);
	assert_int_equal(t.in[33], 0);
	give(tag);
	faketarget_respond(&t, tag, SCSI_GOOD, 0, 0, 0);
	assert_int_equal(turn(), 0);
	assert_int_equal(results[0], 0);
	end(state);
	begin(state);
	t.silent_page = 0x08;
	assert_int_equal(look(), 0);
	assert_true(c.image.cached);
}

static void test_other_attentions_are_passed_over(void **state)
{
	uint32_t tag = asked(0, IMAGE_FLUSH, FLUSH16);

	(void)state;
	faketarget_respond(&t, tag, SCSI_CHECK_CONDITION, SCSI_KEY_UNIT_ATTENTION, 0x3f, 0x0e);
	assert_int_equal(turn(), 0);
	faketarget_hear(&t);
	assert_int_equal(t.in[32], FLUSH16);
	assert_int_not_equal(faketarget_tag(&t), tag);
	for (int i = 0; i < 20 && !n_done; i++) { /* one that never ends */
		faketarget_respond(&t, faketarget_tag(&t), SCSI_CHECK_CONDITION,
				   SCSI_KEY_UNIT_ATTENTION, 0x3f, 0x0e);
		assert_int_equal(turn(), 0);
		if (!n_done)
			faketarget_hear(&t);
	}
	assert_int_equal(results[0], -EIO);
}

/* ---- another disk ---- */

static void test_another_disk_than_before(void **state)
{
	for (int i = 0; i < 4; i++) {
		faketarget_close(&t);
		assert_lost("ended the connection");
		connect_again();
		t.blocks += i == 0;
		t.names[0] ^= i == 1;
		t.serial[0] ^= i == 2;
		t.port_name ^= i == 3; /* of the port alone: it is the same disk */
		assert_int_equal(look(), i == 3 ? 0 : -EBADMSG);
		if (i != 3)
			assert_non_null(strstr(c.why, "another disk"));
		end(state);
		up(state);
	}
}

/* It would not know what the old connection had begun. */
static void test_a_way_of_another_portal_group(void **state)
{
	(void)state;
	ask(0, IMAGE_WRITE);
	faketarget_close(&t);
	assert_lost("ended the connection");
	connect_again();
	t.group = '2';
	assert_int_equal(look(), 0);
	assert_lost("another portal group");
	assert_int_equal(n_done, 0);
	connect_again();
	t.group = '1';
	assert_int_equal(look(), 0);
	faketarget_hear(&t);
	assert_int_equal(t.in[32], WRITE16);
}

/* What waits for another connection, once it is to be reported. */
static void test_requests_that_are_given_up(void **state)
{
	(void)state;
	ask(0, IMAGE_WRITE);
	ask(1, IMAGE_FLUSH);
	iscsi_client_fail(&c, -EIO);
	assert_int_equal(n_done, 0); /* it is there */
	faketarget_close(&t);
	assert_lost("ended the connection");
	iscsi_client_fail(&c, -EIO);
	assert_int_equal(n_done, 2);
	assert_int_equal(results[0], -EIO);
	connect_again();
	assert_int_equal(look(), 0);
	assert_false(faketarget_hears(&t)); /* they are not done again */
}

/* ---- a disk that is busy ---- */

static void test_a_disk_that_takes_one_command_at_a_time(void **state)
{
	uint32_t first = asked(0, IMAGE_FLUSH, FLUSH16), second = asked(1, IMAGE_FLUSH, FLUSH16);

	(void)state;
	faketarget_respond(&t, second, SCSI_TASK_SET_FULL, 0, 0, 0);
	assert_int_equal(turn(), 0);
	assert_false(faketarget_hears(&t));
	ask(2, IMAGE_FLUSH);
	assert_false(faketarget_hears(&t));
	faketarget_respond(&t, first, SCSI_GOOD, 0, 0, 0);
	assert_int_equal(turn(), 0);
	for (unsigned int i = 1; i < 3; i++) {
		faketarget_hear(&t);
		assert_false(faketarget_hears(&t));
		faketarget_respond(&t, faketarget_tag(&t), SCSI_GOOD, 0, 0, 0);
		assert_int_equal(turn(), 0);
		assert_int_equal(n_done, i + 1);
	}
	/* and not one */
	faketarget_respond(&t, asked(3, IMAGE_FLUSH, FLUSH16), SCSI_BUSY, 0, 0, 0);
	assert_lost("is busy");
	assert_int_equal(n_done, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define ROW(name) cmocka_unit_test_setup_teardown(name, up, end)
		ROW(test_data_that_belong_nowhere),
		ROW(test_data_more_than_once_or_behind_the_end),
		ROW(test_data_behind_the_answer),
		ROW(test_data_to_a_write),
		ROW(test_a_short_read_is_an_error),
		ROW(test_r2t_for_what_there_is_not),
		ROW(test_r2t_to_a_read_and_twice),
		ROW(test_r2t_behind_the_end),
		ROW(test_a_write_that_was_not_given_whole),
		ROW(test_answers_to_nothing),
		ROW(test_pdus_that_nobody_sends_an_initiator),
		ROW(test_pings),
		ROW(test_a_target_that_wants_an_end),
		ROW(test_it_may_end_at_any_byte),
		ROW(test_a_flush_that_finds_a_reset),
		ROW(test_what_is_to_be_stable),
		cmocka_unit_test_setup_teardown(test_a_cache_without_fua, begin, end),
		cmocka_unit_test_setup_teardown(test_no_cache_and_one_that_does_not_say, begin,
						end),
		ROW(test_other_attentions_are_passed_over),
		ROW(test_another_disk_than_before),
		ROW(test_a_way_of_another_portal_group),
		ROW(test_requests_that_are_given_up),
		ROW(test_a_disk_that_takes_one_command_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
