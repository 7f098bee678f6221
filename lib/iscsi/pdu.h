/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iSCSI's headers (RFC 7143, 11), the initiator's side: pure. Everything that is sent is a header of 48 bytes, then its
 * data and as many zeroes as make them whole words. There are no digests and no additional headers.
 */
#ifndef BULKHEAD_ISCSI_PDU_H
#define BULKHEAD_ISCSI_PDU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ISCSI_BHS_LEN 48U
#define ISCSI_CDB_LEN 16U
#define ISCSI_LUN_LEN 8U
#define ISCSI_NO_TAG 0xffffffffU
#define ISCSI_DATA_MAX ((1U << 24) - 1) /* bytes that a header can announce */

enum iscsi_opcode {
	ISCSI_NOP_OUT = 0x00,
	ISCSI_COMMAND = 0x01,
	ISCSI_LOGIN = 0x03,
	ISCSI_DATA_OUT = 0x05,
	ISCSI_LOGOUT = 0x06,
	ISCSI_NOP_IN = 0x20,
	ISCSI_RESPONSE = 0x21,
	ISCSI_LOGIN_RESPONSE = 0x23,
	ISCSI_DATA_IN = 0x25,
	ISCSI_LOGOUT_RESPONSE = 0x26,
	ISCSI_R2T = 0x31,
	ISCSI_ASYNC = 0x32,
	ISCSI_REJECT = 0x3f,
};

/* Of a login. */
enum iscsi_stage { ISCSI_SECURITY = 0, ISCSI_OPERATIONAL = 1, ISCSI_FULL = 3 };

enum iscsi_event {
	ISCSI_EVENT_SCSI = 0,
	ISCSI_EVENT_LOGOUT = 1,
	ISCSI_EVENT_DROP_CONNECTION = 2,
	ISCSI_EVENT_DROP_SESSION = 3,
	ISCSI_EVENT_NEGOTIATE = 4,
};

/* Which numbers a session is at. */
struct iscsi_numbers {
	uint32_t cmdsn, expstatsn;
};

struct iscsi_login_request {
	bool transit, more; /* to the next stage; text goes on in the next request */
	enum iscsi_stage stage, next;
	uint8_t isid[6];
	uint16_t tsih;
	uint32_t itt, data_len;
	struct iscsi_numbers at;
};

struct iscsi_command {
	const uint8_t *lun, *cdb;
	bool reads, writes;
	uint32_t itt, expected, data_len; /* bytes in all, and those that come with it */
	struct iscsi_numbers at;
};

struct iscsi_data_out {
	const uint8_t *lun;
	bool final;
	uint32_t itt, ttt, expstatsn, datasn, offset, data_len;
};

void iscsi_login_encode(const struct iscsi_login_request *q, uint8_t out[ISCSI_BHS_LEN]);
void iscsi_command_encode(const struct iscsi_command *q, uint8_t out[ISCSI_BHS_LEN]);
void iscsi_data_out_encode(const struct iscsi_data_out *q, uint8_t out[ISCSI_BHS_LEN]);
/* The answer to a target's ping; lun is the ping's. */
void iscsi_nop_out_encode(const uint8_t *lun, uint32_t ttt, struct iscsi_numbers at,
			  uint8_t out[ISCSI_BHS_LEN]);
/* Of the whole session. */
void iscsi_logout_encode(uint32_t itt, struct iscsi_numbers at, uint8_t out[ISCSI_BHS_LEN]);

/* What a target says; fields that its opcode lacks are 0. */
struct iscsi_in {
	enum iscsi_opcode opcode;
	bool final;
	bool transit, more; /* LOGIN_RESPONSE */
	bool has_status;    /* DATA_IN with a status; RESPONSE has one always */
	uint8_t stage, next, version;
	uint8_t response, status; /* LOGIN_RESPONSE: class and detail; REJECT: reason */
	uint8_t lun[ISCSI_LUN_LEN];
	uint8_t event; /* ASYNC */
	bool over, under;
	uint32_t data_len; /* without padding */
	uint32_t itt, ttt, statsn, expcmdsn, maxcmdsn, residual;
	uint32_t datasn, offset, len; /* DATA_IN, R2T */
	uint16_t tsih;
};

/* 0, or -EBADMSG: no opcode of a target that is told of here, or additional headers. */
[[nodiscard]] int iscsi_in_decode(const uint8_t in[ISCSI_BHS_LEN], struct iscsi_in *ret);

/* Serial numbers (RFC 1982): whether a is after b. */
static inline bool iscsi_after(uint32_t a, uint32_t b)
{
	return a != b && (uint32_t)(a - b) < 1U << 31;
}

static inline uint32_t iscsi_padded(uint32_t len)
{
	return (len + 3U) & ~3U;
}

#endif
