/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/image/qcow2: the table of snapshots. */
#ifndef BULKHEAD_IMAGE_QCOW2_SNAPTABLE_H
#define BULKHEAD_IMAGE_QCOW2_SNAPTABLE_H

#include "lib/image/qcow2/internal.h"

#define SNAPSHOT_FIXED 40U /* bytes of a row before what varies */

/* One row: what is needed of it, and its bytes as they are, padded to 8. */
struct snaprow {
	uint64_t l1_offset;
	uint32_t l1_size; /* entries */
	uint8_t *bytes;
	uint32_t len;
};

struct snaptable {
	struct snaprow *row;
	uint32_t n;
};

/* All of it, checked; to be given to snaptable_free. */
[[nodiscard]] int snaptable_read(struct qcow2 *q, struct snaptable *ret, struct volume_error *e);
void snaptable_free(struct snaptable *t);
[[nodiscard]] uint64_t snaptable_bytes(const struct snaptable *t);
/* For users. */
void snaprow_show(const struct snaprow *row, uint64_t disk_size, struct qcow2_snapshot *ret);
/* A row with this id and name. Takes nothing. */
[[nodiscard]] int snaprow_make(const char *id, const char *name, uint64_t l1_offset,
			       uint32_t l1_size, uint64_t disk_size, uint32_t date_s,
			       uint32_t date_ns, struct snaprow *ret);

#endif
