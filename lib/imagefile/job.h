/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `bulkhead image` asks of a process of its own: the words of its command line, which name files by
 * descriptors, and the numbers of those. The options stand here once, for what the user says and for what
 * the process is told.
 */
#ifndef BULKHEAD_IMAGEFILE_JOB_H
#define BULKHEAD_IMAGEFILE_JOB_H

#include "lib/imagefile/sums.h"
#include "lib/options/option.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of a process, beside 3, its control channel. */
enum {
	IMAGE_FD_OUTPUT = 4, /* a pipe: what the user is to read */
	IMAGE_FD_PROGRESS,   /* a pipe: progress.h */
	IMAGE_FD_FILES,	     /* and up: images */
};

#define IMAGE_FILES_MAX 64
#define IMAGE_NAME_MAX 4095 /* bytes of a file's name */
#define IMAGE_WORDS_MAX (IMAGE_FILES_MAX + 40)
#define IMAGE_THREADS_MAX 16

enum image_verb {
	IMAGE_CREATE,
	IMAGE_INFO,
	IMAGE_CHECK,
	IMAGE_CONVERT,
	IMAGE_RESIZE,
	IMAGE_SNAPSHOT,
	IMAGE_MAP,
	IMAGE_COMPARE,
	IMAGE_IMPORT, /* of the command alone */
	IMAGE_SERVE,  /* image-import: to image-tool */
	IMAGE_FETCH,  /* image-fetch */
	IMAGE_DIGEST, /* image-digest */
};

/* Exit statuses of a process, and of the command where it has none of its own. */
enum {
	IMAGE_EXIT_OK = 0,
	IMAGE_EXIT_FAILED = 1,	/* after a line with the reason */
	IMAGE_EXIT_LEAKS = 3,	/* check: of clusters, and no more */
	IMAGE_EXIT_DIFFERS = 3, /* compare */
	IMAGE_EXIT_CORRUPT = 4, /* check */
	IMAGE_EXIT_INTERRUPTED = 6,
};

enum image_format { FORMAT_RAW, FORMAT_QCOW2, FORMAT_VMDK, FORMAT_VHDX, FORMAT_VPC, N_FORMATS };

extern const char *const image_formats[]; /* NULL at the end */
/* Of the name, "vhd" too, or N_FORMATS. */
enum image_format image_format_find(const char *name);
/* Whether image-import reads it, and it alone. */
static inline bool image_format_is_import(enum image_format f)
{
	return f >= FORMAT_VMDK;
}

enum image_role {
	ROLE_SOURCE = 's',
	ROLE_OTHER = 'o',  /* the second of compare; fetch: the certificates that are trusted */
	ROLE_TARGET = 't', /* convert, create and fetch, whose connection is its data_fd */
};

/* One file. Those of one role are a chain: the image first, then what backs it. */
struct image_node {
	enum image_role role;
	enum image_format format;
	int fd;
	int data_fd; /* qcow2's external data file, a map's end, or -1 */
	bool readonly;
	bool mapped;	  /* image-import says by a pipe, data_fd, where in fd its bytes are */
	const char *name; /* as the user said it, for lines alone */
};

enum image_size_how { SIZE_SET, SIZE_ADD, SIZE_SUB, SIZE_BASE /* of what backs it */ };
enum image_snapshot { SNAPSHOT_LIST, SNAPSHOT_CREATE, SNAPSHOT_APPLY, SNAPSHOT_DELETE };
enum image_prealloc { PREALLOC_OFF, PREALLOC_METADATA, PREALLOC_FALLOC, PREALLOC_FULL };
enum image_compression { COMPRESSION_ZLIB, COMPRESSION_ZSTD };
enum image_compat { COMPAT_0_10, COMPAT_1_1 };
enum image_repair { REPAIR_NONE, REPAIR_LEAKS };

struct image_job {
	enum image_verb verb;
	struct image_node nodes[IMAGE_FILES_MAX];
	size_t n_nodes;

	uint64_t size; /* bytes */
	enum image_size_how size_how;
	uint64_t from; /* bytes that the disk must have, for its size to be changed; 0: any */
	bool shrink;

	/* of an image that is made */
	uint64_t cluster_size;
	uint32_t refcount_bits;
	enum image_compat compat;
	enum image_compression compression;
	enum image_prealloc prealloc;
	bool lazy_refcounts;
	bool extended_l2;
	const char *backing_name; /* or NULL */
	const char *backing_format;

	enum image_snapshot snapshot;
	const char *snapshot_name; /* or its id; NULL */
	enum image_repair repair;
	bool compress;
	bool json;
	bool progress;
	bool strict;	/* compare: allocation and size, too */
	bool sync;	/* what is written is on the disk at the end */
	uint64_t start; /* map */
	uint64_t length;
	uint32_t threads; /* beside the main one; 0: as many as there are CPUs */

	/* fetch */
	const char *url;       /* NULL: the source is a file */
	const char *validator; /* of what is there; or NULL */
	uint64_t offset;       /* bytes that are there */
	uint64_t most;	       /* bytes that the file may have */
	uint64_t room; /* bytes that its file system has for it, those that are there among them */
	uint32_t patience_s; /* of silence */
	enum digest_kind digest;
};

extern const struct option image_options[];
extern const size_t n_image_options;
/* By its name, in which '-' is '_' too; or NULL. */
const struct option *image_option(const char *name, size_t len);

/* Everything at its default, no nodes. */
void image_job_init(struct image_job *job, enum image_verb verb);
/*
 * The job as words, NULL-terminated, which live in text. The number of words, or -E2BIG.
 * argv has room for IMAGE_WORDS_MAX.
 */
[[nodiscard]] int image_job_render(const struct image_job *job, const char **argv, char *text,
				   size_t cap);
/* The words after the process's name. 0, or -EINVAL with *ret_bad the word that is wrong. Texts
 * stay in the words. */
[[nodiscard]] int image_job_parse(int argc, char **argv, struct image_job *ret,
				  const char **ret_bad);

#endif
