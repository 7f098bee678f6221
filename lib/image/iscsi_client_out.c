/* SPDX-License-Identifier: Apache-2.0 */
/* What the iSCSI client sends; see iscsi_client.h. One PDU at a time, whole. */
#include "lib/image/iscsi_client_internal.h"

#include "lib/base/fd.h"

#include <errno.h>
#include <string.h>

#define PIECES 64U /* of one message */
#define WHOLE 512U

/* At most that, and in pieces that need no padding. */
static uint32_t piece_of(uint32_t left, uint32_t most)
{
	return left <= most ? left : most - most % WHOLE;
}

/* The login's bytes are all there. */
static int send_login(struct iscsi_client *c)
{
	while (c->out_sent < c->login.n_out) {
		struct iovec iov = { c->login.out + c->out_sent,
				     c->login.n_out - (size_t)c->out_sent };
		ssize_t n = stream_transfer(c->sock, &iov, 1, true);

		if (n < 0)
			return n == -EAGAIN ? 0 : (int)n;
		c->out_sent += (uint64_t)n;
	}
	c->out_sent = c->login.n_out = 0;
	return 0;
}

/* ---- the next one ---- */

static void begin(struct iscsi_client *c, uint16_t task, uint32_t from, uint32_t len)
{
	c->sending = true;
	c->out_sent = 0;
	c->out_task = task;
	c->out_from = from;
	c->out_len = len;
}

static void begin_ping(struct iscsi_client *c)
{
	iscsi_nop_out_encode(c->ping[0].lun, c->ping[0].ttt, c->terms.at, c->out);
	memmove(c->ping, c->ping + 1, sizeof(c->ping) - sizeof(c->ping[0]));
	c->n_pings--;
	begin(c, ISCSI_NO_TASK, 0, 0);
}

static void begin_data(struct iscsi_client *c)
{
	struct iscsi_task *t = &c->task[c->data.first];
	uint32_t len = piece_of(t->asked, c->terms.send_max);
	struct iscsi_data_out q = { .lun = c->lun,
				    .final = len == t->asked,
				    .itt = initiator_tag(c, t),
				    .ttt = t->ttt,
				    .expstatsn = c->terms.at.expstatsn,
				    .datasn = t->datasn++,
				    .offset = t->moved,
				    .data_len = len };

	iscsi_data_out_encode(&q, c->out);
	begin(c, c->data.first, t->moved, len);
}

static uint32_t immediate_len(const struct iscsi_client *c, const struct iscsi_task *t)
{
	uint32_t most = c->terms.first_burst < c->terms.send_max ? c->terms.first_burst :
								   c->terms.send_max;

	return c->terms.immediate && initiator_is_write(t->verb) ? piece_of(t->expected, most) : 0;
}

static void begin_command(struct iscsi_client *c)
{
	struct iscsi_task *t = &c->task[c->commands.first];
	uint8_t cdb[ISCSI_CDB_LEN];
	struct iscsi_command q = { .lun = c->lun,
				   .cdb = cdb,
				   .writes = t->expected && initiator_is_write(t->verb),
				   .reads = t->expected && !initiator_is_write(t->verb),
				   .itt = initiator_tag(c, t),
				   .expected = t->expected,
				   .data_len = immediate_len(c, t),
				   .at = c->terms.at };
	const uint32_t block = c->disk.block ? c->disk.block : 512;

	scsi_cdb(t->verb, (t->io.offset + t->at) / block, (uint32_t)(t->piece / block), cdb);
	iscsi_command_encode(&q, c->out);
	c->terms.at.cmdsn++;
	c->n_outstanding++;
	begin(c, c->commands.first, 0, q.data_len);
}

bool initiator_can_command(const struct iscsi_client *c)
{
	return c->commands.first != ISCSI_NO_TASK && !c->leaving && c->n_outstanding < c->most &&
	       !iscsi_after(c->terms.at.cmdsn, c->terms.maxcmdsn);
}

void iscsi_client_leave(struct iscsi_client *c)
{
	if (c->phase != ISCSI_CLIENT_UP || c->n_in_flight || c->sending)
		return;
	c->logout = true;
	(void)!initiator_send(c);
}

/* Whether there is one. */
static bool begin_next(struct iscsi_client *c)
{
	if (c->n_pings) {
		begin_ping(c);
	} else if (c->data.first != ISCSI_NO_TASK) {
		begin_data(c);
	} else if (c->logout) {
		c->logout = false;
		iscsi_logout_encode(ISCSI_NO_TAG - 1, c->terms.at, c->out);
		begin(c, ISCSI_NO_TASK, 0, 0);
	} else if (initiator_can_command(c)) {
		begin_command(c);
	} else {
		return false;
	}
	return true;
}

/* ---- its bytes ---- */

static void end_data(struct iscsi_client *c, struct iscsi_task *t)
{
	t->asked -= c->out_len;
	if (t->asked)
		return;
	(void)initiator_dequeue(c, &c->data);
	t->state = ISCSI_TASK_WAITING;
}

static void end(struct iscsi_client *c)
{
	struct iscsi_task *t;

	c->sending = false;
	if (c->out_task == ISCSI_NO_TASK)
		return;
	t = &c->task[c->out_task];
	t->moved += c->out_len;
	if (t->state == ISCSI_TASK_DATA) {
		end_data(c, t);
		return;
	}
	(void)initiator_dequeue(c, &c->commands);
	t->state = ISCSI_TASK_WAITING;
}

static size_t gather(const struct iscsi_client *c, struct iovec *iov)
{
	uint64_t sent = c->out_sent, len;
	size_t n = 0;

	if (sent < ISCSI_BHS_LEN) {
		iov[n++] = (struct iovec){ (uint8_t *)(uintptr_t)c->out + sent,
					   ISCSI_BHS_LEN - (size_t)sent };
		sent = ISCSI_BHS_LEN;
	}
	if (!c->out_len)
		return n;
	sent -= ISCSI_BHS_LEN;
	len = c->out_len - sent;
	return n + initiator_data(c, &c->task[c->out_task], c->out_from + (uint32_t)sent, &len,
				  iov + n, PIECES - n);
}

int initiator_send(struct iscsi_client *c)
{
	struct iovec iov[PIECES];

	if (c->phase == ISCSI_CLIENT_LOGIN)
		return send_login(c);
	while (c->sending || begin_next(c)) {
		ssize_t n = stream_transfer(c->sock, iov, gather(c, iov), true);

		if (n < 0)
			return n == -EAGAIN ? 0 : (int)n;
		c->out_sent += (uint64_t)n;
		if (c->out_sent == ISCSI_BHS_LEN + (uint64_t)c->out_len)
			end(c);
	}
	return 0;
}
