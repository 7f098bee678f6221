/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Split virtqueues, the device's side. Specification: VIRTIO 1.2, 2.6 and 2.7.
 *
 * Everything in the rings is hostile. Each field is read once into a copy, the copy is checked and
 * used. A chain comes out as a flat, bounded list of pieces: first the readable ones, then the
 * writable ones. Nothing of a descriptor is looked at again afterwards.
 *
 * A ring's layout is frozen from virtq_start to virtq_stop. The first error of the guest breaks the
 * ring: from then on every operation returns -EBADMSG until it is stopped and started again.
 *
 * No I/O, no allocation, no logging. Not thread-safe.
 */
#ifndef BULKHEAD_VIRTIO_VIRTQUEUE_H
#define BULKHEAD_VIRTIO_VIRTQUEUE_H

#include "lib/guestmem/guestmem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define VIRTIO_F_INDIRECT_DESC 28
#define VIRTIO_F_EVENT_IDX 29
#define VIRTIO_F_VERSION_1 32

#define VIRTQ_SIZE_MAX 1024  /* descriptors of a ring */
#define VIRTQ_CHAIN_MAX 1024 /* pieces of a chain, and descriptors of an indirect table */
#define VIRTQ_CHAIN_LEN_MAX (1ULL << 32) /* bytes of a chain; 2.7.5.2 */

struct virtq_layout {
	uint16_t size;	/* a power of two, 1 to VIRTQ_SIZE_MAX */
	bool event_idx; /* VIRTIO_F_EVENT_IDX was negotiated */
	bool indirect;	/* VIRTIO_F_INDIRECT_DESC was negotiated */
	gpa_t desc;	/* aligned to 16; size * 16 bytes */
	gpa_t avail;	/* aligned to 2; 6 + size * 2 bytes */
	gpa_t used;	/* aligned to 4; 6 + size * 8 bytes */
};

struct virtq {
	const struct guestmem *mem;
	struct virtq_layout layout; /* valid while started; only virtq_start writes it */
	bool started;
	const char *broken;   /* what the guest did, or NULL */
	uint16_t next_avail;  /* free-running index of the next entry to take */
	uint16_t known_avail; /* the guest's index when it was last read */
	uint16_t used_idx;    /* free-running index of the next used entry */
	bool log_used;	      /* the dirty log has the used ring at log_at, beside where it is */
	uint64_t log_at;
	uint16_t signalled; /* used_idx when virtq_should_signal last looked */
	bool signalled_valid;
	uint32_t n_in_flight;			 /* chains taken and not yet returned */
	uint64_t in_flight[VIRTQ_SIZE_MAX / 64]; /* by head index */
};

struct virtq_piece {
	gpa_t gpa;
	uint32_t len; /* bytes, never 0 */
};

/* A chain as it was when it was taken. 16 KiB: keep it off the stack. */
struct virtq_chain {
	const struct guestmem *mem;
	uint16_t head;	     /* to give it back with */
	uint16_t n_readable; /* pieces */
	uint16_t n_writable;
	uint64_t readable_len; /* bytes */
	uint64_t writable_len;
	struct virtq_piece piece[VIRTQ_CHAIN_MAX]; /* the readable ones first */
};

/* What one pass over a ring may still take. A chain that does not fit ends the pass after it, so
 * that a pass overshoots by at most one chain. */
struct virtq_budget {
	uint32_t descriptors;
	uint64_t bytes;
};

/* mem must outlive the ring. */
void virtq_init(struct virtq *vq, const struct guestmem *mem);
/*
 * Freezes the layout and starts at avail index base. The used index is read from the ring. 0;
 * -EBUSY when started already; -EINVAL: size or alignment; -EFAULT: not all of it is guest RAM.
 */
[[nodiscard]] int virtq_start(struct virtq *vq, const struct virtq_layout *layout, uint16_t base);
/* Stops the ring, broken or not, forgets chains in flight and returns the next avail index.
 * Harmless when stopped. */
uint16_t virtq_stop(struct virtq *vq);
/* Somebody else has served the started ring meanwhile, and has come to that avail index: as virtq_start with the layout
 * that it has. What broke it stays broken. */
[[nodiscard]] int virtq_resume(struct virtq *vq, uint16_t base);

