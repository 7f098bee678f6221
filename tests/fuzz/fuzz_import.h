/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image of a format that is imported, with spoilt places: the input is the image's number, then a u24 offset, a
 * length and bytes for each place; checksums are right. Whatever it is, its map is that of the whole disk
 * and within the file, or there is a line.
 */
#ifndef BULKHEAD_TESTS_FUZZ_FUZZ_IMPORT_H
#define BULKHEAD_TESTS_FUZZ_FUZZ_IMPORT_H

#include "tests/fuzz/fuzz.h"
#include "tests/unit/testimport.h"

#include <string.h>

/* What places held before, to be put back: images are made once. */
struct fuzz_undo {
	uint32_t at;
	uint8_t len, bytes[255];
};

static inline void spoil_at(struct testimport *t, struct fuzz_undo *u, const uint8_t *bytes)
{
	if (u->at >= t->file.size)
		u->len = 0;
	else if (u->len > t->file.size - u->at)
		u->len = (uint8_t)(t->file.size - u->at);
	memcpy(u->bytes, t->bytes + u->at, u->len);
	memcpy(t->bytes + u->at, bytes, u->len);
}

static inline void judge(struct testimport *t)
{
	struct import_error e;
	struct import i;

	testimport_seal(t);
	if (testimport_run(t, &i, &e) < 0)
		require(*e.text != '\0');
	else
		require(t->mapped == i.info.size);
	require(!t->wild);
}

#define FUZZ_PLACES 64

static inline int fuzz_import(enum testimport_kind first, enum testimport_kind last,
			      const uint8_t *data, size_t size)
{
	static struct testimport images[N_TESTIMPORT];
	static struct fuzz_undo undo[FUZZ_PLACES];
	size_t at = 1, n = 0;
	struct testimport *t;

	if (!size)
		return 0;
	t = &images[first + data[0] % (last - first + 1)];
	if (!t->bytes)
		testimport_make(t, (enum testimport_kind)(t - images));
	for (; size - at >= 4 && n < FUZZ_PLACES; n++) {
		undo[n].at = data[at] | (uint32_t)data[at + 1] << 8 | (uint32_t)data[at + 2] << 16;
		undo[n].len = data[at + 3] < size - at - 4 ? data[at + 3] :
							     (uint8_t)(size - at - 4);
		at += 4;
		spoil_at(t, &undo[n], data + at);
		at += undo[n].len;
	}
	judge(t);
	while (n-- > 0)
		memcpy(t->bytes + undo[n].at, undo[n].bytes, undo[n].len);
	testimport_seal(t);
	return 0;
}

#endif
