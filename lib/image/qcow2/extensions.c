/* SPDX-License-Identifier: Apache-2.0 */
/* Header extensions, and the names of features; see header.h. */
#include "lib/base/checked.h"
#include "lib/image/qcow2/format.h"
#include "lib/image/qcow2/header.h"

#define FEATURE_ROW 48U /* bytes: type, bit, name */
#define FEATURE_NAME 46U
#define BITMAPS_LEN 24U

struct features {
	const uint8_t *rows;
	size_t n;
};

static void copy_name(char to[QCOW2_NAME_MAX], const uint8_t *from, uint32_t len)
{
	memset(to, 0, QCOW2_NAME_MAX);
	memcpy(to, from, len);
}

static int take_name(const char *what, char to[QCOW2_NAME_MAX], const uint8_t *data, uint32_t len,
		     struct volume_error *e)
{
	if (len >= QCOW2_NAME_MAX)
		return volume_fail(e, -EINVAL,
				   "the header extension for the %s has %u bytes: %u at most", what,
				   len, QCOW2_NAME_MAX - 1);
	copy_name(to, data, len);
	return 0;
}

static int take_bitmaps(const uint8_t *data, uint32_t len, struct qcow2_extensions *x,
			struct volume_error *e)
{
	if (len != BITMAPS_LEN)
		return volume_fail(e, -EINVAL,
				   "the header extension for bitmaps has %u bytes, not %u", len,
				   BITMAPS_LEN);
	x->n_bitmaps = get_be32(data);
	x->bitmaps_len = get_be64(data + 8);
	x->bitmaps_offset = get_be64(data + 16);
	return 0;
}

static int take(uint32_t type, const uint8_t *data, uint32_t len, struct qcow2_extensions *x,
		struct features *f, struct volume_error *e)
{
	switch (type) {
	case EXT_BACKING_FORMAT:
		return take_name("backing format", x->backing_format, data, len, e);
	case EXT_DATA_FILE:
		return take_name("data file", x->data_file, data, len, e);
	case EXT_BITMAPS:
		return take_bitmaps(data, len, x, e);
	case EXT_CRYPTO:
		return volume_fail(e, -ENOTSUP,
				   "the image is encrypted (LUKS), which is not supported");
	case EXT_FEATURE_NAMES:
		*f = (struct features){ .rows = data, .n = len / FEATURE_ROW };
		return 0;
	default:
		return 0; /* to be ignored, and kept */
	}
}

static void refuse(uint64_t bits, const struct features *f, struct volume_error *e)
{
	unsigned int bit = (unsigned int)__builtin_ctzll(bits);
	char name[FEATURE_NAME + 1] = "";

	for (size_t i = 0; i < f->n; i++) {
		const uint8_t *row = f->rows + i * FEATURE_ROW;

		if (row[0] == 0 && row[1] == bit)
			memcpy(name, row + 2, FEATURE_NAME);
	}
	for (char *c = name; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	if (name[0])
		(void)volume_fail(
			e, 0,
			"the image needs the feature \"%s\" (incompatible bit %u), which is not supported",
			name, bit);
	else
		(void)volume_fail(
			e, 0, "the image needs incompatible feature bit %u, which is not supported",
			bit);
}

static int next(const uint8_t *bytes, size_t end, size_t *at, struct qcow2_extensions *x,
		struct features *f, struct volume_error *e)
{
	uint32_t type = get_be32(bytes + *at), len = get_be32(bytes + *at + 4);
	int r;

	if (type == EXT_END)
		return 0;
	*at += 8;
	if (!range_within(*at, len, end))
		return volume_fail(e, -EINVAL, "header extension 0x%08x ends behind the header",
				   type);
	r = take(type, bytes + *at, len, x, f, e);
	*at += ((size_t)len + 7) & ~(size_t)7;
	return r < 0 ? r : 1;
}

int extensions_decode(const uint8_t *bytes, size_t len, const struct qcow2_header *h,
		      struct qcow2_extensions *ret, struct volume_error *e)
{
	size_t at = h->header_len, end = len;
	struct features f = { 0 };
	int r = 1;

	if (h->backing_offset && h->backing_offset < end)
		end = h->backing_offset;
	memset(ret, 0, sizeof(*ret));
	while (r == 1 && at + 8 <= end)
		r = next(bytes, end, &at, ret, &f, e);
	if (r < 0)
		return r;
	if (h->incompatible & ~INCOMPATIBLE_KNOWN) {
		refuse(h->incompatible & ~INCOMPATIBLE_KNOWN, &f, e);
		return -ENOTSUP;
	}
	return 0;
}
