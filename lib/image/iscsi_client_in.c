/* SPDX-License-Identifier: Apache-2.0 */
/* What the target says to the iSCSI client; see iscsi_client.h. */
#include "lib/image/iscsi_client_internal.h"

#include "lib/base/fd.h"
#include "lib/image/iov.h"

#include <errno.h>
#include <string.h>

#define PIECES 64U /* of one message */

/* ---- one PDU, whose header is there ---- */

static bool is_reading(const struct iscsi_task *t)
{
	return t && t->state == ISCSI_TASK_WAITING && !initiator_is_write(t->verb);
}

static int begin_data_in(struct iscsi_client *c)
{
	const struct iscsi_in *in = &c->in;
	const struct iscsi_task *t = initiator_find(c, in->itt);

	if (!is_reading(t) || in->offset != t->moved || in->data_len > t->expected - t->moved ||
	    in->data_len > ISCSI_RECEIVE_MAX)
		return initiator_fail(c, -EBADMSG, "the target sends data that were not asked for");
	c->in_task = (uint16_t)(t - c->task);
	return 0;
}

static int begin_pdu(struct iscsi_client *c)
{
	c->in_task = ISCSI_NO_TASK;
	c->in_got = 0;
	c->in_data = true;
	if (iscsi_in_decode(c->stage + c->taken, &c->in) < 0)
		return initiator_fail(c, -EBADMSG, "it is no iSCSI target, or breaks the protocol");
	c->taken += ISCSI_BHS_LEN;
	if (c->phase != ISCSI_CLIENT_LOGIN && c->in.opcode == ISCSI_DATA_IN)
		return begin_data_in(c);
	if (iscsi_padded(c->in.data_len) > sizeof(c->bytes))
		return initiator_fail(c, -EBADMSG, "the target sends more than it may");
	return 0;
}

/* ---- one that is whole ---- */

static int take_login(struct iscsi_client *c)
{
	int r = iscsi_login_take(&c->login, &c->in, c->bytes);

	c->out_sent = 0;
	if (r < 0)
		return initiator_fail(c, r, c->login.why);
	if (r == 0)
		return initiator_send(c);
	c->terms = c->login.terms;
	if (c->known && c->terms.group != c->group)
		return initiator_fail(
			c, -EACCES,
			"that way to the target is of another portal group than the one before");
	initiator_look(c);
	return initiator_send(c);
}

static void take_numbers(struct iscsi_client *c)
{
	const struct iscsi_in *in = &c->in;
	bool counts = in->opcode != ISCSI_R2T && (in->opcode != ISCSI_DATA_IN || in->has_status) &&
		      (in->opcode != ISCSI_NOP_IN || in->itt != ISCSI_NO_TAG);

	if (iscsi_after(in->maxcmdsn, c->terms.maxcmdsn))
		c->terms.maxcmdsn = in->maxcmdsn;
	if (counts && !iscsi_after(c->terms.at.expstatsn, in->statsn))
		c->terms.at.expstatsn = in->statsn + 1;
}

static int take_r2t(struct iscsi_client *c)
{
	const struct iscsi_in *in = &c->in;
	struct iscsi_task *t = initiator_find(c, in->itt);

	if (!t || t->state != ISCSI_TASK_WAITING || !initiator_is_write(t->verb) ||
	    in->offset != t->moved || in->len == 0 || in->len > t->expected - t->moved ||
	    in->len > c->terms.max_burst || in->len % 4 || in->data_len)
		return initiator_fail(c, -EBADMSG, "the target asks for data that there are not");
	t->ttt = in->ttt;
	t->asked = in->len;
	t->datasn = 0;
	t->state = ISCSI_TASK_DATA;
	initiator_enqueue(c, &c->data, t);
	return 0;
}

static int take_answer(struct iscsi_client *c)
{
	struct iscsi_task *t = initiator_find(c, c->in.itt);
	struct scsi_sense sense = { .key = 0 };

	/* what is not sent whole cannot have been answered */
	if (!t || t->state != ISCSI_TASK_WAITING)
		return initiator_fail(c, -EBADMSG, "the target answers what it was not asked");
	if (c->in.opcode == ISCSI_RESPONSE)
		sense = scsi_sense_decode(c->bytes, c->in.data_len);
	return initiator_answered(c, t, &c->in, sense);
}

static int take_data_in(struct iscsi_client *c)
{
	c->task[c->in_task].moved += c->in.data_len;
	return c->in.has_status ? take_answer(c) : 0;
}

