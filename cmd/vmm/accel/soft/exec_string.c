/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MOVS, STOS, LODS, SCAS, CMPS. With REP, runs within a page are done on host memory at once; what
 * cannot be (an element on two pages, devices, segments with limits) goes step by step. Registers
 * are committed with every run, so faults and interrupts find the instruction restartable: RIP
 * stays on it while elements remain.
 */
#include "cmd/vmm/accel/soft/debug.h"
#include "cmd/vmm/accel/soft/exec.h"
#include "cmd/vmm/accel/soft/operand.h"

/* A counter or index at the address size. */
INLINE uint64_t index_get(const struct soft_cpu *c, const struct soft_insn *i, enum soft_reg r)
{
	return c->gpr[r] & width_mask(i->addr_width);
}

/* Moves an index by n elements in the direction of DF; n elements less in the counter. */
INLINE void index_move(struct soft_cpu *c, const struct soft_insn *i, enum soft_reg r,
		       unsigned int w, uint64_t n)
{
	uint64_t by = n * w;

	reg_put_wide(c, r, i->addr_width, c->rflags & FL_DF ? c->gpr[r] - by : c->gpr[r] + by);
}

INLINE void count_down(struct soft_cpu *c, const struct soft_insn *i, uint64_t n)
{
	reg_put_wide(c, R_CX, i->addr_width, c->gpr[R_CX] - n);
}

INLINE uint64_t source_at(struct soft_cpu *c, const struct soft_insn *i, unsigned int w)
{
	return soft_linear(c, i->seg, index_get(c, i, R_SI), w, false);
}

/* The destination is ES whatever the prefixes. */
INLINE uint64_t dest_at(struct soft_cpu *c, const struct soft_insn *i, unsigned int w, bool write)
{
	return soft_linear(c, S_ES, index_get(c, i, R_DI), w, write);
}

/* ---- runs ---- */

/* Whether consecutive offsets in this segment need no more checks than their page's. */
static bool flat_segment(const struct soft_cpu *c, unsigned int seg)
{
	const struct soft_segment *s = &c->seg[seg];

	return c->long64 ||
	       (s->base == 0 && s->limit == UINT32_MAX && !(s->attr & 0x8 /* code */) &&
		!(s->attr & 0x4 /* expand-down */) && (s->attr & 0x2));
}

/* Elements from index r on, in the direction of DF, before the page ends, the index wraps, or
 * they are `most`; none where each is to be looked at. */
static uint64_t run_length(const struct soft_cpu *c, const struct soft_insn *i, enum soft_reg r,
			   uint64_t linear, unsigned int w, uint64_t most)
{
	uint64_t index = index_get(c, i, r), at = linear & 0xfff, n;

	if (at + w > 4096 || c->checked || soft_stepping(c))
		return 0;
	if (c->rflags & FL_DF) {
		n = at / w + 1;
		if (index / w < n - 1)
			n = index / w + 1;
	} else {
		n = (4096 - at) / w;
		if ((width_mask(i->addr_width) - index) / w < n)
			n = (width_mask(i->addr_width) - index) / w;
	}
	return n < most ? n : most;
}

/* Host memory of the element at linear, or NULL. */
INLINE uint8_t *element(struct soft_cpu *c, uint64_t linear, unsigned int w, enum soft_access kind)
{
	size_t len = w;
	void *p = soft_tlb_now(c, linear, w, kind);

	return p ? p : soft_host_run(c, linear, &len, kind, c->mmu);
}

/* The signed distance between elements. */
INLINE ptrdiff_t stride(const struct soft_cpu *c, unsigned int w)
{
	return c->rflags & FL_DF ? -(ptrdiff_t)w : (ptrdiff_t)w;
}

/* Leaves the instruction for what waits; it goes on later. Not for writes to code: they may have
 * been its own, and to this very instruction. */
