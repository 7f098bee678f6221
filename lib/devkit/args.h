/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of a process's command line, `--key=value`, by the options of its kind. They come from
 * the supervisor and are trusted; they are checked all the same, so that a mistake is said.
 */
#ifndef BULKHEAD_DEVKIT_ARGS_H
#define BULKHEAD_DEVKIT_ARGS_H

#include "lib/kinds/kind.h"

/*
 * Sets every option of the kind to its default, then to what words say. 0, or -EINVAL with *ret_bad
 * (may be NULL) the word that is unknown, repeated, malformed or out of range.
 */
[[nodiscard]] int args_parse(const struct device_kind *kind, int argc, char **argv, void *options,
			     const char **ret_bad);

#endif
