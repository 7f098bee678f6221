/* SPDX-License-Identifier: Apache-2.0 */
/* Which features a configuration uses; see config.h. */
#include "lib/config/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SOFT_CPUS_TESTED 8

static bool kind_uses(const struct device_kind *kind, const void *options, enum feature_id id)
{
	const struct kind_feature *f = &kind->feature;

	return f->name && strcmp(f->name, features[id].name) == 0 && f->used(options);
}

static bool is_behind(const struct config_device *d, const char *name)
{
	const struct device_kind *k = config_behind(d);

	return d->remote && k && strcmp(k->declared->name, name) == 0;
}

static bool is_on_segment(const struct config_device *d)
{
	const struct kind_way *w = kind_way(d->kind, d->options);

	return w && w->opens == KIND_OPENS_SWITCH;
}

/* What its own kind has to say of its files stands whoever serves it. */
static bool file_uses(const struct config_device *d, enum feature_id id)
{
	return d->kind->file.fd && kind_uses(d->kind, d->options, id);
}

/* Or what is behind it. */
static bool one_uses(const struct config_device *d, enum feature_id id)
{
	const struct device_kind *behind = config_behind(d);

	if (d->off || d->foreign)
		return false;
	if (id == FEATURE_NET_SWITCH)
		return is_on_segment(d);
	if (id == FEATURE_STORAGE_NBD || id == FEATURE_STORAGE_ISCSI)
		return is_behind(d, features[id].name);
	return kind_uses(config_server(d), d->options, id) || file_uses(d, id) ||
	       (behind && kind_uses(behind, d->options, id));
}

static bool device_uses(const struct vm_config *c, enum feature_id id)
{
	for (size_t i = 0; i < c->n_devices; i++)
		if (one_uses(&c->devices[i], id))
			return true;
	return false;
}

static bool any_made(const struct vm_config *c)
{
	for (size_t i = 0; i < c->n_devices; i++)
		if (c->devices[i].made)
			return true;
	return false;
}

static bool any_foreign(const struct vm_config *c, bool linked)
{
	for (size_t i = 0; i < c->n_devices; i++)
		if (c->devices[i].foreign && (c->devices[i].kind->link.n_ways != 0) == linked)
			return true;
	return false;
}

bool config_uses(const struct vm_config *c, const struct config_facts *f, enum feature_id id)
{
	switch (id) {
	case FEATURE_SOFT_MANY_CPUS:
		return f->soft && c->cpus > SOFT_CPUS_TESTED;
	case FEATURE_HYPERV:
		return c->hyperv;
	case FEATURE_FIRMWARE:
		return c->firmware;
	case FEATURE_CLOUD_INIT:
		return any_made(c);
	case FEATURE_RAW_TERMINAL:
		return f->on_terminal && c->console == CONSOLE_RAW;
	case FEATURE_FOREIGN_DISK:
		return any_foreign(c, false);
	case FEATURE_FOREIGN_NET:
		return any_foreign(c, true);
	default:
		return device_uses(c, id);
	}
}

int config_check_allowed(const struct vm_config *c, const struct config_facts *f,
			 struct config_error *e)
{
	for (enum feature_id i = 0; i < N_FEATURES; i++) {
		if (features[i].status != FEATURE_EXPERIMENTAL || c->allowed >> i & 1 ||
		    !config_uses(c, f, i))
			continue;
		snprintf(e->text, sizeof(e->text),
			 "%s: experimental (%s): say --allow %s to use it all the same",
			 features[i].what, features[i].note, features[i].name);
		return -EINVAL;
	}
	return 0;
}

int config_check_attached(const struct vm_config *c, const struct config_device *d, char *why,
			  size_t cap)
{
	for (enum feature_id i = 0; i < N_FEATURES; i++) {
		if (features[i].status != FEATURE_EXPERIMENTAL || c->allowed >> i & 1 ||
		    !one_uses(d, i))
			continue;
		snprintf(why, cap,
			 "%s: experimental: a VM takes it that was started with --allow %s",
			 features[i].what, features[i].name);
		return -EINVAL;
	}
	return 0;
}
