/* SPDX-License-Identifier: Apache-2.0 */
/* Who has a device of the host's open. */
#ifndef BULKHEAD_CMD_BULKHEAD_NET_OPEN_FILES_H
#define BULKHEAD_CMD_BULKHEAD_NET_OPEN_FILES_H

/* Whether any process that root sees has the character device at path: 1 or 0; or a negative errno, as of a path that is none. */
[[nodiscard]] int open_files_have(const char *path);

#endif
