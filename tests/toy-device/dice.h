/* SPDX-License-Identifier: Apache-2.0 */
/* What dev-dice is, for its own files alone. */
#ifndef BULKHEAD_TOY_DEVICE_DICE_H
#define BULKHEAD_TOY_DEVICE_DICE_H

#include "lib/kinds/kind.h"

enum { DICE_FD_VHOST_USER = 4 };

struct dice_options {
	uint64_t faces;
};

extern const struct sandbox_policy dice_policy;
extern const struct declared_process dice_declared;
extern const struct device_kind dice_kind;

#endif
