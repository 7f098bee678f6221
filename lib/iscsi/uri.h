/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The address of a logical unit. Pure.
 *
 *	iscsi://[USER@]HOST[:PORT][+HOST[:PORT]...]/TARGET/LUN[?initiator=NAME]
 *
 * TARGET and NAME are iSCSI names (iqn., eui. or naa.), LUN a number. The hosts after a + are other ways to the same target. An
 * IPv6 address stands in brackets; in USER %XX stands for a byte.
 */
#ifndef BULKHEAD_ISCSI_URI_H
#define BULKHEAD_ISCSI_URI_H

#include "lib/iscsi/login.h"

#define ISCSI_HOST_MAX 253U /* of a name of DNS */
#define ISCSI_PORTALS_MAX 4U
#define ISCSI_URI_MAX 2048U
#define ISCSI_PORT 3260U

struct iscsi_portal {
	char host[ISCSI_HOST_MAX + 1]; /* name or address, without brackets */
	uint16_t port;
};

struct iscsi_uri {
	char user[ISCSI_USER_MAX + 1]; /* or "" */
	unsigned int n_portals;
	struct iscsi_portal portal[ISCSI_PORTALS_MAX];
	char target[ISCSI_NAME_MAX + 1];
	uint8_t lun[ISCSI_LUN_LEN];
	char initiator[ISCSI_NAME_MAX + 1]; /* ISCSI_INITIATOR, where none is said */
};

/* Whether somebody who wrote that meant such an address, right or wrong. */
bool iscsi_uri_is_meant(const char *text, size_t len);
/* 0, or -EINVAL with *ret_why what would be right. */
[[nodiscard]] int iscsi_uri_parse(const char *text, size_t len, struct iscsi_uri *ret,
				  const char **ret_why);
/* Whether it is an iSCSI name. */
bool iscsi_name_is(const char *text, size_t len);

#endif
