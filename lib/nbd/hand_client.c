/* SPDX-License-Identifier: Apache-2.0 */
/* The client's side of the handshake; see hand.h. */
#include "lib/nbd/hand_internal.h"

#include <errno.h>
#include <string.h>

void nbd_hand_client(struct nbd_hand *h, const char *name, bool tls)
{
	*h = (struct nbd_hand){ .server = false, .name = name, .tls = tls };
	hand_expect(h, NBD_HAND_HELLO, NBD_HELLO_LEN);
}

static int append(struct nbd_hand *h, int len)
{
	if (len < 0)
		return len;
	h->n_out += (size_t)len;
	return 0;
}

static int ask_option(struct nbd_hand *h, uint32_t type, uint32_t len)
{
	const struct nbd_option o = { .type = type, .len = len };
	int r = append(h, nbd_option_encode(&o, h->out + h->n_out, sizeof(h->out) - h->n_out));

	hand_expect(h, NBD_HAND_HEADER, NBD_OPTION_REPLY_LEN);
	return r;
}

static int ask_go(struct nbd_hand *h)
{
	uint8_t go[NBD_HAND_EXPORT_MAX + 16];
	int len = nbd_go_encode(h->name, strlen(h->name), go, sizeof(go));
	int r = len < 0 ? len : ask_option(h, NBD_OPT_GO, (uint32_t)len);

	if (r < 0)
		return r;
	if ((size_t)len > sizeof(h->out) - h->n_out)
		return -ENAMETOOLONG;
	memcpy(h->out + h->n_out, go, (size_t)len);
	return append(h, len);
}

static int ask(struct nbd_hand *h)
{
	int r = append(h, nbd_client_flags_encode(NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES,
						  h->out, sizeof(h->out)));

	if (r < 0)
		return r;
	return h->tls ? ask_option(h, NBD_OPT_STARTTLS, 0) : ask_go(h);
}

static int on_hello(struct nbd_hand *h, const void *data, size_t len)
{
	uint16_t flags = 0;

	if (nbd_hello_decode(data, len, &flags) < 0)
		return -EBADMSG;
	/* what it does not offer is not to be answered */
	if (!(flags & NBD_FLAG_FIXED_NEWSTYLE) || !(flags & NBD_FLAG_NO_ZEROES))
		return -EOPNOTSUPP;
	return ask(h);
}

int nbd_hand_secured(struct nbd_hand *h)
{
	if (h->state != NBD_HAND_SECURE)
		return -EBADMSG;
	h->tls = false;
	h->n_out = 0;
	return ask_go(h);
}

static void keep_words(struct nbd_hand *h, const uint8_t *words, size_t len)
{
	size_t n = len < NBD_HAND_TEXT_MAX ? len : NBD_HAND_TEXT_MAX;

	for (size_t i = 0; i < n; i++)
		h->refusal[i] = words[i] >= ' ' && words[i] < 0x7f ? (char)words[i] : '?';
	h->refusal[n] = '\0';
}

static int refused(const struct nbd_hand *h)
{
	if (h->tls)
		return -EPROTONOSUPPORT;
	switch (h->reply.type) {
	case NBD_REP_ERR_UNKNOWN:
		return -ENOENT;
	case NBD_REP_ERR_POLICY:
		return -EACCES;
	case NBD_REP_ERR_TLS_REQD:
		return -ENOKEY;
	default:
		return -EOPNOTSUPP;
	}
}

static int on_reply(struct nbd_hand *h, const uint8_t *data, size_t len)
{
	uint32_t type = h->reply.type;

	if (type & NBD_REP_ERR) {
		keep_words(h, data, len);
		return refused(h);
	}
	if (h->tls) {
		if (type != NBD_REP_ACK || len)
			return -EBADMSG;
		hand_expect(h, NBD_HAND_SECURE, 0);
		return 2;
	}
	if (type == NBD_REP_ACK)
		return len == 0 && h->export.flags ? 1 : -EBADMSG;
	if (type != NBD_REP_INFO || nbd_info_decode(data, len, &h->export) < 0)
		return -EBADMSG;
	hand_expect(h, NBD_HAND_HEADER, NBD_OPTION_REPLY_LEN);
	return 0;
}

static int on_header(struct nbd_hand *h, const void *data, size_t len)
{
	const uint32_t asked = h->tls ? NBD_OPT_STARTTLS : NBD_OPT_GO;

	if (nbd_option_reply_decode(data, len, &h->reply) < 0 || h->reply.option != asked ||
	    h->reply.len > NBD_HAND_IN_MAX)
		return -EBADMSG;
	if (h->reply.len == 0)
		return on_reply(h, NULL, 0);
	hand_expect(h, NBD_HAND_PAYLOAD, h->reply.len);
	return 0;
}

int hand_client_take(struct nbd_hand *h, const void *data, size_t len)
{
	switch (h->state) {
	case NBD_HAND_HELLO:
		return on_hello(h, data, len);
	case NBD_HAND_HEADER:
		return on_header(h, data, len);
	case NBD_HAND_PAYLOAD:
		return on_reply(h, data, len);
	case NBD_HAND_FLAGS:
	case NBD_HAND_SECURE:
	case NBD_HAND_DONE:
		break;
	}
	return -EBADMSG;
}
