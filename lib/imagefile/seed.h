/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `bulkhead run` asks of image-seed, which makes the disk that cloud-init looks for in a guest: words that
 * name the inputs, and the numbers of their descriptors. A password's hash is an input, and never a word.
 */
#ifndef BULKHEAD_IMAGEFILE_SEED_H
#define BULKHEAD_IMAGEFILE_SEED_H

#include <stddef.h>

#define SEED_KEYS_MAX 16 /* files of public keys */

enum seed_input {
	SEED_USER_DATA,
	SEED_META_DATA,
	SEED_NETWORK_CONFIG,
	SEED_PASSWORD_HASH,
	SEED_KEYS, /* and up */
	SEED_INPUTS = SEED_KEYS + SEED_KEYS_MAX,
};

/* Of the process, beside 3, its control channel. */
enum {
	SEED_FD_DISK = 4, /* a memfd that grows */
	SEED_FD_INPUTS,	  /* and up, by enum seed_input */
};

/* The most bytes of each. */
#define SEED_USER_DATA_MAX (1U << 20)
#define SEED_META_DATA_MAX (64U << 10)
#define SEED_NETWORK_CONFIG_MAX (256U << 10)
#define SEED_PASSWORD_HASH_MAX 512U
#define SEED_KEY_MAX (64U << 10)
#define SEED_DISK_MAX (2U << 20)

#define SEED_WORDS_MAX (SEED_INPUTS + 5)

struct seed_job {
	const char *vm;			 /* its name */
	const char *user;		 /* NULL: not said */
	const char *hostname;		 /* likewise */
	const char *inputs[SEED_INPUTS]; /* as the user said them, for lines alone; NULL: not there */
};

size_t seed_input_max(enum seed_input i);
/* As it is said to its user: "--cloud-init user-data=", "--ssh-key ". */
const char *seed_input_word(enum seed_input i);

/* The job as words, NULL-terminated, which live in text; argv has room for SEED_WORDS_MAX. Their number, or -E2BIG. */
[[nodiscard]] int seed_job_render(const struct seed_job *job, const char **argv, char *text,
				  size_t cap);
/* The words after the process's name. 0, or -EINVAL with *ret_bad the word that is wrong. Texts stay in the words. */
[[nodiscard]] int seed_job_parse(int argc, char **argv, struct seed_job *ret, const char **ret_bad);

#endif
