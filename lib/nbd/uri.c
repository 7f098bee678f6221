/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of exports; see uri.h. */
#include "lib/nbd/uri.h"

#include "lib/base/hex.h"

#include <errno.h>
#include <string.h>

/* What is left of the text. */
struct rest {
	const char *at;
	size_t len;
};

static const struct {
	const char *word;
	bool tls, local;
} schemes[] = {
	{ "nbd://", false, false },
	{ "nbds://", true, false },
	{ "nbd+unix://", false, true },
	{ "nbds+unix://", true, true },
};
#define N_SCHEMES (sizeof(schemes) / sizeof(schemes[0]))

static bool starts(struct rest r, const char *word)
{
	size_t len = strlen(word);

	return r.len >= len && memcmp(r.at, word, len) == 0;
}

static void skip(struct rest *r, size_t n)
{
	r->at += n;
	r->len -= n;
}

/* Up to the first of those bytes, which stays. */
static struct rest cut(struct rest *r, const char *ends)
{
	struct rest piece = { r->at, 0 };

	while (piece.len < r->len && !strchr(ends, r->at[piece.len]))
		piece.len++;
	skip(r, piece.len);
	return piece;
}

bool nbd_uri_is_meant(const char *text, size_t len)
{
	struct rest all = { text, len }, scheme = cut(&all, ":/");

	return starts(all, "://") && (starts(scheme, "nbd") || starts(scheme, "NBD"));
}

/* NUL-terminated; no NUL is in it, and no control character. */
static int decode(struct rest r, char *out, size_t cap)
{
	size_t n = 0;

	while (r.len) {
		int byte = (unsigned char)*r.at;

		if (byte == '%') {
			byte = r.len > 2 ? hex_byte(r.at + 1) : -EINVAL;
			if (byte < 0)
				return -EINVAL;
			skip(&r, 2);
		}
		skip(&r, 1);
		if (byte < ' ' || byte == 0x7f || n + 1 >= cap)
			return -EINVAL;
		out[n++] = (char)byte;
	}
	out[n] = '\0';
	return 0;
}

/* Digits alone, 1 to 65535. */
static int take_port(struct rest r, char out[6])
{
	unsigned long number = 0;

	if (r.len == 0 || r.len > 5)
		return -EINVAL;
	for (size_t i = 0; i < r.len; i++) {
		if (r.at[i] < '0' || r.at[i] > '9')
			return -EINVAL;
		number = number * 10 + (unsigned long)(r.at[i] - '0');
	}
	if (number == 0 || number > 65535)
		return -EINVAL;
	memcpy(out, r.at, r.len);
	out[r.len] = '\0';
	return 0;
}

/* A name or an address has nothing else in it. */
static bool is_host(struct rest r, bool brackets)
{
	if (r.len == 0 || r.len > NBD_URI_HOST_MAX || *r.at == '-')
		return false;
	for (size_t i = 0; i < r.len; i++) {
		char c = r.at[i], lower = (char)(c | 0x20);
		bool word = (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z') || c == '.';

		if (!word && !(brackets ? c == ':' || c == '%' : c == '-' || c == '_'))
			return false;
	}
	return true;
}

static int take_host(struct rest *r, struct nbd_uri *u)
{
	bool brackets = starts(*r, "[");
	struct rest host;

	if (brackets)
		skip(r, 1);
	host = cut(r, brackets ? "]" : ":/?");
	if (brackets && !starts(*r, "]"))
		return -EINVAL;
	if (brackets)
		skip(r, 1);
	if (!is_host(host, brackets))
		return -EINVAL;
	memcpy(u->host, host.at, host.len);
	u->host[host.len] = '\0';
	if (!starts(*r, ":")) {
		memcpy(u->port, NBD_PORT, sizeof(NBD_PORT));
		return 0;
	}
	skip(r, 1);
	return take_port(cut(r, "/?"), u->port);
}

/* ?socket=PATH, which comes with a local address and with no other. */
static int take_query(struct rest r, struct nbd_uri *u)
{
	const char *word = "?socket=";

	if (!u->local)
		return r.len ? -EINVAL : 0;
	if (!starts(r, word))
		return -EINVAL;
	skip(&r, strlen(word));
	return decode(r, u->socket, sizeof(u->socket)) == 0 && u->socket[0] == '/' ? 0 : -EINVAL;
}

static const char *const right =
	"say nbd://HOST:PORT/EXPORT, nbds://HOST:PORT/EXPORT or nbd+unix:///EXPORT?socket=PATH";

static int parse(struct rest r, struct nbd_uri *u, const char **ret_why)
{
	struct rest name;

	if (!u->local && take_host(&r, u) < 0) {
		*ret_why =
			"its host is a name or an address (IPv6 in brackets) and its port 1 to 65535";
		return -EINVAL;
	}
	if (u->local && !starts(r, "/") && !starts(r, "?")) {
		*ret_why = "a socket is of this host: its address begins nbd+unix:///";
		return -EINVAL;
	}
	if (starts(r, "/"))
		skip(&r, 1);
	name = cut(&r, "?#");
	if (decode(name, u->name, sizeof(u->name)) < 0) {
		*ret_why = "the name of its export has up to 1024 bytes, each as it is or as %XX";
		return -EINVAL;
	}
	if (take_query(r, u) == 0)
		return 0;
	*ret_why = u->local ? "behind the export comes ?socket=PATH, a path from the root of up to "
			      "107 bytes, and nothing else" :
			      "nothing comes behind the export";
	return -EINVAL;
}

int nbd_uri_parse(const char *text, size_t len, struct nbd_uri *ret, const char **ret_why)
{
	struct rest r = { text, len };
	struct nbd_uri u = { .tls = false };

	*ret_why = right;
	if (len > NBD_URI_MAX)
		return -EINVAL;
	for (size_t i = 0; i < N_SCHEMES; i++) {
		int e;

		if (!starts(r, schemes[i].word))
			continue;
		skip(&r, strlen(schemes[i].word));
		u.tls = schemes[i].tls;
		u.local = schemes[i].local;
		e = parse(r, &u, ret_why);
		if (e == 0)
			*ret = u;
		return e;
	}
	return -EINVAL;
}
