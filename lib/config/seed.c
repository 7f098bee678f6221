/* SPDX-License-Identifier: Apache-2.0 */
/* What cloud-init in the guest is to find: --cloud-init, or its short forms; see keys.h. */
#include "lib/config/keys.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HOSTNAME_MAX 64 /* bytes, as Linux has it */
#define LABEL_MAX 63	/* of one between dots */
#define USER_MAX 32
#define SEED_DISK "cloud-init,format=raw,readonly=on"

static const char *const file_words[CONFIG_SEED_FILES] = { "user-data", "meta-data",
							   "network-config" };

static bool is_lower(char ch)
{
	return ch >= 'a' && ch <= 'z';
}

static bool is_digit(char ch)
{
	return ch >= '0' && ch <= '9';
}

/* ---- values ---- */

static int set_file(struct config_seed *s, struct span word)
{
	struct span path = word;
	const struct span name = span_cut(&path, '=');

	for (size_t i = 0; i < CONFIG_SEED_FILES; i++) {
		if (!span_is(name, file_words[i]))
			continue;
		if (s->files[i].path || path.len == 0 || path.len > CONFIG_PATH_MAX)
			return -EINVAL;
		s->files[i] = (struct config_file){ path.at, path.len };
		return 0;
	}
	return -EINVAL;
}

/* What is said again counts anew, as a whole. */
int config_set_cloud_init(void *owner, const char *value, const char **ret_why)
{
	struct config_seed *s = &((struct vm_config *)owner)->seed;
	struct config_seed new = { .n_keys = 0 };
	struct span rest = span_of(value);

	do
		if (set_file(&new, span_cut(&rest, ',')) < 0)
			return -EINVAL;
	while (rest.len);
	if (!new.files[CONFIG_SEED_USER_DATA].path) {
		*ret_why = "user-data=FILE is missing, which cloud-init does not do without";
		return -EINVAL;
	}
	memcpy(s->files, new.files, sizeof(s->files));
	return 0;
}

int config_add_ssh_key(void *owner, const char *value, const char **ret_why)
{
	struct config_seed *s = &((struct vm_config *)owner)->seed;

	if (!*value || strlen(value) > CONFIG_PATH_MAX)
		return -EINVAL;
	if (s->n_keys == CONFIG_SSH_KEYS_MAX) {
		*ret_why =
			"there are 16 such files already: one may have several keys, a line each";
		return -EINVAL;
	}
	s->keys[s->n_keys++] = value;
	return 0;
}

/* As useradd has it, and shadow-utils' own default. */
int config_set_user(void *owner, const char *value, const char **ret_why)
{
	const size_t len = strlen(value);

	(void)ret_why;
	if (len < 1 || len > USER_MAX || !(is_lower(value[0]) || value[0] == '_'))
		return -EINVAL;
	for (size_t i = 1; i < len; i++)
		if (!is_lower(value[i]) && !is_digit(value[i]) && value[i] != '_' &&
		    value[i] != '-')
			return -EINVAL;
	((struct vm_config *)owner)->seed.user = value;
	return 0;
}

static bool is_label(struct span s)
{
	if (s.len < 1 || s.len > LABEL_MAX || s.at[0] == '-' || s.at[s.len - 1] == '-')
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!is_lower((char)(s.at[i] | 0x20)) && !is_digit(s.at[i]) && s.at[i] != '-')
			return false;
	return true;
}

/* RFC 1123, 2.1 */
int config_set_hostname(void *owner, const char *value, const char **ret_why)
{
	struct span rest = span_of(value);
	const size_t len = rest.len;

	(void)ret_why;
	if (len < 1 || len > HOSTNAME_MAX || value[len - 1] == '.')
		return -EINVAL;
	do
		if (!is_label(span_cut(&rest, '.')))
			return -EINVAL;
	while (rest.len);
	((struct vm_config *)owner)->seed.hostname = value;
	return 0;
}

/* What it is is looked at where no line repeats it: it may be a password by mistake. */
int config_set_password_hash(void *owner, const char *value, const char **ret_why)
{
	(void)ret_why;
	if (!*value)
		return -EINVAL;
	((struct vm_config *)owner)->seed.password_hash = value;
	return 0;
}

/* ---- the whole ---- */

static bool has_short_form(const struct config_seed *s)
{
	return s->n_keys || s->user || s->hostname || s->password_hash || s->password_hash_file;
}

bool config_has_seed(const struct vm_config *c)
{
	return c->seed.files[CONFIG_SEED_USER_DATA].path || has_short_form(&c->seed);
}

static const char *wrong(const struct config_seed *s)
{
	if (s->files[CONFIG_SEED_USER_DATA].path && has_short_form(s))
		return "--cloud-init: --ssh-key, --user, --hostname and --password-hash make "
		       "user-data of their own: say the one or the other";
	if (s->password_hash && s->password_hash_file)
		return "--password-hash: --password-hash-file is said as well: say one of the two";
	if ((s->password_hash || s->password_hash_file) && !s->user)
		return "--password-hash: whose password it is is missing: say --user NAME";
	return NULL;
}

int config_check_seed(const struct vm_config *c, struct config_error *e)
{
	const char *what = wrong(&c->seed);

	if (!what)
		return 0;
	snprintf(e->text, sizeof(e->text), "%s", what);
	return -EINVAL;
}

/* ---- its disk ---- */

static const struct device_kind *disk_kind(void)
{
	for (size_t i = 0; i < n_kinds_all; i++)
		if (strcmp(kinds_all[i]->word, "disk") == 0)
			return kinds_all[i];
	return NULL;
}

int config_add_seed(struct vm_config *c, struct config_error *e)
{
	const struct device_kind *kind = disk_kind();
	struct config_device d;
	char why[200] = "no disk";

	if (!kind || config_device_parse(kind, SEED_DISK, &d, why, sizeof(why)) < 0) {
		snprintf(e->text, sizeof(e->text), "--cloud-init: %.150s", why);
		return -EINVAL;
	}
	d.made = true;
	d.path_len = strcspn(SEED_DISK, ",");
	if (config_count_all(c, kind) >= kind->most || !devices_fit(c, 1)) {
		snprintf(e->text, sizeof(e->text),
			 "--cloud-init: its disk is one more than the %u disks, and %d devices, "
			 "that a VM has at most: leave one out",
			 kind->most, CONFIG_DEVICES_MAX);
		return -EINVAL;
	}
	devices_insert(c, &d);
	return 0;
}
