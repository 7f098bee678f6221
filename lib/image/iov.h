/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of memory: windows of them, zeroing, copying. Nothing here changes a vector that it is given. */
#ifndef BULKHEAD_IMAGE_IOV_H
#define BULKHEAD_IMAGE_IOV_H

#include <stdint.h>
#include <sys/uio.h>

[[nodiscard]] uint64_t iov_bytes(const struct iovec *iov, size_t n);

/*
 * The bytes [from, from + len) of iov as a vector of at most max pieces in out. Returns how many; if
 * they do not suffice, *len is cut to what they hold.
 */
[[nodiscard]] size_t iov_window(const struct iovec *iov, size_t n, uint64_t from, uint64_t *len,
				struct iovec *out, size_t max);

/* These stop at the end of iov. */
void iov_zero(const struct iovec *iov, size_t n, uint64_t from, uint64_t len);
void iov_fill(const struct iovec *iov, size_t n, uint64_t from, const void *bytes, uint64_t len);
void iov_take(const struct iovec *iov, size_t n, uint64_t from, void *bytes, uint64_t len);

#endif
