/* SPDX-License-Identifier: Apache-2.0 */
/* A type of virtio device for the vmm's front end, as the row of its kind has it. */
#ifndef BULKHEAD_TESTS_TESTTYPE_H
#define BULKHEAD_TESTS_TESTTYPE_H

#include "cmd/vmm/args.h"

/* VIRTIO 1.2, section 5: 2 block, 3 console, 4 entropy. Lasts until the next call for the same id. */
const struct virtio_type *test_virtio_type(unsigned int id);

#endif
