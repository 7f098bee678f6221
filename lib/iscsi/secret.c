/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets as files have them; see secret.h. */
#include "lib/iscsi/secret.h"

#include <errno.h>
#include <string.h>

/* Without its newline. */
static size_t line_of(const char *text, size_t len)
{
	return len && text[len - 1] == '\n' ? len - 1 : len;
}

static int take(const char *text, size_t len, struct iscsi_secret *s)
{
	if (len < ISCSI_SECRET_MIN || len > ISCSI_SECRET_MAX || memchr(text, '\n', len) ||
	    memchr(text, '\0', len))
		return -EINVAL;
	memcpy(s->bytes, text, len);
	s->len = len;
	return 0;
}

int iscsi_secret_take(const char *text, size_t len, struct iscsi_who *who, const char **ret_why)
{
	*ret_why = "is to have one line, a secret of 12 to 255 bytes";
	return take(text, line_of(text, len), &who->secret);
}

int iscsi_peer_take(const char *text, size_t len, struct iscsi_who *who, const char **ret_why)
{
	const char *colon = memchr(text, ':', len);
	size_t name = colon ? (size_t)(colon - text) : 0;

	*ret_why =
		"is to have one line NAME:SECRET, the target's name for CHAP and a secret of 12 to 255 "
		"bytes";
	len = line_of(text, len);
	if (name == 0 || name > ISCSI_USER_MAX || name >= len || memchr(text, '\0', name) ||
	    take(colon + 1, len - name - 1, &who->peer_secret) < 0)
		return -EINVAL;
	memcpy(who->peer, text, name);
	who->peer[name] = '\0';
	*ret_why = "has the secret of chap= as well: whoever knows one could play the other";
	return who->peer_secret.len == who->secret.len &&
			       memcmp(who->peer_secret.bytes, who->secret.bytes, who->secret.len) ==
				       0 ?
		       -EINVAL :
		       0;
}