/*
 * Takes the next chain. 1 with *ret filled (it is scratch otherwise); 0 when the ring is empty; -EAGAIN when the budget is
 * used up; -EBADMSG when the guest broke the ring (vq->broken says how): an avail index more than
 * size ahead; a head index out of range or already in flight; a descriptor index out of range; more
 * descriptors than the ring has, or than the indirect table has; an indirect descriptor that was not
 * negotiated, is nested, has NEXT set, an empty, odd-sized or too large table; a zero-length
 * descriptor, or one that wraps the address space; a readable descriptor after a writable one; a chain above VIRTQ_CHAIN_LEN_MAX; a ring
 * or table outside guest RAM. Whether the pieces are guest RAM shows when they are used.
 */
[[nodiscard]] int virtq_pop(struct virtq *vq, struct virtq_budget *budget, struct virtq_chain *ret);
/*
 * Right after virtq_start, for a device that an earlier process served: the heads (each below size,
 * none twice) of chains that it took and did not give back. They are in flight from now on, and the
 * next avail index is the used index and n, whatever base said. False, and nothing done, when the
 * driver has not made so many available: it has started over.
 */
[[nodiscard]] bool virtq_adopt(struct virtq *vq, const uint16_t *heads, uint16_t n);
/* Takes a chain that was adopted. 1, -EAGAIN or -EBADMSG as virtq_pop; -EINVAL when head is not in
 * flight. */
[[nodiscard]] int virtq_retake(struct virtq *vq, uint16_t head, struct virtq_budget *budget,
			       struct virtq_chain *ret);
/*
 * Gives a chain back; written is how many bytes of its writable part were really written, from the
 * first on without a gap. 0, or -EBADMSG when the ring is broken, or -EINVAL when head is not in
 * flight (a bug of the device: nothing is done).
 */
[[nodiscard]] int virtq_push(struct virtq *vq, uint16_t head, uint32_t written);
/* One chain that is given back: as virtq_push. */
struct virtq_done {
	uint16_t head;
	uint32_t written;
};
/* The same of several, which the driver sees at once: all of them or none. At most as many as the ring has. */
[[nodiscard]] int virtq_push_all(struct virtq *vq, const struct virtq_done *done, uint16_t n);
/*
 * Puts back the chain that was taken last by virtq_pop, as if it never had been: it comes next, and is read anew. 0; -EBADMSG when
 * the ring is broken; -EINVAL when head is not in flight.
 */
[[nodiscard]] int virtq_untake(struct virtq *vq, uint16_t head);
/* Whether the driver wants an interrupt for what was pushed since the last call. */
[[nodiscard]] bool virtq_should_signal(struct virtq *vq);
/* Whether the driver seems to have made chains available that were not taken; for polling. */
[[nodiscard]] bool virtq_has_more(const struct virtq *vq);
/* Asks the driver not to kick while the ring is being worked on (a hint). */
void virtq_kicks_off(struct virtq *vq);
/*
 * Asks the driver to kick for the next chain. 1 when chains came in between: take them first, the
 * kick may not come; 0 when the ring is empty; -EBADMSG.
 */
[[nodiscard]] int virtq_kicks_on(struct virtq *vq);
/* Where the dirty log of vq->mem has the used ring from now on, apart from where it lies; NULL:
 * nowhere else. */
void virtq_log_used(struct virtq *vq, const uint64_t *gpa);
/* Breaks the ring for a reason that the device found; the first reason stays. Always -EBADMSG. */
int virtq_break(struct virtq *vq, const char *why);

/*
 * Parts of a chain, by value. offset counts bytes from the start of the readable or writable part.
 * -EMSGSIZE when the part has no such bytes; -EFAULT when they are not guest RAM.
 */
[[nodiscard]] int virtq_chain_read(const struct virtq_chain *c, uint64_t offset, void *out,
				   size_t len);
[[nodiscard]] int virtq_chain_write(const struct virtq_chain *c, uint64_t offset, const void *data,
				    size_t len);
/*
 * Bulk data: appends len bytes from offset of the readable (writable) part to iov for the kernel to
 * read (write). *n_iov is advanced; left as it was on failure: -EMSGSIZE, -EFAULT, or -ENOBUFS
 * when it takes more than max pieces in all.
 */
[[nodiscard]] int virtq_chain_readable_iov(const struct virtq_chain *c, uint64_t offset,
					   uint64_t len, struct iovec *iov, size_t *n_iov,
					   size_t max);
[[nodiscard]] int virtq_chain_writable_iov(const struct virtq_chain *c, uint64_t offset,
					   uint64_t len, struct iovec *iov, size_t *n_iov,
					   size_t max);

#endif
