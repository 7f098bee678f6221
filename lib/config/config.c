/* SPDX-License-Identifier: Apache-2.0 */
/* Words and files to a configuration; see config.h. */
#include "lib/config/config.h"

#include "lib/config/firmware.h"
#include "lib/config/keys.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* What may come from outside in a message: enough to find it again. */
#define QUOTE "%.60s"

void config_init(struct vm_config *c)
{
	memset(c, 0,
	       offsetof(struct vm_config, devices)); /* pages of what there is not stay untouched */
	c->limits = (struct config_limits){ .rbps = CONFIG_LIMIT_NONE,
					    .wbps = CONFIG_LIMIT_NONE,
					    .riops = CONFIG_LIMIT_NONE,
					    .wiops = CONFIG_LIMIT_NONE };
	for (size_t i = 0; i < n_config_machine; i++)
		option_init(&config_machine[i], c);
	devices_init(c);
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

static bool find_key(const char *name, size_t len, struct config_key *ret)
{
	for (size_t i = 0; config_key_at(i, ret); i++)
		if (strlen(ret->name) == len && strncmp(ret->name, name, len) == 0)
			return true;
	return false;
}

/* A name beyond the bits would be said twice without a word: test_config counts them. */
static bool was_said(const struct config_said *s, const struct config_key *key)
{
	return s->bits[key->index / 64 % 4] >> key->index % 64 & 1;
}

static void note_said(struct config_said *s, const struct config_key *key)
{
	s->bits[key->index / 64 % 4] |= 1ULL << key->index % 64;
}

static int set_key(struct vm_config *c, const struct config_key *key, const char *value, char *why,
		   size_t cap)
{
	void *owner = c;
	const char *text = NULL;
	int r;

	if (key->type == KEY_DEVICE)
		return devices_set(c, key->kind, value, why, cap);
	if (key->type == KEY_OF_KIND)
		owner = devices_single(c, key->kind)->options;
	r = option_set(key->option, owner, value, &text);
	if (r < 0 && text)
		snprintf(why, cap, "%s", text);
	return r;
}

/* where: "--memory", or "FILE:LINE: memory". */
static int set(struct vm_config *c, const struct config_key *key, const char *value,
	       const char *where, struct config_error *e)
{
	char right[200], why[200] = "";

	if (set_key(c, key, value, why, sizeof(why)) == 0) {
		devices_settle(c);
		return 0;
	}
	config_key_right(key, right, sizeof(right));
	if (!*value)
		return complain(e, "%s: a value is missing: %s", where, right);
	return complain(e, "%s: '" QUOTE "' will not do: %s", where, value, *why ? why : right);
}

/* ---- words ---- */

/* *used is how many words it took. */
static int parse_word(struct vm_config *c, char *const *argv, int left, int *ret_used,
		      struct config_error *e)
{
	const char *word = argv[0];
	const char *eq = strchr(word, '=');
	char where[80], right[200];
	struct config_key key;
	const char *value;
	size_t len;

	if (strncmp(word, "--", 2) != 0)
		return complain(e, "'" QUOTE "' is not an option: options are --NAME VALUE", word);
	len = eq ? (size_t)(eq - word - 2) : strlen(word + 2);
	if (!find_key(word + 2, len, &key))
		return complain(e, "there is no option '" QUOTE "': see bulkhead run --help", word);
	snprintf(where, sizeof(where), "--%s", key.name);
	*ret_used = 1;
	if (eq)
		value = eq + 1;
	else if (config_key_is_switch(&key) && (left == 1 || strncmp(argv[1], "--", 2) == 0))
		value = "on";
	else if (left > 1 && strncmp(argv[1], "--", 2) != 0)
		value = argv[(*ret_used)++];
	else {
		config_key_right(&key, right, sizeof(right));
		return complain(e, "%s: a value is missing: %s", where, right);
	}
	note_said(&c->from_words, &key);
	return set(c, &key, value, where, e);
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
	if (key->type == KEY_MACHINE && key->option->flags & OPTION_WORDS_ONLY)
		return complain(e, "%s: this can be said on the command line only", where);
	if (!config_key_adds_up(key) && was_said(&c->from_file, key))
		return complain(e, "%s: said twice: once is right", where);
	note_said(&c->from_file, key);
	if (!config_key_adds_up(key) && was_said(&c->from_words, key)) {
		struct vm_config unused = *c; /* the flag wins, but the line must be right too */

		return set(&unused, key, value, where, e);
	}
	return set(c, key, value, where, e);
}

static int parse_line(struct vm_config *c, char *line, const char *name, unsigned int number,
		      struct config_error *e)
{
	struct config_key key;
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
	if (!find_key(word, strlen(word), &key))
		return complain(e, QUOTE ":%u: there is no setting '" QUOTE "': see bulkhead(1)",
				name, number, word);
	snprintf(where, sizeof(where), QUOTE ":%u: %s", name, number, key.name);
	return take_key(c, &key, trim(eq + 1), where, e);
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

int config_add_unsaid(struct vm_config *c, struct config_error *e)
{
	struct config_key key;
	char where[80];
	int r = 0;

	if (c->firmware)
		c->firmware = firmware_file(c->firmware);
	if (!c->kernel && !c->firmware && (config_has_disk(c) || config_flash(c))) {
		c->firmware = CONFIG_FIRMWARE_DEFAULT;
		devices_settle(c);
	}
	for (size_t i = 0; r == 0 && config_key_at(i, &key); i++) {
		if (key.type != KEY_DEVICE || !key.kind->link.unsaid ||
		    was_said(&c->from_words, &key) || was_said(&c->from_file, &key))
			continue;
		snprintf(where, sizeof(where), "--%s", key.name);
		r = set(c, &key, key.kind->link.unsaid, where, e);
	}
	return r;
}

/* Behind those that are said come the others. */
static int check_order(const struct vm_config *c, struct config_error *e)
{
	unsigned int disks = 0, number;

	for (size_t i = 0; i < c->n_devices; i++)
		disks += config_is_disk(&c->devices[i]);
	if (c->boot && !c->firmware)
		return complain(e,
				"--boot: a kernel is booted without firmware: leave one of the two "
				"out");
	for (unsigned int i = 0; (number = config_boot(c, i)) != 0; i++)
		if (number > disks)
			return complain(e, "--boot: there is no disk%u: this VM has %u", number,
					disks);
	return 0;
}

/* Firmware finds kernel, initrd and command line by itself. */
static int check_boot(const struct vm_config *c, struct config_error *e)
{
	if (!c->kernel && !c->firmware)
		return complain(e, "--kernel: what to boot is missing: say --kernel FILE, or "
				   "--disk FILE,format=FORMAT of a disk that boots by UEFI");
	if (!c->firmware && config_flash(c))
		return complain(e,
				"--firmware-vars: a kernel is booted without firmware: leave one "
				"of the two out");
	if (!c->firmware)
		return 0;
	if (c->kernel)
		return complain(e, "--firmware: a kernel is said as well: leave --kernel out");
	if (c->initrd)
		return complain(e, "--initrd: firmware finds its own: leave --initrd out");
	if (strcmp(c->cmdline, CONFIG_CMDLINE_DEFAULT) != 0)
		return complain(e, "--cmdline: firmware finds its own: leave --cmdline out");
	return 0;
}

int config_check(const struct vm_config *c, struct config_error *e)
{
	int r = check_boot(c, e);

	if (r == 0)
		r = check_order(c, e);
	if (r < 0)
		return r;
	if (c->detach && c->console != CONSOLE_AUTO && c->console != CONSOLE_NONE)
		return complain(e, "--detach: a detached VM has no terminal: leave --console out, "
				   "and use bulkhead console NAME");
	if (c->hyperv && c->accel == ACCEL_SOFT)
		return complain(e, "--hyperv: the software CPU has nothing of Hyper-V's interface: "
				   "leave --hyperv or --accel soft out");
	if (config_limits_io(&c->limits) && config_count(c, NULL) == 0)
		return complain(e, "--limit-io: this VM has no disk");
	r = config_check_seed(c, e);
	return r < 0 ? r : config_check_secrets(c, e);
}
