/* SPDX-License-Identifier: Apache-2.0 */
/* `bulkhead image import`: a file from a web server, or of this host, that gets its name once its checksum is right. */
#ifndef BULKHEAD_CMD_BULKHEAD_IMAGE_IMPORT_H
#define BULKHEAD_CMD_BULKHEAD_IMAGE_IMPORT_H

#include "cmd/bulkhead/image/words.h"

/* An exit status, after one line if it is not 0. */
[[nodiscard]] int image_import(struct image_words *w);

#endif
