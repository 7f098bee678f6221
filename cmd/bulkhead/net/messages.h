/* SPDX-License-Identifier: Apache-2.0 */
/* What is sent to the kernel to remove an interface, or a table of nftables: rtnetlink(7), <linux/netfilter/nf_tables.h>. Pure. */
#ifndef BULKHEAD_CMD_BULKHEAD_NET_MESSAGES_H
#define BULKHEAD_CMD_BULKHEAD_NET_MESSAGES_H

#include "lib/declared/declared.h"

#include <stddef.h>
#include <stdint.h>

/* Sent whole: the kernel goes by the lengths in it, and takes no note of zeros behind. */
struct message {
	_Alignas(uint64_t) uint8_t bytes[NET_KEEPER_MESSAGE_LEN];
	size_t len;
};

void message_delete_interface(struct message *m, unsigned int index);
/* Of the netdev family. */
void message_delete_table(struct message *m, const char *name);

#endif
