/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/nbd: between the files of the handshake. */
#ifndef BULKHEAD_NBD_HAND_INTERNAL_H
#define BULKHEAD_NBD_HAND_INTERNAL_H

#include "lib/nbd/hand.h"

void hand_expect(struct nbd_hand *h, enum nbd_hand_state state, size_t wants);
/* len is what the state wants. */
int hand_client_take(struct nbd_hand *h, const void *data, size_t len);
int hand_server_take(struct nbd_hand *h, const void *data, size_t len);

#endif
