/* SPDX-License-Identifier: Apache-2.0 */
/* Words and files to a configuration; see config.h. */
#include "lib/config/config.h"

#include "lib/config/keys.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What may come from outside in a message: enough to find it again. */
#define QUOTE "%.60s"

void config_init(struct vm_config *c)
{
	*c = (struct vm_config){
		.cmdline = CONFIG_CMDLINE_DEFAULT,
		.memory = 256ULL << 20,
		.huge_pages = true,
		.cpus = 1,
		.rng = true,
		.rng_rate = 1ULL << 20,
		.stop_timeout_s = 90,
		.limits = { .cpu_percent = CONFIG_LIMIT_NONE,
			    .rbps = CONFIG_LIMIT_NONE,
			    .wbps = CONFIG_LIMIT_NONE,
			    .riops = CONFIG_LIMIT_NONE,
			    .wiops = CONFIG_LIMIT_NONE },
	};
	c->on_panic = ACTION_STOP;
}

static int complain(struct config_error *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static int complain(struct config_error *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	for (char *p = e->text; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	return -EINVAL;
}

static const struct config_key *find_key(const char *name, size_t len)
{
	for (size_t i = 0; i < n_config_keys; i++)
		if (strlen(config_keys[i].name) == len &&
		    strncmp(config_keys[i].name, name, len) == 0)
			return &config_keys[i];
	return NULL;
}

static uint64_t key_bit(const struct config_key *key)
{
	return 1ULL << (key - config_keys);
}

/* where: "--memory", or "FILE:LINE: memory". */
static int set(struct vm_config *c, const struct config_key *key, const char *value,
	       const char *where, struct config_error *e)
{
	const char *why = NULL;

	if (key->set(c, value, &why) == 0)
		return 0;
	if (!*value)
		return complain(e, "%s: a value is missing: %s", where, key->right);
	return complain(e, "%s: '" QUOTE "' will not do: %s", where, value, why ? why : key->right);
}

/* ---- words ---- */

/* *used is how many words it took. */
static int parse_word(struct vm_config *c, char *const *argv, int left, int *ret_used,
		      struct config_error *e)
{
	const char *word = argv[0];
	const char *eq = strchr(word, '=');
	const struct config_key *key;
	const char *value;
	char where[80];
	size_t len;

	if (strncmp(word, "--", 2) != 0)
		return complain(e, "'" QUOTE "' is not an option: options are --NAME VALUE", word);
	len = eq ? (size_t)(eq - word - 2) : strlen(word + 2);
	key = find_key(word + 2, len);
	if (!key)
		return complain(e, "there is no option '" QUOTE "': see bulkhead run --help", word);
	snprintf(where, sizeof(where), "--%s", key->name);
	*ret_used = 1;
	if (eq)
		value = eq + 1;
	else if (key->is_switch && (left == 1 || strncmp(argv[1], "--", 2) == 0))
		value = "on";
	else if (left > 1 && strncmp(argv[1], "--", 2) != 0)
		value = argv[(*ret_used)++];
	else
		return complain(e, "%s: a value is missing: %s", where, key->right);
	c->from_words |= key_bit(key);
	return set(c, key, value, where, e);
}

int config_parse_words(struct vm_config *c, int argc, char *const *argv, struct config_error *e)
{
	int used = 0;

	for (int i = 0; i < argc; i += used) {
		int r = parse_word(c, argv + i, argc - i, &used, e);

		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- files ---- */

static bool is_blank(char ch)
{
	return ch == ' ' || ch == '\t' || ch == '\r';
}

/* Cuts blanks off both ends, in place. */
static char *trim(char *s)
{
	size_t len;

	while (is_blank(*s))
		s++;
	len = strlen(s);
	while (len && is_blank(s[len - 1]))
		s[--len] = '\0';
	return s;
}

static int take_key(struct vm_config *c, const struct config_key *key, const char *value,
		    const char *where, struct config_error *e)
{
	if (key->words_only)
		return complain(e, "%s: this can be said on the command line only", where);
	if (!key->adds_up && c->from_file & key_bit(key))
		return complain(e, "%s: said twice: once is right", where);
	c->from_file |= key_bit(key);
	if (!key->adds_up && c->from_words & key_bit(key)) {
		struct vm_config unused = *c; /* the flag wins, but the line must be right too */

		return set(&unused, key, value, where, e);
	}
	return set(c, key, value, where, e);
}

static int parse_line(struct vm_config *c, char *line, const char *name, unsigned int number,
		      struct config_error *e)
{
	const struct config_key *key;
	char *eq, *word;
	char where[160];

	line = trim(line);
	if (!*line || *line == '#')
		return 0;
	eq = strchr(line, '=');
	if (!eq)
		return complain(e, QUOTE ":%u: '" QUOTE "' is not a setting: NAME = VALUE", name,
				number, line);
	*eq = '\0';
	word = trim(line);
	key = find_key(word, strlen(word));
	if (!key)
		return complain(e, QUOTE ":%u: there is no setting '" QUOTE "': see bulkhead(1)",
				name, number, word);
	snprintf(where, sizeof(where), QUOTE ":%u: %s", name, number, key->name);
	return take_key(c, key, trim(eq + 1), where, e);
}

int config_parse_text(struct vm_config *c, char *text, size_t len, const char *name,
		      struct config_error *e)
{
	unsigned int number = 0;
	size_t at = 0;

	text[len] = '\0';
	while (at < len) {
		char *end = memchr(text + at, '\n', len - at);
		size_t line_len = end ? (size_t)(end - text) - at : len - at;
		int r;

		number++;
		if (memchr(text + at, '\0', line_len))
			return complain(e, QUOTE ":%u: a NUL byte: a text file is right", name,
					number);
		text[at + line_len] = '\0';
		r = parse_line(c, text + at, name, number, e);
		if (r < 0)
			return r;
		at += line_len + 1;
	}
	return 0;
}

bool config_limits_io(const struct config_limits *l)
{
	return l->rbps != CONFIG_LIMIT_NONE || l->wbps != CONFIG_LIMIT_NONE ||
	       l->riops != CONFIG_LIMIT_NONE || l->wiops != CONFIG_LIMIT_NONE;
}

int config_check(const struct vm_config *c, struct config_error *e)
{
	if (!c->kernel)
		return complain(e, "--kernel: which kernel to boot is missing: say --kernel FILE");
	if (c->detach && c->console != CONSOLE_AUTO && c->console != CONSOLE_NONE)
		return complain(e, "--detach: a detached VM has no terminal: leave --console out, "
				   "and use bulkhead console NAME");
	if (config_limits_io(&c->limits) && c->n_disks == 0)
		return complain(e, "--limit-io: this VM has no disk");
	return 0;
}
