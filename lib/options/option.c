/* SPDX-License-Identifier: Apache-2.0 */
/* Declared options; see option.h. */
#include "lib/options/option.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- the field ---- */

static void *field(const struct option *o, void *owner)
{
	return (char *)owner + o->offset;
}

static void store(const struct option *o, void *owner, uint64_t v)
{
	uint8_t v8 = (uint8_t)v;
	uint32_t v32 = (uint32_t)v;

	if (o->width == sizeof(v8))
		memcpy(field(o, owner), &v8, sizeof(v8));
	else if (o->width == sizeof(v32))
		memcpy(field(o, owner), &v32, sizeof(v32));
	else
		memcpy(field(o, owner), &v, sizeof(v));
}

static uint64_t load(const struct option *o, const void *owner)
{
	const char *at = (const char *)owner + o->offset;
	uint8_t v8;
	uint32_t v32;
	uint64_t v;

	if (o->width == sizeof(v8)) {
		memcpy(&v8, at, sizeof(v8));
		return v8;
	}
	if (o->width == sizeof(v32)) {
		memcpy(&v32, at, sizeof(v32));
		return v32;
	}
	memcpy(&v, at, sizeof(v));
	return v;
}

static const char *load_text(const struct option *o, const void *owner)
{
	const char *text;

	memcpy(&text, (const char *)owner + o->offset, sizeof(text));
	return text;
}

static bool is_text(const struct option *o)
{
	return o->type == OPTION_TEXT || o->type == OPTION_PATH;
}

/* ---- in ---- */

static int parse_percent(struct span s, uint64_t min, uint64_t max, uint64_t *ret)
{
	if (s.len == 0 || s.at[s.len - 1] != '%')
		return -EINVAL;
	s.len--;
	return value_number(s, min, max, ret);
}

static int parse_choice(const struct option *o, struct span s, uint64_t *ret)
{
	for (unsigned int i = 0; o->choices[i]; i++)
		if (span_is(s, o->choices[i])) {
			*ret = i;
			return 0;
		}
	return -EINVAL;
}

static int parse(const struct option *o, struct span s, uint64_t *ret)
{
	bool on = false;
	int r;

	if (o->flags & OPTION_NONE && span_is(s, "none")) {
		*ret = o->none;
		return 0;
	}
	switch (o->type) {
	case OPTION_ONOFF:
		r = value_onoff(s, &on);
		*ret = on;
		return r;
	case OPTION_NUMBER:
		return value_number(s, o->min, o->max, ret);
	case OPTION_SIZE:
		return value_size(s, o->min, o->max, ret);
	case OPTION_PERCENT:
		return parse_percent(s, o->min, o->max, ret);
	case OPTION_MAC:
		return value_mac(s, ret);
	case OPTION_CHOICE:
		return parse_choice(o, s, ret);
	case OPTION_TEXT:
	case OPTION_PATH:
	case OPTION_OWN:
		break;
	}
	return -EINVAL;
}

unsigned int option_count(const struct option *o, const void *owner)
{
	const uint8_t *list = (const uint8_t *)owner + o->offset;
	unsigned int n = 0;

	while (n < o->list && list[n])
		n++;
	return n;
}

static int append(const struct option *o, void *owner, struct span values)
{
	uint8_t *list = field(o, owner);
	unsigned int n = option_count(o, owner);
	uint64_t v;

	do {
		if (n == o->list || parse_choice(o, span_cut(&values, ','), &v) < 0)
			return -EINVAL;
		list[n++] = (uint8_t)(v + 1);
	} while (values.len);
	return 0;
}

static int set_own(const struct option *o, void *owner, struct span value, const char **ret_why)
{
	char text[OPTION_OWN_MAX + 1];

	if (!o->set || value.len > OPTION_OWN_MAX)
		return -EINVAL;
	memcpy(text, value.at, value.len);
	text[value.len] = '\0';
	return o->set((char *)owner + o->own_at, text, ret_why);
}

int option_set_span(const struct option *o, void *owner, struct span value, const char **ret_why)
{
	uint64_t v = 0;
	int r;

	if (o->list)
		return append(o, owner, value);
	if (o->type == OPTION_OWN)
		return set_own(o, owner, value, ret_why);
	r = parse(o, value, &v);
	if (r < 0 || (o->multiple && v % o->multiple))
		return -EINVAL;
	store(o, owner, v);
	return 0;
}

static bool is_printable(const char *s)
{
	for (; *s; s++)
		if (*s < ' ' || *s > '~')
			return false;
	return true;
}

static int set_text(const struct option *o, void *owner, const char *value)
{
	size_t len = strlen(value);

	if (len < o->min || len > o->max || (o->flags & OPTION_ABSOLUTE && *value != '/'))
		return -EINVAL;
	if (o->flags & OPTION_INNER && !is_printable(value))
		return -EINVAL;
	memcpy(field(o, owner), &value, sizeof(value));
	return 0;
}

int option_set(const struct option *o, void *owner, const char *value, const char **ret_why)
{
	if (o->set)
		return o->set((char *)owner + o->own_at, value, ret_why);
	return is_text(o) ? set_text(o, owner, value) :
			    option_set_span(o, owner, span_of(value), ret_why);
}

