/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-vsock's connections: a guest that says anything, clients that do anything, and their lists of ports. */
#include "tests/unit/unit.h"

#include "cmd/dev-vsock/hub.h"

#include <errno.h>
#include <linux/virtio_vsock.h>
#include <string.h>

#define CID 3

static struct hub hub;
static const struct ports named = { .n = 1, .port = { 22 } };
static const struct ports reach = { .n = 2, .port = { 80, 81 } };

static int setup(void **state)
{
	(void)state;
	hub_init(&hub, CID, &named, &reach);
	return 0;
}

static int say_line(struct conn *c, const char *line)
{
	int r = 0;

	while (r == 0 && *line)
		r = conn_hear(&hub, c, *line++);
	return r;
}

static struct packet of(const struct conn *c, uint16_t op)
{
	return (struct packet){ .src_cid = CID,
				.dst_cid = PACKET_HOST_CID,
				.src_port = c->guest_port,
				.dst_port = c->own_port,
				.type = VIRTIO_VSOCK_TYPE_STREAM,
				.op = op,
				.buf_alloc = 1000 };
}

static void take(const struct conn *c, uint16_t op)
{
	struct packet p = of(c, op);

	assert_null(hub_take(&hub, &p, 0));
}

static uint16_t next_op(void)
{
	struct packet p;

	return hub_next(&hub, &p) ? p.op : 0;
}

static struct conn *asked(void)
{
	struct conn *c = hub_greet(&hub);

	assert_non_null(c);
	assert_int_equal(say_line(c, "CONNECT 22\n"), 1);
	assert_int_equal(next_op(), VIRTIO_VSOCK_OP_REQUEST);
	return c;
}

static struct conn *opened(void)
{
	struct conn *c = asked();

	take(c, VIRTIO_VSOCK_OP_RESPONSE);
	assert_int_equal(c->state, CONN_OPEN);
	conn_written(c, fifo_used(&c->out));
	assert_int_equal(c->fwd, 0);
	return c;
}

/* ---- hostile ---- */

static void test_every_op_in_every_state(void **state)
{
	for (unsigned int op = 0; op < 12; op++) {
		struct conn *c;

		setup(state);
		c = asked();
		take(c, (uint16_t)op);
		assert_int_equal(c->state, op == VIRTIO_VSOCK_OP_RESPONSE ? CONN_OPEN :
					   op == VIRTIO_VSOCK_OP_RST	  ? CONN_DRAINING :
									    CONN_RESET);
		setup(state);
		c = opened();
		if (op == VIRTIO_VSOCK_OP_RW)
			continue; /* below */
		take(c, (uint16_t)op);
		if (op == VIRTIO_VSOCK_OP_RST)
			assert_int_equal(c->state, CONN_DRAINING);
		else if (op >= VIRTIO_VSOCK_OP_SHUTDOWN && op <= VIRTIO_VSOCK_OP_CREDIT_REQUEST)
			assert_int_equal(c->state, CONN_OPEN);
		else
			assert_int_equal(c->state, CONN_RESET);
	}
}

static void test_a_length_that_is_not_the_chains(void **state)
{
	const uint64_t lens[] = { 0, 1, 99, 101, 1ULL << 32, (1ULL << 32) + 100 };

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		struct packet p;
		struct conn *c;

		setup(state);
		c = opened();
		p = of(c, VIRTIO_VSOCK_OP_RW);
		p.len = 100;
		assert_null(hub_take(&hub, &p, lens[i]));
		assert_int_equal(c->state, CONN_RESET);
	}
}

static void test_room_to_the_byte(void **state)
{
	struct conn *c = opened();
	struct packet p = of(c, VIRTIO_VSOCK_OP_RW);

	(void)state;
	p.len = CONN_BUFFER;
	assert_ptr_equal(hub_take(&hub, &p, p.len), c);
	p.len = 1;
	assert_null(hub_take(&hub, &p, 1));
	assert_int_equal(c->state, CONN_RESET);
	setup(state);
	c = opened();
	p = of(c, VIRTIO_VSOCK_OP_RW);
	p.len = CONN_BUFFER + 1;
	assert_null(hub_take(&hub, &p, p.len));
}

