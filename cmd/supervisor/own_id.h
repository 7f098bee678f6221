/* SPDX-License-Identifier: Apache-2.0 */
/* Ids of root's processes that are in no jail. */
#ifndef BULKHEAD_SUPERVISOR_OWN_ID_H
#define BULKHEAD_SUPERVISOR_OWN_ID_H

#include <sys/types.h>

/*
 * Root takes another id for everything, but for files, and no group. Its capabilities, which a change of ids would
 * take, are kept until it is confined. 0 or a negative errno.
 */
[[nodiscard]] int own_id_take(uid_t id, uid_t files);

#endif
