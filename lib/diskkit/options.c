/* SPDX-License-Identifier: Apache-2.0 */
/* What a disk's options may be; see options.h. */
#include "lib/diskkit/options.h"

const char *const disk_formats[] = { "raw", "qcow2", NULL };
const char *const disk_caches[] = { "writeback", "none", NULL };
const char *const disk_logical_sizes[] = { "512", "4096", NULL };
const char *const disk_physical_sizes[] = { "auto", "512", "4096", NULL };
