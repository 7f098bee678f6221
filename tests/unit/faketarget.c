/* SPDX-License-Identifier: Apache-2.0 */
/* See faketarget.h. */
#include "tests/unit/faketarget.h"

#include "tests/unit/unit.h"

#include "lib/iscsi/scsi.h"

#include <string.h>

#define ALL 0x80 /* the final bit */

static void put32(uint8_t *p, uint32_t v)
{
	for (unsigned int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

void faketarget_open(struct faketarget *t)
{
	*t = (struct faketarget){ .sock = -1,
				  .fua = true,
				  .cached = true,
				  .blocks = 512,
				  .names = "\1\3\0\4abcd",
				  .serial = "1234",
				  .port_name = 'p',
				  .group = '1' };
}

void faketarget_take(struct faketarget *t, int sock)
{
	t->sock = sock;
	t->statsn = 0;
}

void faketarget_close(struct faketarget *t)
{
	if (t->sock >= 0)
		close(t->sock);
	t->sock = -1;
}

/* ---- what it hears ---- */

static void receive(const struct faketarget *t, void *out, size_t len)
{
	for (size_t n = 0; n < len;) {
		ssize_t r = recv(t->sock, (uint8_t *)out + n, len - n, MSG_DONTWAIT);

		assert_true(r > 0);
		n += (size_t)r;
	}
}

void faketarget_hear(struct faketarget *t)
{
	receive(t, t->in, sizeof(t->in));
	t->data_len = get32(t->in + 4) & 0xffffff;
	assert_true(iscsi_padded(t->data_len) <= sizeof(t->data));
	receive(t, t->data, iscsi_padded(t->data_len));
}

bool faketarget_hears(const struct faketarget *t)
{
	uint8_t byte;

	return recv(t->sock, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

uint32_t faketarget_tag(const struct faketarget *t)
{
	return get32(t->in + 16);
}

void faketarget_stop_hearing(struct faketarget *t, int sock)
{
	static const uint8_t junk[4096];

	(void)t;
	while (send(sock, junk, sizeof(junk), MSG_DONTWAIT) > 0)
		;
	while (send(sock, junk, 1, MSG_DONTWAIT) > 0)
		;
}

/* ---- what it says ---- */

static void begin(struct faketarget *t, uint8_t out[ISCSI_BHS_LEN], uint8_t opcode, uint32_t tag,
		  uint32_t len)
{
	memset(out, 0, ISCSI_BHS_LEN);
	out[0] = opcode;
	out[1] = ALL;
	put32(out + 4, len);
	out[4] = t->ahs;
	put32(out + 16, tag);
	put32(out + 20, ISCSI_NO_TAG);
	put32(out + 24, t->statsn);
	put32(out + 28, 1);
	put32(out + 32, 1000); /* MaxCmdSN */
}

static void send_all(struct faketarget *t, const uint8_t *bytes, size_t len)
{
	static uint8_t out[ISCSI_BHS_LEN + 8192];

	assert_true(len <= sizeof(out));
	memcpy(out, bytes, len);
	if (t->cut && t->cut < len)
		len = t->cut;
	assert_int_equal(send(t->sock, out, len, MSG_NOSIGNAL), len);
}

static void say(struct faketarget *t, const uint8_t *header, const void *data, uint32_t len)
{
	static uint8_t out[ISCSI_BHS_LEN + 8192];

	assert_true(len <= 8192 - 4);
	memset(out, 0, sizeof(out));
	memcpy(out, header, ISCSI_BHS_LEN);
	if (len)
		memcpy(out + ISCSI_BHS_LEN, data, len);
	send_all(t, out, ISCSI_BHS_LEN + iscsi_padded(len));
}

void faketarget_say(struct faketarget *t, uint8_t opcode, uint32_t tag, const void *data,
		    uint32_t len)
{
	uint8_t out[ISCSI_BHS_LEN];

	begin(t, out, opcode, tag, len);
	say(t, out, data, len);
}

void faketarget_announce(struct faketarget *t, uint8_t opcode, uint32_t len)
{
	uint8_t out[ISCSI_BHS_LEN];

	begin(t, out, opcode, 0, len);
	send_all(t, out, sizeof(out));
}

/* Of more than a PDU of this test has, the header alone. */
void faketarget_data(struct faketarget *t, uint32_t tag, uint32_t offset, uint32_t len, bool status)
{
	static uint8_t bytes[8192 - 4];
	uint8_t out[ISCSI_BHS_LEN];

	begin(t, out, ISCSI_DATA_IN, tag, len);
	out[1] |= status;
	put32(out + 40, offset);
	t->statsn += status;
	if (len > sizeof(bytes)) {
		send_all(t, out, sizeof(out));
		return;
	}
	memset(bytes, FAKETARGET_BYTE, sizeof(bytes));
	say(t, out, bytes, len);
}

void faketarget_r2t(struct faketarget *t, uint32_t tag, uint32_t offset, uint32_t len)
{
	uint8_t out[ISCSI_BHS_LEN];

	begin(t, out, ISCSI_R2T, tag, 0);
	put32(out + 20, 5);
	put32(out + 40, offset);
	put32(out + 44, len);
	say(t, out, NULL, 0);
}

void faketarget_respond(struct faketarget *t, uint32_t tag, uint8_t status, uint8_t key,
			uint8_t asc, uint8_t ascq)
{
	const uint8_t sense[] = { 0, 18, 0x70, 0, key, 0,    0, 0, 0, 10,
				  0, 0,	 0,    0, asc, ascq, 0, 0, 0, 0 };
	uint32_t len = status == SCSI_CHECK_CONDITION ? sizeof(sense) : 0;
	uint8_t out[ISCSI_BHS_LEN];

	begin(t, out, ISCSI_RESPONSE, tag, len);
	out[3] = status;
	t->statsn++;
	say(t, out, sense, len);
}

void faketarget_ping(struct faketarget *t, uint32_t ttt)
{
	uint8_t out[ISCSI_BHS_LEN];

	begin(t, out, ISCSI_NOP_IN, ISCSI_NO_TAG, 0);
	put32(out + 20, ttt);
	say(t, out, NULL, 0);
}

void faketarget_event(struct faketarget *t, uint8_t event)
{
	uint8_t out[ISCSI_BHS_LEN];

	begin(t, out, ISCSI_ASYNC, ISCSI_NO_TAG, 0);
	out[36] = event;
	t->statsn++;
	say(t, out, NULL, 0);
}

/* ---- what its disk is ---- */

static void answer_login(struct faketarget *t)
{
	static const char terms[] = "ImmediateData=Yes\0FirstBurstLength=512\0"
				    "MaxRecvDataSegmentLength=512\0MaxBurstLength=1024";
	char group[] = "TargetPortalGroupTag=?";
	bool first = (t->in[1] >> 2 & 3) == 0;
	uint8_t out[ISCSI_BHS_LEN];

	group[sizeof(group) - 2] = t->group;
	begin(t, out, ISCSI_LOGIN_RESPONSE, faketarget_tag(t),
	      first ? sizeof(group) : sizeof(terms));
	out[1] = t->in[1];
	t->statsn++;
	say(t, out, first ? group : terms, first ? sizeof(group) : sizeof(terms));
}

static uint32_t page(struct faketarget *t, uint8_t number, uint8_t *out)
{
	static const uint8_t of_port[] = { 0x51, 0x94, 0, 4 };

	out[1] = number;
	switch (number) {
	case 0x80:
		out[3] = sizeof(t->serial);
		memcpy(out + 4, t->serial, sizeof(t->serial));
		return 8;
	case 0x83:
		out[3] = 16;
		memcpy(out + 4, t->names, sizeof(t->names));
		memcpy(out + 12, of_port, sizeof(of_port));
		out[16] = t->port_name;
		return 20;
	default:
		return 4;
	}
}

static uint32_t mode(const struct faketarget *t, uint8_t number, uint8_t *out)
{
	out[2] = t->fua ? 0x10 : 0;
	if (number != 0x08)
		return 4;
	out[4] = 0x08;
	out[5] = 18;
	out[6] = t->cached ? 4 : 0;
	return 24;
}

static uint32_t capacity(const struct faketarget *t, uint8_t *out)
{
	put32(out + 4, (uint32_t)t->blocks - 1);
	put32(out + 8, 512);
	return 32;
}

static void say_data(struct faketarget *t, const uint8_t *data, uint32_t len)
{
	uint8_t out[ISCSI_BHS_LEN];

	begin(t, out, ISCSI_DATA_IN, faketarget_tag(t), len);
	out[1] |= 1;
	t->statsn++;
	say(t, out, data, len);
}

void faketarget_answer_look(struct faketarget *t)
{
	uint8_t data[256] = { 0 };
	const uint8_t *cdb = t->in + 32;

	faketarget_hear(t);
	if ((t->in[0] & 0x3f) == ISCSI_LOGIN) {
		answer_login(t);
		return;
	}
	assert_int_equal(t->in[0] & 0x3f, ISCSI_COMMAND);
	if (cdb[0] == 0x1a && cdb[2] == t->silent_page)
		faketarget_respond(t, faketarget_tag(t), SCSI_CHECK_CONDITION,
				   SCSI_KEY_ILLEGAL_REQUEST, 0x24, 0);
	else if (cdb[0] == 0x12)
		say_data(t, data, cdb[1] ? page(t, cdb[2], data) : 36);
	else if (cdb[0] == 0x1a)
		say_data(t, data, mode(t, cdb[2], data));
	else if (cdb[0] == 0x9e)
		say_data(t, data, capacity(t, data));
	else
		faketarget_respond(t, faketarget_tag(t), SCSI_GOOD, 0, 0, 0);
}
