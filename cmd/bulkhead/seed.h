/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disk that cloud-init reads in a guest. Files are opened with their user's rights here; image-seed, a process in a
 * jail, reads them and makes it, in memory.
 */
#ifndef BULKHEAD_CMD_BULKHEAD_SEED_H
#define BULKHEAD_CMD_BULKHEAD_SEED_H

#include "cmd/bulkhead/links.h"

/*
 * Sets links->seed, where the configuration has one. A password's hash is wiped from the words and the file that it came
 * in. 0, or an exit status after one line.
 */
[[nodiscard]] int seed_take(struct vm_config *c, struct links *links);

#endif
