/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection to the server: the first one, and another whenever it was lost. In between requests are kept, and done
 * again: what a guest sees is slow I/O. It is tried at once, then ever more slowly, up to LINK_PAUSE_MAX_MS.
 */
#ifndef BULKHEAD_STORAGE_NBD_LINK_H
#define BULKHEAD_STORAGE_NBD_LINK_H

#include "lib/base/loop.h"
#include "lib/image/nbd_client.h"
#include "lib/nbd/uri.h"
#include "lib/storagekit/server.h"

#define LINK_PAUSE_MIN_MS 100U
#define LINK_PAUSE_MAX_MS 15000U
#define LINK_REPORT_MS 1000U
#define LINK_AWAY_MS 30000U    /* then its requests are errors, where they are to be reported */
#define LINK_PATIENCE_MS 30000 /* with a server that says nothing, until it has agreed to serve */

struct link {
	struct nbd_uri uri;
	struct nbd_client client;
	struct nbd_wire wire; /* where it is TLS */
	struct loop *loop;
	struct storage *storage;
	int timer_fd;
	struct loop_source timer, dialer;
	unsigned int pause_ms;
	unsigned int away_ms,
		armed_ms; /* without a server, as far as the timer has told; what it is set to */
	bool report;
	bool asked; /* the dialer owes an answer */
	bool alone; /* the dialer has ended */
	bool told;  /* that the connection is lost */
};

struct link_error {
	char text[300];
};

/* Before the sandbox. The client is not connected. 0 or a negative errno. */
[[nodiscard]] int link_open(struct link *l, const struct nbd_uri *uri, bool readonly,
			    struct loop *loop);
/* In the sandbox: the first connection, as long as nobody ends it by control_fd: -ECANCELED. 0, or a negative errno
 * with the reason in *e. */
[[nodiscard]] int link_connect(struct link *l, int control_fd, struct link_error *e);
/* The server is there, and s serves it: from now on the loop keeps it so. 0 or a negative errno. */
[[nodiscard]] int link_keep(struct link *l, struct storage *s);

#endif
