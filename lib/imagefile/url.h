/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An address of the web, as narrow as a download needs it: http or https, a host, a port, a path. A server may have said
 * it (a redirect), so it is HOSTILE: what two programs could read in two ways (users, escapes in the host, backslashes,
 * anything but printable ASCII) is refused. Pure.
 */
#ifndef BULKHEAD_IMAGEFILE_URL_H
#define BULKHEAD_IMAGEFILE_URL_H

#include <stdbool.h>
#include <stddef.h>

#define URL_MAX 2000U
#define URL_HOST_MAX 253U

struct url {
	bool tls;
	bool v6; /* the host is an address that stood in brackets */
	char host[URL_HOST_MAX + 1];
	unsigned int port;
	size_t path; /* where in the text it begins, with its '/'; or the text's end */
};

/* Whether the words are meant as one, of whatever scheme. */
bool url_is_meant(const char *text);
/* text is NUL-terminated, and len its length. 0, or -EINVAL with *ret_why what would be right. */
[[nodiscard]] int url_parse(const char *text, size_t len, struct url *ret, const char **ret_why);
/* The last part of the path, without what is behind '?' or '#', or "". */
void url_file_name(const char *text, const struct url *u, char *out, size_t cap);

#endif