/* Counters run free, and wrap. */
static void test_credit_where_counters_wrap(void **state)
{
	struct conn *c = opened();
	struct packet p;

	(void)state;
	c->sent = UINT32_MAX - 10;
	c->peer_fwd = UINT32_MAX - 20;
	c->peer_alloc = 100;
	assert_int_equal(conn_credit(c), 90);
	conn_data(&hub, c, 90, &p);
	assert_int_equal(c->sent, 79);
	assert_int_equal(conn_credit(c), 0);
	c->peer_fwd = 80; /* more than was sent */
	assert_int_equal(conn_credit(c), 0);
	c->peer_fwd = 79;
	assert_int_equal(conn_credit(c), 100);
	c->taken = c->fwd = c->fwd_told = UINT32_MAX - 5;
	p = of(c, VIRTIO_VSOCK_OP_RW);
	p.len = CONN_BUFFER;
	assert_ptr_equal(hub_take(&hub, &p, p.len), c);
}

static void test_answers_are_bounded(void **state)
{
	const struct packet p = {
		.src_cid = CID, .dst_cid = 2, .op = VIRTIO_VSOCK_OP_REQUEST, .type = 1
	};
	unsigned int n = 0;

	(void)state;
	while (hub_can_take(&hub)) {
		assert_null(hub_take(&hub, &p, 0));
		assert_true(++n <= HUB_REPLIES);
	}
	assert_int_equal(n, HUB_REPLIES);
	assert_null(hub_take(&hub, &p, 0)); /* not even if it is taken all the same */
	while (next_op())
		n--;
	assert_int_equal(n, 0);
}

/* ---- clients ---- */

static void test_lines(void **state)
{
	static const struct {
		const char *line;
		int r;
	} rows[] = {
		{ "CONNECT 22\n", 1 },
		{ "CONNECT 22\r\n", 1 },
		{ "CONNECT 0000000022\n", 1 },
		{ "CONNECT 23\n", -EACCES },
		{ "CONNECT 4294967295\n", -EINVAL },
		{ "CONNECT 4294967318\n", -EINVAL },
		{ "\n", -EINVAL },
		{ "\r\n", -EINVAL },
		{ "CONNECT \n", -EINVAL },
		{ "connect 22\n", -EINVAL },
		{ "CONNECT 22 \n", -EINVAL },
		{ "CONNECT 0000000000000000000022\n", -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct conn *c = hub_greet(&hub);

		assert_int_equal(say_line(c, rows[i].line), rows[i].r);
		conn_gone(c);
		assert_int_equal(c->state, CONN_FREE); /* the guest was told nothing of it */
	}
}

static void test_as_many_as_there_are(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < HUB_CONNS; i++)
		(void)opened();
	assert_null(hub_greet(&hub));
	conn_gone(&hub.conns[7]);
	assert_null(hub_greet(&hub)); /* not before the guest has been told */
	assert_int_equal(next_op(), VIRTIO_VSOCK_OP_RST);
	assert_ptr_equal(hub_greet(&hub), &hub.conns[7]);
}

static void test_ports_are_not_given_twice(void **state)
{
	struct conn *c = opened();

	(void)state;
	hub.next_port = c->own_port;
	assert_int_not_equal(opened()->own_port, c->own_port);
	hub.next_port = UINT32_MAX - 1;
	assert_int_equal(opened()->own_port, UINT32_MAX - 1);
	assert_true(opened()->own_port < UINT32_MAX - 1);
}

static void test_a_client_that_ended_before_the_answer(void **state)
{
	struct conn *c = asked();

	(void)state;
	conn_ended(c);
	assert_int_equal(next_op(), 0);
	take(c, VIRTIO_VSOCK_OP_RESPONSE);
	assert_int_equal(next_op(), VIRTIO_VSOCK_OP_SHUTDOWN);
	assert_int_equal(next_op(), 0);
}

static void test_lists_of_ports(void **state)
{
	static const char *const wrong[] = {
		"",   ",",   "22,", ",22",	   "22,,23",	       "4294967295",
		"-1", "2 2", "a",   "00000000022", "1,2,3,4,5,6,7,8,9"
	};
	struct ports p = { 0 };
	const char *why = NULL;
	char text[100];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_int_equal(ports_add(&p, wrong[i], &why), -EINVAL);
		assert_non_null(why);
		assert_int_equal(p.n, 0);
	}
	assert_false(ports_say(&p, text, sizeof(text)));
	assert_int_equal(ports_add(&p, "22,4294967294,22", &why), 0);
	assert_true(ports_say(&p, text, sizeof(text)));
	assert_string_equal(text, "22,4294967294");
	assert_true(ports_have(&p, 22) && !ports_have(&p, 23));
}

