/* SPDX-License-Identifier: Apache-2.0 */
/* Vector loads, stores and moves between registers. */
#include "cmd/vmm/accel/soft/fp.h"
#include "cmd/vmm/accel/soft/fp_ops.h"

/* ---- 16 bytes ---- */

OP(move_reg)
{
	need_sse(c);
	xmm_put(c, i->reg, xmm_get(c, i->rm));
	return soft_next(c, i);
}

OP(move_reg_back)
{
	need_sse(c);
	xmm_put(c, i->rm, xmm_get(c, i->reg));
	return soft_next(c, i);
}

OP(load_16a)
{
	need_sse(c);
	xmm_put(c, i->reg, vec_load_aligned(c, i));
	return soft_next(c, i);
}

OP(load_16u)
{
	need_sse(c);
	xmm_put(c, i->reg, vec_load(c, i, 16));
	return soft_next(c, i);
}

OP(store_16a)
{
	need_sse(c);
	vec_store_aligned(c, i, xmm_get(c, i->reg));
	return soft_next(c, i);
}

OP(store_16u)
{
	need_sse(c);
	vec_store(c, i, xmm_get(c, i->reg), 16);
	return soft_next(c, i);
}

/* clang-format off */
FP_PICK(load_aligned) { return i->is_mem ? load_16a : move_reg; }
FP_PICK(load_unaligned) { return i->is_mem ? load_16u : move_reg; }
FP_PICK(store_aligned) { return i->is_mem ? store_16a : move_reg_back; }
FP_PICK(store_unaligned) { return i->is_mem ? store_16u : move_reg_back; }
FP_PICK(movntdq) { return i->is_mem ? store_16a : NULL; }
FP_PICK(movntdqa) { return i->is_mem ? load_16a : NULL; }
/* clang-format on */

/* ---- scalars: a load clears the rest, a move between registers keeps it ---- */

