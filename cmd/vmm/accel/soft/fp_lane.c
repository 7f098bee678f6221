/* SPDX-License-Identifier: Apache-2.0 */
/* Single lanes in and out of vector registers: PINSRx, PEXTRx, INSERTPS, EXTRACTPS. */
#include "cmd/vmm/accel/soft/fp.h"
#include "cmd/vmm/accel/soft/fp_ops.h"

#define PICK_ONE(name, handler) \
	FP_PICK(name)           \
	{                       \
		(void)i;        \
		return handler; \
	}

/* ---- out ---- */

#define EXTRACT(name, width, field, lanes)                         \
	OP(name)                                                   \
	{                                                          \
		uint64_t v;                                        \
                                                                   \
		need_sse(c);                                       \
		v = c->fx.xmm[i->reg].field[i->imm & ((lanes)-1)]; \
		if (i->is_mem)                                     \
			mem_put(c, i, width, v);                   \
		else                                               \
			c->gpr[i->rm] = v;                         \
		return soft_next(c, i);                            \
	}

EXTRACT(extract_1, 1, b, 16)
EXTRACT(extract_2, 2, w, 8)
EXTRACT(extract_4, 4, d, 4)
EXTRACT(extract_8, 8, q, 2)

PICK_ONE(pextrb, extract_1)
PICK_ONE(pextrw_m, extract_2)
PICK_ONE(extractps, extract_4)
FP_PICK(pextrd)
{
	return i->width == 8 ? extract_8 : extract_4;
}

/* 0F C5 has its operands the other way round. */
OP(pextrw_r)
{
	need_sse(c);
	c->gpr[i->reg] = c->fx.xmm[i->rm].w[i->imm & 7];
	return soft_next(c, i);
}
PICK_ONE(pextrw, pextrw_r)

/* ---- in ---- */

#define INSERT(name, width, field, lanes)                                                         \
	OP(name)                                                                                  \
	{                                                                                         \
		uint64_t v;                                                                       \
                                                                                                  \
		need_sse(c);                                                                      \
		v = i->is_mem ? mem_get(c, i, width) : c->gpr[i->rm];                             \
		c->fx.xmm[i->reg].field[i->imm & ((lanes)-1)] = (typeof(c->fx.xmm[0].field[0]))v; \
		return soft_next(c, i);                                                           \
	}

INSERT(insert_1, 1, b, 16)
INSERT(insert_2, 2, w, 8)
INSERT(insert_4, 4, d, 4)
INSERT(insert_8, 8, q, 2)

PICK_ONE(pinsrb, insert_1)
PICK_ONE(pinsrw, insert_2)
FP_PICK(pinsrd)
{
	return i->width == 8 ? insert_8 : insert_4;
}

/* The immediate: source lane (registers only), destination lane, lanes to clear. */
OP(insertps_any)
{
	union soft_xmm *dst = &c->fx.xmm[i->reg];
	uint32_t v;

	need_sse(c);
	if (i->is_mem)
		v = (uint32_t)mem_get(c, i, 4);
	else
		v = c->fx.xmm[i->rm].d[i->imm >> 6 & 3];
	dst->d[i->imm >> 4 & 3] = v;
	for (unsigned int n = 0; n < 4; n++)
		if (i->imm >> n & 1)
			dst->d[n] = 0;
	return soft_next(c, i);
}
PICK_ONE(insertps, insertps_any)
