/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C; see crc32c.h. A few pages are summed in an image's life: no table. */
#include "cmd/image-import/crc32c.h"

#define POLYNOMIAL 0x82f63b78U /* reflected */

uint32_t crc32c_but(const uint8_t *at, size_t len, size_t field)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc ^= i >= field && i < field + 4 ? 0 : at[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
	}
	return ~crc;
}
