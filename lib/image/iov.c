/* SPDX-License-Identifier: Apache-2.0 */
/* See iov.h. */
#include "lib/image/iov.h"

#include <string.h>

uint64_t iov_bytes(const struct iovec *iov, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += iov[i].iov_len;
	return sum;
}

size_t iov_window(const struct iovec *iov, size_t n, uint64_t from, uint64_t *len,
		  struct iovec *out, size_t max)
{
	uint64_t got = 0;
	size_t used = 0;

	for (size_t i = 0; i < n && got < *len && used < max; i++) {
		uint64_t here = iov[i].iov_len;

		if (from >= here) {
			from -= here;
			continue;
		}
		here -= from;
		if (here > *len - got)
			here = *len - got;
		out[used++] = (struct iovec){ .iov_base = (uint8_t *)iov[i].iov_base + from,
					      .iov_len = here };
		got += here;
		from = 0;
	}
	*len = got;
	return used;
}

/* Calls f with every piece of [from, from + len) of iov, and with the bytes that belong to it. */
static void for_pieces(const struct iovec *iov, size_t n, uint64_t from, uint64_t len,
		       void (*f)(void *at, uint64_t len, uint8_t *bytes), uint8_t *bytes)
{
	for (size_t i = 0; i < n && len; i++) {
		uint64_t here = iov[i].iov_len;

		if (from >= here) {
			from -= here;
			continue;
		}
		here -= from;
		if (here > len)
			here = len;
		f((uint8_t *)iov[i].iov_base + from, here, bytes);
		if (bytes)
			bytes += here;
		len -= here;
		from = 0;
	}
}

static void zero_piece(void *at, uint64_t len, uint8_t *bytes)
{
	(void)bytes;
	memset(at, 0, len);
}

static void fill_piece(void *at, uint64_t len, uint8_t *bytes)
{
	memcpy(at, bytes, len);
}

static void take_piece(void *at, uint64_t len, uint8_t *bytes)
{
	memcpy(bytes, at, len);
}

void iov_zero(const struct iovec *iov, size_t n, uint64_t from, uint64_t len)
{
	for_pieces(iov, n, from, len, zero_piece, NULL);
}

void iov_fill(const struct iovec *iov, size_t n, uint64_t from, const void *bytes, uint64_t len)
{
	for_pieces(iov, n, from, len, fill_piece, (uint8_t *)(uintptr_t)bytes);
}

void iov_take(const struct iovec *iov, size_t n, uint64_t from, void *bytes, uint64_t len)
{
	for_pieces(iov, n, from, len, take_piece, bytes);
}
