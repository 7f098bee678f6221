/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets as files have them: one line each. Pure. */
#ifndef BULKHEAD_ISCSI_SECRET_H
#define BULKHEAD_ISCSI_SECRET_H

#include "lib/iscsi/login.h"

#define ISCSI_SECRET_FILE_MAX (ISCSI_USER_MAX + 1U + ISCSI_SECRET_MAX + 1U) /* bytes */

/* SECRET: what shows who asks. 0, or -EINVAL with *ret_why what would be right. */
[[nodiscard]] int iscsi_secret_take(const char *text, size_t len, struct iscsi_who *who,
				    const char **ret_why);
/* NAME:SECRET: what the target is to show; after the other. As iscsi_secret_take. */
[[nodiscard]] int iscsi_peer_take(const char *text, size_t len, struct iscsi_who *who,
				  const char **ret_why);

#endif
