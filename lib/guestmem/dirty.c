/* SPDX-License-Identifier: Apache-2.0 */
/* Which pages of guest memory were written to, for a front end that migrates; see guestmem.h. */
#include "lib/guestmem/guestmem.h"

#define PAGE_SHIFT 12 /* VHOST_LOG_PAGE */

void guestmem_set_log(struct guestmem *mem, uint8_t *bits, uint64_t len)
{
	mem->log = len ? bits : NULL;
	mem->log_len = len;
}

bool guestmem_log_covers(const struct guestmem *mem, uint64_t gpa, uint64_t len)
{
	uint64_t last = gpa + len - 1;

	return !len || (last >= gpa && (last >> PAGE_SHIFT) / 8 < mem->log_len);
}

/*
 * The write is before this in the program, and a locked instruction is a full barrier: whoever
 * takes the bit away and copies the page afterwards copies what was written. A bit that is set
 * already is set again, as it may just have been taken away.
 */
static void mark_byte(const struct guestmem *mem, uint64_t index, unsigned int mask)
{
	if (index < mem->log_len)
		(void)__atomic_fetch_or(&mem->log[index], (uint8_t)mask, __ATOMIC_SEQ_CST);
}

void guestmem_mark(const struct guestmem *mem, gpa_t gpa, uint64_t len)
{
	uint64_t first = gpa.v >> PAGE_SHIFT, last;

	if (!mem->log || !guestmem_log_covers(mem, gpa.v, len) || !len)
		return;
	last = (gpa.v + len - 1) >> PAGE_SHIFT;
	while (first <= last) {
		unsigned int from = first % 8, to = last / 8 == first / 8 ? last % 8 : 7;

		mark_byte(mem, first / 8, (0xffU << from) & (0xffU >> (7 - to)));
		first += to - from + 1;
	}
}

void guestmem_mark_iov(const struct guestmem *mem, const struct iovec *iov, size_t n_iov)
{
	for (size_t i = 0; mem->log && i < n_iov; i++) {
		const uint8_t *host = iov[i].iov_base;

		for (size_t j = 0; j < mem->n_regions; j++) {
			const struct guestmem_region *r = &mem->regions[j];

			if (host >= r->host && (uint64_t)(host - r->host) < r->size)
				guestmem_mark(mem, GPA(r->gpa + (uint64_t)(host - r->host)),
					      iov[i].iov_len);
		}
	}
}
