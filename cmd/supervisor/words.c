/* SPDX-License-Identifier: Apache-2.0 */
/* Words for a process; see words.h. */
#include "cmd/supervisor/words.h"

#include <stdarg.h>
#include <stdio.h>

void words_say(struct words *w, const char *fmt, ...)
{
	size_t room = w->cap - w->at;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(w->text + w->at, room, fmt, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= room || w->n == WORDS_MAX) {
		w->failed = true;
		return;
	}
	w->argv[w->n++] = w->text + w->at;
	w->argv[w->n] = NULL;
	w->at += (size_t)len + 1;
}

static void say(struct words *w, const struct config_device *d, const struct option *o)
{
	char value[CONFIG_PATH_MAX + 1];

	for (unsigned int i = 0; option_say(o, d->options, i, value, sizeof(value)); i++)
		words_say(w, "--%s=%s", o->name, value);
}

void words_say_options(struct words *w, const struct config_device *d,
		       const struct device_kind *server, unsigned int number)
{
	for (size_t i = 0; i < server->n_options; i++) {
		const struct option *o = kind_option(d->kind, server->options[i].name);

		if (o && o->made)
			words_say(w, "--%s=%s%u", o->name, o->made, number);
		else if (o && !(o->flags & OPTION_NOT_PASSED))
			say(w, d, o);
	}
}

void words_say_same_options(struct words *w, const struct config_device *d,
			    const struct device_kind *behind)
{
	for (size_t i = 0; i < behind->n_options; i++) {
		const struct option *o = kind_option(d->kind, behind->options[i].name);

		if (o)
			say(w, d, o);
	}
}

void words_say_server(struct words *w, const struct vm_config *c, const struct config_device *d)
{
	static const char *const on_error[] = {
		[STORAGE_ERROR_RETRY] = "retry",
		[STORAGE_ERROR_REPORT] = "report",
		[STORAGE_ERROR_STOP] = "stop",
	};

	words_say(w, "--address=%.*s", (int)d->path_len, d->path);
	words_say(w, "--on-error=%s", on_error[c->on_storage_error]);
	words_say(w, "--away=%u", c->storage_timeout_s);
}
