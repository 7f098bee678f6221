/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CRB's registers (lib/tpm/tpm.h), as a table of states:
 *
 *	          cmdReady  goIdle  data       start      done
 *	IDLE      READY     –       –          –          –
 *	READY     READY     IDLE    RECEPTION  –          –
 *	RECEPTION READY     IDLE    RECEPTION  EXECUTION  –
 *	EXECUTION (READY)   (IDLE)  –          –          COMPLETION
 *	COMPLETION READY    IDLE    RECEPTION  –          –
 *
 * What is not in it is ignored, as is everything but a request for locality 0 while nobody has that. There is no interrupt.
 * A command cannot be cancelled: it comes to its end, which the profile allows. A driver that has not waited for it and asks for
 * another state reads its request until then, and gets that state in place of the response: so what it takes for the response to its
 * next command is never that of this one. Pure: no I/O.
 *
 * Reads are of any width: each byte has its meaning. Registers are written in their own 4 bytes, the buffer in any
 * width; what is outside of them floats.
 */
#ifndef BULKHEAD_CMD_DEV_TPM_CRB_H
#define BULKHEAD_CMD_DEV_TPM_CRB_H

#include "lib/tpm/tpm.h"

enum crb_state { CRB_IDLE, CRB_READY, CRB_RECEPTION, CRB_EXECUTION, CRB_COMPLETION, CRB_STATES };

/* Bits of registers. */
#define CRB_STATE_NOT_ESTABLISHED 0x01U
#define CRB_STATE_ASSIGNED 0x02U
#define CRB_STATE_VALID 0x80U
#define CRB_LOC_REQUEST 1U
#define CRB_LOC_RELINQUISH 2U
#define CRB_LOC_GRANTED 1U
#define CRB_REQ_READY 1U
#define CRB_REQ_IDLE 2U
#define CRB_STS_FATAL 1U
#define CRB_STS_IDLE 2U
#define CRB_CANCEL 1U
#define CRB_START 1U
/* INTF_ID: CRB of version 1, locality 0 alone, a command may follow a response, transfers of up to 64 bytes, no other
 * interface to choose */
#define CRB_INTF_ID 0x00025a11U
#define CRB_VENDOR 0x1014U /* of whom the TPM behind it says that it is */

struct crb {
	enum crb_state state;
	bool assigned; /* locality 0 */
	bool cancel;
	uint8_t request; /* CRB_REQ_READY or _IDLE, made while it executes; or 0 */
	bool failed;	 /* there is no TPM any more */
	uint8_t *buffer; /* TPM_BUFFER_LEN bytes */
};

/* As after power-on, without a byte of what was before. failed stays. */
void crb_reset(struct crb *c);
/* A byte of the registers. */
uint8_t crb_byte(const struct crb *c, uint64_t offset);
/* width bytes, little-endian. True: from now on a command is executed. */
[[nodiscard]] bool crb_write(struct crb *c, uint64_t offset, unsigned int width, uint64_t value);
/* The response is in the buffer, of that length; the rest of it becomes zeros, or all of it, if another state was asked for. */
void crb_complete(struct crb *c, uint32_t len);

#endif
