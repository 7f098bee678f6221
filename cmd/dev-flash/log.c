/* SPDX-License-Identifier: Apache-2.0 */
/* Records of changes; see log.h. */
#include "cmd/dev-flash/log.h"

#include "cmd/dev-flash/crc32.h"
#include "lib/base/bytes.h"
#include "lib/base/checked.h"
#include "lib/fwcfg/flash.h"

#include <errno.h>
#include <string.h>

#define MAGIC 0x56464842U /* "BHFV" */

/* ---- making one ---- */

/* From the first byte of the sector that differs to the last. */
static uint32_t differing(const uint8_t *before, const uint8_t *now, uint32_t *at)
{
	uint32_t end = FLASH_SECTOR, first = 0;

	if (memcmp(before + *at, now + *at, FLASH_SECTOR) == 0)
		return 0;
	while (before[*at + first] == now[*at + first])
		first++;
	while (before[*at + end - 1] == now[*at + end - 1])
		end--;
	*at += first;
	return end - first;
}

int log_make(const uint8_t *before, const uint8_t *now, uint32_t size, const uint8_t *touched,
	     uint8_t *out, size_t cap)
{
	struct bytes_writer w = bytes_writer(out, cap), head = bytes_writer(out, cap);

	for (int i = 0; i < 3; i++)
		bytes_put32(&w, 0);
	for (uint32_t sector = 0; sector < size / FLASH_SECTOR; sector++) {
		uint32_t at = (uint32_t)(sector * FLASH_SECTOR), len;

		len = sector_is_set(touched, sector) ? differing(before, now, &at) : 0;
		if (!len)
			continue;
		bytes_put32(&w, at);
		bytes_put32(&w, len);
		bytes_put(&w, now + at, len);
	}
	if (w.failed)
		return -ENOSPC;
	if (w.at == LOG_RECORD_HEAD)
		return 0;
	bytes_put32(&head, MAGIC);
	bytes_put32(&head, (uint32_t)(w.at - LOG_RECORD_HEAD));
	bytes_put32(&head, crc32_of(out + LOG_RECORD_HEAD, w.at - LOG_RECORD_HEAD));
	return (int)w.at;
}

/* ---- reading them ---- */

/* The length of what follows a record's head, or 0: there is no whole one. */
static uint32_t whole(const uint8_t *log, size_t len)
{
	struct bytes_reader r = bytes_reader(log, len);
	const uint32_t magic = bytes_get32(&r), n = bytes_get32(&r), crc = bytes_get32(&r);

	if (r.failed || magic != MAGIC || n > bytes_left(&r))
		return 0;
	return crc32_of(log + LOG_RECORD_HEAD, n) == crc ? n : 0;
}

/* With store NULL only whether it can be: a record is done as a whole. */
static int take_pieces(const uint8_t *bytes, uint32_t len, uint8_t *store, uint32_t size,
		       uint8_t *sectors)
{
	struct bytes_reader r = bytes_reader(bytes, len);

	while (bytes_left(&r)) {
		const uint32_t at = bytes_get32(&r), n = bytes_get32(&r);

		if (r.failed || n == 0 || n > bytes_left(&r) || !range_within(at, n, size))
			return -EBADMSG;
		if (store && sectors) {
			memcpy(store + at, r.data + r.at, n);
			for (uint32_t s = (uint32_t)(at / FLASH_SECTOR);
			     s <= (at + n - 1) / FLASH_SECTOR; s++)
				sector_set(sectors, s);
		}
		bytes_skip(&r, n);
	}
	return 0;
}

size_t log_replay(const uint8_t *log, size_t len, uint8_t *store, uint32_t size, uint8_t *sectors)
{
	size_t at = 0;
	uint32_t n;

	while ((n = whole(log + at, len - at)) != 0) {
		const uint8_t *pieces = log + at + LOG_RECORD_HEAD;

		if (take_pieces(pieces, n, NULL, size, NULL) < 0)
			break;
		(void)!take_pieces(pieces, n, store, size, sectors);
		at += LOG_RECORD_HEAD + n;
	}
	return at;
}
