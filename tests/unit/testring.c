/* SPDX-License-Identifier: Apache-2.0 */
/* See testring.h. */
#include "tests/unit/testring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(2);
}

void testring_open(struct testring *t, uint16_t size, bool event_idx, bool indirect)
{
	memset(t, 0, sizeof(*t));
	t->fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	need(t->fd >= 0 && ftruncate(t->fd, TR_RAM) == 0, "memfd");
	t->ram = mmap(NULL, TR_RAM, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);
	need(t->ram != MAP_FAILED, "mmap");
	guestmem_init(&t->mem);
	need(guestmem_add(&t->mem, GPA(0), TR_RAM, 0x7f0000000000, t->fd, 0) == 0, "guestmem");
	t->layout = (struct virtq_layout){ .size = size,
					   .event_idx = event_idx,
					   .indirect = indirect,
					   .desc = GPA(TR_DESC),
					   .avail = GPA(TR_AVAIL),
					   .used = GPA(TR_USED) };
}

void testring_close(struct testring *t)
{
	guestmem_clear(&t->mem);
	munmap(t->ram, TR_RAM);
	close(t->fd);
}

void testring_put(struct testring *t, uint64_t table, uint32_t index, uint64_t addr, uint32_t len,
		  uint16_t flags, uint16_t next)
{
	uint8_t *d = t->ram + table + 16ULL * index;

	memcpy(d, &addr, 8);
	memcpy(d + 8, &len, 4);
	memcpy(d + 12, &flags, 2);
	memcpy(d + 14, &next, 2);
}

void testring_desc(struct testring *t, uint32_t index, uint64_t addr, uint32_t len, uint16_t flags,
		   uint16_t next)
{
	testring_put(t, TR_DESC, index, addr, len, flags, next);
}

void testring_store16(struct testring *t, uint64_t gpa, uint16_t v)
{
	memcpy(t->ram + gpa, &v, 2);
}

uint16_t testring_load16(const struct testring *t, uint64_t gpa)
{
	uint16_t v;

	memcpy(&v, t->ram + gpa, 2);
	return v;
}

uint32_t testring_load32(const struct testring *t, uint64_t gpa)
{
	uint32_t v;

	memcpy(&v, t->ram + gpa, 4);
	return v;
}

void testring_set_avail_idx(struct testring *t, uint16_t idx)
{
	t->avail_idx = idx;
	testring_store16(t, TR_AVAIL + 2, idx);
}

void testring_avail(struct testring *t, uint16_t head)
{
	testring_store16(t, TR_AVAIL + 4 + 2ULL * (t->avail_idx & (t->layout.size - 1U)), head);
	testring_set_avail_idx(t, (uint16_t)(t->avail_idx + 1));
}
