/* SPDX-License-Identifier: Apache-2.0 */
/* What is the same for every store; see store.h. */
#include "lib/image/store.h"

#define CHUNK (64U << 10)

/* Never written, so that it takes no memory. */
static const uint8_t zeroes[CHUNK];

ssize_t store_read(struct store *s, void *buf, size_t len, uint64_t offset)
{
	const struct iovec iov = { .iov_base = buf, .iov_len = len };

	return store_readv(s, &iov, 1, offset);
}

int store_write(struct store *s, const void *buf, size_t len, uint64_t offset)
{
	const struct iovec iov = { .iov_base = (void *)(uintptr_t)buf, .iov_len = len };

	return store_writev(s, &iov, 1, offset);
}

int store_zero(struct store *s, uint64_t offset, uint64_t len)
{
	while (len) {
		size_t n = len < CHUNK ? (size_t)len : CHUNK;
		int r = store_write(s, zeroes, n, offset);

		if (r < 0)
			return r;
		offset += n;
		len -= n;
	}
	return 0;
}

int store_punch(struct store *s, uint64_t offset, uint64_t len)
{
	if (s->readonly)
		return -EROFS;
	return s->ops->punch ? s->ops->punch(s, offset, len) : -EOPNOTSUPP;
}

int store_map(struct store *s, uint64_t offset, uint64_t len, bool *ret_data, uint64_t *ret_len)
{
	if (s->ops->map)
		return s->ops->map(s, offset, len, ret_data, ret_len);
	*ret_data = true;
	*ret_len = len;
	return 0;
}

int store_truncate(struct store *s, uint64_t size)
{
	if (s->readonly)
		return -EROFS;
	return s->ops->truncate ? s->ops->truncate(s, size) : -EOPNOTSUPP;
}
