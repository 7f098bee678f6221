/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtual disk of some format on stores. Synchronous, for one thread at a time, but for
 * volume_map_cached. The format is always said by the user, never guessed, and whatever lies below
 * (stores, a backing volume) was opened by the caller: a name in a header is reported, never opened.
 *
 * Nothing is allocated after opening, and nothing in the size of what an image says beyond the
 * bounds that its format's header names: a process may open, enter its sandbox, and serve.
 */
#ifndef BULKHEAD_IMAGE_VOLUME_H
#define BULKHEAD_IMAGE_VOLUME_H

#include "lib/image/store.h"

/* Why something failed, in words: one line without a period that names the field, for users. */
struct volume_error {
	char text[240];
};

/* Fills e, which may be NULL, and returns r. */
[[gnu::format(printf, 3, 4)]] int volume_fail(struct volume_error *e, int r, const char *format,
					      ...);

enum extent_kind {
	EXTENT_DATA, /* bytes of a store */
	EXTENT_ZERO, /* zeroes by what the format says */
	EXTENT_HOLE, /* not in this volume: the backing's bytes, or zeroes where there is none */
	EXTENT_COMPRESSED, /* bytes of a store that have to be decompressed */
};

struct extent {
	enum extent_kind kind;
	bool writable; /* DATA: may be overwritten in its place, without any of the volume's ops */
	struct store *store; /* DATA and COMPRESSED, otherwise NULL */
	uint64_t offset; /* DATA: bytes in the store; COMPRESSED: where the first piece begins */
	uint32_t stored; /* COMPRESSED: bytes of the store that its unit takes, at most */
	uint64_t len;	 /* bytes of the volume, from what was asked for on */
};

struct volume;

struct volume_ops {
	int (*readv)(struct volume *v, const struct iovec *iov, size_t n_iov, uint64_t offset);
	int (*writev)(struct volume *v, const struct iovec *iov, size_t n_iov, uint64_t offset);
	int (*zero)(struct volume *v, uint64_t offset, uint64_t len, bool may_unmap);
	int (*discard)(struct volume *v, uint64_t offset, uint64_t len);
	int (*flush)(struct volume *v);
	int (*settle)(struct volume *v); /* NULL: nothing is kept in memory */
	int (*map)(struct volume *v, uint64_t offset, uint64_t len, struct extent *ret);
	int (*map_cached)(struct volume *v, uint64_t offset, uint64_t len, struct extent *ret);
	void (*close)(struct volume *v);
};

struct volume {
	const struct volume_ops *ops;
	uint64_t size;		/* bytes */
	uint32_t cluster;	/* bytes of the unit of allocation, a power of two; raw: 512 */
	bool readonly;		/* writev, zero and discard give -EROFS */
	struct volume *backing; /* what HOLEs show, or NULL; owned: close closes it */
};

/* [offset, offset + len) must lie within the size: -EINVAL otherwise. 0 or a negative errno. */
[[nodiscard]] int volume_readv(struct volume *v, const struct iovec *iov, size_t n_iov,
			       uint64_t offset);
[[nodiscard]] int volume_writev(struct volume *v, const struct iovec *iov, size_t n_iov,
				uint64_t offset);
[[nodiscard]] int volume_read(struct volume *v, void *buf, size_t len, uint64_t offset);
[[nodiscard]] int volume_write(struct volume *v, const void *buf, size_t len, uint64_t offset);
/* The bytes read as zeroes afterwards, at the least cost; may_unmap: their space may be given back. */
[[nodiscard]] int volume_zero(struct volume *v, uint64_t offset, uint64_t len, bool may_unmap);
/* A hint: the bytes may read as zeroes, as what they were, or as the backing's afterwards. */
[[nodiscard]] int volume_discard(struct volume *v, uint64_t offset, uint64_t len);
/* Everything that was written, zeroed or discarded is on stable storage afterwards. */
[[nodiscard]] int volume_flush(struct volume *v);

/*
 * What was written, zeroed or discarded has left this process: if it is killed now, and the host goes on,
 * who opens the files next finds all of it. Not on stable storage: a flush says that. Called before a
 * guest is told that something is done.
 */
[[nodiscard]] static inline int volume_settle(struct volume *v)
{
	return v->ops->settle ? v->ops->settle(v) : 0;
}

/*
 * What lies at offset, and for how many of the len bytes (not 0) that goes on: of one kind, and DATA
 * contiguous in its store. It stays true until the next writev, zero, discard or close that
 * concerns these bytes.
 */
[[nodiscard]] int volume_map(struct volume *v, uint64_t offset, uint64_t len, struct extent *ret);
/*
 * The same from what is in memory, without I/O and without waiting: -EAGAIN where that does not tell,
 * which is always allowed. The only call for another thread at the same time as any of the above.
 */
[[nodiscard]] int volume_map_cached(struct volume *v, uint64_t offset, uint64_t len,
				    struct extent *ret);

/* What is in memory is written first, as far as that works (volume_flush tells); then the volume, its
 * backing and its stores are closed. Takes NULL. */
void volume_close(struct volume *v);

/* A raw disk: the bytes of its store, which it takes on success. */
struct volume_raw {
	struct volume volume;
	struct store *store;
	bool no_punch; /* the store said so */
};

/* 0; -ENODATA: not one sector of 512 bytes. A size that is not of sectors is rounded down. */
[[nodiscard]] int volume_raw_open(struct volume_raw *raw, struct store *store);

#endif
