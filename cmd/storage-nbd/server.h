/* SPDX-License-Identifier: Apache-2.0 */
/* The NBD server that the link keeps (lib/storagekit/link.h): its client, TLS, and what is said of it. */
#ifndef BULKHEAD_STORAGE_NBD_SERVER_H
#define BULKHEAD_STORAGE_NBD_SERVER_H

#include "lib/image/nbd_client.h"
#include "lib/nbd/uri.h"
#include "lib/storagekit/link.h"

struct server {
	struct nbd_uri uri;
	struct nbd_client client;
	struct nbd_wire wire; /* where it is TLS */
	struct link link;
};

/* Before the sandbox. The client is not connected. 0 or a negative errno. */
[[nodiscard]] int server_open(struct server *s, const struct nbd_uri *uri, bool readonly,
			      struct loop *loop);

#endif
