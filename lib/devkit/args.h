/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of a compartment's command line, `--key=value`, as a table. They come from the
 * supervisor and are trusted; they are checked all the same, so that a mistake is said.
 */
#ifndef BULKHEAD_DEVKIT_ARGS_H
#define BULKHEAD_DEVKIT_ARGS_H

#include <stddef.h>
#include <stdint.h>

enum arg_kind {
	ARG_ONOFF, /* on or off, to a bool */
	ARG_U64,   /* decimal digits, to a uint64_t */
	ARG_TEXT,  /* printable ASCII, to a const char * into argv */
};

struct arg_row {
	const char *key; /* without the dashes */
	enum arg_kind kind;
	size_t offset; /* of the field in the options */
	uint64_t min;  /* of the number, or of the text's length in bytes */
	uint64_t max;
};

/*
 * Fills the fields of options that words name; the others keep their defaults. 0, or -EINVAL with
 * *ret_bad (may be NULL) the word that is unknown, repeated, malformed or out of range.
 */
[[nodiscard]] int args_parse(const struct arg_row *rows, size_t n_rows, int argc, char **argv,
			     void *options, const char **ret_bad);

#endif
