/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory: the one door to it. A guest physical address is a struct, so that there is no
 * pointer to dereference; structures are copied in once, checked and used. Bulk data moves through
 * a bounded iovec that is handed to the kernel.
 *
 * Not thread-safe against guestmem_add and guestmem_clear; reads and writes may run in parallel.
 */
#ifndef BULKHEAD_GUESTMEM_GUESTMEM_H
#define BULKHEAD_GUESTMEM_GUESTMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

typedef struct {
	uint64_t v;
} gpa_t;

#define GPA(x) ((gpa_t){ (x) })

#define GUESTMEM_MAX_REGIONS 32

struct guestmem_region {
	uint64_t gpa; /* bytes, as are all below */
	uint64_t size;
	uint64_t uaddr; /* what the vhost-user front end calls the region's start */
	uint8_t *host;	/* private to guestmem.c */
};

struct guestmem {
	struct guestmem_region regions[GUESTMEM_MAX_REGIONS];
	size_t n_regions;
	uint8_t *log; /* one bit a page of 4096 bytes from gpa 0 on; NULL: nobody asks */
	uint64_t log_len;
};

void guestmem_init(struct guestmem *mem);
/*
 * Maps size bytes of fd from offset on, readable and writable, as guest memory at gpa. The caller
 * keeps fd. -EINVAL: zero size, unaligned to 4096, or wraps; -EEXIST: overlaps a region in gpa or
 * in uaddr; -ENOSPC: no slot; -EBADF: fd is not a memory file (shmem or hugetlbfs) or smaller than
 * offset + size; or the error of mmap. A file that is not sealed against shrinking can be shrunk
 * later by whoever else holds it; the access that meets the hole raises SIGBUS.
 */
[[nodiscard]] int guestmem_add(struct guestmem *mem, gpa_t gpa, uint64_t size, uint64_t uaddr,
			       int fd, uint64_t offset);
/* Unmaps the region that starts at exactly gpa and uaddr and has this size; -ENOENT if none. */
[[nodiscard]] int guestmem_remove(struct guestmem *mem, gpa_t gpa, uint64_t size, uint64_t uaddr);
/* Unmaps everything. */
void guestmem_clear(struct guestmem *mem);

/* Copies in or out once; -EFAULT unless all of [gpa, gpa + len) is guest RAM. A range may cross
 * regions that touch. On -EFAULT nothing was copied. A len of 0 always succeeds. */
[[nodiscard]] int guest_read(const struct guestmem *mem, gpa_t gpa, void *out, size_t len);
[[nodiscard]] int guest_write(const struct guestmem *mem, gpa_t gpa, const void *data, size_t len);
[[nodiscard]] int guest_zero(const struct guestmem *mem, gpa_t gpa, uint64_t len);

/* A naturally aligned 16-bit word, read with acquire or written with release order (ring indices);
 * -EFAULT when outside guest RAM or unaligned. Full barriers are the caller's. */
[[nodiscard]] int guest_load16(const struct guestmem *mem, gpa_t gpa, uint16_t *ret);
[[nodiscard]] int guest_store16(const struct guestmem *mem, gpa_t gpa, uint16_t v);

/*
 * Appends [gpa, gpa + len) to iov as pieces of host memory for the kernel to read or write; the
 * caller must not look at the bytes. *n_iov is advanced. -EFAULT when not all of it is RAM, -ENOBUFS
 * when it takes more than max pieces in all; in both cases *n_iov is as it was.
 */
[[nodiscard]] int guest_iov(const struct guestmem *mem, gpa_t gpa, uint64_t len, struct iovec *iov,
			    size_t *n_iov, size_t max);

/*
 * The dirty log, one bit for each page of 4096 bytes from guest address 0 on, which others clear
 * meanwhile. While there is one, every write above marks its pages, after the bytes are there. What
 * the kernel writes through an iovec is marked by whoever hands it out, once it has been written and
 * before the guest is told; pieces that are no guest memory are skipped. What a log does not cover is
 * not marked. bits is the caller's and outlives the log; len bytes, 0: none.
 */
void guestmem_set_log(struct guestmem *mem, uint8_t *bits, uint64_t len);
/* Whether the log has a bit for every page of [gpa, gpa + len). */
[[nodiscard]] bool guestmem_log_covers(const struct guestmem *mem, uint64_t gpa, uint64_t len);
void guestmem_mark(const struct guestmem *mem, gpa_t gpa, uint64_t len);
void guestmem_mark_iov(const struct guestmem *mem, const struct iovec *iov, size_t n_iov);

/* Where [gpa, gpa + len) lies in this process's memory, for the host's kernel to read and write it by itself; nobody
 * here does. -EFAULT unless it is guest RAM, within one region. */
[[nodiscard]] int guestmem_address(const struct guestmem *mem, gpa_t gpa, uint64_t len,
				   uint64_t *ret);

/* Translates a front-end address (vhost-user ring addresses) to a gpa; -EFAULT unless uaddr and the
 * len bytes from there on lie in one region. */
[[nodiscard]] int guestmem_from_uaddr(const struct guestmem *mem, uint64_t uaddr, uint64_t len,
				      gpa_t *ret);

#endif
