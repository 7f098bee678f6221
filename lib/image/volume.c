/* SPDX-License-Identifier: Apache-2.0 */
/* What is the same for volumes of every format; see volume.h. */
#include "lib/image/volume.h"

#include "lib/base/checked.h"
#include "lib/image/iov.h"

#include <stdarg.h>
#include <stdio.h>

int volume_fail(struct volume_error *e, int r, const char *format, ...)
{
	va_list args;

	if (!e)
		return r;
	va_start(args, format);
	(void)vsnprintf(e->text, sizeof(e->text), format, args);
	va_end(args);
	return r;
}

static int check(const struct volume *v, uint64_t offset, uint64_t len, bool writes)
{
	if (!range_within(offset, len, v->size))
		return -EINVAL;
	return writes && v->readonly ? -EROFS : 0;
}

int volume_readv(struct volume *v, const struct iovec *iov, size_t n_iov, uint64_t offset)
{
	int r = check(v, offset, iov_bytes(iov, n_iov), false);

	return r < 0 ? r : v->ops->readv(v, iov, n_iov, offset);
}

int volume_writev(struct volume *v, const struct iovec *iov, size_t n_iov, uint64_t offset)
{
	int r = check(v, offset, iov_bytes(iov, n_iov), true);

	return r < 0 ? r : v->ops->writev(v, iov, n_iov, offset);
}

int volume_read(struct volume *v, void *buf, size_t len, uint64_t offset)
{
	const struct iovec iov = { .iov_base = buf, .iov_len = len };

	return volume_readv(v, &iov, 1, offset);
}

int volume_write(struct volume *v, const void *buf, size_t len, uint64_t offset)
{
	const struct iovec iov = { .iov_base = (void *)(uintptr_t)buf, .iov_len = len };

	return volume_writev(v, &iov, 1, offset);
}

int volume_zero(struct volume *v, uint64_t offset, uint64_t len, bool may_unmap)
{
	int r = check(v, offset, len, true);

	return r < 0 || !len ? r : v->ops->zero(v, offset, len, may_unmap);
}

int volume_discard(struct volume *v, uint64_t offset, uint64_t len)
{
	int r = check(v, offset, len, true);

	return r < 0 || !len ? r : v->ops->discard(v, offset, len);
}

int volume_flush(struct volume *v)
{
	return v->ops->flush(v);
}

int volume_map(struct volume *v, uint64_t offset, uint64_t len, struct extent *ret)
{
	int r = check(v, offset, len, false);

	if (r < 0)
		return r;
	return len ? v->ops->map(v, offset, len, ret) : -EINVAL;
}

int volume_map_cached(struct volume *v, uint64_t offset, uint64_t len, struct extent *ret)
{
	int r = check(v, offset, len, false);

	if (r < 0)
		return r;
	return len ? v->ops->map_cached(v, offset, len, ret) : -EINVAL;
}

void volume_close(struct volume *v)
{
	if (v)
		v->ops->close(v);
}
