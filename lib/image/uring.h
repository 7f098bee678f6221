/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/image: a ring that can do nothing but a few operations on a few files. */
#ifndef BULKHEAD_IMAGE_URING_H
#define BULKHEAD_IMAGE_URING_H

#include <liburing.h>
#include <stddef.h>
#include <stdint.h>

#define URING_MAX_OPS 8

/*
 * A ring of `entries` whose only files are fds, registered from 0 on, and whose only operations are
 * ops, every one of which must use a registered file. Nothing more can be registered. 0 or a
 * negative errno.
 */
[[nodiscard]] int uring_open(struct io_uring *ring, unsigned int entries, const int *fds,
			     unsigned int n_fds, const uint8_t *ops, size_t n_ops);

#endif
