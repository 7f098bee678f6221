/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of exports; see uri.h. */
#include "lib/nbd/uri.h"

#include "lib/base/uri.h"

#include <errno.h>
#include <string.h>

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

bool nbd_uri_is_meant(const char *text, size_t len)
{
	return uri_is_meant(text, len, "nbd");
}

/* 1 to 65535, as it is said. */
static int take_port(struct uri_text t, char out[6])
{
	uint32_t number;

	if (uri_number(t, 65535, &number) < 0 || number == 0)
		return -EINVAL;
	memcpy(out, t.at, t.len);
	out[t.len] = '\0';
	return 0;
}

static int take_host(struct uri_text *t, struct nbd_uri *u)
{
	if (uri_take_host(t, ":/?", u->host, sizeof(u->host)) < 0)
		return -EINVAL;
	if (!uri_starts(*t, ":")) {
		memcpy(u->port, NBD_PORT, sizeof(NBD_PORT));
		return 0;
	}
	uri_skip(t, 1);
	return take_port(uri_cut(t, "/?"), u->port);
}

/* ?socket=PATH, which comes with a local address and with no other. */
static int take_query(struct uri_text r, struct nbd_uri *u)
{
	const char *word = "?socket=";

	if (!u->local)
		return r.len ? -EINVAL : 0;
	if (!uri_starts(r, word))
		return -EINVAL;
	uri_skip(&r, strlen(word));
	return uri_decode(r, u->socket, sizeof(u->socket)) == 0 && u->socket[0] == '/' ? 0 :
											 -EINVAL;
}

static const char *const right =
	"say nbd://HOST:PORT/EXPORT, nbds://HOST:PORT/EXPORT or nbd+unix:///EXPORT?socket=PATH";

static int parse(struct uri_text r, struct nbd_uri *u, const char **ret_why)
{
	struct uri_text name;

	if (!u->local && take_host(&r, u) < 0) {
		*ret_why =
			"its host is a name or an address (IPv6 in brackets) and its port 1 to 65535";
		return -EINVAL;
	}
	if (u->local && !uri_starts(r, "/") && !uri_starts(r, "?")) {
		*ret_why = "a socket is of this host: its address begins nbd+unix:///";
		return -EINVAL;
	}
	if (uri_starts(r, "/"))
		uri_skip(&r, 1);
	name = uri_cut(&r, "?#");
	if (uri_decode(name, u->name, sizeof(u->name)) < 0) {
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
	struct uri_text r = { text, len };
	struct nbd_uri u = { .tls = false };

	*ret_why = right;
	if (len > NBD_URI_MAX)
		return -EINVAL;
	for (size_t i = 0; i < N_SCHEMES; i++) {
		int e;

		if (!uri_starts(r, schemes[i].word))
			continue;
		uri_skip(&r, strlen(schemes[i].word));
		u.tls = schemes[i].tls;
		u.local = schemes[i].local;
		e = parse(r, &u, ret_why);
		if (e == 0)
			*ret = u;
		return e;
	}
	return -EINVAL;
}
