/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32, four bits at a time; see crc32.h. */
#include "cmd/dev-flash/crc32.h"

#define POLYNOMIAL 0xedb88320U /* reflected */

static uint32_t four_bits(uint32_t crc)
{
	for (int i = 0; i < 4; i++)
		crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
	return crc;
}

uint32_t crc32_of(const uint8_t *at, size_t len)
{
	uint32_t table[16], crc = UINT32_MAX;

	for (uint32_t i = 0; i < 16; i++)
		table[i] = four_bits(i);
	for (size_t i = 0; i < len; i++) {
		crc ^= at[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}
