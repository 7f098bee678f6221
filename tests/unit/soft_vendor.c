/* SPDX-License-Identifier: Apache-2.0 */
/* See soft_vendor.h. */
#include "tests/unit/soft_vendor.h"

#include "cmd/vmm/accel/soft/decode.h"
#include "cmd/vmm/accel/soft/soft.h"

#include <string.h>

#define FLAGS_ARITH 0x8d5U
#define OPERAND_MAX 16U /* bytes */
#define LIMIT_END 0xffffffffULL
#define CANONICAL_END 0x7fffffffffffULL /* of the lower half */
#define FSW_ES 0x80U

/* Both ends of a case. */
struct ends {
	struct soft_state *h;
	struct soft_end *he;
	uint8_t *host_data;
	const struct soft_state *s;
	const struct soft_end *se;
	const uint8_t *soft_data;
};

static bool is_memory_fault(const struct soft_end *e)
{
	return e->vector == EX_SS || e->vector == EX_GP || e->vector == EX_PF;
}

/* The instruction that a fault points at. */
static bool decode_at(const struct soft_vendor_case *v, uint64_t rip, struct soft_insn *ret)
{
	uint64_t at = rip - SOFT_CODE;
	enum soft_decode d;

	if (at >= 4096 - SOFT_INSN_MAX)
		return false;
	d = soft_decode(v->code32 ? CODE_32 : CODE_64, v->code + at, SOFT_INSN_MAX, ret);
	return d == DECODE_OK || d == DECODE_END;
}

static void level_crossing(const struct soft_vendor_case *v, const struct ends *e)
{
	bool limit = (e->se->vector == EX_SS || e->se->vector == EX_GP) && !e->se->error;
	uint64_t last = v->code32 ? LIMIT_END : CANONICAL_END;
	bool page = e->he->vector == EX_PF && e->he->cr2 > last - OPERAND_MAX && e->he->cr2 <= last;

	if (limit && page)
		*e->he = *e->se;
}

static void level_alignment(const struct ends *e, const struct soft_insn *i)
{
	unsigned int both = 1U << e->he->vector | 1U << e->se->vector;

	if (i->map && i->is_mem && both == (1U << EX_SS | 1U << EX_GP))
		*e->he = *e->se;
}

/* The return address, where the host has not written it; and of two faults either comes first. */
static void level_call(const struct soft_vendor_case *v, const struct ends *e,
		       const struct soft_insn *i)
{
	uint64_t at = e->s->gpr[R_SP] - 8 - SOFT_DATA;

	if (v->code32 || i->map || i->opcode != 0xff || (i->modrm >> 3 & 7) != 2)
		return;
	if (e->he->vector != e->se->vector)
		*e->he = *e->se;
	else if (at <= SOFT_DATA_SIZE - 8 && !memcmp(e->host_data + at, v->data + at, 8))
		memcpy(e->host_data + at, e->soft_data + at, 8);
}

static void level_compare(const struct ends *e, const struct soft_insn *i)
{
	bool compares = (i->opcode & 0xfe) == 0xa6 || (i->opcode & 0xfe) == 0xae;

	if (!i->map && compares && i->rep)
		e->h->rflags = (e->h->rflags & ~(uint64_t)FLAGS_ARITH) |
			       (e->s->rflags & FLAGS_ARITH);
}

/* Turns the register stack so that TOP is zero. */
static void turn_stack(struct soft_fx *fx)
{
	unsigned int top = fx->fsw >> 11 & 7;
	struct soft_fx was = *fx;

	for (unsigned int n = 0; n < 8; n++)
		memcpy(&fx->st[(n + top) & 7], &was.st[n], sizeof(was.st[n]));
	fx->fsw &= (uint16_t) ~(7U << 11);
}

static void level_mmx(const struct ends *e, const struct soft_insn *i)
{
	bool stores = i->opcode == 0x7e || i->opcode == 0x7f || i->opcode == 0xe7;

	if (i->map == 1 && stores && i->is_mem && !i->opsize && !i->rep)
		turn_stack((struct soft_fx *)(void *)e->h->fx);
}

/* The host has looked at the page: the store's exception is still to come there. */
static void level_x87(const struct soft_vendor_case *v, const struct ends *e)
{
	const struct soft_fx *before = (const void *)v->before->fx, *s = (const void *)e->s->fx;
	struct soft_insn i;

	if (e->he->vector != EX_PF || e->se->vector != EX_BP || !(s->fsw & ~before->fsw & FSW_ES))
		return;
	if (!decode_at(v, e->h->rip, &i) || i.map || (i.opcode & 0xf8) != 0xd8 || !i.is_mem ||
	    e->h->rip + i.len != e->s->rip)
		return;
	if (e->h->rip != v->before->rip || memcmp(e->h->gpr, e->s->gpr, sizeof(e->h->gpr)) ||
	    memcmp(e->h->fx, v->before->fx, 5) || memcmp(e->h->fx + 32, v->before->fx + 32, 128))
		return;
	*e->he = *e->se;
	e->h->rip = e->s->rip;
	memcpy(e->h->fx, e->s->fx, 160);
}

void soft_vendor_level(const struct soft_vendor_case *v, struct soft_state *host,
		       struct soft_end *host_end, uint8_t *host_data, const struct soft_state *soft,
		       const struct soft_end *soft_end, const uint8_t *soft_data)
{
	const struct ends e = { host, host_end, host_data, soft, soft_end, soft_data };
	struct soft_insn i;

	level_x87(v, &e);
	level_crossing(v, &e);
	if (!is_memory_fault(host_end) || !is_memory_fault(soft_end) || host->rip != soft->rip ||
	    !decode_at(v, host->rip, &i))
		return;
	level_alignment(&e, &i);
	level_call(v, &e, &i);
	level_compare(&e, &i);
	level_mmx(&e, &i);
}
