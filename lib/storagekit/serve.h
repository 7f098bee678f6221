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
/* The same of one with a server: that is connected first, and kept. 0, or a negative errno with the reason in *e;
 * -ECANCELED: it is to end. */
[[nodiscard]] int storage_ready_linked(struct storage *s, struct link *l, struct process *c,
				       int channel_fd, struct link_error *e);
/* To the end. The exit status. */
[[nodiscard]] int storage_serve(struct storage *s, struct process *c);

#endif
