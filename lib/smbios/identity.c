/* SPDX-License-Identifier: Apache-2.0 */
/* A VM's identity as bytes; see identity.h. */
#include "lib/smbios/identity.h"

#include "lib/base/bytes.h"
#include "lib/base/hex.h"

#include <errno.h>
#include <string.h>

#define UUID_TEXT_LEN 36

/* Digits stand in pairs between the dashes. */
static bool is_dash(size_t i)
{
	return i == 8 || i == 13 || i == 18 || i == 23;
}

int smbios_uuid_parse(const char *text, uint8_t ret[SMBIOS_UUID_LEN])
{
	uint8_t uuid[SMBIOS_UUID_LEN], ones = 0xff, zeros = 0;
	size_t at = 0;

	if (strlen(text) != UUID_TEXT_LEN)
		return -EINVAL;
	for (size_t i = 0; i < SMBIOS_UUID_LEN; i++, at += 2) {
		int byte;

		if (is_dash(at) && text[at++] != '-')
			return -EINVAL;
		byte = hex_byte(text + at);
		if (byte < 0)
			return -EINVAL;
		uuid[i] = (uint8_t)byte;
		ones &= uuid[i];
		zeros |= uuid[i];
	}
	if (ones == 0xff || zeros == 0)
		return -EINVAL;
	memcpy(ret, uuid, sizeof(uuid));
	return 0;
}

static void put_text(struct bytes_writer *w, const char *text)
{
	bytes_put(w, text, strlen(text) + 1);
}

int smbios_identity_put(const struct smbios_identity *id, uint8_t *out, size_t cap)
{
	struct bytes_writer w = bytes_writer(out, cap);

	bytes_put(&w, id->uuid, SMBIOS_UUID_LEN);
	put_text(&w, id->serial ? id->serial : "");
	for (size_t i = 0; i < id->n_strings; i++)
		put_text(&w, id->strings[i]);
	return w.failed ? -E2BIG : (int)w.at;
}

/* The text there, which ends before the end. */
static const char *get_text(struct bytes_reader *r)
{
	const char *text = (const char *)r->data + r->at;
	const size_t len = strnlen(text, bytes_left(r));

	if (len == bytes_left(r))
		r->failed = true;
	else
		bytes_skip(r, len + 1);
	return text;
}

int smbios_identity_get(const uint8_t *bytes, size_t len, struct smbios_identity *ret)
{
	struct bytes_reader r = bytes_reader(bytes, len);
	struct smbios_identity id = { .n_strings = 0 };

	if (len > SMBIOS_IDENTITY_MAX)
		return -EBADMSG;
	bytes_get(&r, id.uuid, SMBIOS_UUID_LEN);
	if (!r.failed)
		id.serial = get_text(&r);
	while (!r.failed && bytes_left(&r)) {
		const char *text = get_text(&r);

		if (r.failed || id.n_strings == SMBIOS_STRINGS_MAX || !*text)
			return -EBADMSG;
		id.strings[id.n_strings++] = text;
	}
	if (r.failed || strlen(id.serial) > SMBIOS_SERIAL_MAX)
		return -EBADMSG;
	*ret = id;
	return 0;
}
