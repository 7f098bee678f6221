/* SPDX-License-Identifier: Apache-2.0 */
/* Which checksum an imported file is to have. */
#ifndef BULKHEAD_CMD_BULKHEAD_IMAGE_EXPECT_H
#define BULKHEAD_CMD_BULKHEAD_IMAGE_EXPECT_H

#include "cmd/bulkhead/image/words.h"

/* What the words say, or what their list says of name. 0, or an exit status after one line. */
[[nodiscard]] int image_expect(const struct image_words *w, const char *name, struct digest *ret);

#endif
