/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory: regions, translation and the only copies in and out; see guestmem.h. */
#include "lib/guestmem/guestmem.h"

#include "lib/base/checked.h"
#include "lib/base/fd.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096U

/* ---- regions ---- */

void guestmem_init(struct guestmem *mem)
{
	*mem = (struct guestmem){ 0 };
}

static bool ranges_meet(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a < b ? b - a < a_len : a - b < b_len;
}

/* Region sizes and places are multiples of a page, so a 16-bit word never crosses two of them. */
static int check_place(const struct guestmem *mem, uint64_t gpa, uint64_t size, uint64_t uaddr)
{
	uint64_t end;

	if (!size || (gpa | size | uaddr) % PAGE)
		return -EINVAL;
	if (!u64_add(gpa, size, &end) || !u64_add(uaddr, size, &end))
		return -EINVAL;
	for (size_t i = 0; i < mem->n_regions; i++) {
		const struct guestmem_region *r = &mem->regions[i];

		if (ranges_meet(gpa, size, r->gpa, r->size) ||
		    ranges_meet(uaddr, size, r->uaddr, r->size))
			return -EEXIST;
	}
	return mem->n_regions < GUESTMEM_MAX_REGIONS ? 0 : -ENOSPC;
}

/* Reading past the end of a file raises SIGBUS, and a disk's file could block or fail any access. */
static int check_file(int fd, uint64_t offset, uint64_t size)
{
	struct stat st;
	uint64_t end;

	if (offset % PAGE || !u64_add(offset, size, &end) || end > INT64_MAX)
		return -EINVAL;
	/* Seals are a property of shmem and hugetlbfs files alone. */
	if (fcntl(fd, F_GET_SEALS, 0) < 0 || fd_stat(fd, &st) < 0)
		return -EBADF;
	return (uint64_t)st.st_size < end ? -EBADF : 0;
}

int guestmem_add(struct guestmem *mem, gpa_t gpa, uint64_t size, uint64_t uaddr, int fd,
		 uint64_t offset)
{
	int r = check_place(mem, gpa.v, size, uaddr);
	void *host;

	if (r < 0)
		return r;
	r = check_file(fd, offset, size);
	if (r < 0)
		return r;
	host = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
	if (host == MAP_FAILED)
		return -errno;
	mem->regions[mem->n_regions++] = (struct guestmem_region){
		.gpa = gpa.v, .size = size, .uaddr = uaddr, .host = host
	};
	return 0;
}

int guestmem_remove(struct guestmem *mem, gpa_t gpa, uint64_t size, uint64_t uaddr)
{
	for (size_t i = 0; i < mem->n_regions; i++) {
		struct guestmem_region *r = &mem->regions[i];

		if (r->gpa != gpa.v || r->size != size || r->uaddr != uaddr)
			continue;
		munmap(r->host, r->size);
		*r = mem->regions[--mem->n_regions];
		return 0;
	}
	return -ENOENT;
}

void guestmem_clear(struct guestmem *mem)
{
	for (size_t i = 0; i < mem->n_regions; i++)
		munmap(mem->regions[i].host, mem->regions[i].size);
	mem->n_regions = 0;
}

/* ---- translation ---- */

static const struct guestmem_region *region_at(const struct guestmem *mem, uint64_t gpa)
{
	for (size_t i = 0; i < mem->n_regions; i++)
		if (gpa >= mem->regions[i].gpa && gpa - mem->regions[i].gpa < mem->regions[i].size)
			return &mem->regions[i];
	return NULL;
}

/* The host memory at gpa, and how many of len bytes lie there in one piece; NULL if none. */
static uint8_t *piece_at(const struct guestmem *mem, uint64_t gpa, uint64_t len, size_t *ret_len)
{
	const struct guestmem_region *r = region_at(mem, gpa);
	uint64_t offset;

	if (!r)
		return NULL;
	offset = gpa - r->gpa;
	*ret_len = len < r->size - offset ? len : r->size - offset;
	return r->host + offset;
}

/* No region ends at 2^64 or wraps, so stepping from piece to piece cannot either. */
static bool all_ram(const struct guestmem *mem, uint64_t gpa, uint64_t len)
{
	while (len) {
		size_t n;

		if (!piece_at(mem, gpa, len, &n))
			return false;
		gpa += n;
		len -= n;
	}
	return true;
}

