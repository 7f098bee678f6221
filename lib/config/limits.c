/* SPDX-License-Identifier: Apache-2.0 */
/* The value of --limit-io; see keys.h. */
#include "lib/config/keys.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <stdio.h>

static const struct {
	const char *name;
	size_t offset;
} rates[] = {
	{ "rbps", offsetof(struct config_limits, rbps) },
	{ "wbps", offsetof(struct config_limits, wbps) },
	{ "riops", offsetof(struct config_limits, riops) },
	{ "wiops", offsetof(struct config_limits, wiops) },
};

static uint64_t *rate_of(struct config_limits *l, size_t i)
{
	return (uint64_t *)(void *)((char *)l + rates[i].offset);
}

static int set_io_word(struct config_limits *l, struct span word)
{
	struct span value = word;
	struct span key = span_cut(&value, '=');

	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		if (!span_is(key, rates[i].name))
			continue;
		if (!span_is(value, "none"))
			return value_size(value, 1, 1ULL << 40, rate_of(l, i));
		*rate_of(l, i) = CONFIG_LIMIT_NONE;
		return 0;
	}
	return -EINVAL;
}

/* What is said again counts anew; the others stay. */
int set_limit_io(void *owner, const char *value, const char **ret_why)
{
	struct vm_config *c = owner;
	struct config_limits l = c->limits;
	struct span rest = span_of(value);

	(void)ret_why;
	do
		if (set_io_word(&l, span_cut(&rest, ',')) < 0)
			return -EINVAL;
	while (rest.len);
	c->limits = l;
	return 0;
}

/* All of them, also those that are not there: their number says when to stop. */
bool put_limit_io(const void *owner, unsigned int i, char *out, size_t cap)
{
	struct config_limits l = ((const struct vm_config *)owner)->limits;

	if (i >= ARRAY_SIZE(rates))
		return false;
	if (*rate_of(&l, i) == CONFIG_LIMIT_NONE)
		snprintf(out, cap, "%s=none", rates[i].name);
	else
		snprintf(out, cap, "%s=%llu", rates[i].name, (unsigned long long)*rate_of(&l, i));
	return true;
}

bool config_limits_io(const struct config_limits *l)
{
	return l->rbps != CONFIG_LIMIT_NONE || l->wbps != CONFIG_LIMIT_NONE ||
	       l->riops != CONFIG_LIMIT_NONE || l->wiops != CONFIG_LIMIT_NONE;
}
