/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log behind a flash's store: records one behind the other, each a change of the store that is whole or not there.
 * A record, little-endian: magic (4 bytes), length of what follows the head (4), CRC-32 of that (4), then pieces: offset in
 * the store (4), length (4), bytes. Pure: no I/O. What is read of a file is HOSTILE.
 */
#ifndef BULKHEAD_CMD_DEV_FLASH_LOG_H
#define BULKHEAD_CMD_DEV_FLASH_LOG_H

#include <stddef.h>
#include <stdint.h>

#define LOG_RECORD_HEAD 12U
#define LOG_PIECE_HEAD 8U

/*
 * Makes a record of how `now` differs from `before`, both of size bytes, in the sectors whose bits are set in `touched`:
 * its length, 0 if nothing differs, or -ENOSPC if it has not room in cap.
 */
[[nodiscard]] int log_make(const uint8_t *before, const uint8_t *now, uint32_t size,
			   const uint8_t *touched, uint8_t *out, size_t cap);
/*
 * Does to the store what the whole records from the start of the log on say, and sets the bits of the sectors that they
 * are of. The length of them: what is behind is none.
 */
[[nodiscard]] size_t log_replay(const uint8_t *log, size_t len, uint8_t *store, uint32_t size,
				uint8_t *sectors);

static inline void sector_set(uint8_t *bits, uint32_t sector)
{
	bits[sector / 8] |= (uint8_t)(1U << sector % 8);
}

static inline _Bool sector_is_set(const uint8_t *bits, uint32_t sector)
{
	return bits[sector / 8] >> sector % 8 & 1;
}

#endif
