/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoder: bytes to struct soft_insn. Pure: reads nothing but the bytes given.
 * SDM volume 2, chapter 2 and appendix A.
 */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_DECODE_H
#define BULKHEAD_VMM_ACCEL_SOFT_DECODE_H

#include "cmd/vmm/accel/soft/insn.h"

#define SOFT_INSN_MAX 15

/* What a block of code is decoded for; part of its key in the cache. */
enum soft_code_mode { CODE_16, CODE_32, CODE_64 };

enum soft_decode {
	DECODE_OK,    /* falls through to the next instruction */
	DECODE_END,   /* the block ends behind it */
	DECODE_SHORT, /* more bytes are needed than there are */
	DECODE_UD,    /* undefined: ret->fn raises #UD */
	DECODE_LONG,  /* more than 15 bytes: #GP */
};

enum soft_decode soft_decode(enum soft_code_mode mode, const uint8_t *bytes, size_t len,
			     struct soft_insn *ret);

/* Handlers of what cannot be decoded. */
const struct soft_insn *op_undefined(struct soft_cpu *c, const struct soft_insn *i);
const struct soft_insn *op_too_long(struct soft_cpu *c, const struct soft_insn *i);
/* Stands behind the last instruction of a block and ends it. */
const struct soft_insn *op_leave(struct soft_cpu *c, const struct soft_insn *i);

/* The merged maps; filled from the parts' tables at start, before the sandbox. */
void soft_decode_init(void);

#endif
