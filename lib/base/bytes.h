/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded little-endian byte buffer, for codecs. Reading or writing past the end sets a sticky
 * error instead of touching memory; a codec checks it once at the end.
 */
#ifndef BULKHEAD_BASE_BYTES_H
#define BULKHEAD_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes_reader {
	const uint8_t *data;
	size_t len; /* bytes */
	size_t at;
	bool failed; /* a get ran past the end */
};

struct bytes_writer {
	uint8_t *data;
	size_t cap; /* bytes */
	size_t at;
	bool failed; /* a put ran past the end */
};

struct bytes_reader bytes_reader(const void *data, size_t len);
uint8_t bytes_get8(struct bytes_reader *r);
uint16_t bytes_get16(struct bytes_reader *r);
uint32_t bytes_get32(struct bytes_reader *r);
uint64_t bytes_get64(struct bytes_reader *r);
/* Copies len bytes to out; on failure out is zeroed. */
void bytes_get(struct bytes_reader *r, void *out, size_t len);
void bytes_skip(struct bytes_reader *r, size_t len);
size_t bytes_left(const struct bytes_reader *r);
/* 0 if every get succeeded and nothing is left over, -EBADMSG otherwise. */
[[nodiscard]] int bytes_finish(const struct bytes_reader *r);

struct bytes_writer bytes_writer(void *data, size_t cap);
void bytes_put8(struct bytes_writer *w, uint8_t v);
void bytes_put16(struct bytes_writer *w, uint16_t v);
void bytes_put32(struct bytes_writer *w, uint32_t v);
void bytes_put64(struct bytes_writer *w, uint64_t v);
void bytes_put(struct bytes_writer *w, const void *data, size_t len);
/* The number of bytes written, or -EMSGSIZE if a put did not fit. */
[[nodiscard]] int bytes_written(const struct bytes_writer *w);

#endif
