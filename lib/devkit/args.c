/* SPDX-License-Identifier: Apache-2.0 */
/* A process's command line; see args.h. */
#include "lib/devkit/args.h"

#include <errno.h>
#include <string.h>

#define ARGS_MAX 32 /* options of a kind: a bit each */

static const struct option *find(const struct device_kind *kind, const char *word,
				 const char **ret_value)
{
	if (strncmp(word, "--", 2) != 0)
		return NULL;
	word += 2;
	for (size_t i = 0; i < kind->n_options; i++) {
		const struct option *o = &kind->options[i];
		size_t len = strlen(o->name);

		if (strncmp(word, o->name, len) == 0 && word[len] == '=') {
			*ret_value = word + len + 1;
			return o;
		}
	}
	return NULL;
}

static int parse_word(const struct device_kind *kind, const char *word, void *options,
		      uint32_t *seen)
{
	const char *value = NULL, *why;
	const struct option *o = find(kind, word, &value);
	uint32_t bit = o ? 1U << (o - kind->options) : 0;

	if (!o || (*seen & bit && !(o->flags & OPTION_ADDS_UP)) ||
	    option_set(o, options, value, &why) < 0)
		return -EINVAL;
	*seen |= bit;
	return 0;
}

int args_parse(const struct device_kind *kind, int argc, char **argv, void *options,
	       const char **ret_bad)
{
	uint32_t seen = 0;

	if (kind->n_options > ARGS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < kind->n_options; i++)
		option_init(&kind->options[i], options);
	for (int i = 1; i < argc; i++) {
		if (parse_word(kind, argv[i], options, &seen) == 0)
			continue;
		if (ret_bad)
			*ret_bad = argv[i];
		return -EINVAL;
	}
	return 0;
}