INLINE bool interrupted(const struct soft_cpu *c)
{
	const unsigned int not_waiting = WAKE_CODE | WAKE_STEP;

	return (atomic_load_explicit(&c->wake, memory_order_relaxed) & ~not_waiting) ||
	       soft_stepping(c);
}

/* ---- MOVS ---- */

/* In architectural order: an overlap that lies ahead repeats what was just written. */
INLINE void copy_run(uint8_t *to, const uint8_t *from, size_t n, unsigned int w, ptrdiff_t by)
{
	uintptr_t ahead = (uintptr_t)to - (uintptr_t)from;

	if (by > 0 && (ahead >= n * w || ahead == 0)) {
		memmove(to, from, n * w);
		return;
	}
	for (; n; n--, to += by, from += by)
		host_store(to, w, host_load(from, w));
}

/* Faults of the source come first. */
INLINE uint64_t movs_run(struct soft_cpu *c, const struct soft_insn *i, unsigned int w,
			 uint64_t count)
{
	uint64_t from = source_at(c, i, w), to;
	uint64_t n = run_length(c, i, R_SI, from, w, count);
	uint8_t *src, *dst;

	if (n < 2 || !flat_segment(c, i->seg) || !flat_segment(c, S_ES))
		return 0;
	src = element(c, from, w, ACC_READ);
	if (!src)
		return 0;
	to = dest_at(c, i, w, true);
	n = run_length(c, i, R_DI, to, w, n);
	dst = n >= 2 ? element(c, to, w, ACC_WRITE) : NULL;
	if (!dst)
		return 0;
	copy_run(dst, src, n, w, stride(c, w));
	return n;
}

BODY(movs_once)
{
	uint64_t v = soft_read(c, source_at(c, i, w), w);

	soft_write(c, dest_at(c, i, w, true), w, v);
	index_move(c, i, R_SI, w, 1);
	index_move(c, i, R_DI, w, 1);
	return NULL;
}

BODY(movs_rep)
{
	uint64_t count;

	while ((count = index_get(c, i, R_CX)) != 0) {
		uint64_t n = movs_run(c, i, w, count);

		if (n) {
			index_move(c, i, R_SI, w, n);
			index_move(c, i, R_DI, w, n);
		} else {
			(void)movs_once(c, i, w);
			n = 1;
		}
		count_down(c, i, n);
		if (n < count && interrupted(c))
			return NULL;
	}
	return soft_next(c, i);
}

BODY(movs)
{
	if (i->rep)
		return movs_rep(c, i, w);
	(void)movs_once(c, i, w);
	return soft_next(c, i);
}

/* ---- STOS ---- */

INLINE void fill_run(uint8_t *to, uint64_t v, size_t n, unsigned int w, ptrdiff_t by)
{
	if (by > 0 && (w == 1 || v == 0)) {
		memset(to, (int)(v & 0xff), n * w);
		return;
	}
	for (; n; n--, to += by)
		host_store(to, w, v);
}

INLINE uint64_t stos_run(struct soft_cpu *c, const struct soft_insn *i, unsigned int w, uint64_t to,
			 uint64_t count)
{
	uint64_t n = run_length(c, i, R_DI, to, w, count);
	uint8_t *dst;

	if (n < 2 || !flat_segment(c, S_ES))
		return 0;
	dst = element(c, to, w, ACC_WRITE);
	if (!dst)
		return 0;
	fill_run(dst, reg_get(c, i, R_AX, w), n, w, stride(c, w));
	return n;
}

BODY(stos_once)
{
	soft_write(c, dest_at(c, i, w, true), w, reg_get(c, i, R_AX, w));
	index_move(c, i, R_DI, w, 1);
	return NULL;
}

BODY(stos_rep)
{
	uint64_t count;

	while ((count = index_get(c, i, R_CX)) != 0) {
		uint64_t n = stos_run(c, i, w, dest_at(c, i, w, true), count);

		if (n) {
			index_move(c, i, R_DI, w, n);
		} else {
			(void)stos_once(c, i, w);
			n = 1;
		}
		count_down(c, i, n);
		if (n < count && interrupted(c))
			return NULL;
	}
	return soft_next(c, i);
}

