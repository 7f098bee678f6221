/* SPDX-License-Identifier: Apache-2.0 */
/* The names that flags and file share; see keys.h. */
#include "lib/config/keys.h"

#include <stdio.h>

/* Of one kind: its word, unless it is always there, and its options, unless they are said with it. */
static bool key_of_kind(const struct device_kind *kind, size_t *left, struct config_key *ret)
{
	if (kind->number == KIND_BEHIND || kind->number == KIND_INSTEAD)
		return false; /* it is said with the device */
	if (!kind_is_unsaid(kind) && (*left)-- == 0) {
		ret->type = KEY_DEVICE;
		snprintf(ret->name, sizeof(ret->name), "%s", kind->word);
		return true;
	}
	for (size_t i = 0; i < kind->n_options && kind->number != KIND_MANY; i++) {
		const struct option *o = &kind->options[i];

		if (o->flags & OPTION_INNER || (*left)-- != 0)
			continue;
		ret->type = KEY_OF_KIND;
		ret->option = o;
		snprintf(ret->name, sizeof(ret->name), "%s-%s", kind->word, o->name);
		return true;
	}
	return false;
}

bool config_key_at(size_t index, struct config_key *ret)
{
	size_t left = index;

	*ret = (struct config_key){ .index = index };
	if (left < n_config_machine) {
		ret->option = &config_machine[left];
		snprintf(ret->name, sizeof(ret->name), "%s", ret->option->name);
		return true;
	}
	left -= n_config_machine;
	for (size_t k = 0; k < n_kinds_all; k++) {
		ret->kind = kinds_all[k];
		if (key_of_kind(ret->kind, &left, ret))
			return true;
	}
	return false;
}

bool config_key_is_switch(const struct config_key *key)
{
	if (key->type == KEY_DEVICE)
		return key->kind->number == KIND_SWITCH;
	return key->option->flags & OPTION_SWITCH;
}

bool config_key_adds_up(const struct config_key *key)
{
	if (key->type == KEY_DEVICE)
		return key->kind->number == KIND_MANY;
	return key->option->flags & OPTION_ADDS_UP;
}

void config_key_range(const struct config_key *key, char *out, size_t cap)
{
	if (key->type != KEY_DEVICE)
		option_range(key->option, out, cap);
	else if (key->kind->number == KIND_SWITCH)
		snprintf(out, cap, "on or off");
	else
		kind_form(key->kind, false, out, cap);
}

void config_key_right(const struct config_key *key, char *out, size_t cap)
{
	char range[400];

	if (key->type != KEY_DEVICE) {
		option_right(key->option, out, cap);
		return;
	}
	config_key_range(key, range, sizeof(range));
	snprintf(out, cap, "say %s", range);
}
