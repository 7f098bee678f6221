/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of logical units; see uri.h. */
#include "lib/iscsi/uri.h"

#include "lib/base/uri.h"
#include "lib/iscsi/scsi.h"

#include <errno.h>
#include <string.h>

#define SCHEME "iscsi://"
#define INITIATOR "?initiator="

bool iscsi_uri_is_meant(const char *text, size_t len)
{
	return uri_is_meant(text, len, "iscsi");
}

/* ---- who asks ---- */

/* An @ ends it that comes before the first slash. */
static int take_who(struct uri_text *r, struct iscsi_uri *u)
{
	struct uri_text ahead = *r, user = uri_cut(&ahead, "@/");

	if (!uri_starts(ahead, "@"))
		return 0;
	uri_skip(r, user.len + 1);
	return user.len ? uri_decode(user, u->user, sizeof(u->user)) : -EINVAL;
}

/* ---- where ---- */

static int take_portal(struct uri_text *t, struct iscsi_portal *p)
{
	uint32_t port = ISCSI_PORT;

	if (uri_take_host(t, ":+/", p->host, sizeof(p->host)) < 0)
		return -EINVAL;
	if (uri_starts(*t, ":")) {
		uri_skip(t, 1);
		if (uri_number(uri_cut(t, "+/"), 65535, &port) < 0 || port == 0)
			return -EINVAL;
	}
	p->port = (uint16_t)port;
	return 0;
}

static int take_portals(struct uri_text *r, struct iscsi_uri *u)
{
	do {
		if (u->n_portals)
			uri_skip(r, 1);
		if (u->n_portals == ISCSI_PORTALS_MAX ||
		    take_portal(r, &u->portal[u->n_portals++]) < 0)
			return -EINVAL;
	} while (uri_starts(*r, "+"));
	return uri_starts(*r, "/") ? 0 : -EINVAL;
}

/* ---- what ---- */

bool iscsi_name_is(const char *text, size_t len)
{
	struct uri_text r = { text, len };

	if (len < 5 || len > ISCSI_NAME_MAX ||
	    (!uri_starts(r, "iqn.") && !uri_starts(r, "eui.") && !uri_starts(r, "naa.")))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!uri_is_word(text[i]) && text[i] != '-' && text[i] != '.' && text[i] != ':')
			return false;
	return true;
}

static int take_name(struct uri_text r, char out[ISCSI_NAME_MAX + 1])
{
	if (!iscsi_name_is(r.at, r.len))
		return -EINVAL;
	memcpy(out, r.at, r.len);
	out[r.len] = '\0';
	return 0;
}

static int take_unit(struct uri_text *r, struct iscsi_uri *u)
{
	uint32_t lun;

	uri_skip(r, 1);
	if (take_name(uri_cut(r, "/?"), u->target) < 0 || !uri_starts(*r, "/"))
		return -EINVAL;
	uri_skip(r, 1);
	return uri_number(uri_cut(r, "?"), 16383, &lun) < 0 ? -EINVAL : scsi_lun(lun, u->lun);
}

/* Its own name. */
static int take_initiator(struct uri_text *r, struct iscsi_uri *u)
{
	memcpy(u->initiator, ISCSI_INITIATOR, sizeof(ISCSI_INITIATOR));
	if (r->len == 0)
		return 0;
	if (!uri_starts(*r, INITIATOR))
		return -EINVAL;
	uri_skip(r, strlen(INITIATOR));
	return take_name(*r, u->initiator);
}

int iscsi_uri_parse(const char *text, size_t len, struct iscsi_uri *ret, const char **ret_why)
{
	struct uri_text r = { text, len };
	struct iscsi_uri u = { .n_portals = 0 };

	*ret_why = "say iscsi://[USER@]HOST[:PORT]/TARGET/LUN";
	if (len > ISCSI_URI_MAX || !uri_starts(r, SCHEME))
		return -EINVAL;
	uri_skip(&r, strlen(SCHEME));
	*ret_why = "the name before @ has up to 255 bytes, each as it is or as %XX";
	if (take_who(&r, &u) < 0)
		return -EINVAL;
	*ret_why =
		"its hosts, up to 4 with a + between them, are names or addresses (IPv6 in brackets), "
		"their ports 1 to 65535, and /TARGET/LUN comes after them";
	if (take_portals(&r, &u) < 0)
		return -EINVAL;
	*ret_why =
		"behind the host come /TARGET, a name such as iqn.2026-01.com.example:disk, and /LUN, "
		"a number below 16384";
	if (take_unit(&r, &u) < 0)
		return -EINVAL;
	*ret_why = "behind LUN comes ?initiator=, a name such as iqn.2026-01.com.example:host, or "
		   "nothing";
	if (take_initiator(&r, &u) < 0)
		return -EINVAL;
	*ret = u;
	return 0;
}
