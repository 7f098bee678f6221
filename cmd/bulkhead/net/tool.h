/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a tool of the host's, before there is anybody hostile: nft, ip. */
#ifndef BULKHEAD_CMD_BULKHEAD_NET_TOOL_H
#define BULKHEAD_CMD_BULKHEAD_NET_TOOL_H

#include <stddef.h>

struct tool {
	const char *name; /* and of its package, if there is another one */
	const char *package;
};

#define TOOL_OUTPUT_MAX 65536U

/*
 * Runs it with argv, whose first is its name, an empty environment, and `input` as its standard input, and waits for its
 * end. 0, with what it wrote in `output` as a string unless that is NULL: one that is longer is cut; -ENOENT: it is not installed;
 * -EINVAL: it ended with another status than 0; another negative errno. *ret_why says so in one line, by the last line of its output,
 * and is valid until the next call.
 */
[[nodiscard]] int tool_run(const struct tool *tool, const char *const argv[], const char *input,
			   size_t input_len, char output[TOOL_OUTPUT_MAX], const char **ret_why);

extern const struct tool tool_nft;
extern const struct tool tool_ip;

#endif
