/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the words of `bulkhead image`: options, apart from the words that are none. */
#ifndef BULKHEAD_CMD_BULKHEAD_IMAGE_FLAGS_H
#define BULKHEAD_CMD_BULKHEAD_IMAGE_FLAGS_H

#include "cmd/bulkhead/image/words.h"

struct parse {
	struct image_words *w;
	const char *words[3]; /* that are no options */
	size_t n_words;
	bool no_more_options; /* behind -- */
};

struct flag;
typedef int (*flag_fn)(struct parse *p, const struct flag *f, const char *value);

struct flag {
	char letter;
	const char *name;
	const char *value;  /* what it takes, or NULL */
	unsigned int verbs; /* 1U << image_verb each */
	flag_fn take;
	const char *option; /* of the job, for take_option and take_switch */
};

/* One line about a word; EXIT_WORDS. */
int words_wrong(const struct parse *p, const char *what, const char *why);
/* One after the other; NULL behind the last. */
const struct flag *flag_at(size_t i);
/* Of the verb, or NULL. */
const struct flag *flag_find(const struct parse *p, const char *name, size_t len);
const struct flag *flag_find_letter(const struct parse *p, char letter);

#endif
