/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers in a file's bytes, whose place was checked. */
#ifndef BULKHEAD_IMAGE_IMPORT_WIRE_H
#define BULKHEAD_IMAGE_IMPORT_WIRE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define WIRE(name, type, convert)                  \
	static inline type name(const uint8_t *at) \
	{                                          \
		type v;                            \
                                                   \
		memcpy(&v, at, sizeof(v));         \
		return convert(v);                 \
	}

WIRE(be16, uint16_t, be16toh)
WIRE(be32, uint32_t, be32toh)
WIRE(be64, uint64_t, be64toh)
WIRE(le16, uint16_t, le16toh)
WIRE(le32, uint32_t, le32toh)
WIRE(le64, uint64_t, le64toh)

#endif
