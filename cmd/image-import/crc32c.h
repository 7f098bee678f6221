/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C (Castagnoli), the checksum of VHDX. */
#ifndef BULKHEAD_IMAGE_IMPORT_CRC32C_H
#define BULKHEAD_IMAGE_IMPORT_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Of len bytes, where the four at `field` count as zeroes. */
uint32_t crc32c_but(const uint8_t *at, size_t len, size_t field);

#endif