BODY(stos)
{
	if (i->rep)
		return stos_rep(c, i, w);
	(void)stos_once(c, i, w);
	return soft_next(c, i);
}

/* ---- LODS ---- */

BODY(lods)
{
	if (i->rep && !index_get(c, i, R_CX))
		return soft_next(c, i);
	for (;;) {
		reg_put(c, i, R_AX, w, soft_read(c, source_at(c, i, w), w));
		index_move(c, i, R_SI, w, 1);
		if (!i->rep)
			break;
		count_down(c, i, 1);
		if (!index_get(c, i, R_CX))
			break;
		if (interrupted(c))
			return NULL;
	}
	return soft_next(c, i);
}

/* ---- SCAS and CMPS: REPE and REPNE end after the element that decides ---- */

/* Whether the comparison just made ends a repetition. */
INLINE bool decides(const struct soft_insn *i, uint64_t a, uint64_t b)
{
	return (a == b) != (i->rep == 0xf3);
}

/* Elements of a run up to and with the one that decides. */
INLINE uint64_t scan_run(const struct soft_insn *i, const uint8_t *p, uint64_t n, unsigned int w,
			 ptrdiff_t by, uint64_t a)
{
	for (uint64_t k = 0; k < n; k++, p += by)
		if (decides(i, a, host_load(p, w)))
			return k + 1;
	return n;
}

/* The elements that were compared last. */
struct pair {
	uint64_t a, b;
};

/* Only as the instruction is left without a fault: one that comes under REPE or REPNE finds the
 * flags as they were before the instruction (SDM volume 2, REP). */
INLINE void put_flags(struct soft_cpu *c, unsigned int w, const struct pair *p)
{
	cc_set(c, CC_SUB, w, (p->a - p->b) & width_mask(w), p->a, p->b);
}

/* One look at host memory for as many elements as it holds; 0: step by step. */
INLINE uint64_t scas_run(struct soft_cpu *c, const struct soft_insn *i, unsigned int w, uint64_t at,
			 uint64_t count, struct pair *ret)
{
	uint64_t n = run_length(c, i, R_DI, at, w, count), a = reg_get(c, i, R_AX, w);
	const uint8_t *p;

	if (n < 2 || !flat_segment(c, S_ES))
		return 0;
	p = element(c, at, w, ACC_READ);
	if (!p)
		return 0;
	n = scan_run(i, p, n, w, stride(c, w), a);
	*ret = (struct pair){ a, host_load(p + (ptrdiff_t)(n - 1) * stride(c, w), w) };
	return n;
}

INLINE uint64_t scas_once(struct soft_cpu *c, const struct soft_insn *i, unsigned int w,
			  struct pair *ret)
{
	*ret = (struct pair){ reg_get(c, i, R_AX, w), soft_read(c, dest_at(c, i, w, false), w) };
	return 1;
}

BODY(scas_rep)
{
	uint64_t count = index_get(c, i, R_CX), n;
	struct pair last;

	if (!count)
		return soft_next(c, i);
	for (;;) {
		n = scas_run(c, i, w, dest_at(c, i, w, false), count, &last);
		if (!n)
			n = scas_once(c, i, w, &last);
		index_move(c, i, R_DI, w, n);
		count_down(c, i, n);
		count -= n;
		if (!count || decides(i, last.a, last.b))
			break;
		if (interrupted(c)) {
			put_flags(c, w, &last);
			return NULL;
		}
	}
	put_flags(c, w, &last);
	return soft_next(c, i);
}

BODY(scas)
{
	struct pair last;

	if (i->rep)
		return scas_rep(c, i, w);
	(void)scas_once(c, i, w, &last);
	index_move(c, i, R_DI, w, 1);
	put_flags(c, w, &last);
	return soft_next(c, i);
}

