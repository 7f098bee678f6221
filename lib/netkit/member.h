/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A card on a segment, a private network of VMs of one user: what its command says of it, the switch keeper compares with
 * the others, and net-switch holds it to. As a text: "mac=52:54:00:12:34:56,isolated=on,ip=10.0.0.1".
 */
#ifndef BULKHEAD_NETKIT_MEMBER_H
#define BULKHEAD_NETKIT_MEMBER_H

#include "lib/frames/addr.h"
#include "lib/netkit/options.h"

#define MEMBERS_MAX 64U	       /* cards on one segment */
#define MEMBER_TEXT_MAX 200U   /* with its NUL */
#define MEMBER_WORD "switch"   /* of the keeper's socket, beside the segment's name */
#define MEMBER_REASON_MAX 160U /* with its NUL */

struct member {
	uint64_t mac; /* as OPTION_MAC stores it */
	bool isolated;
	struct netkit_options frames; /* ip= alone */
};

/* 0; -EINVAL: it is none. */
[[nodiscard]] int member_parse(const char *text, struct member *ret);
void member_say(const struct member *m, char out[MEMBER_TEXT_MAX]);
/* Whether both can be on one segment; false with what would be right. */
[[nodiscard]] bool member_goes_with(const struct member *m, const struct member *other,
				    char why[MEMBER_REASON_MAX]);

#endif
