/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/storagekit: between the files of the server. */
#ifndef BULKHEAD_STORAGEKIT_SERVER_INTERNAL_H
#define BULKHEAD_STORAGEKIT_SERVER_INTERNAL_H

#include "lib/storagekit/server.h"

#define STORAGE_NO_SLOT UINT16_MAX

/* request.c: pure. The image's request, without iov; 0, or what the client is told instead. */
int storage_parse(const struct nbd_request *q, const struct image *image, struct image_io *ret);
/* Whether it takes the client's data along. */
bool storage_has_data(const struct nbd_request *q);
/* What its rate counts. */
bool storage_writes(const struct nbd_request *q);
uint64_t storage_bytes(const struct nbd_request *q, const struct image *image);

/* server.c: does what can be done now, and waits for the rest. */
void storage_pump(struct storage *s);

/* gate.c: queues of slots. */
void storage_push(struct storage *s, struct storage_queue *q, struct storage_slot *slot);
struct storage_slot *storage_first(struct storage *s, const struct storage_queue *q);
void storage_pop(struct storage *s, struct storage_queue *q);

void storage_reply(struct storage *s, struct storage_slot *slot, int result);
/* A request whose data are there. */
void storage_admit(struct storage *s, struct storage_slot *slot);
/* Starts what may pass by now. */
void storage_gate(struct storage *s);

/* channel.c: what can be received now, as far as there are slots, and sent. 0, or -EPIPE: the client has gone, or
 * is to go. */
int storage_receive(struct storage *s);
int storage_send(struct storage *s);
/* Whether there is something received to go on with, and room for it. */
bool storage_has_more(const struct storage *s);

#endif
