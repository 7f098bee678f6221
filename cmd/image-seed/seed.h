/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a disk for cloud-init's data source NoCloud, from what the user gave: they are checked, and those that were
 * not given are written. Pure.
 */
#ifndef BULKHEAD_IMAGE_SEED_SEED_H
#define BULKHEAD_IMAGE_SEED_SEED_H

#include "lib/imagefile/seed.h"

#include <stdbool.h>
#include <stdint.h>

struct seed_bytes {
	const uint8_t *at;
	size_t len;
};

/* What was read: at is NULL where the job has no such input. */
struct seed_inputs {
	struct seed_bytes of[SEED_INPUTS];
};

enum seed_file { SEED_FILE_USER, SEED_FILE_META, SEED_FILE_NETWORK, SEED_FILES };

struct seed_files {
	struct seed_bytes of[SEED_FILES]; /* at NULL: it is not there */
	/* what was written for them */
	uint8_t user[SEED_USER_DATA_MAX];
	uint8_t meta[1024];
};

/* By its name in the disk's root. */
extern const char *const seed_file_names[SEED_FILES];

/* 0, or -EINVAL with why, one line without a byte of any secret. */
[[nodiscard]] int seed_make(const struct seed_job *job, const struct seed_inputs *in,
			    struct seed_files *ret, char *why, size_t cap);

#endif
