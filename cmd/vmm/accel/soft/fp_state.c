/* SPDX-License-Identifier: Apache-2.0 */
/* FXSAVE and FXRSTOR, MXCSR, fences, CLFLUSH. SDM volume 1, 10.5. */
#include "cmd/vmm/accel/soft/fp.h"
#include "cmd/vmm/accel/soft/fp_ops.h"
#include "cmd/vmm/accel/soft/fp_state.h"
#include "cmd/vmm/accel/soft/sys_ops.h"

/* Outside 64-bit code there are eight vector registers only. The rest of the 512 bytes stays. */
static unsigned int image_size(const struct soft_cpu *c)
{
	return offsetof(struct soft_fx, xmm) + (c->long64 ? 16U : 8U) * sizeof(union soft_xmm);
}

static uint64_t image_address(struct soft_cpu *c, const struct soft_insn *i, bool write)
{
	uint64_t linear;

	need_x87(c);
	linear = mem_address(c, i, 512, write);
	if (linear & 15)
		RAISE_GP0(c);
	return linear;
}

static __attribute__((noinline)) void save_image(struct soft_cpu *c, const struct soft_insn *i)
{
	uint64_t linear = image_address(c, i, true);
	struct soft_fx image;

	soft_fp_sync(c);
	image = c->fx;
	image.mxcsr_mask = MXCSR_KNOWN;
	image.reserved = 0;
	if (i->width != 8) { /* 32 bits of address, and a selector that reads as zero */
		image.fip = (uint32_t)image.fip;
		image.fdp = (uint32_t)image.fdp;
	}
	bytes_store(c, linear, &image, image_size(c));
}

static __attribute__((noinline)) void restore_image(struct soft_cpu *c, const struct soft_insn *i)
{
	uint64_t linear = image_address(c, i, false);
	struct soft_fx image;

	image = c->fx;
	bytes_load(c, linear, &image, image_size(c));
	if (image.mxcsr & ~MXCSR_KNOWN)
		RAISE_GP0(c);
	if (i->width != 8) {
		image.fip = (uint32_t)image.fip;
		image.fdp = (uint32_t)image.fdp;
	}
	image.fop &= 0x7ff;
	soft_fp_sync(c);
	image.mxcsr_mask = MXCSR_KNOWN;
	c->fx = image;
	soft_x87_normalise(c);
}

OP(save_fx)
{
	save_image(c, i);
	return soft_next(c, i);
}

OP(restore_fx)
{
	restore_image(c, i);
	return soft_next(c, i);
}

FP_PICK(fxsave)
{
	return i->is_mem ? save_fx : NULL;
}
FP_PICK(fxrstor)
{
	return i->is_mem ? restore_fx : NULL;
}

OP(load_mxcsr)
{
	uint32_t v;

	need_sse(c);
	v = (uint32_t)mem_get(c, i, 4);
	if (v & ~MXCSR_KNOWN)
		RAISE_GP0(c);
	soft_fp_sync(c);
	c->fx.mxcsr = v;
	return soft_next(c, i);
}

OP(store_mxcsr)
{
	need_sse(c);
	soft_fp_sync(c);
	mem_put(c, i, 4, c->fx.mxcsr);
	return soft_next(c, i);
}

FP_PICK(ldmxcsr)
{
	return i->is_mem ? load_mxcsr : NULL;
}
FP_PICK(stmxcsr)
{
	return i->is_mem ? store_mxcsr : NULL;
}

/* ---- order and caches ---- */

OP(full_fence)
{
	atomic_thread_fence(memory_order_seq_cst);
	/* what a guest's LFENCE keeps its CPU from, it keeps the host's CPU from in this interpreter */
	__builtin_ia32_lfence();
	return soft_next(c, i);
}

/* CLFLUSH: a read access as far as faults go; host memory is coherent. */
OP(flush_line)
{
	(void)mem_get(c, i, 1);
	return soft_next(c, i);
}

/* 0F AE /5 to /7 without prefix: fences as registers, CLFLUSH is /7 of memory. */
FP_PICK(fence)
{
	if (!i->is_mem)
		return full_fence;
	return (i->modrm >> 3 & 7) == 7 ? flush_line : NULL;
}

FP_PICK(fsgsbase)
{
	return i->is_mem || (i->modrm >> 3 & 7) > 3 ? NULL : op_fsgsbase;
}
