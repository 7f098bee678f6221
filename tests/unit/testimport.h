/* SPDX-License-Identifier: Apache-2.0 */
/* Small images of the formats that are imported, in memory, to be spoilt: for unit tests and fuzz targets. */
#ifndef BULKHEAD_TESTS_UNIT_TESTIMPORT_H
#define BULKHEAD_TESTS_UNIT_TESTIMPORT_H

#include "cmd/image-import/import.h"

enum testimport_kind {
	IMPORT_VHD_FIXED,
	IMPORT_VHD_DYNAMIC,
	IMPORT_VHDX,
	IMPORT_VMDK,
	IMPORT_VMDK_STREAM,
	N_TESTIMPORT,
};

#define TESTIMPORT_MAX (4U << 20)

/* A file that is mostly zeroes. */
struct testimport {
	struct import_file file;
	enum testimport_kind kind;
	uint8_t *bytes;		  /* TESTIMPORT_MAX */
	unsigned int fails_after; /* reads, then -EIO; 0: never */
	unsigned int reads;
	/* what its map said */
	struct import_sink sink;
	uint64_t mapped, data, records;
	bool wild; /* a record that cannot be */
};

/* A disk of three blocks, of which the second is not there. */
void testimport_make(struct testimport *t, enum testimport_kind kind);
/* Puts right checksums on whatever stands there now. */
void testimport_seal(struct testimport *t);
void testimport_free(struct testimport *t);
/* Opens it, and maps it if that went well: 0 or a negative errno. */
int testimport_run(struct testimport *t, struct import *i, struct import_error *e);

#endif
