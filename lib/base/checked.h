/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checked arithmetic for numbers that an untrusted party chose.
 *
 * Every function returns true and writes *ret when the exact result fits, and returns false and
 * leaves *ret alone when it does not.
 */
#ifndef BULKHEAD_BASE_CHECKED_H
#define BULKHEAD_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

[[nodiscard]] static inline bool u64_add(uint64_t a, uint64_t b, uint64_t *ret)
{
	uint64_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return false;
	*ret = sum;
	return true;
}

[[nodiscard]] static inline bool u64_mul(uint64_t a, uint64_t b, uint64_t *ret)
{
	uint64_t product;

	if (__builtin_mul_overflow(a, b, &product))
		return false;
	*ret = product;
	return true;
}

[[nodiscard]] static inline bool u32_add(uint32_t a, uint32_t b, uint32_t *ret)
{
	uint32_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return false;
	*ret = sum;
	return true;
}

[[nodiscard]] static inline bool size_add(size_t a, size_t b, size_t *ret)
{
	size_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return false;
	*ret = sum;
	return true;
}

/* True if [offset, offset + len) lies within [0, size). A zero len at offset == size does. */
[[nodiscard]] static inline bool range_within(uint64_t offset, uint64_t len, uint64_t size)
{
	return offset <= size && len <= size - offset;
}

#endif
