/* SPDX-License-Identifier: Apache-2.0 */
/* What the words after `bulkhead image` ask for. */
#ifndef BULKHEAD_CMD_BULKHEAD_IMAGE_WORDS_H
#define BULKHEAD_CMD_BULKHEAD_IMAGE_WORDS_H

#include "lib/imagefile/job.h"

#define IMAGE_BACKING_MAX 30

struct image_backing {
	const char *path;
	const char *data_file; /* or NULL */
	enum image_format format;
	bool format_said;
};

/* A chain of files as the user named it: the image, then what backs it, in order. */
struct image_chain {
	struct image_backing file[IMAGE_BACKING_MAX + 1];
	size_t n;
};

/* What `import` has beside. */
struct image_import_words {
	struct digest digest;
	bool digest_said;
	const char *checksums; /* or NULL */
	const char *ca;	       /* or NULL: those of the system */
	bool force;
};

struct image_words {
	struct image_job job; /* but for its nodes */
	const char *verb;
	struct image_chain source, other;
	int image_fd; /* of the source: its VM has let go of it, and keeps it locked; -1: it is opened */
	int data_fd;	    /* of its data file, likewise */
	int alive;	    /* a pipe: a byte for each time that the job is further; or -1 */
	const char *target; /* of convert and create; in the others the source */
	enum image_format target_format;
	bool target_format_said;
	struct image_import_words import;
	bool force_share;
	bool quiet;
	bool show;     /* how far it is */
	bool as_lines; /* progress, as there is no terminal */
	bool help;
};

/* 0, or an exit status after one line on standard error. The texts stay in the words. */
[[nodiscard]] int image_words_parse(int argc, char **argv, struct image_words *ret);
/* Whether the job changes its source. */
bool image_words_write(const struct image_words *w);
void image_words_help(void);

#endif
