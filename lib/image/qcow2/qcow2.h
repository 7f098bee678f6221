/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2 images, versions 2 and 3 (QEMU's docs/interop/qcow2.txt), as volumes; and what one does with
 * images that nobody uses: create, check and repair, resize, snapshots.
 *
 * At every cut of the writes the image is without corruption (clusters may be leaked), and what was
 * flushed is there. docs/architecture.md says in which order things are written.
 */
#ifndef BULKHEAD_IMAGE_QCOW2_H
#define BULKHEAD_IMAGE_QCOW2_H

#include "lib/image/volume.h"

#define QCOW2_NAME_MAX 1024 /* bytes of a file's name in a header, with the NUL */
#define QCOW2_CACHE_BYTES (1U << 20)
#define QCOW2_REDO_BYTES (1U << 20)

enum qcow2_compression {
	QCOW2_ZLIB = 0,
	QCOW2_ZSTD = 1,
};

/* What a header says. Names are as the image has them, unchecked bytes up to the first NUL. */
struct qcow2_info {
	uint32_t version; /* 2 or 3 */
	uint64_t size;	  /* of the disk, bytes */
	uint32_t cluster_size;
	uint32_t refcount_bits;
	enum qcow2_compression compression;
	uint32_t n_snapshots;
	bool lazy_refcounts;
	bool extended_l2;
	bool dirty;
	bool corrupt;
	bool data_file;	    /* the guest's bytes are in a file of their own */
	bool data_file_raw; /* which is a raw disk at the same time */
	bool bitmaps;	    /* has persistent dirty bitmaps that are in step with it */
	char backing_file[QCOW2_NAME_MAX];   /* "": none */
	char backing_format[QCOW2_NAME_MAX]; /* "": not said */
	char data_file_name[QCOW2_NAME_MAX]; /* "": not said */
};

/*
 * Reads and checks the header only. 0; -EINVAL: not qcow2, or a header that cannot be; -ENOTSUP: a
 * version, an encryption or an incompatible feature that this does not know, by its name; or the
 * store's error.
 */
[[nodiscard]] int qcow2_read_info(struct store *file, struct qcow2_info *ret,
				  struct volume_error *e);

struct qcow2_options {
	bool readonly;
	bool tool; /* to list, check or repair: opens what is damaged, and needs no backing */
	size_t cache_bytes;	   /* of tables of either kind; 0: QCOW2_CACHE_BYTES */
	struct volume *backing;	   /* where the header names one, only there; taken on success */
	struct store *data;	   /* the same for a data file */
	uint64_t reserve_clusters; /* made ready ahead at once; 0: 64 MiB, at most 16384 */
	uint64_t max_size; /* the disk may be grown up to this while it is open; 0: not at all */
	/*
	 * Memory that outlives the process and not the host, zeroes at first: QCOW2_REDO_BYTES, or others, whole words. What was
	 * settled is kept there and need not be written (redo.c). NULL: it is written. Not with readonly or tool.
	 */
	void *redo;
	size_t redo_bytes;
};

/*
 * Opens an image; takes file, backing and data on success. For writing, an image that was not closed
 * has its refcounts rebuilt, and feature bits that vouch for what this does not keep in step are
 * cleared. 0; as qcow2_read_info; -EINVAL also: tables that cannot be, a missing or surplus
 * backing or data file; -EROFS: a store that cannot be written; -EUCLEAN: marked corrupt, and
 * neither readonly nor a tool; -ENOMEM.
 */
[[nodiscard]] int qcow2_open(struct store *file, const struct qcow2_options *options,
			     struct volume **ret, struct volume_error *e);

/*
 * The size in bytes that the image's file can reach whatever the guest does: what
 * RLIMIT_FSIZE may be; the volume never writes behind it. Clusters that are leaked count against
 * it: an image that had many fills up early until it is repaired.
 */
[[nodiscard]] uint64_t qcow2_growth_bound(const struct volume *v);

enum qcow2_preallocation {
	QCOW2_PREALLOCATE_OFF,
	QCOW2_PREALLOCATE_METADATA, /* every cluster has its place; the file is sparse */
};

struct qcow2_create_options {
	uint64_t size;		/* bytes; rounded up to sectors of 512 */
	uint32_t version;	/* 2 or 3; 0: 3 */
	uint32_t cluster_size;	/* 512 to 2 MiB, a power of two; 0: 64 KiB */
	uint32_t refcount_bits; /* 1 to 64, a power of two; 0: 16 */
	bool lazy_refcounts;	/* the rest: version 3 only */
	bool extended_l2;	/* clusters of 16 KiB at least; with a backing file */
	enum qcow2_compression compression;
	bool data_file_raw;
	const char *backing_file, *backing_format; /* names for the header, or NULL */
	const char *data_file;			   /* a name for the header, or NULL */
	enum qcow2_preallocation preallocation;	   /* not with a backing file */
};

/* Writes an empty image over an empty store, which stays the caller's; a data file is not touched, its
 * size is the caller's. 0, -EINVAL with the option named, or the store's error. */
[[nodiscard]] int qcow2_create(struct store *file, const struct qcow2_create_options *options,
			       struct volume_error *e);

enum qcow2_repair {
	QCOW2_REPAIR_NOTHING,
	QCOW2_REPAIR_LEAKS, /* only where there is no corruption */
	QCOW2_REPAIR_ALL, /* refcounts and what follows from them; entries that point nowhere stay */
};

struct qcow2_check_result {
	uint64_t corruptions, leaks; /* found; leaks in clusters */
	uint64_t corruptions_fixed, leaks_fixed;
	uint64_t total_clusters;					       /* of the disk */
	uint64_t allocated_clusters, compressed_clusters, fragmented_clusters; /* of these */
	uint64_t image_end; /* bytes: behind the last cluster in use */
};

/*
 * Compares every refcount with the references, and everything else that can be. say (or NULL) gets a
 * line for each finding. The volume is from qcow2_open, for repair not readonly. 0 when the
 * check itself went through, or a negative errno. ret may be NULL: then what was repaired is not looked at again.
 */
[[nodiscard]] int qcow2_check(struct volume *v, enum qcow2_repair repair,
			      void (*say)(void *arg, const char *line), void *arg,
			      struct qcow2_check_result *ret, struct volume_error *e);

/* Longer ids and names are kept in the image and shown cut. */
struct qcow2_snapshot {
	char id[64], name[256];
	uint64_t disk_size;	/* bytes */
	uint64_t vm_state_size; /* bytes */
	uint32_t date_s, date_ns;
	uint64_t vm_clock_ns;
};

/* *ret: *ret_n snapshots, to be freed. */
[[nodiscard]] int qcow2_snapshot_list(struct volume *v, struct qcow2_snapshot **ret, size_t *ret_n,
				      struct volume_error *e);
/*
 * Each is one step: after a crash the image is as before or as after. `which` is an id or a name,
 * ids first. -ENOENT: no such snapshot; -EEXIST: a name that there is; -ENOTSUP: with a data file,
 * or refcounts too narrow; -EUCLEAN: the image has errors, repair it first.
 */
[[nodiscard]] int qcow2_snapshot_create(struct volume *v, const char *name, uint32_t date_s,
					uint32_t date_ns, struct volume_error *e);
[[nodiscard]] int qcow2_snapshot_apply(struct volume *v, const char *which, struct volume_error *e);
[[nodiscard]] int qcow2_snapshot_delete(struct volume *v, const char *which,
					struct volume_error *e);

/*
 * Changes the disk's size (rounded up to sectors). To shrink is refused (-EINVAL) unless `shrink`
 * says so; a disk with snapshots is not shrunk. Growing beyond what was open: only up to max_size. step,
 * which may be NULL, is called now and then while it goes on.
 */
[[nodiscard]] int qcow2_resize(struct volume *v, uint64_t size, bool shrink, void (*step)(void),
			       struct volume_error *e);

#endif
