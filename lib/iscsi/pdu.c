/* SPDX-License-Identifier: Apache-2.0 */
/* iSCSI's headers; see pdu.h. All numbers are big-endian. */
#include "lib/iscsi/pdu.h"

#include "lib/base/be.h"

#include <errno.h>
#include <string.h>

#define FINAL 0x80U
#define MORE 0x40U
#define IMMEDIATE 0x40U
#define READS 0x40U
#define WRITES 0x20U
#define SIMPLE 1U /* the task attribute */
#define OVER 0x04U
#define UNDER 0x02U
#define HAS_STATUS 0x01U

enum { AT_LUN = 8, AT_ITT = 16, AT_TTT = 20, AT_CMDSN = 24, AT_EXPSTATSN = 28 };

/* ---- what is sent ---- */

static void begin(uint8_t *out, uint8_t opcode, uint8_t flags, uint32_t data_len)
{
	memset(out, 0, ISCSI_BHS_LEN);
	put_be32(out + 4, data_len);
	out[0] = opcode;
	out[1] = flags;
}

static void put_numbers(uint8_t *out, struct iscsi_numbers at)
{
	put_be32(out + AT_CMDSN, at.cmdsn);
	put_be32(out + AT_EXPSTATSN, at.expstatsn);
}

void iscsi_login_encode(const struct iscsi_login_request *q, uint8_t out[ISCSI_BHS_LEN])
{
	unsigned int flags = (unsigned int)q->stage << 2;

	if (q->transit)
		flags |= FINAL | (unsigned int)q->next;
	begin(out, ISCSI_LOGIN | IMMEDIATE, (uint8_t)(flags | (q->more ? MORE : 0)), q->data_len);
	memcpy(out + 8, q->isid, sizeof(q->isid));
	put_be16(out + 14, q->tsih);
	put_be32(out + AT_ITT, q->itt);
	put_numbers(out, q->at);
}

void iscsi_command_encode(const struct iscsi_command *q, uint8_t out[ISCSI_BHS_LEN])
{
	unsigned int flags = FINAL | SIMPLE | (q->reads ? READS : 0) | (q->writes ? WRITES : 0);

	begin(out, ISCSI_COMMAND, (uint8_t)flags, q->data_len);
	memcpy(out + AT_LUN, q->lun, ISCSI_LUN_LEN);
	put_be32(out + AT_ITT, q->itt);
	put_be32(out + 20, q->expected);
	put_numbers(out, q->at);
	memcpy(out + 32, q->cdb, ISCSI_CDB_LEN);
}

void iscsi_data_out_encode(const struct iscsi_data_out *q, uint8_t out[ISCSI_BHS_LEN])
{
	begin(out, ISCSI_DATA_OUT, q->final ? FINAL : 0, q->data_len);
	memcpy(out + AT_LUN, q->lun, ISCSI_LUN_LEN);
	put_be32(out + AT_ITT, q->itt);
	put_be32(out + AT_TTT, q->ttt);
	put_be32(out + AT_EXPSTATSN, q->expstatsn);
	put_be32(out + 36, q->datasn);
	put_be32(out + 40, q->offset);
}

void iscsi_nop_out_encode(const uint8_t *lun, uint32_t ttt, struct iscsi_numbers at,
			  uint8_t out[ISCSI_BHS_LEN])
{
	begin(out, ISCSI_NOP_OUT | IMMEDIATE, FINAL, 0);
	memcpy(out + AT_LUN, lun, ISCSI_LUN_LEN);
	put_be32(out + AT_ITT, ISCSI_NO_TAG);
	put_be32(out + AT_TTT, ttt);
	put_numbers(out, at);
}

void iscsi_logout_encode(uint32_t itt, struct iscsi_numbers at, uint8_t out[ISCSI_BHS_LEN])
{
	begin(out, ISCSI_LOGOUT | IMMEDIATE, FINAL, 0); /* reason 0: the session */
	put_be32(out + AT_ITT, itt);
	put_numbers(out, at);
}

/* ---- what comes ---- */

static void decode_login(const uint8_t *in, struct iscsi_in *r)
{
	r->transit = in[1] & FINAL;
	r->more = in[1] & MORE;
	r->stage = in[1] >> 2 & 3;
	r->next = in[1] & 3;
	r->version = in[3]; /* Version-active */
	r->tsih = (uint16_t)get_be16(in + 14);
	r->response = in[36];
	r->status = in[37];
}

static void decode_residual(const uint8_t *in, struct iscsi_in *r)
{
	r->over = in[1] & OVER;
	r->under = in[1] & UNDER;
	r->residual = get_be32(in + 44);
}

static void decode_data_in(const uint8_t *in, struct iscsi_in *r)
{
	r->has_status = in[1] & HAS_STATUS;
	r->status = in[3];
	r->datasn = get_be32(in + 36);
	r->offset = get_be32(in + 40);
	if (r->has_status)
		decode_residual(in, r);
}

/* 0, or -EBADMSG: none that is known. */
static int decode_rest(const uint8_t *in, struct iscsi_in *r)
{
	switch (r->opcode) {
	case ISCSI_LOGIN_RESPONSE:
		decode_login(in, r);
		return 0;
	case ISCSI_RESPONSE:
		r->response = in[2];
		r->status = in[3];
		r->has_status = true;
		decode_residual(in, r);
		return 0;
	case ISCSI_DATA_IN:
		decode_data_in(in, r);
		return 0;
	case ISCSI_R2T:
		r->datasn = get_be32(in + 36);
		r->offset = get_be32(in + 40);
		r->len = get_be32(in + 44);
		return 0;
	case ISCSI_ASYNC:
		r->event = in[36];
		return 0;
	case ISCSI_LOGOUT_RESPONSE:
	case ISCSI_REJECT:
		r->response = in[2];
		return 0;
	case ISCSI_NOP_IN:
		return 0;
	default:
		return -EBADMSG;
	}
}

int iscsi_in_decode(const uint8_t in[ISCSI_BHS_LEN], struct iscsi_in *ret)
{
	struct iscsi_in r = { .opcode = in[0] & 0x3f,
			      .final = in[1] & FINAL,
			      .data_len = get_be32(in + 4) & 0xffffff,
			      .itt = get_be32(in + AT_ITT),
			      .ttt = get_be32(in + AT_TTT),
			      .statsn = get_be32(in + 24),
			      .expcmdsn = get_be32(in + 28),
			      .maxcmdsn = get_be32(in + 32) };

	memcpy(r.lun, in + AT_LUN, ISCSI_LUN_LEN);
	if (in[4] || decode_rest(in, &r) < 0)
		return -EBADMSG;
	*ret = r;
	return 0;
}
