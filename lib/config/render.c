/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration back to words; see config.h. */
#include "lib/config/keys.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

struct words {
	char **argv;
	int n;
	char *buf;
	size_t cap, at;
	bool failed;
};

static void put(struct words *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(struct words *w, const char *fmt, ...)
{
	size_t room = w->cap - w->at;
	va_list ap;
	int len;

	if (w->failed)
		return;
	va_start(ap, fmt);
	len = vsnprintf(w->buf + w->at, room, fmt, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= room || w->n + 1 >= CONFIG_WORDS_MAX) {
		w->failed = true;
		return;
	}
	w->argv[w->n++] = w->buf + w->at;
	w->at += (size_t)len + 1;
}

static void put_option(struct words *w, const struct config_key *key, const void *owner)
{
	char value[CONFIG_NAME_MAX + 1 + CONFIG_PATH_MAX + 1]; /* of a secret */
	const struct option *o = key->option;

	for (unsigned int i = 0; option_say(o, owner, i, value, sizeof(value)); i++)
		put(w, "--%s=%s", key->name, value);
}

/* ",backing=PATH,backing-format=raw" */
static size_t render_file(const struct config_device *d, unsigned int i, char *out, size_t cap)
{
	unsigned int nth = 0;
	const struct kind_files *f = kind_files_of(d->kind, i, &nth);
	const struct option *o = f && f->each ? kind_option(d->kind, f->each) : NULL;
	const struct config_file *file = &d->more[i];
	int at;

	if (!f || !file->path || f->commands)
		return 0;
	at = snprintf(out, cap, ",%s=%.*s", f->word, (int)file->path_len, file->path);
	if (o && (size_t)at < cap)
		at += snprintf(out + at, cap - (size_t)at, ",%s=%s", o->name,
			       o->choices[((const uint8_t *)d->options)[o->offset + nth] - 1]);
	return (size_t)at;
}

/* "PATH,format=raw,readonly=off,queues=1", with "fd=N" in the place of PATH for a kind that is joined, or without for
 * a kind that serves none */
static void put_device(struct words *w, const struct config_device *d)
{
	static char text[2048 + (KIND_FILES_MAX - 1) * (CONFIG_PATH_MAX + 64)];
	const struct kind_way *way = kind_way(d->kind, d->options);
	char value[OPTION_OWN_MAX + 1];
	size_t at = 0;

	if (d->foreign) {
		put(w, "--%s=" CONFIG_FOREIGN "%.*s", d->kind->word, (int)d->path_len, d->path);
		return;
	}
	*text = '\0';

	for (size_t i = 0; i < d->kind->n_options && at < sizeof(text); i++) {
		const struct option *o = &d->kind->options[i];

		if (o->flags & OPTION_INNER || o->list)
			continue;
		for (unsigned int k = 0;
		     at < sizeof(text) && option_say(o, d->options, k, value, sizeof(value)); k++)
			at += (size_t)snprintf(text + at, sizeof(text) - at, ",%s=%s", o->name,
					       value);
	}
	for (unsigned int i = 0; i < KIND_FILES_MAX - 1 && at < sizeof(text); i++)
		at += render_file(d, i, text + at, sizeof(text) - at);
	if (way)
		put(w, "--%s=%s%s%.*s%s", d->kind->word, way->word, way->value ? "=" : "",
		    (int)d->to.path_len, d->to.path, text);
	else
		put(w, "--%s=%.*s%s", d->kind->word, (int)d->path_len, d->path,
		    d->kind->file.fd ? text : text + 1);
}

static void put_devices(struct words *w, const struct vm_config *c, const struct config_key *key)
{
	for (size_t i = 0; i < c->n_devices; i++) {
		const struct config_device *d = &c->devices[i];

		if (d->kind != key->kind || d->made)
			continue;
		if (key->type == KEY_OF_KIND)
			put_option(w, key, d->options);
		else if (d->kind->number == KIND_MANY)
			put_device(w, d);
		else
			put(w, "--%s=%s", d->kind->word, d->off ? "off" : "on");
	}
}

int config_render(const struct vm_config *c, char *argv[CONFIG_WORDS_MAX], char *buf, size_t cap)
{
	struct words w = { .argv = argv, .buf = buf, .cap = cap };
	struct config_key key;

	for (size_t i = 0; config_key_at(i, &key); i++) {
		if (key.type != KEY_MACHINE)
			put_devices(&w, c, &key);
		else if (!(key.option->flags & (OPTION_WORDS_ONLY | OPTION_COMMANDS)))
			put_option(&w, &key, c);
	}
	if (w.failed)
		return -E2BIG;
	argv[w.n] = NULL;
	return w.n;
}
