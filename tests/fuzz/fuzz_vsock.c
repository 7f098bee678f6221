/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets of a guest, and what clients do between them, against the connections' state machine. Each step is a byte that
 * says what, and what it needs. No connection may hold or give more than its room, and what is due must end.
 */
#include "tests/fuzz/fuzz.h"

#include "cmd/dev-vsock/hub.h"

#include <string.h>

static struct hub hub;

/* As the device does: all the payload goes to `out`, where hub_take has found room for it. */
static void take(const uint8_t *header)
{
	static const uint8_t payload[CONN_BUFFER];
	struct packet p;
	struct conn *c;

	packet_decode(header, &p);
	if (!hub_can_take(&hub))
		return;
	c = hub_take(&hub, &p, p.len);
	if (!c)
		return;
	require(p.len <= CONN_BUFFER && fifo_space(&c->out) >= p.len);
	require(fifo_put(&c->out, payload, p.len) == p.len);
}

static void drain_due(void)
{
	struct packet p;
	unsigned int n = 0;

	while (hub_next(&hub, &p)) {
		require(p.len == 0 && p.dst_cid == hub.cid);
		require(++n <= HUB_REPLIES + 4 * HUB_CONNS);
	}
	require(!hub_is_due(&hub));
}

static void give(struct conn *c, uint32_t len)
{
	uint32_t credit = conn_credit(c);
	struct packet p;

	if (credit == 0)
		return;
	conn_data(&hub, c, len < credit ? len : credit, &p);
	require(c->sent - c->peer_fwd <= c->peer_alloc);
}

static void client(struct conn *c, uint8_t what, uint8_t value)
{
	if (c->state == CONN_FREE || c->state == CONN_RESET)
		return;
	if (c->state == CONN_GREETING && what % 8 == 0) {
		if (conn_hear(&hub, c, (char)value) < 0)
			conn_gone(c);
	} else if (what % 8 == 1) {
		give(c, value * 300U);
	} else if (what % 8 == 2) {
		size_t n = value * 300U;

		conn_written(c, n < fifo_used(&c->out) ? n : fifo_used(&c->out));
	} else if (what % 8 == 3) {
		conn_ended(c);
	} else if (what % 8 == 4) {
		conn_gone(c);
	} else {
		(void)!conn_tells_end(c);
		(void)!conn_step(c);
	}
}

/* One that has said its line, so that most steps are about open connections. */
static void greet(void)
{
	const char *line = "CONNECT 22\n";
	struct conn *c = hub_greet(&hub);

	for (; c && *line; line++)
		require(conn_hear(&hub, c, *line) >= 0);
}

/* Between the question and its answer anything may happen. */
static void dial(bool asks, bool made)
{
	bool pending = hub.dial_pending;
	uint32_t index = 0;
	struct conn *c;

	if (asks && hub_dials(&hub, &index))
		require(!pending && index < 2);
	if (asks || !pending)
		return;
	c = hub_dialed(&hub, made);
	require(!c || (made && c->state == CONN_OPEN));
	require(!hub.dial_pending);
}

static void check(void)
{
	for (size_t i = 0; i < HUB_CONNS; i++) {
		const struct conn *c = &hub.conns[i];

		require(c->state <= CONN_RESET);
		if (c->state == CONN_OPEN)
			require(c->taken - c->fwd <= CONN_BUFFER && c->uncounted <= CONN_LINE_MAX &&
				fifo_used(&c->out) == c->taken - c->fwd + c->uncounted);
	}
	require(hub.n_replies <= HUB_REPLIES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ports listen = { .n = 2, .port = { 22, 23 } };
	static const struct ports reach = { .n = 2, .port = { 80, 81 } };
	size_t at = 0;

	hub_init(&hub, 3, &listen, &reach);
	while (at < size) {
		uint8_t what = data[at++];

		if (what < 64 && size - at >= PACKET_HEADER) {
			take(data + at);
			at += PACKET_HEADER;
		} else if (what < 80) {
			greet();
		} else if (what < 96) {
			drain_due();
		} else if (what < 112) {
			dial(what & 2, what & 1);
		} else if (size - at >= 2) {
			client(&hub.conns[data[at] % HUB_CONNS], what, data[at + 1]);
			at += 2;
		}
		check();
	}
	drain_due();
	return 0;
}
