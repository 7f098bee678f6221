/* SPDX-License-Identifier: Apache-2.0 */
/* The part of a storage process's main that all have: the dev-blk's first channel, and another when that was started again. */
#ifndef BULKHEAD_STORAGEKIT_SERVE_H
#define BULKHEAD_STORAGEKIT_SERVE_H

#include "lib/devkit/process.h"
#include "lib/storagekit/link.h"
#include "lib/storagekit/server.h"

/* In the sandbox, and the image is there: says CTL_READY, then hears channel_fd. 0, or a negative errno and *ret_what. */
[[nodiscard]] int storage_ready(struct storage *s, const struct process *c, int channel_fd,
				const char **ret_what);
/* To the end. The exit status. */
[[nodiscard]] int storage_serve(struct storage *s, struct process *c);

/* The same of one with a server. Before the sandbox: s serves the link's image, by those rates, and what is done once the
 * server has been away for so long is bound. 0 or a negative errno. */
[[nodiscard]] int storage_open_linked(struct storage *s, struct link *l, enum link_away on_away,
				      unsigned int away_s, const struct throttle_rates *rates);
/* In the sandbox: the server is connected first, and kept; then as storage_ready. 0, or 1 after a line: it ends; or
 * -ECANCELED: it is to end. */
[[nodiscard]] int storage_ready_linked(struct storage *s, struct link *l, struct process *c,
				       int channel_fd, const char *name);

#endif
