/* SPDX-License-Identifier: Apache-2.0 */
/* lib/config: any text as a file, and as words; what it takes, it renders, and takes again. */
#include "lib/config/config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct vm_config *c)
{
	static char buf[2][CONFIG_WORDS_BYTES];
	char *argv[2][CONFIG_WORDS_MAX];
	struct config_error e;
	struct vm_config again;
	int n = config_render(c, argv[0], buf[0], sizeof(buf[0]));

	if (n < 0)
		return; /* too long to be said */
	config_init(&again);
	assert(config_parse_words(&again, n, argv[0], &e) == 0);
	assert(config_render(&again, argv[1], buf[1], sizeof(buf[1])) == n);
	for (int i = 0; i < n; i++)
		assert(strcmp(argv[0][i], argv[1][i]) == 0);
}

static void check_error(const struct config_error *e)
{
	size_t len = strnlen(e->text, sizeof(e->text));

	assert(len > 0 && len < sizeof(e->text));
	for (size_t i = 0; i < len; i++)
		assert(e->text[i] >= ' ' && e->text[i] <= '~');
}

/* The first byte chooses; words are the lines. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_error e = { "" };
	struct vm_config c;
	char *text, *argv[64], *at, *word;
	int argc = 0, r;

	if (size == 0 || size > CONFIG_FILE_MAX)
		return 0;
	size--;
	text = malloc(size + 1);
	memcpy(text, data + 1, size);
	text[size] = '\0';
	config_init(&c);
	if (data[0] & 1) {
		r = config_parse_text(&c, text, size, "f", &e);
	} else {
		at = text;
		while (argc < 64 && (word = strsep(&at, "\n")))
			argv[argc++] = word;
		r = config_parse_words(&c, argc, argv, &e);
	}
	if (r == 0)
		check_again(&c);
	else
		check_error(&e);
	free(text);
	return 0;
}