void option_init(const struct option *o, void *owner)
{
	const char *why;

	if (o->list)
		memset(field(o, owner), 0, o->list);
	else if (o->initial)
		(void)!option_set(o, owner, o->initial, &why);
	else if (o->width)
		store(o, owner, 0);
}

/* ---- out ---- */

static bool get_list(const struct option *o, const void *owner, char *out, size_t cap)
{
	const uint8_t *list = (const uint8_t *)owner + o->offset;
	unsigned int n = option_count(o, owner);
	size_t at = 0;

	for (unsigned int i = 0; i < n && at < cap; i++)
		at += (size_t)snprintf(out + at, cap - at, "%s%s", i ? "," : "",
				       o->choices[list[i] - 1]);
	return n > 0;
}

static void put_mac(uint64_t mac, char *out, size_t cap)
{
	snprintf(out, cap, "%02x:%02x:%02x:%02x:%02x:%02x", (unsigned int)(mac >> 40 & 0xff),
		 (unsigned int)(mac >> 32 & 0xff), (unsigned int)(mac >> 24 & 0xff),
		 (unsigned int)(mac >> 16 & 0xff), (unsigned int)(mac >> 8 & 0xff),
		 (unsigned int)(mac & 0xff));
}

bool option_get(const struct option *o, const void *owner, char *out, size_t cap)
{
	uint64_t v;

	if (o->list)
		return get_list(o, owner, out, cap);
	if (is_text(o)) {
		const char *text = load_text(o, owner);

		if (text)
			snprintf(out, cap, "%s", text);
		return text;
	}
	v = load(o, owner);
	if (o->flags & OPTION_NONE && v == o->none)
		snprintf(out, cap, "none");
	else if (v < o->min)
		return false; /* never said, and has no default */
	else if (o->type == OPTION_ONOFF)
		snprintf(out, cap, "%s", v ? "on" : "off");
	else if (o->type == OPTION_MAC)
		put_mac(v, out, cap);
	else if (o->type == OPTION_CHOICE)
		snprintf(out, cap, "%s", o->choices[v]);
	else
		snprintf(out, cap, "%llu%s", (unsigned long long)v,
			 o->type == OPTION_PERCENT ? "%" : "");
	return true;
}

bool option_say(const struct option *o, const void *owner, unsigned int i, char *out, size_t cap)
{
	if (o->put)
		return o->put((const char *)owner + o->own_at, i, out, cap);
	return i == 0 && option_get(o, owner, out, cap);
}

/* ---- about it ---- */

static void add(char *out, size_t cap, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void add(char *out, size_t cap, const char *fmt, ...)
{
	size_t len = strlen(out);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out + len, cap - len, fmt, ap);
	va_end(ap);
}

/* A bound as it would be said: 65536 is 64K. */
static void add_bound(const struct option *o, uint64_t v, char *out, size_t cap)
{
	static const char units[] = { 'K', 'M', 'G', 'T' };
	char unit[2] = "";

	if (o->type == OPTION_SIZE)
		for (size_t i = 0; i < sizeof(units) && v && v % 1024 == 0; i++) {
			unit[0] = units[i];
			v /= 1024;
		}
	add(out, cap, "%llu%s%s", (unsigned long long)v, unit,
	    o->type == OPTION_PERCENT ? "%" : "");
}

static void add_choices(const struct option *o, char *out, size_t cap)
{
	for (size_t i = 0; o->choices[i]; i++)
		add(out, cap, "%s%s",
		    i == 0	      ? "" :
		    o->choices[i + 1] ? ", " :
					" or ",
		    o->choices[i]);
}

void option_range(const struct option *o, char *out, size_t cap)
{
	*out = '\0';
	switch (o->type) {
	case OPTION_ONOFF:
		add(out, cap, "on or off");
		break;
	case OPTION_NUMBER:
	case OPTION_SIZE:
	case OPTION_PERCENT:
		if (o->unit)
			add(out, cap, "%s, ", o->unit);
		add_bound(o, o->min, out, cap);
		add(out, cap, " to ");
		add_bound(o, o->max, out, cap);
		break;
	case OPTION_MAC:
		add(out, cap, "an Ethernet address as 52:54:00:12:34:56, of no group");
		break;
	case OPTION_CHOICE:
		add_choices(o, out, cap);
		break;
	case OPTION_TEXT:
		add(out, cap, "at most %llu bytes", (unsigned long long)o->max);
		break;
	case OPTION_PATH:
	case OPTION_OWN:
		break;
	}
	if (o->multiple) {
		add(out, cap, ", a multiple of ");
		add_bound(o, o->multiple, out, cap);
	}
	if (o->flags & OPTION_NONE)
		add(out, cap, ", or none");
}

void option_right(const struct option *o, char *out, size_t cap)
{
	char range[160];

	option_range(o, range, sizeof(range));
	if (o->right)
		snprintf(out, cap, "say %s", o->right);
	else if (o->type == OPTION_PATH)
		snprintf(out, cap, "say the file's name");
	else
		snprintf(out, cap, "say %s", range);
}
