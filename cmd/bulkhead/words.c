/* SPDX-License-Identifier: Apache-2.0 */
/* The words of run and explain to a configuration; see words.h. */
#include "cmd/bulkhead/words.h"

#include "cmd/bulkhead/verbs.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int read_file(const char *path, char *text, size_t *ret_len)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	size_t at = 0;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return complain(EXIT_START, "--config: %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return complain(EXIT_START, "--config: %s is no file", path);
	while (at <= CONFIG_FILE_MAX && (n = read(fd, text + at, CONFIG_FILE_MAX + 1 - at)) > 0)
		at += (size_t)n;
	if (at > CONFIG_FILE_MAX)
		return complain(EXIT_START, "--config: %s is longer than 64 KiB", path);
	*ret_len = at;
	return 0;
}

/* In memory that no process list shows, before anything else is looked at. What may not be copied stays. */
static void hide(char **word, size_t skip)
{
	const size_t len = strlen(*word);
	char *copy = len > skip ? strdup(*word) : NULL;

	if (!copy)
		return;
	explicit_bzero(*word + skip, len - skip);
	*word = copy;
}

static void hide_hashes(int argc, char **argv)
{
	static const char word[] = "--password-hash";
	const size_t len = sizeof(word) - 1;

	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], word, len) != 0)
			continue;
		if (argv[i][len] == '=')
			hide(&argv[i], len + 1);
		else if (!argv[i][len] && i + 1 < argc && strncmp(argv[i + 1], "--", 2) != 0)
			hide(&argv[++i], 0);
	}
}

int words_to_config(int argc, char **argv, struct vm_config *c)
{
	static char text[CONFIG_FILE_MAX + 2];
	static char name[32];
	struct config_error e;
	size_t len = 0;
	int r;

	config_init(c);
	hide_hashes(argc, argv);
	if (config_parse_words(c, argc, argv, &e) < 0)
		return complain(EXIT_WORDS, "%s", e.text);
	if (c->config) {
		r = read_file(c->config, text, &len);
		if (r)
			return r;
		if (config_parse_text(c, text, len, c->config, &e) < 0)
			return complain(EXIT_WORDS, "%s", e.text);
	}
	if (config_add_unsaid(c, &e) < 0 || config_check(c, &e) < 0)
		return complain(EXIT_WORDS, "%s", e.text);
	snprintf(name, sizeof(name), "vm%d", (int)getpid());
	if (!c->name)
		c->name = name;
	if (config_has_seed(c) && config_add_seed(c, &e) < 0)
		return complain(EXIT_WORDS, "%s", e.text);
	return 0;
}
