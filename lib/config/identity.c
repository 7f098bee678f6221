/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest reads of itself: --uuid, --serial, --oem-string, --credential; see keys.h. */
#include "lib/config/keys.h"

#include "lib/smbios/identity.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What systemd takes for a credential. */
#define CREDENTIAL "io.systemd.credential"

_Static_assert(CONFIG_SERIAL_MAX == SMBIOS_SERIAL_MAX && CONFIG_OEM_STRING_MAX == SMBIOS_STRING_MAX,
	       "one bound");
_Static_assert(CONFIG_OEM_STRINGS_MAX + CONFIG_CREDENTIALS_MAX <= SMBIOS_STRINGS_MAX,
	       "each has its place");

static struct config_identity *of(void *owner)
{
	return &((struct vm_config *)owner)->identity;
}

static bool is_text(const char *s, size_t max)
{
	const size_t len = strlen(s);

	if (len < 1 || len > max || s[0] == ' ' || s[len - 1] == ' ')
		return false;
	for (; *s; s++)
		if (*s < ' ' || *s > '~')
			return false;
	return true;
}

int config_set_uuid(void *owner, const char *value, const char **ret_why)
{
	(void)ret_why;
	return smbios_uuid_parse(value, of(owner)->uuid);
}

bool config_put_uuid(const void *owner, unsigned int i, char *out, size_t cap)
{
	static const uint8_t none[SMBIOS_UUID_LEN];
	const uint8_t *u = ((const struct vm_config *)owner)->identity.uuid;

	if (i || memcmp(u, none, sizeof(none)) == 0)
		return false;
	snprintf(out, cap, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12],
		 u[13], u[14], u[15]);
	return true;
}

int config_set_serial(void *owner, const char *value, const char **ret_why)
{
	(void)ret_why;
	if (!is_text(value, CONFIG_SERIAL_MAX))
		return -EINVAL;
	of(owner)->serial = value;
	return 0;
}

bool config_put_serial(const void *owner, unsigned int i, char *out, size_t cap)
{
	const char *serial = ((const struct vm_config *)owner)->identity.serial;

	if (i || !serial)
		return false;
	snprintf(out, cap, "%s", serial);
	return true;
}

int config_add_oem_string(void *owner, const char *value, const char **ret_why)
{
	struct config_identity *id = of(owner);

	if (!is_text(value, CONFIG_OEM_STRING_MAX))
		return -EINVAL;
	if (strncmp(value, CREDENTIAL, strlen(CREDENTIAL)) == 0)
		*ret_why = "everybody reads it in the process list: say --credential NAME=FILE";
	else if (id->n_oem == CONFIG_OEM_STRINGS_MAX)
		*ret_why = "a VM has at most 32 of them";
	if (*ret_why)
		return -EINVAL;
	id->oem[id->n_oem++] = value;
	return 0;
}

bool config_put_oem_string(const void *owner, unsigned int i, char *out, size_t cap)
{
	const struct config_identity *id = &((const struct vm_config *)owner)->identity;

	if (i >= id->n_oem)
		return false;
	snprintf(out, cap, "%s", id->oem[i]);
	return true;
}

int config_add_credential(void *owner, const char *value, const char **ret_why)
{
	struct config_identity *id = of(owner);
	const size_t len = strcspn(value, "=");
	const char *path = value + len + 1;

	if (!value[len] || !config_name_fits(value, len) || !*path ||
	    strlen(path) > CONFIG_PATH_MAX)
		return -EINVAL;
	for (size_t i = 0; i < id->n_credentials; i++)
		if (id->credentials[i].name_len == len &&
		    memcmp(id->credentials[i].name, value, len) == 0)
			*ret_why = "that name is a credential's already: each has its own";
	if (!*ret_why && id->n_credentials == CONFIG_CREDENTIALS_MAX)
		*ret_why = "a VM has at most 32 credentials";
	if (*ret_why)
		return -EINVAL;
	id->credentials[id->n_credentials++] = (struct config_secret){ value, len, path };
	return 0;
}

bool config_put_credential(const void *owner, unsigned int i, char *out, size_t cap)
{
	const struct config_identity *id = &((const struct vm_config *)owner)->identity;

	if (i >= id->n_credentials)
		return false;
	snprintf(out, cap, "%.*s=%s", (int)id->credentials[i].name_len, id->credentials[i].name,
		 id->credentials[i].path);
	return true;
}