static int take_ping(struct iscsi_client *c)
{
	struct iscsi_ping *p = &c->ping[c->n_pings];

	if (c->in.ttt == ISCSI_NO_TAG)
		return 0;
	if (c->n_pings == ISCSI_CLIENT_PINGS)
		return initiator_fail(c, -EBADMSG, "the target asks and does not hear");
	memcpy(p->lun, c->in.lun, sizeof(p->lun));
	p->ttt = c->in.ttt;
	c->n_pings++;
	return 0;
}

static int take_event(struct iscsi_client *c)
{
	switch (c->in.event) {
	case ISCSI_EVENT_LOGOUT:
		c->logout = c->leaving = true;
		return 0;
	case ISCSI_EVENT_DROP_CONNECTION:
	case ISCSI_EVENT_DROP_SESSION:
	case ISCSI_EVENT_NEGOTIATE:
		return initiator_fail(c, -EPIPE, "the target ends the session");
	default:
		return 0;
	}
}

static int take_pdu(struct iscsi_client *c)
{
	if (c->phase == ISCSI_CLIENT_LOGIN)
		return take_login(c);
	take_numbers(c);
	switch (c->in.opcode) {
	case ISCSI_DATA_IN:
		return take_data_in(c);
	case ISCSI_RESPONSE:
		return take_answer(c);
	case ISCSI_R2T:
		return take_r2t(c);
	case ISCSI_NOP_IN:
		return take_ping(c);
	case ISCSI_ASYNC:
		return take_event(c);
	case ISCSI_LOGOUT_RESPONSE:
		return initiator_fail(c, c->leaving ? -EPIPE : -EBADMSG,
				      "the target ends the session");
	case ISCSI_REJECT:
		return initiator_fail(c, -EPIPE, "the target rejects a request");
	default:
		return initiator_fail(c, -EBADMSG, "it is no iSCSI target, or breaks the protocol");
	}
}

/* ---- its bytes ---- */

static bool is_done(const struct iscsi_client *c)
{
	return c->in_got == iscsi_padded(c->in.data_len);
}

/* From the stage to where it belongs; padding to nowhere. */
static void take_staged(struct iscsi_client *c)
{
	size_t left = c->staged - c->taken;
	uint32_t want = iscsi_padded(c->in.data_len) - c->in_got, len;

	len = want < left ? want : (uint32_t)left;
	if (c->in_task == ISCSI_NO_TASK) {
		memcpy(c->bytes + c->in_got, c->stage + c->taken, len);
	} else if (c->in_got < c->in.data_len) {
		const struct iscsi_task *t = &c->task[c->in_task];
		uint32_t data = c->in.data_len - c->in_got;

		iov_fill(t->io.iov, t->io.n_iov, t->at + t->moved + c->in_got, c->stage + c->taken,
			 len < data ? len : data);
	}
	c->taken += len;
	c->in_got += len;
}

/* Everything in the stage that is whole; the rest goes to its beginning. */
static int digest(struct iscsi_client *c)
{
	int r = 0;

	while (r == 0 && c->phase != ISCSI_CLIENT_GONE) {
		if (!c->in_data) {
			if (c->staged - c->taken < ISCSI_BHS_LEN)
				break;
			r = begin_pdu(c);
			continue;
		}
		take_staged(c);
		if (!is_done(c))
			break;
		c->in_data = false;
		r = take_pdu(c);
	}
	memmove(c->stage, c->stage + c->taken, c->staged - c->taken);
	c->staged -= c->taken;
	c->taken = 0;
	return r;
}

/* A read's data go to where they belong, what follows them into the stage. */
static ssize_t receive_some(struct iscsi_client *c)
{
	struct iovec iov[PIECES + 1];
	uint64_t direct = 0, left = 0;
	size_t n = 0;
	ssize_t r;

	if (c->in_data && c->in_task != ISCSI_NO_TASK && c->in_got < c->in.data_len) {
		const struct iscsi_task *t = &c->task[c->in_task];

		left = direct = c->in.data_len - c->in_got;
		n = iov_window(t->io.iov, t->io.n_iov, t->at + t->moved + c->in_got, &direct, iov,
			       PIECES);
	}
	if (direct == left)
		iov[n++] = (struct iovec){ c->stage + c->staged, sizeof(c->stage) - c->staged };
	r = stream_transfer(c->sock, iov, n, false);
	if (r <= 0)
		return r;
	if ((uint64_t)r < direct)
		direct = (uint64_t)r;
	c->in_got += (uint32_t)direct;
	c->staged += (size_t)r - (size_t)direct;
	return r;
}

int initiator_receive(struct iscsi_client *c)
{
	int r = 0;

	while (r == 0) {
		ssize_t n = receive_some(c);

		r = n < 0 ? (int)n : digest(c);
	}
	return r == -EAGAIN ? 0 : r;
}
