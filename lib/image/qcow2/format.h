/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/image/qcow2: the format's constants, in the specification's words, big-endian. */
#ifndef BULKHEAD_IMAGE_QCOW2_FORMAT_H
#define BULKHEAD_IMAGE_QCOW2_FORMAT_H

#include "lib/base/be.h"
#include "lib/base/units.h"

#include <stdint.h>
#include <string.h>

#define QCOW2_MAGIC 0x514649fbU

/* Offsets of header fields that change. */
#define H_SIZE 24U
#define H_L1_SIZE 36U
#define H_L1_OFFSET 40U
#define H_REFTABLE_OFFSET 48U
#define H_REFTABLE_CLUSTERS 56U
#define H_N_SNAPSHOTS 60U
#define H_SNAPSHOTS_OFFSET 64U
#define H_INCOMPATIBLE 72U
#define H_AUTOCLEAR 88U

#define HEADER_V2 72U
#define HEADER_V3 104U
#define HEADER_MAX 4096U /* more in front of the extensions is no header that anybody writes */

#define INCOMPATIBLE_DIRTY BIT(0)
#define INCOMPATIBLE_CORRUPT BIT(1)
#define INCOMPATIBLE_DATA_FILE BIT(2)
#define INCOMPATIBLE_COMPRESSION BIT(3)
#define INCOMPATIBLE_EXTENDED_L2 BIT(4)
#define INCOMPATIBLE_KNOWN (BIT(5) - 1)
#define COMPATIBLE_LAZY BIT(0)
#define AUTOCLEAR_BITMAPS BIT(0)
#define AUTOCLEAR_DATA_RAW BIT(1)

#define EXT_END 0U
#define EXT_BACKING_FORMAT 0xe2792acaU
#define EXT_FEATURE_NAMES 0x6803f857U
#define EXT_BITMAPS 0x23852875U
#define EXT_CRYPTO 0x0537be77U
#define EXT_DATA_FILE 0x44415441U

#define OFFSET_MASK 0x00fffffffffffe00U /* bits 9 to 55 of L1, L2 and refcount table entries */
#define RESERVED_L1 0x7f000000000001ffU
#define RESERVED_L2 0x3f000000000001feU
#define ENTRY_COPIED BIT(63)
#define ENTRY_COMPRESSED BIT(62)
#define ENTRY_ZERO BIT(0)

#define SUBCLUSTERS 32U /* of an extended L2 entry */

/* What this takes: the limits are QEMU's. */
#define MIN_CLUSTER_BITS 9U
#define MAX_CLUSTER_BITS 21U
#define MAX_REFCOUNT_ORDER 6U
#define MAX_L1_BYTES MIB(32)
#define MAX_REFTABLE_BYTES MIB(8)
#define MAX_SNAPSHOTS 65536U
#define MAX_SNAPSHOT_TABLE_BYTES MIB(64)
#define MAX_SNAPSHOT_EXTRA 1024U
#define MAX_BACKING_NAME 1023U

#endif
