/* SPDX-License-Identifier: Apache-2.0 */
/* Connections for image-fetch, which has no network: made here, one for each address of the web, with its user's rights. */
#ifndef BULKHEAD_CMD_BULKHEAD_IMAGE_CONNECT_H
#define BULKHEAD_CMD_BULKHEAD_IMAGE_CONNECT_H

#include "lib/imagefile/reach.h"
#include "lib/imagefile/url.h"

#include <stdbool.h>

/* How near the servers of one download may be: as near as the first was, which its user named. */
struct connect_bound {
	bool known;
	enum scope reach;
};

/*
 * A connection to u's server, whose text is url, for the line that says why there is none. 0; EXIT_START after that line; or
 * -EINTR: signals, a signalfd, has something to say.
 */
[[nodiscard]] int image_connect(const char *url, const struct url *u, struct connect_bound *bound,
				int signals, int *ret_sock);

#endif
