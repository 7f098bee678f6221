/* SPDX-License-Identifier: Apache-2.0 */
/* Records of a disk's map; see extents.h. */
#include "lib/imagefile/extents.h"

#include "lib/base/bytes.h"
#include "lib/base/checked.h"

#include <errno.h>
#include <stdbool.h>

void extents_encode(const struct extents_record *e, uint8_t wire[EXTENTS_WIRE_LEN])
{
	struct bytes_writer w = bytes_writer(wire, EXTENTS_WIRE_LEN);

	bytes_put32(&w, e->kind);
	bytes_put32(&w, e->stored);
	bytes_put64(&w, e->len);
	bytes_put64(&w, e->offset);
}

static bool is_right(const struct extents_record *e)
{
	bool in_file = e->kind == EXTENTS_DATA || e->kind == EXTENTS_DEFLATED;

	if (e->kind < EXTENTS_SIZE || e->kind > EXTENTS_END)
		return false;
	if ((e->len == 0) != (e->kind == EXTENTS_END) || e->len > INT64_MAX)
		return false;
	if (in_file ? !range_within(e->offset, e->len, INT64_MAX) : e->offset != 0)
		return false;
	if (e->kind != EXTENTS_DEFLATED)
		return e->stored == 0;
	return e->len <= EXTENTS_DEFLATED_MAX && e->stored > 0 &&
	       e->stored <= 2 * EXTENTS_DEFLATED_MAX;
}

int extents_decode(const void *wire, size_t len, struct extents_record *ret)
{
	struct bytes_reader r = bytes_reader(wire, len);
	struct extents_record e;

	e.kind = (enum extents_kind)bytes_get32(&r);
	e.stored = bytes_get32(&r);
	e.len = bytes_get64(&r);
	e.offset = bytes_get64(&r);
	if (bytes_finish(&r) < 0 || !is_right(&e))
		return -EBADMSG;
	*ret = e;
	return 0;
}
