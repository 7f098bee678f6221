/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/image: between the files of the NBD client. */
#ifndef BULKHEAD_IMAGE_NBD_CLIENT_INTERNAL_H
#define BULKHEAD_IMAGE_NBD_CLIENT_INTERNAL_H

#include "lib/image/nbd_client.h"

#define NBD_NO_SLOT UINT16_MAX

/* nbd_client.c */
/* The slot that a reply is to, or NULL. */
struct nbd_client_slot *client_find(struct nbd_client *c, uint64_t cookie);
/* The handshake is over: 0, or why this export is none to work with; as nbd_client_await. */
int client_up(struct nbd_client *c);
/* A reply is whole. */
void client_replied(struct nbd_client *c, struct nbd_client_slot *s, int result);

/* nbd_client_io.c: 0, -EPIPE when the peer is gone, -EBADMSG. */
int client_send(struct nbd_client *c);
int client_receive(struct nbd_client *c);

#endif
