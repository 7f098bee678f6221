/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The NBD handshake of either side, and single messages. The first byte says which; the rest is what the
 * peer says. It must end, ask for no more than its buffer holds, and describe no export that cannot be.
 */
#include "lib/nbd/hand.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void check_export(const struct nbd_export *e)
{
	require(e->size <= INT64_MAX && e->flags & NBD_FLAG_HAS_FLAGS);
	if (e->block_min)
		require(e->block_preferred >= e->block_min && e->block_max >= e->block_min);
}

static void shake(struct nbd_hand *h, const uint8_t *data, size_t size)
{
	int r = 0;

	while (r == 0 && h->wants <= size) {
		size_t n = h->wants;

		require(n > 0 && n <= NBD_HAND_IN_MAX);
		r = nbd_hand_take(h, data, n);
		require(h->n_out <= sizeof(h->out));
		if (r == 2) { /* as if TLS had been made */
			require(h->wants == 0 && h->export.flags == 0);
			r = nbd_hand_secured(h);
		}
		data += n;
		size -= n;
	}
	if (r == 1)
		check_export(&h->export);
	require(strnlen(h->refusal, sizeof(h->refusal)) < sizeof(h->refusal));
}

/* What decodes is what encodes to the same bytes. */
static void single(const uint8_t *data, size_t size)
{
	struct nbd_export export = { 0 };
	uint8_t again[NBD_REQUEST_LEN];
	struct nbd_request q;
	struct nbd_reply reply;
	struct nbd_go go;

	if (nbd_request_decode(data, size, &q) == 0)
		require(nbd_request_encode(&q, again, sizeof(again)) == (int)size &&
			memcmp(again, data, size) == 0);
	if (nbd_reply_decode(data, size, &reply) == 0)
		require(nbd_reply_encode(&reply, again, sizeof(again)) == (int)size &&
			memcmp(again, data, size) == 0);
	if (nbd_go_decode(data, size, &go) == 0)
		require(go.name >= data && go.name_len <= size);
	if (nbd_info_decode(data, size, &export) == 0 && export.flags)
		check_export(&export);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct nbd_export export = { .size = 1 << 20,
					   .flags = NBD_FLAG_HAS_FLAGS,
					   .block_min = 1,
					   .block_preferred = 4096,
					   .block_max = 1 << 20 };
	static struct nbd_hand h;

	if (!size)
		return 0;
	if (data[0] % 3 == 2) {
		single(data + 1, size - 1);
		return 0;
	}
	if (data[0] % 3 == 0)
		nbd_hand_client(&h, "x", data[0] & 0x40);
	else
		nbd_hand_server(&h, &export);
	shake(&h, data + 1, size - 1);
	return 0;
}