INLINE uint64_t compare_run(const struct soft_insn *i, const uint8_t *p, const uint8_t *q,
			    uint64_t n, unsigned int w, ptrdiff_t by)
{
	for (uint64_t k = 0; k < n; k++, p += by, q += by)
		if (decides(i, host_load(p, w), host_load(q, w)))
			return k + 1;
	return n;
}

INLINE uint64_t cmps_run(struct soft_cpu *c, const struct soft_insn *i, unsigned int w,
			 uint64_t count, struct pair *ret)
{
	uint64_t x = source_at(c, i, w), y;
	uint64_t n = run_length(c, i, R_SI, x, w, count);
	ptrdiff_t by = stride(c, w), last;
	const uint8_t *p, *q;

	if (n < 2 || !flat_segment(c, i->seg) || !flat_segment(c, S_ES))
		return 0;
	p = element(c, x, w, ACC_READ);
	if (!p)
		return 0;
	y = dest_at(c, i, w, false);
	n = run_length(c, i, R_DI, y, w, n);
	q = n >= 2 ? element(c, y, w, ACC_READ) : NULL;
	if (!q)
		return 0;
	n = compare_run(i, p, q, n, w, by);
	last = (ptrdiff_t)(n - 1) * by;
	*ret = (struct pair){ host_load(p + last, w), host_load(q + last, w) };
	return n;
}

/* Which operand faults first is not the same on all CPUs, nor with all prefixes. */
INLINE uint64_t cmps_once(struct soft_cpu *c, const struct soft_insn *i, unsigned int w,
			  struct pair *ret)
{
	uint64_t a = soft_read(c, source_at(c, i, w), w);

	*ret = (struct pair){ a, soft_read(c, dest_at(c, i, w, false), w) };
	return 1;
}

INLINE void cmps_move(struct soft_cpu *c, const struct soft_insn *i, unsigned int w, uint64_t n)
{
	index_move(c, i, R_SI, w, n);
	index_move(c, i, R_DI, w, n);
}

BODY(cmps_rep)
{
	uint64_t count = index_get(c, i, R_CX), n;
	struct pair last;

	if (!count)
		return soft_next(c, i);
	for (;;) {
		n = cmps_run(c, i, w, count, &last);
		if (!n)
			n = cmps_once(c, i, w, &last);
		cmps_move(c, i, w, n);
		count_down(c, i, n);
		count -= n;
		if (!count || decides(i, last.a, last.b))
			break;
		if (interrupted(c)) {
			put_flags(c, w, &last);
			return NULL;
		}
	}
	put_flags(c, w, &last);
	return soft_next(c, i);
}

BODY(cmps)
{
	struct pair last;

	if (i->rep)
		return cmps_rep(c, i, w);
	(void)cmps_once(c, i, w, &last);
	cmps_move(c, i, w, 1);
	put_flags(c, w, &last);
	return soft_next(c, i);
}

OP_WIDTHS(movs_w, movs)
OP_WIDTHS(stos_w, stos)
OP_WIDTHS(lods_w, lods)
OP_WIDTHS(scas_w, scas)
OP_WIDTHS(cmps_w, cmps)

/* clang-format off */
soft_handler pick_movs(const struct soft_insn *i) { return movs_w(i); }
soft_handler pick_stos(const struct soft_insn *i) { return stos_w(i); }
soft_handler pick_lods(const struct soft_insn *i) { return lods_w(i); }
soft_handler pick_scas(const struct soft_insn *i) { return scas_w(i); }
soft_handler pick_cmps(const struct soft_insn *i) { return cmps_w(i); }
/* clang-format on */

/* XLAT */
const struct soft_insn *op_xlat(struct soft_cpu *c, const struct soft_insn *i)
{
	uint64_t at = (c->gpr[R_BX] + (c->gpr[R_AX] & 0xff)) & width_mask(i->addr_width);
	uint64_t v = soft_read(c, soft_linear(c, i->seg, at, 1, false), 1);

	c->gpr[R_AX] = (c->gpr[R_AX] & ~0xffULL) | v;
	return soft_next(c, i);
}
