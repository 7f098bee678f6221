/* SPDX-License-Identifier: Apache-2.0 */
/* The values of the limits; see keys.h. */
#include "lib/config/keys.h"

#include "lib/base/cleanup.h"
#include "lib/config/values.h"

#include <errno.h>

static int or_none(struct span value, int r, uint64_t *limit)
{
	if (!span_is(value, "none"))
		return r;
	*limit = CONFIG_LIMIT_NONE;
	return 0;
}

int set_limit_memory(struct vm_config *c, const char *value, const char **ret_why)
{
	struct span s = span_of(value);

	(void)ret_why;
	return or_none(s, value_size(s, 16ULL << 20, 1ULL << 40, &c->limits.memory),
		       &c->limits.memory);
}

int set_limit_tasks(struct vm_config *c, const char *value, const char **ret_why)
{
	struct span s = span_of(value);

	(void)ret_why;
	return or_none(s, value_number(s, 1, 100000, &c->limits.tasks), &c->limits.tasks);
}

int set_limit_cpu(struct vm_config *c, const char *value, const char **ret_why)
{
	struct span s = span_of(value), number = s;

	(void)ret_why;
	if (s.len && s.at[s.len - 1] == '%')
		number.len--;
	else
		number.len = 0;
	return or_none(s, value_number(number, 1, 6400, &c->limits.cpu_percent),
		       &c->limits.cpu_percent);
}

static int set_io_word(struct config_limits *l, struct span word)
{
	const struct {
		const char *name;
		uint64_t *field;
	} rows[] = { { "rbps", &l->rbps }, { "wbps", &l->wbps }, { "riops", &l->riops },
		     { "wiops", &l->wiops } };
	struct span value = word;
	struct span key = span_cut(&value, '=');

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (span_is(key, rows[i].name))
			return or_none(value, value_size(value, 1, 1ULL << 40, rows[i].field),
				       rows[i].field);
	return -EINVAL;
}

/* What is said again counts anew; the others stay. */
int set_limit_io(struct vm_config *c, const char *value, const char **ret_why)
{
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
