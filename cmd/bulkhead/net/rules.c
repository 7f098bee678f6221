/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of nftables; see rules.h. */
#include "cmd/bulkhead/net/rules.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

int rules_load(const struct config_device *d, const struct rules_interface *i, const char **ret_why)
{
	static const char *const argv[] = { "nft", "-f", "-", NULL };
	static char text[KIND_RULES_MAX];
	char table[RULES_NAME_MAX];
	const struct kind_interface place = { .table = table, .name = i->name, .lower = i->lower };
	size_t len;

	snprintf(table, sizeof(table), RULES_NAME, i->index);
	len = d->kind->link.rules(d->options, &place, text, sizeof(text));
	*ret_why = "its rules are too long";
	return len ? tool_run(&tool_nft, argv, text, len, NULL, ret_why) : -E2BIG;
}

void rules_remove(unsigned int index)
{
	char table[RULES_NAME_MAX];
	const char *const argv[] = { "nft", "delete", "table", "netdev", table, NULL };
	const char *why;

	snprintf(table, sizeof(table), RULES_NAME, index);
	(void)!tool_run(&tool_nft, argv, NULL, 0, NULL, &why);
}

/* The index in a line of the list, or 0: it is no table of ours. */
static unsigned int index_of(const char *line)
{
	unsigned int index;
	char end;

	return sscanf(line, "table netdev " RULES_NAME "%c", &index, &end) == 1 ? index : 0;
}

void rules_sweep(unsigned int own)
{
	static const char *const argv[] = { "nft", "list", "tables", "netdev", NULL };
	static char list[TOOL_OUTPUT_MAX];
	char name[IF_NAMESIZE], *end;
	const char *why;

	if (tool_run(&tool_nft, argv, NULL, 0, list, &why) < 0)
		return;
	for (char *line = strtok_r(list, "\n", &end); line; line = strtok_r(NULL, "\n", &end)) {
		unsigned int index = index_of(line);

		if (index && (index == own || !if_indextoname(index, name)))
			rules_remove(index);
	}
}
