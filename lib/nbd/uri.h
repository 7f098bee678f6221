/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The address of an export: "NBD URI Specification" of the NBD project (doc/uri.md). Pure.
 *
 *	nbd://HOST[:PORT][/EXPORT]              nbds://…                  over TLS
 *	nbd+unix:///[EXPORT]?socket=PATH        nbds+unix:///…            likewise
 *
 * An IPv6 address stands in brackets; %XX stands for a byte, a comma's among them.
 */
#ifndef BULKHEAD_NBD_URI_H
#define BULKHEAD_NBD_URI_H

#include "lib/nbd/hand.h"

#define NBD_URI_HOST_MAX 253U /* of a name of DNS */
#define NBD_URI_SOCKET_MAX 107U
#define NBD_URI_MAX 2048U
#define NBD_PORT "10809"

struct nbd_uri {
	bool tls;
	bool local;			     /* a socket, else host and port */
	char host[NBD_URI_HOST_MAX + 1];     /* name or address, without brackets */
	char port[6];			     /* 1 to 65535 */
	char name[NBD_HAND_EXPORT_MAX + 1];  /* of the export, or "" */
	char socket[NBD_URI_SOCKET_MAX + 1]; /* its path from the root */
};

/* Whether somebody who wrote that meant such an address, right or wrong. */
bool nbd_uri_is_meant(const char *text, size_t len);
/* 0, or -EINVAL with *ret_why what would be right. */
[[nodiscard]] int nbd_uri_parse(const char *text, size_t len, struct nbd_uri *ret,
				const char **ret_why);

#endif
