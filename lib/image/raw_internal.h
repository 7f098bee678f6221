/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/image: between raw_open.c and raw.c. */
#ifndef BULKHEAD_IMAGE_RAW_INTERNAL_H
#define BULKHEAD_IMAGE_RAW_INTERNAL_H

#include "lib/image/raw.h"

_Static_assert(PUNCHER_MAX >= RAW_DEPTH, "the puncher has room for every slot");

/* Empty slots and the operations. */
void raw_init(struct raw_image *raw);

#endif