/* The same of what all_ram let pass: there is one. */
static uint8_t *ram_piece(const struct guestmem *mem, uint64_t gpa, uint64_t len, size_t *ret_len)
{
	uint8_t *host = piece_at(mem, gpa, len, ret_len);

	if (!host)
		__builtin_trap();
	return host;
}

int guestmem_from_uaddr(const struct guestmem *mem, uint64_t uaddr, uint64_t len, gpa_t *ret)
{
	for (size_t i = 0; i < mem->n_regions; i++) {
		const struct guestmem_region *r = &mem->regions[i];
		uint64_t offset = uaddr - r->uaddr;

		if (uaddr < r->uaddr || offset >= r->size)
			continue;
		/* One region only: neighbours in one address space may be strangers in the other. */
		if (len > r->size - offset)
			return -EFAULT;
		*ret = GPA(r->gpa + offset);
		return 0;
	}
	return -EFAULT;
}

int guestmem_address(const struct guestmem *mem, gpa_t gpa, uint64_t len, uint64_t *ret)
{
	size_t there = 0;
	const uint8_t *host = piece_at(mem, gpa.v, len, &there);

	if (!host || there < len)
		return -EFAULT;
	*ret = (uintptr_t)host;
	return 0;
}

/* ---- access ---- */

/* The copy is what was checked: after this, the compiler cannot go back to the shared original. */
static void forget_source(const void *copy)
{
	__asm__ volatile("" : : "r"(copy) : "memory");
}

int guest_read(const struct guestmem *mem, gpa_t gpa, void *out, size_t len)
{
	uint8_t *to = out;
	uint64_t at = gpa.v;

	if (!all_ram(mem, at, len))
		return -EFAULT;
	while (len) {
		size_t n;
		const uint8_t *from = ram_piece(mem, at, len, &n);

		memcpy(to, from, n);
		to += n;
		at += n;
		len -= n;
	}
	forget_source(out);
	return 0;
}

int guest_write(const struct guestmem *mem, gpa_t gpa, const void *data, size_t len)
{
	const uint8_t *from = data;
	uint64_t at = gpa.v, whole = len;

	if (!all_ram(mem, at, len))
		return -EFAULT;
	while (len) {
		size_t n;
		uint8_t *to = ram_piece(mem, at, len, &n);

		memcpy(to, from, n);
		from += n;
		at += n;
		len -= n;
	}
	guestmem_mark(mem, gpa, whole);
	return 0;
}

int guest_zero(const struct guestmem *mem, gpa_t gpa, uint64_t len)
{
	uint64_t at = gpa.v, whole = len;

	if (!all_ram(mem, at, len))
		return -EFAULT;
	while (len) {
		size_t n;
		uint8_t *to = ram_piece(mem, at, len, &n);

		memset(to, 0, n);
		at += n;
		len -= n;
	}
	guestmem_mark(mem, gpa, whole);
	return 0;
}

static uint16_t *word_at(const struct guestmem *mem, gpa_t gpa)
{
	size_t n;

	if (gpa.v % sizeof(uint16_t))
		return NULL;
	return (uint16_t *)(void *)piece_at(mem, gpa.v, sizeof(uint16_t), &n);
}

int guest_load16(const struct guestmem *mem, gpa_t gpa, uint16_t *ret)
{
	const uint16_t *p = word_at(mem, gpa);

	if (!p)
		return -EFAULT;
	*ret = le16toh(__atomic_load_n(p, __ATOMIC_ACQUIRE));
	return 0;
}

int guest_store16(const struct guestmem *mem, gpa_t gpa, uint16_t v)
{
	uint16_t *p = word_at(mem, gpa);

	if (!p)
		return -EFAULT;
	__atomic_store_n(p, htole16(v), __ATOMIC_RELEASE);
	guestmem_mark(mem, gpa, sizeof(v));
	return 0;
}

int guest_iov(const struct guestmem *mem, gpa_t gpa, uint64_t len, struct iovec *iov, size_t *n_iov,
	      size_t max)
{
	uint64_t at = gpa.v;
	size_t used = *n_iov;

	if (!all_ram(mem, at, len))
		return -EFAULT;
	while (len) {
		size_t n;
		uint8_t *host = ram_piece(mem, at, len, &n);

		if (used >= max)
			return -ENOBUFS;
		iov[used++] = (struct iovec){ host, n };
		at += n;
		len -= n;
	}
	*n_iov = used;
	return 0;
}
