/* SPDX-License-Identifier: Apache-2.0 */
/* The image of fw_cfg's items; see fwcfg.h. */
#include "lib/fwcfg/fwcfg.h"

#include "lib/base/bytes.h"
#include "lib/base/checked.h"

#include <errno.h>
#include <string.h>

int fwcfg_find(const uint8_t *image, uint16_t number, struct fwcfg_item *ret)
{
	struct bytes_reader r = bytes_reader(image, FWCFG_DATA_AT);
	uint32_t magic = bytes_get32(&r), n = bytes_get32(&r);

	if (magic != FWCFG_MAGIC || n > FWCFG_ROWS_MAX)
		return -EBADMSG;
	bytes_skip(&r, FWCFG_CMOS_LEN);
	for (uint32_t i = 0; i < n; i++) {
		uint16_t its = bytes_get16(&r), zero = bytes_get16(&r);
		struct fwcfg_item item = { .offset = bytes_get32(&r) };

		item.len = bytes_get32(&r);
		if (its != number)
			continue;
		if (zero || item.offset < FWCFG_DATA_AT ||
		    !range_within(item.offset, item.len, FWCFG_IMAGE_SIZE))
			return -EBADMSG;
		*ret = item;
		return 0;
	}
	return -ENOENT;
}

static void put_be(uint8_t *at, unsigned int width, uint32_t v)
{
	for (unsigned int i = 0; i < width; i++)
		at[i] = (uint8_t)(v >> (8 * (width - 1 - i)));
}

void fwcfg_begin(struct fwcfg_writer *w, uint8_t *image, const uint8_t cmos[FWCFG_CMOS_LEN])
{
	*w = (struct fwcfg_writer){ .image = image, .at = FWCFG_DATA_AT };
	memcpy(image + FWCFG_CMOS_AT, cmos, FWCFG_CMOS_LEN);
}

void fwcfg_add(struct fwcfg_writer *w, uint16_t number, const void *bytes, size_t len)
{
	struct bytes_writer row;

	if (w->n_rows == FWCFG_ROWS_MAX || !range_within(w->at, len, FWCFG_IMAGE_SIZE))
		w->error = -ENOSPC;
	if (w->error)
		return;
	row = bytes_writer(w->image + FWCFG_ROWS_AT + (size_t)w->n_rows++ * FWCFG_ROW_LEN,
			   FWCFG_ROW_LEN);
	bytes_put16(&row, number);
	bytes_put16(&row, 0);
	bytes_put32(&row, w->at);
	bytes_put32(&row, (uint32_t)len);
	memcpy(w->image + w->at, bytes, len);
	w->at += (uint32_t)len;
}

/* fw_cfg.rst, "File Directory": numbers are big-endian. */
void fwcfg_add_file(struct fwcfg_writer *w, const char *name, const void *bytes, size_t len)
{
	uint8_t *entry = w->directory + 4 + (size_t)w->n_files * (8 + FWCFG_NAME_LEN);
	size_t name_len = strlen(name);

	if (w->n_files == FWCFG_FILES_MAX || name_len >= FWCFG_NAME_LEN) {
		w->error = -ENOSPC;
		return;
	}
	put_be(entry, 4, (uint32_t)len);
	put_be(entry + 4, 2, FWCFG_FILE_FIRST + w->n_files);
	memcpy(entry + 8, name, name_len + 1);
	fwcfg_add(w, (uint16_t)(FWCFG_FILE_FIRST + w->n_files), bytes, len);
	w->n_files++;
}

int fwcfg_finish(struct fwcfg_writer *w)
{
	struct bytes_writer head = bytes_writer(w->image, FWCFG_CMOS_AT);

	put_be(w->directory, 4, w->n_files);
	fwcfg_add(w, FWCFG_DIRECTORY, w->directory, 4 + (size_t)w->n_files * (8 + FWCFG_NAME_LEN));
	if (w->error)
		return w->error;
	bytes_put32(&head, FWCFG_MAGIC);
	bytes_put32(&head, w->n_rows);
	return 0;
}
