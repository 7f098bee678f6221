/* SPDX-License-Identifier: Apache-2.0 */
/* A TPM's registers in every state, headers of commands and responses at their edges, and what swtpm's control channel says. */
#include "cmd/dev-tpm/command.h"
#include "cmd/dev-tpm/crb.h"

#include "lib/base/cleanup.h"
#include "lib/tpm/ptm.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

static uint8_t buffer[TPM_BUFFER_LEN];

static struct crb in_state(enum crb_state state, bool assigned)
{
	memset(buffer, 0x5a, sizeof(buffer));
	return (struct crb){ .state = state, .assigned = assigned, .buffer = buffer };
}

static bool put(struct crb *c, uint64_t offset, uint64_t value)
{
	return crb_write(c, offset, 4, value);
}

static uint32_t get(const struct crb *c, uint64_t offset)
{
	uint32_t v = 0;

	for (unsigned int i = 0; i < 4; i++)
		v |= (uint32_t)crb_byte(c, offset + i) << (8 * i);
	return v;
}

/* The table of crb.h: what each state becomes by cmdReady, goIdle, data, start. */
static void every_state_and_order(void **state)
{
	static const struct {
		uint64_t offset, value;
		enum crb_state becomes[CRB_STATES];
	} rows[] = {
		{ TPM_CTRL_REQ,
		  CRB_REQ_READY,
		  { CRB_READY, CRB_READY, CRB_READY, CRB_EXECUTION, CRB_READY } },
		{ TPM_CTRL_REQ,
		  CRB_REQ_IDLE,
		  { CRB_IDLE, CRB_IDLE, CRB_IDLE, CRB_EXECUTION, CRB_IDLE } },
		{ TPM_BUFFER_AT,
		  0,
		  { CRB_IDLE, CRB_RECEPTION, CRB_RECEPTION, CRB_EXECUTION, CRB_RECEPTION } },
		{ TPM_CTRL_START,
		  CRB_START,
		  { CRB_IDLE, CRB_READY, CRB_EXECUTION, CRB_EXECUTION, CRB_COMPLETION } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (enum crb_state from = 0; from < CRB_STATES; from++) {
			struct crb c = in_state(from, true), nobody = in_state(from, false);

			assert_int_equal(put(&nobody, rows[i].offset, rows[i].value), false);
			assert_int_equal(nobody.state, from);
			assert_int_equal(put(&c, rows[i].offset, rows[i].value),
					 from == CRB_RECEPTION &&
						 rows[i].becomes[from] == CRB_EXECUTION);
			assert_int_equal(c.state, rows[i].becomes[from]);
		}
}

/* Registers take their own value in their own width; nothing else in the page does anything. */
static void every_offset_and_width(void **state)
{
	static const unsigned int widths[] = { 1, 2, 4, 8 };
	static const uint64_t values[] = { 0, 1, 2, 3, 0x100000001ULL, UINT64_MAX };

	(void)state;
	for (enum crb_state from = 0; from < CRB_STATES; from++)
		for (uint64_t at = 0; at < TPM_BUFFER_AT; at++)
			for (size_t i = 0; i < ARRAY_SIZE(widths); i++)
				for (size_t k = 0; k < ARRAY_SIZE(values); k++) {
					struct crb c = in_state(from, true);
					bool known = widths[i] == 4 &&
						     (at == TPM_LOC_CTRL || at == TPM_CTRL_REQ ||
						      at == TPM_CTRL_START ||
						      at == TPM_CTRL_CANCEL);

					if (known && values[k] <= 2)
						continue;
					assert_false(crb_write(&c, at, widths[i], values[k]));
					assert_int_equal(c.state, from);
					assert_true(c.assigned && !c.cancel);
				}
}

static void the_buffers_edges(void **state)
{
	static const unsigned int widths[] = { 1, 2, 4, 8 };
	struct {
		uint8_t before[16], buffer[TPM_BUFFER_LEN], behind[16];
	} room = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(widths); i++)
		for (uint64_t at = TPM_CRB_SIZE - 16; at < TPM_CRB_SIZE + 16; at++) {
			struct crb c = { .state = CRB_READY,
					 .assigned = true,
					 .buffer = room.buffer };

			memset(room.buffer, 0, sizeof(room.buffer));
			assert_false(crb_write(&c, at, widths[i], UINT64_MAX));
			for (size_t k = 0; k < 16; k++)
				assert_true(!room.before[k] && !room.behind[k]);
			assert_int_equal(c.state, at + widths[i] <= TPM_CRB_SIZE ? CRB_RECEPTION :
										   CRB_READY);
			assert_int_equal(room.buffer[TPM_BUFFER_LEN - 1],
					 at + widths[i] == TPM_CRB_SIZE ? 0xff : 0);
			(void)crb_byte(&c, at);
			(void)crb_byte(&c, UINT64_MAX - at);
			assert_false(crb_write(&c, UINT64_MAX - at, widths[i], 0));
		}
}

/* What was in the buffer is seen by nobody who did not put it there, and is no part of a later command. */
static void the_buffer_is_cleared(void **state)
{
	struct crb c = in_state(CRB_COMPLETION, true);

	(void)state;
	assert_int_equal(get(&c, TPM_BUFFER_AT), 0x5a5a5a5a);
	put(&c, TPM_BUFFER_AT, 0x01020304);
	assert_int_equal(get(&c, TPM_BUFFER_AT), 0x01020304);
	assert_int_equal(get(&c, TPM_BUFFER_AT + 4), 0);
	c = in_state(CRB_EXECUTION, true);
	assert_int_equal(get(&c, TPM_BUFFER_AT), UINT32_MAX);
	crb_complete(&c, 3);
	assert_int_equal(get(&c, TPM_BUFFER_AT), 0x5a5a5a);
	put(&c, TPM_CTRL_REQ, CRB_REQ_READY);
	assert_int_equal(get(&c, TPM_BUFFER_AT), 0);
	c = in_state(CRB_RECEPTION, true);
	crb_reset(&c);
	assert_true(!c.assigned && c.state == CRB_IDLE && buffer[0] == 0);
}

/* Another state, asked for before the end: read until then, and no byte of the response is seen. */
static void who_does_not_wait(void **state)
{
	static const struct {
		uint32_t asks[2];
		enum crb_state becomes;
	} rows[] = {
		{ { CRB_REQ_READY, CRB_REQ_READY }, CRB_READY },
		{ { CRB_REQ_IDLE, CRB_REQ_IDLE }, CRB_IDLE },
		{ { CRB_REQ_IDLE, CRB_REQ_READY }, CRB_READY },
		{ { CRB_REQ_READY, CRB_REQ_IDLE }, CRB_IDLE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct crb c = in_state(CRB_EXECUTION, true);

		put(&c, TPM_CTRL_REQ, rows[i].asks[0]);
		put(&c, TPM_CTRL_REQ, rows[i].asks[1]);
		assert_int_equal(get(&c, TPM_CTRL_REQ), rows[i].asks[1]);
		put(&c, TPM_CTRL_START, CRB_START);
		assert_int_equal(c.state, CRB_EXECUTION);
		crb_complete(&c, 64);
		assert_int_equal(c.state, rows[i].becomes);
		assert_int_equal(get(&c, TPM_CTRL_REQ), 0);
		for (size_t k = 0; k < TPM_BUFFER_LEN; k++)
			assert_int_equal(buffer[k], 0);
		crb_complete(&c, 0);
		assert_int_equal(c.state, rows[i].becomes);
	}
	for (enum crb_state from = 0; from < CRB_STATES; from++) {
		struct crb c = in_state(from, true);

		put(&c, TPM_CTRL_REQ, CRB_REQ_READY);
		assert_int_equal(get(&c, TPM_CTRL_REQ), from == CRB_EXECUTION ? CRB_REQ_READY : 0);
		crb_reset(&c);
		assert_int_equal(get(&c, TPM_CTRL_REQ), 0);
	}
}

static void what_registers_say(void **state)
{
	struct crb c = in_state(CRB_IDLE, false);

	(void)state;
	assert_int_equal(get(&c, TPM_LOC_STATE), CRB_STATE_VALID | CRB_STATE_NOT_ESTABLISHED);
	assert_int_equal(get(&c, TPM_CTRL_STS), CRB_STS_IDLE);
	put(&c, TPM_LOC_CTRL, CRB_LOC_REQUEST);
	assert_int_equal(get(&c, TPM_LOC_STS), CRB_LOC_GRANTED);
	assert_true(get(&c, TPM_LOC_STATE) & CRB_STATE_ASSIGNED);
	assert_int_equal(get(&c, TPM_INTF_ID), CRB_INTF_ID);
	assert_int_equal(get(&c, TPM_CMD_SIZE), TPM_BUFFER_LEN);
	assert_int_equal(get(&c, TPM_RSP_LOW), TPM_CRB_BASE + TPM_BUFFER_AT);
	c.failed = true;
	assert_true(get(&c, TPM_CTRL_STS) & CRB_STS_FATAL);
	put(&c, TPM_LOC_CTRL, CRB_LOC_RELINQUISH);
	assert_false(c.assigned);
	c = in_state(CRB_EXECUTION, true);
	put(&c, TPM_CTRL_CANCEL, CRB_CANCEL);
	assert_int_equal(get(&c, TPM_CTRL_CANCEL), CRB_CANCEL);
	assert_int_equal(get(&c, TPM_CTRL_START), CRB_START);
}

/* ---- headers ---- */

static void header(uint8_t out[TPM_HEADER_LEN], uint16_t tag, uint32_t len)
{
	const uint8_t h[TPM_HEADER_LEN] = { (uint8_t)(tag >> 8),  (uint8_t)tag,
					    (uint8_t)(len >> 24), (uint8_t)(len >> 16),
					    (uint8_t)(len >> 8),  (uint8_t)len };

	memcpy(out, h, sizeof(h));
}

static void commands(void **state)
{
	static const uint32_t bad[] = { 0, 1, 9, TPM_BUFFER_LEN + 1, 0x7fffffff, UINT32_MAX };
	uint8_t b[TPM_BUFFER_LEN] = { 0 };
	uint32_t code = 0;

	(void)state;
	for (uint32_t tag = 0; tag <= UINT16_MAX; tag++) {
		bool is_one = tag == TPM_ST_NO_SESSIONS || tag == TPM_ST_SESSIONS;

		header(b, (uint16_t)tag, 12);
		assert_int_equal(command_check(b, &code), is_one ? 12 : 0);
		if (!is_one)
			assert_int_equal(code, TPM_RC_BAD_TAG);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		header(b, TPM_ST_SESSIONS, bad[i]);
		assert_int_equal(command_check(b, &code), 0);
		assert_int_equal(code, TPM_RC_COMMAND_SIZE);
	}
	header(b, TPM_ST_SESSIONS, TPM_BUFFER_LEN);
	assert_int_equal(command_check(b, &code), TPM_BUFFER_LEN);
	assert_int_equal(command_refuse(b, TPM_RC_COMMAND_SIZE), TPM_HEADER_LEN);
	assert_int_equal(command_check_response(b, TPM_HEADER_LEN), 1);
}

static void responses(void **state)
{
	uint8_t b[TPM_BUFFER_LEN + 1] = { 0 };

	(void)state;
	header(b, TPM_ST_NO_SESSIONS, 20);
	for (size_t n = 0; n <= 30; n++)
		assert_int_equal(command_check_response(b, n), n < 20 ? 0 : n == 20 ? 1 : -EBADMSG);
	header(b, TPM_ST_NO_SESSIONS, TPM_BUFFER_LEN);
	assert_int_equal(command_check_response(b, TPM_BUFFER_LEN), 1);
	assert_int_equal(command_check_response(b, TPM_BUFFER_LEN + 1), -EBADMSG);
	header(b, TPM_ST_NO_SESSIONS, TPM_BUFFER_LEN + 1);
	assert_int_equal(command_check_response(b, 10), -EBADMSG);
	header(b, TPM_ST_NO_SESSIONS, 9);
	assert_int_equal(command_check_response(b, 10), -EBADMSG);
	header(b, 0x8003, 10);
	assert_int_equal(command_check_response(b, 10), -EBADMSG);
}

static void the_control_channel(void **state)
{
	static const uint8_t init[] = { 0, 0, 0, 2, 0, 0, 0, 0 };
	uint8_t request[PTM_REQUEST_MAX], answer[PTM_ANSWER_MAX] = { 0 };
	uint64_t v = 1;

	(void)state;
	assert_int_equal(ptm_encode(PTM_INIT, 0, request), sizeof(init));
	assert_memory_equal(request, init, sizeof(init));
	assert_int_equal(ptm_encode(PTM_GET_CAPABILITY, 0, request), 4);
	for (size_t len = 0; len <= sizeof(answer); len++)
		assert_int_equal(ptm_decode(PTM_INIT, answer, len, &v), len == 4 ? 0 : -EBADMSG);
	answer[3] = 9;
	assert_int_equal(ptm_decode(PTM_INIT, answer, 4, &v), -EIO);
	answer[6] = 0x12;
	assert_int_equal(ptm_decode(PTM_GET_CAPABILITY, answer, 8, &v), 0);
	assert_true(v == 0x900001200ULL);
	assert_int_equal(ptm_decode((enum ptm_command)99, answer, 8, &v), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_state_and_order),
		cmocka_unit_test(every_offset_and_width),
		cmocka_unit_test(the_buffers_edges),
		cmocka_unit_test(the_buffer_is_cleared),
		cmocka_unit_test(who_does_not_wait),
		cmocka_unit_test(what_registers_say),
		cmocka_unit_test(commands),
		cmocka_unit_test(responses),
		cmocka_unit_test(the_control_channel),
	};

	return cmocka_run_group_tests_name("tpm_crb", tests, NULL, NULL);
}
