/* SPDX-License-Identifier: Apache-2.0 */
/* What both sides of the handshake share; see hand.h. */
#include "lib/nbd/hand_internal.h"

#include <errno.h>

void hand_expect(struct nbd_hand *h, enum nbd_hand_state state, size_t wants)
{
	h->state = state;
	h->wants = wants;
}

int nbd_hand_take(struct nbd_hand *h, const void *data, size_t len)
{
	int r;

	h->n_out = 0;
	if (h->state == NBD_HAND_DONE || h->state == NBD_HAND_SECURE || len != h->wants)
		return -EBADMSG;
	if (++h->steps > NBD_HAND_STEPS_MAX)
		return -EBADMSG;
	r = h->server ? hand_server_take(h, data, len) : hand_client_take(h, data, len);
	if (r == 1)
		hand_expect(h, NBD_HAND_DONE, 0);
	return r;
}
