/* SPDX-License-Identifier: Apache-2.0 */
/* Frames for tests: made piece by piece, right unless a test spoils them. */
#ifndef BULKHEAD_TESTS_UNIT_TESTFRAME_H
#define BULKHEAD_TESTS_UNIT_TESTFRAME_H

#include "lib/frames/packet.h"

#define TF_MAX 2048U
#define TF_IP (ETHER_LEN)
#define TF_V4_BODY (ETHER_LEN + 20U)
#define TF_V6_BODY (ETHER_LEN + 40U)

struct testframe {
	uint8_t at[TF_MAX];
	size_t len;
};

extern const uint8_t tf_guest[ETHER_ADDR_LEN], tf_other[ETHER_ADDR_LEN];

void tf_put16(uint8_t *at, unsigned int v);
/* Between these; it has no payload yet. */
void tf_ether(struct testframe *f, const uint8_t *from, const uint8_t *to, unsigned int type);
void tf_arp(struct testframe *f, const uint8_t *from, unsigned int op, const char *sender,
	    const char *target);
/* From the guest, or to it; the payload is len zero bytes. */
void tf_ipv4(struct testframe *f, bool to_guest, const char *from, const char *to,
	     unsigned int proto, size_t len);
void tf_ipv6(struct testframe *f, bool to_guest, const char *from, const char *to,
	     unsigned int proto, size_t len);
/* Of either version, by the addresses; with len bytes of data. */
void tf_udp(struct testframe *f, bool to_guest, const char *from, unsigned int from_port,
	    const char *to, unsigned int to_port, size_t len);
void tf_tcp(struct testframe *f, bool to_guest, const char *from, unsigned int from_port,
	    const char *to, unsigned int to_port);
/* An ICMPv6 message of that type with len bytes in all, all zero; hops is 255. */
uint8_t *tf_icmpv6(struct testframe *f, bool to_guest, const char *from, const char *to,
		   unsigned int type, size_t len);
/* Its hop limit or time to live. */
void tf_hops(struct testframe *f, unsigned int hops);
/* DHCP: a request of the guest, or an answer of the server that gives the address; type is option 53's. */
void tf_dhcp(struct testframe *f, bool to_guest, const char *from, const char *to,
	     unsigned int type, uint32_t number, const char *given);
/* A router's advertisement of a network, for so many seconds. */
void tf_router(struct testframe *f, const char *router, const char *net, unsigned int seconds);
/* Neighbour discovery about a target, with one option that has a MAC address (option 0: none). */
void tf_neighbour(struct testframe *f, bool to_guest, const char *from, const char *to,
		  unsigned int type, const char *target, unsigned int option, const uint8_t *mac);

#endif
