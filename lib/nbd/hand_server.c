/* SPDX-License-Identifier: Apache-2.0 */
/* The server's side of the handshake; see hand.h. */
#include "lib/nbd/hand_internal.h"

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"

#include <errno.h>

#define OLD_ZEROES 124U /* behind the answer to EXPORT_NAME, for clients without NO_ZEROES */

void nbd_hand_server(struct nbd_hand *h, const struct nbd_export *export)
{
	*h = (struct nbd_hand){ .server = true, .export = *export };
	h->n_out = (size_t)nbd_hello_encode(NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES, h->out,
					    sizeof(h->out));
	hand_expect(h, NBD_HAND_FLAGS, NBD_CLIENT_FLAGS_LEN);
}

/* One more reply; what fits is seen to by the sizes of what there is to say. */
static void say(struct nbd_hand *h, uint32_t type, const uint8_t *data, size_t len)
{
	const struct nbd_option_reply reply = { h->option.type, type, (uint32_t)len };
	int n = nbd_option_reply_encode(&reply, h->out + h->n_out, sizeof(h->out) - h->n_out);
	struct bytes_writer w;

	if (n < 0)
		return;
	h->n_out += (size_t)n;
	w = bytes_writer(h->out + h->n_out, sizeof(h->out) - h->n_out);
	bytes_put(&w, data, len);
	h->n_out += w.at;
}

static void say_info(struct nbd_hand *h, enum nbd_info_type type)
{
	uint8_t info[16];
	int n = nbd_info_encode(type, &h->export, info, sizeof(info));

	if (n > 0)
		say(h, NBD_REP_INFO, info, (size_t)n);
}

/* The export has no name; whoever asks for another gets none. */
static int describe(struct nbd_hand *h, const void *data, size_t len, int then)
{
	struct nbd_go go;

	if (nbd_go_decode(data, len, &go) < 0) {
		say(h, NBD_REP_ERR_INVALID, NULL, 0);
		return 0;
	}
	if (go.name_len) {
		say(h, NBD_REP_ERR_UNKNOWN, NULL, 0);
		return 0;
	}
	say_info(h, NBD_INFO_EXPORT);
	say_info(h, NBD_INFO_BLOCK_SIZE);
	say(h, NBD_REP_ACK, NULL, 0);
	return then;
}

static int on_go(struct nbd_hand *h, const void *data, size_t len)
{
	return describe(h, data, len, 1);
}

static int on_info(struct nbd_hand *h, const void *data, size_t len)
{
	return describe(h, data, len, 0);
}

/* Has no reply for an error, and needs none: the peer is gone. */
static int on_export_name(struct nbd_hand *h, const void *data, size_t len)
{
	static const uint8_t zeroes[OLD_ZEROES];
	struct bytes_writer w = bytes_writer(h->out, sizeof(h->out));
	uint8_t info[16];

	(void)data;
	if (len || nbd_info_encode(NBD_INFO_EXPORT, &h->export, info, sizeof(info)) < 0)
		return -EBADMSG;
	bytes_put(&w, info + 2, 10); /* the same without its type */
	if (!(h->client_flags & NBD_FLAG_NO_ZEROES))
		bytes_put(&w, zeroes, sizeof(zeroes));
	h->n_out = w.at;
	return 1;
}

static int on_list(struct nbd_hand *h, const void *data, size_t len)
{
	static const uint8_t no_name[4];

	(void)data;
	if (len) {
		say(h, NBD_REP_ERR_INVALID, NULL, 0);
		return 0;
	}
	say(h, NBD_REP_SERVER, no_name, sizeof(no_name));
	say(h, NBD_REP_ACK, NULL, 0);
	return 0;
}

static int on_abort(struct nbd_hand *h, const void *data, size_t len)
{
	(void)data, (void)len;
	say(h, NBD_REP_ACK, NULL, 0);
	return -ECONNRESET;
}

static const struct {
	uint32_t type;
	int (*handle)(struct nbd_hand *h, const void *data, size_t len);
} options[] = {
	{ NBD_OPT_EXPORT_NAME, on_export_name },
	{ NBD_OPT_ABORT, on_abort },
	{ NBD_OPT_LIST, on_list },
	{ NBD_OPT_INFO, on_info },
	{ NBD_OPT_GO, on_go },
};

static int on_option(struct nbd_hand *h, const void *data, size_t len)
{
	hand_expect(h, NBD_HAND_HEADER, NBD_OPTION_LEN);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (options[i].type == h->option.type)
			return options[i].handle(h, data, len);
	say(h, NBD_REP_ERR_UNSUP, NULL, 0);
	return 0;
}

static int on_header(struct nbd_hand *h, const void *data, size_t len)
{
	if (nbd_option_decode(data, len, &h->option) < 0 || h->option.len > NBD_HAND_IN_MAX)
		return -EBADMSG;
	if (h->option.len == 0)
		return on_option(h, NULL, 0);
	hand_expect(h, NBD_HAND_PAYLOAD, h->option.len);
	return 0;
}

static int on_flags(struct nbd_hand *h, const void *data, size_t len)
{
	uint32_t flags = 0;

	if (nbd_client_flags_decode(data, len, &flags) < 0 || !(flags & NBD_FLAG_FIXED_NEWSTYLE) ||
	    flags & ~(NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES))
		return -EBADMSG;
	h->client_flags = flags;
	hand_expect(h, NBD_HAND_HEADER, NBD_OPTION_LEN);
	return 0;
}

int hand_server_take(struct nbd_hand *h, const void *data, size_t len)
{
	switch (h->state) {
	case NBD_HAND_FLAGS:
		return on_flags(h, data, len);
	case NBD_HAND_HEADER:
		return on_header(h, data, len);
	case NBD_HAND_PAYLOAD:
		return on_option(h, data, len);
	case NBD_HAND_HELLO:
	case NBD_HAND_SECURE:
	case NBD_HAND_DONE:
		break;
	}
	return -EBADMSG;
}
