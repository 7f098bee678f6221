/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets by name: --secret NAME=FILE, and which file a disk's NAME means. */
#include "lib/config/keys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct config_secret *find(const struct vm_config *c, const char *name, size_t len)
{
	for (size_t i = 0; i < c->n_secrets; i++)
		if (c->secrets[i].name_len == len && memcmp(c->secrets[i].name, name, len) == 0)
			return &c->secrets[i];
	return NULL;
}

int config_add_secret(void *owner, const char *value, const char **ret_why)
{
	struct vm_config *c = owner;
	const struct config_secret s = { value, strcspn(value, "="), strchr(value, '=') };

	if (!s.path || !config_name_fits(value, s.name_len) || !s.path[1] ||
	    strlen(s.path + 1) > CONFIG_PATH_MAX)
		return -EINVAL;
	*ret_why = NULL;
	if (find(c, s.name, s.name_len))
		*ret_why = "that name is a secret's already: each has its own";
	else if (c->n_secrets == CONFIG_SECRETS_MAX)
		*ret_why = "a VM has at most 64 secrets";
	if (*ret_why)
		return -EINVAL;
	c->secrets[c->n_secrets++] = (struct config_secret){ s.name, s.name_len, s.path + 1 };
	return 0;
}

bool config_put_secret(const void *owner, unsigned int i, char *out, size_t cap)
{
	const struct vm_config *c = owner;

	if (i >= c->n_secrets)
		return false;
	snprintf(out, cap, "%.*s=%s", (int)c->secrets[i].name_len, c->secrets[i].name,
		 c->secrets[i].path);
	return true;
}

struct config_file config_file_of(const struct vm_config *c, const struct config_device *d,
				  unsigned int i)
{
	const struct config_file f = config_device_file(d, i);
	const struct config_secret *s;
	unsigned int nth;

	if (i == 0 || !f.path || !kind_files_of(d->kind, i - 1, &nth)->secret)
		return f;
	s = find(c, f.path, f.path_len);
	return s ? (struct config_file){ s->path, strlen(s->path) } :
		   (struct config_file){ NULL, 0 };
}

int config_check_secrets(const struct vm_config *c, struct config_error *e)
{
	for (size_t i = 0; i < c->n_devices; i++)
		for (unsigned int k = 1, nth; k < KIND_FILES_MAX; k++) {
			const struct config_device *d = &c->devices[i];
			const struct config_file f = config_device_file(d, k);

			if (!f.path || config_file_of(c, d, k).path)
				continue;
			snprintf(e->text, sizeof(e->text),
				 "--%s: %s=%.*s: there is no secret of that name: say --secret "
				 "%.*s=FILE",
				 d->kind->word, kind_files_of(d->kind, k - 1, &nth)->word,
				 (int)(f.path_len < 64 ? f.path_len : 64), f.path,
				 f.path_len < 64 ? (int)f.path_len : 4,
				 f.path_len < 64 ? f.path : "NAME");
			return -EINVAL;
		}
	return 0;
}
