/* SPDX-License-Identifier: Apache-2.0 */
/* What the parsers of all formats share; see import.h. */
#include "cmd/image-import/import.h"

#include "lib/base/checked.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int import_fail(struct import_error *e, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return r;
}

int import_read(struct import *i, void *buf, size_t len, uint64_t offset, const char *what)
{
	int r = i->file->read(i->file, buf, len, offset);

	return r < 0 ? import_fail(i->error, r, "%s cannot be read: %s", what,
				   strerrordesc_np(-r)) :
		       0;
}

int import_within(struct import *i, uint64_t offset, uint64_t len, const char *what)
{
	if (range_within(offset, len, i->file->size))
		return 0;
	return import_fail(i->error, -EINVAL,
			   "it is truncated: %s would be at byte %llu, the file has %llu", what,
			   (unsigned long long)offset, (unsigned long long)i->file->size);
}

/* ---- runs ---- */

void import_run_begin(struct import_run *r, struct import_sink *s, uint64_t size)
{
	*r = (struct import_run){ .sink = s, .left = size };
}

static bool goes_on(const struct extents_record *now, const struct extents_record *e)
{
	if (now->kind != e->kind || now->kind == EXTENTS_DEFLATED)
		return false;
	return now->kind == EXTENTS_ZERO || now->offset + now->len == e->offset;
}

int import_run_end(struct import_run *r)
{
	int e = r->now.len ? r->sink->put(r->sink, &r->now) : 0;

	r->now.len = 0;
	return e;
}

int import_run_add(struct import_run *r, const struct extents_record *e)
{
	struct extents_record cut = *e;
	int error = 0;

	if (cut.len > r->left)
		cut.len = r->left;
	r->left -= cut.len;
	if (!cut.len)
		return 0;
	if (r->now.len && goes_on(&r->now, &cut)) {
		r->now.len += cut.len;
		return 0;
	}
	error = import_run_end(r);
	r->now = cut;
	return error;
}
