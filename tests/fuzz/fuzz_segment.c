/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A header and a frame as a tap or a driver might say them: what is cut out of it is the payload, in order and whole, in
 * frames of the size that was said, each with checksums that are right; nothing outside of the frame is touched.
 */
#include "tests/fuzz/fuzz.h"

#include "cmd/dev-net/checksum.h"

#include <stdlib.h>
#include <string.h>

/* What a receiver would find: a sum of 0, of which there are two. */
static uint32_t sum(const uint8_t *p, size_t len, uint32_t more)
{
	uint64_t total = more;

	for (size_t i = 0; i < len; i++)
		total += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	return (uint32_t)(total % 0xffff);
}

static void check_finish(const struct net_header *h, uint8_t *frame, size_t len)
{
	const uint8_t *at = frame + h->csum_start + h->csum_offset;
	uint32_t before = (uint32_t)at[0] << 8 | at[1];

	checksum_finish(h, frame, len);
	if (h->csum_offset % 2 == 0)
		require(sum(frame + h->csum_start, len - h->csum_start, before) == 0);
}

/* That of a piece: the whole's stands in its checksum's place, and only their lengths differ. */
static uint32_t pseudo_sum(const struct segmenter *s, const uint8_t *frame, size_t len)
{
	const uint8_t *at = frame + s->l4 + (s->udp ? 6 : 16);
	uint32_t whole = (uint32_t)(s->len - s->l4) % 0xffff;

	return ((uint32_t)at[0] << 8 | at[1]) + 0xffff - whole + (uint32_t)(len - s->l4);
}

static void check_piece(const struct segmenter *s, const uint8_t *frame, const uint8_t *piece,
			size_t len, size_t done)
{
	require(len > s->headers && len - s->headers <= s->size);
	require(memcmp(piece + s->headers, frame + s->headers + done, len - s->headers) == 0);
	require(memcmp(piece, frame, s->l3) == 0);
	if (!s->v6)
		require(sum(piece + s->l3, (size_t)(s->l4 - s->l3), 0) == 0);
	require(sum(piece + s->l4, len - s->l4, pseudo_sum(s, frame, len)) == 0);
	if (s->udp)
		require(((size_t)piece[s->l4 + 4] << 8 | piece[s->l4 + 5]) == len - s->l4);
}

static void check_cut(const struct net_header *h, const uint8_t *frame, size_t len)
{
	struct segmenter s;
	uint8_t *out;
	size_t n, done = 0;

	if (segmenter_begin(&s, h, frame, len) < 0)
		return;
	require(header_can_be(h, len));
	out = malloc(s.headers + s.size);
	require(out);
	while ((n = segmenter_next(&s, out))) {
		check_piece(&s, frame, out, n, done);
		done += n - s.headers;
	}
	require(done == len - s.headers);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct net_header h;
	size_t len = size - sizeof(h);
	uint8_t *frame;

	if (size <= sizeof(h))
		return -1;
	memcpy(&h, data, sizeof(h));
	frame = malloc(len);
	require(frame);
	memcpy(frame, data + sizeof(h), len);
	check_cut(&h, frame, len);
	if (header_can_be(&h, len) && h.flags & NET_HDR_F_NEEDS_CSUM)
		check_finish(&h, frame, len);
	free(frame);
	return 0;
}
