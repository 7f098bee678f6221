/* SPDX-License-Identifier: Apache-2.0 */
/* The slow path of an access to guest memory: what the TLB has not, crosses pages, or is no RAM. */
#include "cmd/vmm/accel/soft/alone.h"
#include "cmd/vmm/accel/soft/debug.h"
#include "cmd/vmm/accel/soft/events.h"
#include "cmd/vmm/accel/soft/lapic.h"
#include "cmd/vmm/accel/soft/paging.h"

/* One page of RAM at linear, or NULL with *ret_gpa when it is not RAM. */
static uint8_t *lookup(struct soft_cpu *c, uint64_t linear, enum soft_access kind,
		       enum soft_mmu mmu, uint64_t *ret_gpa)
{
	struct soft_mapping m;
	struct soft_page *page;
	uint8_t *host;

	soft_walk(c, linear, kind, mmu, &m);
	*ret_gpa = m.gpa;
	if (m.gpa - LAPIC_START < 0x1000)
		return NULL;
	host = soft_host_page(c->vm, m.gpa, kind == ACC_WRITE, &page);
	if (!host)
		return NULL;
	/* The write itself is still to come: behind this instruction, drop_code says that it did.
	 * What the block has decoded beyond it may be what is written now. */
	if (kind == ACC_WRITE && atomic_load_explicit(&page->is_code, memory_order_relaxed)) {
		if (c->in_block)
			soft_raise(c, EX_ALONE);
		atomic_fetch_or(&c->wake, WAKE_CODE);
	}
	soft_tlb_fill(c, linear, kind, mmu, host, m.shift);
	return host + (linear & 0xfff);
}

static void mmio_piece(struct soft_cpu *c, uint64_t gpa, unsigned int width, bool write,
		       uint8_t *data)
{
	struct accel_exit e = {
		.kind = ACCEL_EXIT_MMIO,
		.write = write,
		.width = (uint8_t)width,
		.count = 1,
		.address = gpa,
		.data = data,
	};

	if (gpa - LAPIC_START < 0x1000)
		soft_lapic_mmio(c, gpa - LAPIC_START, width, write, data);
	else if (!write || !soft_ioeventfd_signal(c, gpa))
		soft_io(c, &e);
}

/* The buses know 1, 2, 4 and 8 bytes: what vectors and FXSAVE bring, and the parts of what crosses
 * pages, comes in such pieces. */
static void mmio(struct soft_cpu *c, uint64_t gpa, unsigned int width, bool write, uint8_t *data)
{
	while (width) {
		unsigned int n = width >= 8 ? 8 : width >= 4 ? 4 : width >= 2 ? 2 : 1;

		mmio_piece(c, gpa, n, write, data);
		gpa += n;
		data += n;
		width -= n;
	}
}

static void access_in_page(struct soft_cpu *c, uint64_t linear, unsigned int width,
			   enum soft_access kind, enum soft_mmu mmu, uint8_t *data)
{
	uint64_t gpa;
	uint8_t *host = lookup(c, linear, kind, mmu, &gpa);

	if (!host)
		mmio(c, gpa, width, kind == ACC_WRITE, data);
	else if (kind == ACC_WRITE)
		memcpy(host, data, width);
	else
		memcpy(data, host, width);
}

/* Raises what the whole access would raise, before any of it happens. */
static void check_both(struct soft_cpu *c, uint64_t linear, unsigned int width,
		       enum soft_access kind, enum soft_mmu mmu)
{
	struct soft_mapping m;

	soft_walk(c, linear, kind, mmu, &m);
	if ((linear & 0xfff) + width > 4096)
		soft_walk(c, (linear | 0xfff) + 1, kind, mmu, &m); /* CR2: where that page begins */
}

/* The rest of the checks, which page faults come before. */
static void check_more(struct soft_cpu *c, uint64_t linear, unsigned int width,
		       enum soft_access kind, enum soft_mmu mmu)
{
	check_both(c, linear, width, kind, mmu);
	soft_check_access(c, linear, width, kind == ACC_WRITE, mmu);
}

static void access_any(struct soft_cpu *c, uint64_t linear, unsigned int width,
		       enum soft_access kind, enum soft_mmu mmu, uint8_t *data)
{
	unsigned int first = 4096 - (unsigned int)(linear & 0xfff);

	if (c->checked)
		check_more(c, linear, width, kind, mmu);
	if (width <= first) {
		access_in_page(c, linear, width, kind, mmu, data);
		return;
	}
	check_both(c, linear, width, kind, mmu);
	access_in_page(c, linear, first, kind, mmu, data);
	access_in_page(c, linear + first, width - first, kind, mmu, data + first);
}

uint64_t soft_read_slow(struct soft_cpu *c, uint64_t linear, unsigned int width, enum soft_mmu mmu)
{
	uint64_t v = 0;

	access_any(c, linear, width, ACC_READ, mmu, (uint8_t *)&v);
	return v;
}

void soft_write_slow(struct soft_cpu *c, uint64_t linear, unsigned int width, uint64_t v,
		     enum soft_mmu mmu)
{
	access_any(c, linear, width, ACC_WRITE, mmu, (uint8_t *)&v);
}

void soft_read_bytes(struct soft_cpu *c, uint64_t linear, void *out, size_t len)
{
	access_any(c, linear, (unsigned int)len, ACC_READ, c->mmu, out);
}

void soft_write_bytes(struct soft_cpu *c, uint64_t linear, const void *data, size_t len)
{
	access_any(c, linear, (unsigned int)len, ACC_WRITE, c->mmu, (uint8_t *)(uintptr_t)data);
}

void *soft_host_rmw(struct soft_cpu *c, uint64_t linear, unsigned int width, enum soft_mmu mmu)
{
	uint64_t gpa;
	void *p = soft_tlb_hit(c, linear, width, ACC_WRITE, mmu);

	if (c->checked)
		check_more(c, linear, width, ACC_WRITE, mmu);
	if (p)
		return p;
	if ((linear & 0xfff) + width > 4096) {
		check_both(c, linear, width, ACC_WRITE, mmu);
		return NULL;
	}
	return lookup(c, linear, ACC_WRITE, mmu, &gpa);
}

void soft_touch_write(struct soft_cpu *c, uint64_t linear, unsigned int width)
{
	check_both(c, linear, width, ACC_WRITE, c->mmu);
}

void *soft_host_run(struct soft_cpu *c, uint64_t linear, size_t *len, enum soft_access kind,
		    enum soft_mmu mmu)
{
	size_t left = 4096 - (linear & 0xfff);
	uint64_t gpa;
	void *p = soft_tlb_hit(c, linear, 1, kind, mmu);

	if (!p)
		p = lookup(c, linear, kind, mmu, &gpa);
	if (p && *len > left)
		*len = left;
	return p;
}

const uint8_t *soft_fetch_page(struct soft_cpu *c, uint64_t linear, uint64_t *ret_gpa)
{
	enum soft_mmu mmu = c->mmu == MMU_USER ? MMU_USER : MMU_SUPERVISOR;
	struct soft_page *page;
	struct soft_mapping m;
	uint8_t *host;

	soft_walk(c, linear, ACC_EXEC, mmu, &m);
	*ret_gpa = m.gpa;
	host = soft_host_page(c->vm, m.gpa, false, &page);
	if (!host)
		soft_raise_error(c, EX_GP, 0); /* code outside RAM is not supported */
	return host;
}
