/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded little-endian byte buffer; see bytes.h. */
#include "lib/base/bytes.h"

#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

struct bytes_reader bytes_reader(const void *data, size_t len)
{
	return (struct bytes_reader){ .data = data, .len = len };
}

size_t bytes_left(const struct bytes_reader *r)
{
	return r->len - r->at;
}

void bytes_get(struct bytes_reader *r, void *out, size_t len)
{
	if (r->failed || len > bytes_left(r)) {
		r->failed = true;
		if (len)
			memset(out, 0, len);
		return;
	}
	if (len)
		memcpy(out, r->data + r->at, len);
	r->at += len;
}

void bytes_skip(struct bytes_reader *r, size_t len)
{
	if (r->failed || len > bytes_left(r))
		r->failed = true;
	else
		r->at += len;
}

uint8_t bytes_get8(struct bytes_reader *r)
{
	uint8_t v;

	bytes_get(r, &v, sizeof(v));
	return v;
}

uint16_t bytes_get16(struct bytes_reader *r)
{
	uint16_t v;

	bytes_get(r, &v, sizeof(v));
	return le16toh(v);
}

uint32_t bytes_get32(struct bytes_reader *r)
{
	uint32_t v;

	bytes_get(r, &v, sizeof(v));
	return le32toh(v);
}

uint64_t bytes_get64(struct bytes_reader *r)
{
	uint64_t v;

	bytes_get(r, &v, sizeof(v));
	return le64toh(v);
}

int bytes_finish(const struct bytes_reader *r)
{
	return r->failed || bytes_left(r) ? -EBADMSG : 0;
}

struct bytes_writer bytes_writer(void *data, size_t cap)
{
	return (struct bytes_writer){ .data = data, .cap = cap };
}

void bytes_put(struct bytes_writer *w, const void *data, size_t len)
{
	if (w->failed || len > w->cap - w->at) {
		w->failed = true;
		return;
	}
	if (len)
		memcpy(w->data + w->at, data, len);
	w->at += len;
}

void bytes_put8(struct bytes_writer *w, uint8_t v)
{
	bytes_put(w, &v, sizeof(v));
}

void bytes_put16(struct bytes_writer *w, uint16_t v)
{
	v = htole16(v);
	bytes_put(w, &v, sizeof(v));
}

void bytes_put32(struct bytes_writer *w, uint32_t v)
{
	v = htole32(v);
	bytes_put(w, &v, sizeof(v));
}

void bytes_put64(struct bytes_writer *w, uint64_t v)
{
	v = htole64(v);
	bytes_put(w, &v, sizeof(v));
}

int bytes_written(const struct bytes_writer *w)
{
	if (w->failed || w->at > INT_MAX)
		return -EMSGSIZE;
	return (int)w->at;
}