/* Whatever was due of the connections is not, once they are gone. */
static void test_nothing_is_due_after_a_reset(void **state)
{
	struct packet stranger = { .src_cid = CID, .op = VIRTIO_VSOCK_OP_RW };
	struct conn *c;

	(void)state;
	take(opened(), VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	conn_ended(opened());
	conn_gone(opened());
	c = hub_greet(&hub);
	assert_int_equal(say_line(c, "CONNECT 22\n"), 1);
	assert_null(hub_take(&hub, &stranger, 0));
	assert_true(hub_is_due(&hub));
	hub_clear(&hub);
	assert_false(hub_is_due(&hub));
	assert_int_equal(next_op(), 0);
	for (int i = 0; i < HUB_CONNS; i++)
		assert_non_null(hub_greet(&hub));
}

static struct packet guest_asks(uint32_t port)
{
	return (struct packet){ .src_cid = CID,
				.dst_cid = PACKET_HOST_CID,
				.src_port = 5000,
				.dst_port = port,
				.type = VIRTIO_VSOCK_TYPE_STREAM,
				.op = VIRTIO_VSOCK_OP_REQUEST,
				.buf_alloc = 1000 };
}

static void test_the_guest_reaches_what_was_named(void **state)
{
	struct packet p = guest_asks(81), no = guest_asks(82);
	struct conn *c;
	uint32_t index = 9;

	(void)state;
	assert_null(hub_take(&hub, &no, 0));
	assert_int_equal(next_op(), VIRTIO_VSOCK_OP_RST);
	assert_false(hub_dials(&hub, &index));
	assert_null(hub_take(&hub, &p, 0));
	assert_true(hub_dials(&hub, &index));
	assert_int_equal(index, 1);
	assert_false(hub_is_due(&hub));
	c = hub_dialed(&hub, true);
	assert_non_null(c);
	assert_int_equal(next_op(), VIRTIO_VSOCK_OP_RESPONSE);
	assert_int_equal(conn_credit(c), 1000);
}

static void test_nobody_is_there(void **state)
{
	struct packet p = guest_asks(80);
	uint32_t index;

	(void)state;
	assert_null(hub_take(&hub, &p, 0));
	assert_true(hub_dials(&hub, &index));
	assert_null(hub_dialed(&hub, false));
	assert_int_equal(next_op(), VIRTIO_VSOCK_OP_RST);
}

/* The answer for one that is gone is nobody's, also if its slot is another's by then. */
static void test_an_answer_that_comes_late(void **state)
{
	struct packet p = guest_asks(80), rst = p;
	uint32_t index;

	(void)state;
	rst.op = VIRTIO_VSOCK_OP_RST;
	assert_null(hub_take(&hub, &p, 0));
	assert_true(hub_dials(&hub, &index));
	assert_null(hub_take(&hub, &rst, 0));
	(void)!conn_step(&hub.conns[0]);
	p.dst_port = 81;
	assert_null(hub_take(&hub, &p, 0));
	assert_int_equal(hub.conns[0].state, CONN_DIALING);
	assert_false(hub_dials(&hub, &index)); /* one at a time */
	assert_null(hub_dialed(&hub, true));
	assert_true(hub_dials(&hub, &index));
	assert_int_equal(index, 1);
	hub_clear(&hub);
	assert_false(hub_dials(&hub, &index));
	assert_null(hub_dialed(&hub, true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_every_op_in_every_state, setup),
		cmocka_unit_test_setup(test_a_length_that_is_not_the_chains, setup),
		cmocka_unit_test_setup(test_room_to_the_byte, setup),
		cmocka_unit_test_setup(test_credit_where_counters_wrap, setup),
		cmocka_unit_test_setup(test_answers_are_bounded, setup),
		cmocka_unit_test_setup(test_lines, setup),
		cmocka_unit_test_setup(test_as_many_as_there_are, setup),
		cmocka_unit_test_setup(test_ports_are_not_given_twice, setup),
		cmocka_unit_test_setup(test_a_client_that_ended_before_the_answer, setup),
		cmocka_unit_test_setup(test_nothing_is_due_after_a_reset, setup),
		cmocka_unit_test_setup(test_the_guest_reaches_what_was_named, setup),
		cmocka_unit_test_setup(test_nobody_is_there, setup),
		cmocka_unit_test_setup(test_an_answer_that_comes_late, setup),
		cmocka_unit_test(test_lists_of_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