#define SCALAR(name, bytes, field)                                      \
	OP(load_##name##_m)                                             \
	{                                                               \
		need_sse(c);                                            \
		xmm_put(c, i->reg, vec_load(c, i, bytes));              \
		return soft_next(c, i);                                 \
	}                                                               \
	OP(load_##name##_r)                                             \
	{                                                               \
		need_sse(c);                                            \
		c->fx.xmm[i->reg].field[0] = c->fx.xmm[i->rm].field[0]; \
		return soft_next(c, i);                                 \
	}                                                               \
	OP(store_##name##_m)                                            \
	{                                                               \
		need_sse(c);                                            \
		mem_put(c, i, bytes, c->fx.xmm[i->reg].field[0]);       \
		return soft_next(c, i);                                 \
	}                                                               \
	OP(store_##name##_r)                                            \
	{                                                               \
		need_sse(c);                                            \
		c->fx.xmm[i->rm].field[0] = c->fx.xmm[i->reg].field[0]; \
		return soft_next(c, i);                                 \
	}                                                               \
	FP_PICK(load_##name)                                            \
	{                                                               \
		return i->is_mem ? load_##name##_m : load_##name##_r;   \
	}                                                               \
	FP_PICK(store_##name)                                           \
	{                                                               \
		return i->is_mem ? store_##name##_m : store_##name##_r; \
	}

SCALAR(ss, 4, d)
SCALAR(sd, 8, q)

/* MOVQ between vector registers clears the high half. */
OP(load_q_r)
{
	need_sse(c);
	xmm_put(c, i->reg, _mm_move_epi64(xmm_get(c, i->rm)));
	return soft_next(c, i);
}

OP(store_q_r)
{
	need_sse(c);
	xmm_put(c, i->rm, _mm_move_epi64(xmm_get(c, i->reg)));
	return soft_next(c, i);
}

FP_PICK(load_q)
{
	return i->is_mem ? load_sd_m : load_q_r;
}
FP_PICK(store_q)
{
	return i->is_mem ? store_sd_m : store_q_r;
}

/* ---- halves ---- */

OP(load_low_m)
{
	need_sse(c);
	c->fx.xmm[i->reg].q[0] = mem_get(c, i, 8);
	return soft_next(c, i);
}

OP(load_high_m)
{
	need_sse(c);
	c->fx.xmm[i->reg].q[1] = mem_get(c, i, 8);
	return soft_next(c, i);
}

OP(movhlps)
{
	need_sse(c);
	c->fx.xmm[i->reg].q[0] = c->fx.xmm[i->rm].q[1];
	return soft_next(c, i);
}

OP(movlhps)
{
	need_sse(c);
	c->fx.xmm[i->reg].q[1] = c->fx.xmm[i->rm].q[0];
	return soft_next(c, i);
}

OP(store_high_m)
{
	need_sse(c);
	mem_put(c, i, 8, c->fx.xmm[i->reg].q[1]);
	return soft_next(c, i);
}

/* clang-format off */
FP_PICK(load_low) { return i->is_mem ? load_low_m : movhlps; }
FP_PICK(load_high) { return i->is_mem ? load_high_m : movlhps; }
FP_PICK(load_low_pd) { return i->is_mem ? load_low_m : NULL; }
FP_PICK(load_high_pd) { return i->is_mem ? load_high_m : NULL; }
FP_PICK(store_low) { return i->is_mem ? store_sd_m : NULL; }
FP_PICK(store_high) { return i->is_mem ? store_high_m : NULL; }
/* clang-format on */

/* ---- with general registers: MOVD, or MOVQ with REX.W ---- */

#define MOVD(width, field)                                                        \
	OP(movd_load_##width)                                                     \
	{                                                                         \
		need_sse(c);                                                      \
		xmm_put(c, i->reg,                                                \
			i->is_mem ? vec_load(c, i, width) :                       \
				    from_u64(c->gpr[i->rm] & width_mask(width))); \
		return soft_next(c, i);                                           \
	}                                                                         \
	OP(movd_store_##width)                                                    \
	{                                                                         \
		need_sse(c);                                                      \
		if (i->is_mem)                                                    \
			mem_put(c, i, width, c->fx.xmm[i->reg].field[0]);         \
		else                                                              \
			c->gpr[i->rm] = c->fx.xmm[i->reg].field[0];               \
		return soft_next(c, i);                                           \
	}

MOVD(4, d)
MOVD(8, q)

FP_PICK(movd_xmm)
{
	return i->width == 8 ? movd_load_8 : movd_load_4;
}
FP_PICK(movd_rm_xmm)
{
	return i->width == 8 ? movd_store_8 : movd_store_4;
}

OP(movnti_m)
{
	unsigned int width = i->width == 8 ? 8 : 4;

	mem_put(c, i, width, c->gpr[i->reg] & width_mask(width));
	return soft_next(c, i);
}

FP_PICK(movnti)
{
	return i->is_mem ? movnti_m : NULL;
}

/* ---- stores under a mask, to DS:rDI ---- */

/* Writes the bytes whose mask has the top bit set; all that may fault does so first. */
static void store_masked(struct soft_cpu *c, const struct soft_insn *i, const uint8_t *v,
			 uint32_t mask)
{
	unsigned int first, last;
	uint64_t at = c->gpr[R_DI], linear;
	uint8_t *host;

	if (!mask)
		return;
	if (i->addr_width != 8)
		at = i->addr_width == 4 ? (uint32_t)at : (uint16_t)at;
	first = (unsigned int)__builtin_ctz(mask);
	last = 31 - (unsigned int)__builtin_clz(mask);
	linear = soft_linear(c, i->seg, at + first, last - first + 1, true);
	host = soft_host_rmw(c, linear, last - first + 1, c->mmu);
	for (unsigned int n = first; n <= last; n++) {
		if (!(mask >> n & 1))
			continue;
		if (host)
			host[n - first] = v[n];
		else
			soft_write(c, linear + n - first, 1, v[n]);
	}
}

OP(maskmovdqu_r)
{
	union soft_xmm v;

	need_sse(c);
	v = c->fx.xmm[i->reg];
	store_masked(c, i, v.b, (uint32_t)_mm_movemask_epi8(xmm_get(c, i->rm)));
	return soft_next(c, i);
}

OP(maskmovq_r)
{
	uint64_t v;

	need_mmx(c);
	soft_fp_enter_mmx(c); /* also when a fault follows */
	v = mm_get(c, i->reg);
	store_masked(c, i, (const uint8_t *)&v,
		     (uint32_t)_mm_movemask_epi8(from_u64(mm_get(c, i->rm))));
	return soft_next(c, i);
}

FP_PICK(maskmovdqu)
{
	return i->is_mem ? NULL : maskmovdqu_r;
}
FP_PICK(maskmovq)
{
	return i->is_mem ? NULL : maskmovq_r;
}
