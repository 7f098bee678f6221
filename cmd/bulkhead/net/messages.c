/* SPDX-License-Identifier: Apache-2.0 */
/* Netlink, by hand; see messages.h. */
#include "cmd/bulkhead/net/messages.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>

/* A message's header and what is fixed behind it. */
static struct nlmsghdr *begin(struct message *m, uint16_t type, uint16_t flags, const void *fixed,
			      size_t len)
{
	struct nlmsghdr *h = (struct nlmsghdr *)(void *)(m->bytes + m->len);

	*h = (struct nlmsghdr){ .nlmsg_len = (uint32_t)NLMSG_LENGTH(len),
				.nlmsg_type = type,
				.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags) };
	memcpy(NLMSG_DATA(h), fixed, len);
	m->len += NLMSG_ALIGN(h->nlmsg_len);
	return h;
}

static void add_text(struct message *m, struct nlmsghdr *h, uint16_t type, const char *text)
{
	struct nlattr a = { .nla_type = type,
			    .nla_len = (uint16_t)(NLA_HDRLEN + strlen(text) + 1) };
	uint8_t *at = m->bytes + m->len;

	memcpy(at, &a, sizeof(a));
	memcpy(at + NLA_HDRLEN, text, strlen(text) + 1);
	h->nlmsg_len += a.nla_len;
	m->len += NLA_ALIGN(a.nla_len);
}

void message_delete_interface(struct message *m, unsigned int index)
{
	const struct ifinfomsg i = { .ifi_index = (int)index };

	*m = (struct message){ .len = 0 };
	begin(m, RTM_DELLINK, 0, &i, sizeof(i));
}

void message_delete_table(struct message *m, const char *name)
{
	const struct nfgenmsg batch = { .res_id = htons(NFNL_SUBSYS_NFTABLES) };
	const struct nfgenmsg netdev = { .nfgen_family = NFPROTO_NETDEV };
	struct nlmsghdr *h;

	*m = (struct message){ .len = 0 };
	begin(m, NFNL_MSG_BATCH_BEGIN, 0, &batch, sizeof(batch));
	h = begin(m, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELTABLE, 0, &netdev, sizeof(netdev));
	add_text(m, h, NFTA_TABLE_NAME, name);
	begin(m, NFNL_MSG_BATCH_END, 0, &batch, sizeof(batch));
}
