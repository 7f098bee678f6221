/* SPDX-License-Identifier: Apache-2.0 */
/* Private to image-fetch: between its files. */
#ifndef BULKHEAD_IMAGE_FETCH_FETCH_H
#define BULKHEAD_IMAGE_FETCH_FETCH_H

#include "lib/imagefile/job.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* file.c: the file that is written, from its beginning or from where it ends. */
struct fetch_file {
	const struct image_job *job;
	const char *name; /* in lines: what it is called until it is whole */
	const char *subject;
	int fd;
	uint64_t at;	/* bytes that are there */
	uint64_t total; /* PROGRESS_UNKNOWN: nobody has said */
	uint64_t told;	/* of them, as progress */
	bool lasts;	/* what is there can be gone on with */
};

/* subject: what lines are about, the address or a file's name. */
void file_begin(struct fetch_file *f, const struct image_job *job, const struct image_node *node,
		const char *subject);
/* That the whole has so many bytes. 0, or an exit status after a line. */
[[nodiscard]] int file_expect(struct fetch_file *f, uint64_t total);
/* From its beginning. The same. */
[[nodiscard]] int file_empty(struct fetch_file *f);
[[nodiscard]] int file_add(struct fetch_file *f, const void *bytes, size_t len);
/* All of it is there. The same. */
[[nodiscard]] int file_end(struct fetch_file *f);
/* A line about what failed underway, and what becomes of the bytes that are there. Returns IMAGE_EXIT_FAILED. */
[[gnu::format(printf, 2, 3)]] int file_fail(const struct fetch_file *f, const char *fmt, ...);

/* transfer.c: over a connection. prepare: before the sandbox; both return an exit status after a line if it is not 0. */
struct transfer;
[[nodiscard]] int transfer_prepare(const struct image_job *job, struct fetch_file *f, int sock,
				   int ca, struct transfer **ret);
[[nodiscard]] int transfer_run(struct transfer *t);

#endif
