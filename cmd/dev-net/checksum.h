/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a header leaves to be done to a frame, done: for a driver that did not choose to do it itself. Pure: no I/O,
 * no allocation, no logging. HOSTILE: header and frame; nothing outside of the frame is read or written.
 */
#ifndef BULKHEAD_DEV_NET_CHECKSUM_H
#define BULKHEAD_DEV_NET_CHECKSUM_H

#include "cmd/dev-net/header.h"

/*
 * Whether a header can be (5.1.6.2): a checksum's place lies in the frame; a segmented frame has one, segments of at
 * least a byte, and headers that are no longer than it. (A hint alone: Linux's tap says the whole frame of one that
 * lies in one piece.)
 */
[[nodiscard]] bool header_can_be(const struct net_header *h, size_t len);
/* Puts the checksum where the header, which can be and asks for it, says: over the sum that is there. */
void checksum_finish(const struct net_header *h, uint8_t *frame, size_t len);

/* A large TCP frame, or a train of UDP datagrams in one, as the frames that it stands for. */
struct segmenter {
	const uint8_t *frame;
	size_t len;
	size_t headers;	    /* bytes before the payload, the same of each */
	size_t at;	    /* of the payload: what is next */
	size_t size;	    /* of a segment's payload, but the last's */
	uint16_t l3, l4, n; /* offsets of the headers; which segment is next */
	bool v6, udp;
};

/* 0; -EBADMSG: it is none, or no TCP or UDP over IP as the header says. frame stays the caller's. */
[[nodiscard]] int segmenter_begin(struct segmenter *s, const struct net_header *h,
				  const uint8_t *frame, size_t len);
/* The next one, with its checksums; out has room for `headers` and `size` bytes. Its length; 0: there are no more. */
[[nodiscard]] size_t segmenter_next(struct segmenter *s, uint8_t *out);

#endif
