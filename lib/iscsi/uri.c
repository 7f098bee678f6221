/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of logical units; see uri.h. */
#include "lib/iscsi/uri.h"

#include "lib/base/hex.h"
#include "lib/iscsi/scsi.h"

#include <errno.h>
#include <string.h>

#define SCHEME "iscsi://"
#define INITIATOR "?initiator="

/* What is left of the text. */
struct rest {
	const char *at;
	size_t len;
};

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

	while (piece.len < r->len && !(r->at[piece.len] && strchr(ends, r->at[piece.len])))
		piece.len++;
	skip(r, piece.len);
	return piece;
}

bool iscsi_uri_is_meant(const char *text, size_t len)
{
	struct rest all = { text, len }, scheme = cut(&all, ":/");

	return starts(all, "://") && (starts(scheme, "iscsi") || starts(scheme, "ISCSI"));
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
	char lower = (char)(c | 0x20);

	return is_digit(c) || (lower >= 'a' && lower <= 'z');
}

/* Digits alone, up to max. */
static int take_number(struct rest r, uint32_t max, uint32_t *ret)
{
	uint32_t n = 0;

	if (r.len == 0 || r.len > 5)
		return -EINVAL;
	for (size_t i = 0; i < r.len; i++) {
		if (!is_digit(r.at[i]))
			return -EINVAL;
		n = n * 10 + (uint32_t)(r.at[i] - '0');
	}
	*ret = n;
	return n <= max ? 0 : -EINVAL;
}

/* ---- who asks ---- */

/* NUL-terminated; no NUL is in it, and no control character. */
static int take_user(struct rest r, char *out)
{
	size_t n = 0;

	while (r.len) {
		int byte = (unsigned char)*r.at;

		if (byte == '%') {
			int high = r.len > 2 ? hex_digit(r.at[1]) : -1;
			int low = r.len > 2 ? hex_digit(r.at[2]) : -1;

			if (high < 0 || low < 0)
				return -EINVAL;
			byte = high << 4 | low;
			skip(&r, 2);
		}
		skip(&r, 1);
		if (byte < ' ' || byte == 0x7f || n == ISCSI_USER_MAX)
			return -EINVAL;
		out[n++] = (char)byte;
	}
	out[n] = '\0';
	return n ? 0 : -EINVAL;
}

/* An @ ends it that comes before the first slash. */
static int take_who(struct rest *r, struct iscsi_uri *u)
{
	struct rest ahead = *r, user = cut(&ahead, "@/");

	if (!starts(ahead, "@"))
		return 0;
	skip(r, user.len + 1);
	return take_user(user, u->user);
}

/* ---- where ---- */

static bool is_host(struct rest r, bool brackets)
{
	if (r.len == 0 || r.len > ISCSI_HOST_MAX || *r.at == '-')
		return false;
	for (size_t i = 0; i < r.len; i++) {
		char c = r.at[i];

		if (!is_word(c) && c != '.' &&
		    !(brackets ? c == ':' || c == '%' : c == '-' || c == '_'))
			return false;
	}
	return true;
}

static int take_portal(struct rest *r, struct iscsi_portal *p)
{
	bool brackets = starts(*r, "[");
	uint32_t port = ISCSI_PORT;
	struct rest host;

	skip(r, brackets);
	host = cut(r, brackets ? "]" : ":+/");
	if (brackets && !starts(*r, "]"))
		return -EINVAL;
	skip(r, brackets);
	if (!is_host(host, brackets))
		return -EINVAL;
	if (starts(*r, ":")) {
		skip(r, 1);
		if (take_number(cut(r, "+/"), 65535, &port) < 0 || port == 0)
			return -EINVAL;
	}
	memcpy(p->host, host.at, host.len);
	p->host[host.len] = '\0';
	p->port = (uint16_t)port;
	return 0;
}

static int take_portals(struct rest *r, struct iscsi_uri *u)
{
	do {
		if (u->n_portals)
			skip(r, 1);
		if (u->n_portals == ISCSI_PORTALS_MAX ||
		    take_portal(r, &u->portal[u->n_portals++]) < 0)
			return -EINVAL;
	} while (starts(*r, "+"));
	return starts(*r, "/") ? 0 : -EINVAL;
}

/* ---- what ---- */

bool iscsi_name_is(const char *text, size_t len)
{
	struct rest r = { text, len };

	if (len < 5 || len > ISCSI_NAME_MAX ||
	    (!starts(r, "iqn.") && !starts(r, "eui.") && !starts(r, "naa.")))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_word(text[i]) && text[i] != '-' && text[i] != '.' && text[i] != ':')
			return false;
	return true;
}

static int take_name(struct rest r, char out[ISCSI_NAME_MAX + 1])
{
	if (!iscsi_name_is(r.at, r.len))
		return -EINVAL;
	memcpy(out, r.at, r.len);
	out[r.len] = '\0';
	return 0;
}

static int take_unit(struct rest *r, struct iscsi_uri *u)
{
	uint32_t lun;

	skip(r, 1);
	if (take_name(cut(r, "/?"), u->target) < 0 || !starts(*r, "/"))
		return -EINVAL;
	skip(r, 1);
	return take_number(cut(r, "?"), 16383, &lun) < 0 ? -EINVAL : scsi_lun(lun, u->lun);
}

/* Its own name. */
static int take_initiator(struct rest *r, struct iscsi_uri *u)
{
	memcpy(u->initiator, ISCSI_INITIATOR, sizeof(ISCSI_INITIATOR));
	if (r->len == 0)
		return 0;
	if (!starts(*r, INITIATOR))
		return -EINVAL;
	skip(r, strlen(INITIATOR));
	return take_name(*r, u->initiator);
}

int iscsi_uri_parse(const char *text, size_t len, struct iscsi_uri *ret, const char **ret_why)
{
	struct rest r = { text, len };
	struct iscsi_uri u = { .n_portals = 0 };

	*ret_why = "say iscsi://[USER@]HOST[:PORT]/TARGET/LUN";
	if (len > ISCSI_URI_MAX || !starts(r, SCHEME))
		return -EINVAL;
	skip(&r, strlen(SCHEME));
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
