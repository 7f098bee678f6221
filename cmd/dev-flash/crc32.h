/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32 as in IEEE 802.3: whether a record of the log is whole. */
#ifndef BULKHEAD_CMD_DEV_FLASH_CRC32_H
#define BULKHEAD_CMD_DEV_FLASH_CRC32_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32_of(const uint8_t *at, size_t len);

#endif
