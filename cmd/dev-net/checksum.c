/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums, and large TCP and UDP frames cut into small ones; see checksum.h. */
#include "cmd/dev-net/checksum.h"

#include "lib/base/be.h"

#include <errno.h>
#include <string.h>

#define ETHERNET 14U
#define VLAN_TAG 4U
#define KIND_VLAN 0x8100U
#define KIND_IPV4 0x0800U
#define KIND_IPV6 0x86ddU
#define IPV4_MIN 20U
#define IPV6_LEN 40U
#define PROTOCOL_TCP 6U
#define TCP_MIN 20U
#define TCP_CHECKSUM 16U
#define TCP_FIN 0x01U
#define TCP_PSH 0x08U
#define TCP_CWR 0x80U
#define PROTOCOL_UDP 17U
#define UDP_LEN 8U
#define UDP_CHECKSUM 6U

/* RFC 1071: of 16-bit words, folded, not inverted. */
static uint16_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint16_t sum_of(const uint8_t *p, size_t len)
{
	uint64_t sum = 0;

	for (; len > 1; p += 2, len -= 2)
		sum += get_be16(p);
	if (len)
		sum += (uint32_t)*p << 8;
	return fold(sum);
}

/* 0 would say that there is none. */
static uint16_t inverted(uint16_t sum)
{
	return sum == 0xffff ? 0xffff : (uint16_t)~sum;
}

static bool is_segmented(const struct net_header *h)
{
	return (h->gso_type & ~NET_HDR_GSO_ECN) != NET_HDR_GSO_NONE;
}

bool header_can_be(const struct net_header *h, size_t len)
{
	bool sums = h->flags & NET_HDR_F_NEEDS_CSUM;

	if (sums && (size_t)h->csum_start + h->csum_offset + 2 > len)
		return false;
	if (!is_segmented(h))
		return true;
	return sums && h->gso_size && h->hdr_len <= len;
}

void checksum_finish(const struct net_header *h, uint8_t *frame, size_t len)
{
	put_be16(frame + h->csum_start + h->csum_offset,
		 inverted(sum_of(frame + h->csum_start, len - h->csum_start)));
}

/* ---- segments ---- */

static int find_ip(struct segmenter *s, uint8_t gso_type)
{
	size_t at = ETHERNET - 2;
	uint16_t kind;

	if (s->len < ETHERNET + VLAN_TAG + IPV4_MIN)
		return -EBADMSG;
	kind = get_be16(s->frame + at);
	if (kind == KIND_VLAN)
		kind = get_be16(s->frame + (at += VLAN_TAG));
	s->l3 = (uint16_t)(at + 2);
	s->v6 = kind == KIND_IPV6;
	if (kind != KIND_IPV4 && kind != KIND_IPV6)
		return -EBADMSG;
	return gso_type != NET_HDR_GSO_UDP_L4 && s->v6 != (gso_type == NET_HDR_GSO_TCPV6) ?
		       -EBADMSG :
		       0;
}

/* Headers between the two are the sender's; what matters is that the fields which are changed lie before. */
static int find_l4(struct segmenter *s, const struct net_header *h)
{
	const uint8_t *ip = s->frame + s->l3;
	const size_t least = s->udp ? UDP_LEN : TCP_MIN;
	size_t l4;

	s->l4 = h->csum_start;
	if (s->v6 ? s->l4 < s->l3 + IPV6_LEN : s->l4 != s->l3 + (ip[0] & 15U) * 4U)
		return -EBADMSG;
	if (!s->v6 && (s->l4 < s->l3 + IPV4_MIN || ip[9] != (s->udp ? PROTOCOL_UDP : PROTOCOL_TCP)))
		return -EBADMSG;
	if (h->csum_offset != (s->udp ? UDP_CHECKSUM : TCP_CHECKSUM) || s->l4 + least > s->len)
		return -EBADMSG;
	l4 = s->udp ? UDP_LEN : (size_t)(s->frame[s->l4 + 12] >> 4) * 4;
	s->headers = s->l4 + l4;
	return l4 < least || s->headers >= s->len ? -EBADMSG : 0;
}

int segmenter_begin(struct segmenter *s, const struct net_header *h, const uint8_t *frame,
		    size_t len)
{
	uint8_t type = h->gso_type & (uint8_t)~NET_HDR_GSO_ECN;
	int r;

	*s = (struct segmenter){
		.frame = frame, .len = len, .size = h->gso_size, .udp = type == NET_HDR_GSO_UDP_L4
	};
	if (!header_can_be(h, len) ||
	    (!s->udp && type != NET_HDR_GSO_TCPV4 && type != NET_HDR_GSO_TCPV6))
		return -EBADMSG;
	r = find_ip(s, type);
	return r < 0 ? r : find_l4(s, h);
}

static void fix_ip(const struct segmenter *s, uint8_t *out, size_t len)
{
	uint8_t *ip = out + s->l3;

	if (s->v6) {
		put_be16(ip + 4, (uint32_t)(len - s->l3 - IPV6_LEN));
		return;
	}
	put_be16(ip + 2, (uint32_t)(len - s->l3));
	put_be16(ip + 4, (uint32_t)get_be16(ip + 4) + s->n);
	put_be16(ip + 10, 0);
	put_be16(ip + 10, (uint16_t)~sum_of(ip, (size_t)(s->l4 - s->l3)));
}

/* The sum that is there is of the pseudo header, with the whole's length. */
static void fix_checksum(const struct segmenter *s, uint8_t *l4, uint8_t *at, size_t len)
{
	uint64_t sum = get_be16(at);

	sum += (uint16_t) ~(uint16_t)(s->len - s->l4);
	sum += len - s->l4;
	put_be16(at, fold(sum));
	put_be16(at, inverted(sum_of(l4, len - s->l4)));
}

static void fix_udp(const struct segmenter *s, uint8_t *out, size_t len)
{
	uint8_t *udp = out + s->l4;

	put_be16(udp + 4, (uint32_t)(len - s->l4));
	fix_checksum(s, udp, udp + UDP_CHECKSUM, len);
}

static void fix_tcp(const struct segmenter *s, uint8_t *out, size_t len, bool last)
{
	uint8_t *tcp = out + s->l4;

	put_be32(tcp + 4, get_be32(tcp + 4) + (uint32_t)s->at);
	if (!last)
		tcp[13] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (s->n)
		tcp[13] &= (uint8_t)~TCP_CWR;
	fix_checksum(s, tcp, tcp + TCP_CHECKSUM, len);
}

size_t segmenter_next(struct segmenter *s, uint8_t *out)
{
	size_t left = s->len - s->headers - s->at;
	size_t n = left < s->size ? left : s->size;

	if (!left)
		return 0;
	memcpy(out, s->frame, s->headers);
	memcpy(out + s->headers, s->frame + s->headers + s->at, n);
	fix_ip(s, out, s->headers + n);
	if (s->udp)
		fix_udp(s, out, s->headers + n);
	else
		fix_tcp(s, out, s->headers + n, n == left);
	s->at += n;
	s->n++;
	return s->headers + n;
}
