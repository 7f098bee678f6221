/* SPDX-License-Identifier: Apache-2.0 */
/* Command line words as a table; see args.h. */
#include "lib/devkit/args.h"

#include "lib/base/checked.h"

#include <errno.h>
#include <string.h>

#define ARGS_MAX_ROWS 32

static const struct arg_row *find_row(const struct arg_row *rows, size_t n, const char *word,
				      const char **ret_value)
{
	if (strncmp(word, "--", 2) != 0)
		return NULL;
	word += 2;
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(rows[i].key);

		if (strncmp(word, rows[i].key, len) == 0 && word[len] == '=') {
			*ret_value = word + len + 1;
			return &rows[i];
		}
	}
	return NULL;
}

static int parse_onoff(const char *value, bool *ret)
{
	if (strcmp(value, "on") == 0)
		*ret = true;
	else if (strcmp(value, "off") == 0)
		*ret = false;
	else
		return -EINVAL;
	return 0;
}

static int parse_u64(const struct arg_row *row, const char *value, uint64_t *ret)
{
	uint64_t v = 0;

	if (!*value)
		return -EINVAL;
	for (; *value; value++) {
		if (*value < '0' || *value > '9')
			return -EINVAL;
		if (!u64_mul(v, 10, &v) || !u64_add(v, (uint64_t)(*value - '0'), &v))
			return -EINVAL;
	}
	if (v < row->min || v > row->max)
		return -EINVAL;
	*ret = v;
	return 0;
}

static int parse_text(const struct arg_row *row, const char *value, const char **ret)
{
	size_t len = strlen(value);

	if (len < row->min || len > row->max)
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		if (value[i] < ' ' || value[i] > '~')
			return -EINVAL;
	*ret = value;
	return 0;
}

static int parse_value(const struct arg_row *row, const char *value, void *options)
{
	char *field = (char *)options + row->offset;

	switch (row->kind) {
	case ARG_ONOFF:
		return parse_onoff(value, (void *)field);
	case ARG_U64:
		return parse_u64(row, value, (void *)field);
	case ARG_TEXT:
		return parse_text(row, value, (void *)field);
	}
	return -EINVAL;
}

int args_parse(const struct arg_row *rows, size_t n_rows, int argc, char **argv, void *options,
	       const char **ret_bad)
{
	uint32_t seen = 0;

	if (n_rows > ARGS_MAX_ROWS)
		return -EINVAL;
	for (int i = 1; i < argc; i++) {
		const char *value = NULL;
		const struct arg_row *row = find_row(rows, n_rows, argv[i], &value);
		uint32_t bit = row ? 1U << (row - rows) : 0;

		if (!row || (seen & bit) || parse_value(row, value, options) < 0) {
			if (ret_bad)
				*ret_bad = argv[i];
			return -EINVAL;
		}
		seen |= bit;
	}
	return 0;
}
