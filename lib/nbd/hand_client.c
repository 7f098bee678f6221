/* SPDX-License-Identifier: Apache-2.0 */
/* The client's side of the handshake; see hand.h. */
#include "lib/nbd/hand_internal.h"

#include <errno.h>

void nbd_hand_client(struct nbd_hand *h)
{
	*h = (struct nbd_hand){ .server = false };
	hand_expect(h, NBD_HAND_HELLO, NBD_HELLO_LEN);
}

static int ask(struct nbd_hand *h)
{
	struct nbd_option o = { .type = NBD_OPT_GO };
	uint8_t go[16];
	int flags, option, len = nbd_go_encode("", 0, go, sizeof(go));

	if (len < 0)
		return len;
	o.len = (uint32_t)len;
	flags = nbd_client_flags_encode(NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES, h->out,
					sizeof(h->out));
	if (flags < 0)
		return flags;
	h->n_out = (size_t)flags;
	option = nbd_option_encode(&o, h->out + h->n_out, sizeof(h->out) - h->n_out);
	if (option < 0)
		return option;
	h->n_out += (size_t)option;
	for (int i = 0; i < len; i++)
		h->out[h->n_out++] = go[i];
	hand_expect(h, NBD_HAND_HEADER, NBD_OPTION_REPLY_LEN);
	return 0;
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

static void keep_words(struct nbd_hand *h, const uint8_t *words, size_t len)
{
	size_t n = len < NBD_HAND_TEXT_MAX ? len : NBD_HAND_TEXT_MAX;

	for (size_t i = 0; i < n; i++)
		h->refusal[i] = words[i] >= ' ' && words[i] < 0x7f ? (char)words[i] : '?';
	h->refusal[n] = '\0';
}

static int on_reply(struct nbd_hand *h, const uint8_t *data, size_t len)
{
	uint32_t type = h->reply.type;

	if (type & NBD_REP_ERR) {
		keep_words(h, data, len);
		return type == NBD_REP_ERR_UNKNOWN ? -ENOENT : -EOPNOTSUPP;
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
	if (nbd_option_reply_decode(data, len, &h->reply) < 0 || h->reply.option != NBD_OPT_GO ||
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
	case NBD_HAND_DONE:
		break;
	}
	return -EBADMSG;
}
