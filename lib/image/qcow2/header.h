/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/image/qcow2: headers, from and to bytes. */
#ifndef BULKHEAD_IMAGE_QCOW2_HEADER_H
#define BULKHEAD_IMAGE_QCOW2_HEADER_H

#include "lib/image/qcow2/qcow2.h"

struct qcow2_header {
	uint32_t version;
	uint64_t backing_offset;
	uint32_t backing_len;
	uint32_t cluster_bits;
	uint64_t size;
	uint32_t crypt_method;
	uint32_t l1_size; /* entries */
	uint64_t l1_offset;
	uint64_t reftable_offset;
	uint32_t reftable_clusters;
	uint32_t n_snapshots;
	uint64_t snapshots_offset;
	uint64_t incompatible, compatible, autoclear;
	uint32_t refcount_order;
	uint32_t header_len;
	uint8_t compression;
};

/* What the extensions say that matters here. */
struct qcow2_extensions {
	char backing_format[QCOW2_NAME_MAX];
	char data_file[QCOW2_NAME_MAX];
	uint32_t n_bitmaps; /* 0: no bitmaps extension */
	uint64_t bitmaps_offset, bitmaps_len;
};

/* From the first len bytes of an image; every field is checked but for where tables lie. */
[[nodiscard]] int header_decode(const uint8_t *bytes, size_t len, struct qcow2_header *ret,
				struct volume_error *e);
/* Of the first len bytes; limit: where they must end. A feature that h needs and that is not known is
 * refused by the name that the image gives it, or else its number. */
[[nodiscard]] int extensions_decode(const uint8_t *bytes, size_t len, const struct qcow2_header *h,
				    struct qcow2_extensions *ret, struct volume_error *e);

/* Reads and checks header and extensions, and the backing file's name (NULL: not wanted). */
[[nodiscard]] int header_read(struct store *file, struct qcow2_header *ret,
			      struct qcow2_extensions *ret_ext, char backing[QCOW2_NAME_MAX],
			      struct volume_error *e);

/* L1 entries that a disk of this size needs. */
[[nodiscard]] uint64_t header_l1_needed(uint64_t size, uint32_t cluster_bits, bool extended_l2);

#endif
