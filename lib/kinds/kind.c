/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds of device processes; see kind.h. */
#include "lib/kinds/kind.h"

#include <stdio.h>
#include <string.h>

size_t kind_index(const struct device_kind *kind)
{
	size_t i = 0;

	while (i < n_kinds_all && kinds_all[i] != kind)
		i++;
	return i;
}

const struct device_kind *kind_whose(const struct declared_process *declared)
{
	for (size_t i = 0; i < n_kinds_all; i++)
		if (kinds_all[i]->declared == declared)
			return kinds_all[i];
	return NULL;
}

const struct device_kind *kind_behind(const struct device_kind *kind, const void *options)
{
	const char *name = kind->behind ? kind->behind(options) : NULL;

	for (size_t i = 0; name && i < n_kinds_all; i++)
		if (kinds_all[i]->number == KIND_BEHIND &&
		    strcmp(kinds_all[i]->declared->name, name) == 0)
			return kinds_all[i];
	return NULL;
}

const struct device_kind *kind_server(const struct device_kind *kind, const void *options)
{
	const char *name = kind->instead ? kind->instead(options) : NULL;

	for (size_t i = 0; name && i < n_kinds_all; i++)
		if (kinds_all[i]->number == KIND_INSTEAD &&
		    strcmp(kinds_all[i]->declared->name, name) == 0)
			return kinds_all[i];
	return kind;
}

const struct device_kind *kind_said(const struct device_kind *kind)
{
	for (size_t i = 0; i < n_kinds_all && kind->number == KIND_INSTEAD; i++)
		if (kinds_all[i]->instead && strcmp(kinds_all[i]->word, kind->word) == 0)
			return kinds_all[i];
	return kind;
}

bool kind_may_come(const struct device_kind *kind)
{
	return kind->attachable || kind->number == KIND_BEHIND;
}

void kinds_attachable(const char *between, char *out, size_t cap)
{
	size_t at = 0;

	*out = '\0';
	for (size_t i = 0; i < n_kinds_all && at < cap; i++)
		if (kinds_all[i]->attachable && kinds_all[i]->number != KIND_INSTEAD)
			at += (size_t)snprintf(out + at, cap - at, "%s%s", at ? between : "",
					       kinds_all[i]->word);
}

const struct kind_files *kind_files_of(const struct device_kind *kind, unsigned int i,
				       unsigned int *ret_nth)
{
	for (size_t k = 0; k < kind->file.n_more; k++) {
		const struct kind_files *f = &kind->file.more[k];

		if (i < f->most) {
			*ret_nth = i;
			return f;
		}
		i -= f->most;
	}
	return NULL;
}

const struct option *kind_option(const struct device_kind *kind, const char *name)
{
	for (size_t i = 0; i < kind->n_options; i++)
		if (strcmp(kind->options[i].name, name) == 0)
			return &kind->options[i];
	return NULL;
}

/* A value as an example: what differs from the default, where that is one word. */
static const char *example(const struct option *o)
{
	if (o->value)
		return o->value;
	if (o->type == OPTION_CHOICE)
		return o->choices[0];
	return o->initial && strcmp(o->initial, "on") == 0 ? "off" : "on";
}

void kind_files_form(const struct kind_files *f, char *out, size_t cap)
{
	if (f->each)
		snprintf(out, cap, ",%s=FILE,%s=FORMAT", f->word, f->each);
	else
		snprintf(out, cap, ",%s=FILE", f->word);
}

void kind_ways_form(const struct device_kind *kind, const char *between, const char *last,
		    char *out, size_t cap)
{
	size_t at = 0, n = kind->link.n_ways;

	*out = '\0';
	for (size_t i = 0; i < n && at < cap; i++) {
		const struct kind_way *w = &kind->link.ways[i];

		at += (size_t)snprintf(out + at, cap - at, "%s%s%s%s",
				       !i	  ? "" :
				       i == n - 1 ? last :
						    between,
				       w->word, w->value ? "=" : "", w->value ? w->value : "");
	}
}

void kind_form(const struct device_kind *kind, bool required_only, char *out, size_t cap)
{
	size_t at;

	kind_ways_form(kind, "|", "|", out, cap);
	if (kind->file.fd)
		snprintf(out, cap, "FILE");
	at = strlen(out);
	for (size_t i = 0; i < kind->n_options && at < cap; i++) {
		const struct option *o = &kind->options[i];
		bool required = o->flags & OPTION_REQUIRED;

		if (o->flags & OPTION_INNER || o->list || (required_only && !required))
			continue;
		at += (size_t)snprintf(out + at, cap - at, "%s%s%s=%s%s", required ? "" : "[",
				       at ? "," : "", o->name, example(o), required ? "" : "]");
	}
}
