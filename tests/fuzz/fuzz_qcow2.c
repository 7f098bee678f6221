/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests in any order on qcow2 images of any bytes. What may be: a request is refused, or does what it
 * says if the image has no corruption; it has none afterwards, either; and nothing is written behind the
 * growth bound.
 *
 * A process that is killed is followed by another one, with the redo log that it left: what was settled is there. A log
 * that says anything is refused, or applied within the file.
 *
 * Input: flags, the number of requests, 5 bytes each; with ANY_LOG, the words of a log; then the image; with SPREAD,
 * 512 bytes for the beginning of each cluster, so that large clusters fit.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/teststore.h"

#include "lib/base/checked.h"
#include "lib/image/qcow2/internal.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (4U << 20)
#define MAX_REQUESTS 24U
#define MAX_KILLS 6U /* after each of them everything may be looked at */
#define MAX_LEN (64U << 10)
#define LOG_WORDS (1U + 2 * 16) /* few: it gets full */

enum flags {
	READONLY = 1,
	TOOL = 2,
	SPREAD = 4,
	SMALL_CACHE = 8,
	WITH_BASE = 16,
	WITH_DATA = 32,
	WITH_LOG = 64,
	ANY_LOG = 128, /* and there is one at the start */
};

static uint8_t bytes[MAX_LEN], back[MAX_LEN];
static struct memory file, base, data_file;
static struct volume_raw raw;
static uint64_t redo_log[LOG_WORDS];
static bool clean; /* the image had no corruption: nothing else shares the guest's clusters */

static void fill(const uint8_t *image, size_t len, bool spread)
{
	unsigned int bits = 9;

	memset(file.bytes, 0, file.store.size);
	file.store.size = 0;
	if (spread && len >= 24 && image[23] >= 9 && image[23] <= 21)
		bits = image[23];
	for (size_t at = 0; at < len; at += 512) {
		uint64_t to = (uint64_t)(at / 512) << bits;
		size_t n = len - at < 512 ? len - at : 512;

		if (to + n > FILE_MAX)
			break;
		memcpy(file.bytes + to, image + at, n);
		file.store.size = to + n;
	}
}

static void prepare_others(void)
{
	if (!file.bytes) {
		memory_open(&file, FILE_MAX);
		memory_open(&base, 8192);
		memory_open(&data_file, FILE_MAX);
	}
	memset(base.bytes, 0xb5, 8192);
	base.store.size = 8192;
	memset(data_file.bytes, 0, data_file.store.size);
	data_file.store.size = 0;
	require(volume_raw_open(&raw, &base.store) == 0);
}

static bool open_image(uint8_t flags, struct volume **ret)
{
	struct qcow2_options options = { .readonly = flags & READONLY,
					 .tool = flags & TOOL,
					 .cache_bytes = flags & SMALL_CACHE ? 1 : 64 << 10,
					 .reserve_clusters = 32,
					 .backing = flags & WITH_BASE ? &raw.volume : NULL,
					 .data = flags & WITH_DATA ? &data_file.store : NULL };
	struct volume_error why = { .text = "" };
	int r;

	if (flags & (WITH_LOG | ANY_LOG) && !(flags & (READONLY | TOOL))) {
		options.redo = redo_log;
		options.redo_bytes = sizeof(redo_log);
	}
	r = qcow2_open(&file.store, &options, ret, &why);

	require(r == 0 || why.text[0]);
	return r == 0;
}

/* Corruptions, or 1 when it cannot be looked at. */
static uint64_t corruptions(void)
{
	struct qcow2_check_result c;
	struct volume_error why;
	struct volume *v;
	int r;

	if (!open_image(READONLY | TOOL | SMALL_CACHE, &v))
		return 1;
	r = qcow2_check(v, QCOW2_REPAIR_NOTHING, NULL, NULL, &c, &why);
	volume_close(v);
	return r < 0 ? 1 : c.corruptions;
}

static void write_and_read(struct volume *v, uint64_t at, uint64_t len, uint8_t value)
{
	memset(bytes, value, len);
	if (volume_write(v, bytes, len, at) < 0 || !clean)
		return;
	require(volume_read(v, back, len, at) == 0 && memcmp(bytes, back, len) == 0);
}

static void zero_and_read(struct volume *v, uint64_t at, uint64_t len, bool may_unmap)
{
	memset(bytes, 0, len);
	if (volume_zero(v, at, len, may_unmap) < 0 || !clean)
		return;
	require(volume_read(v, back, len, at) == 0 && memcmp(bytes, back, len) == 0);
}

static void map_all(struct volume *v, uint64_t at, uint64_t len)
{
	struct extent x, cached;

	while (len && volume_map(v, at, len, &x) == 0) {
		require(x.len && x.len <= len);
		require((x.kind == EXTENT_DATA || x.kind == EXTENT_COMPRESSED) == !!x.store);
		if (volume_map_cached(v, at, len, &cached) == 0)
			require(x.kind == cached.kind && x.len == cached.len &&
				x.offset == cached.offset && x.writable == cached.writable);
		at += x.len;
		len -= x.len;
	}
}

static void tool(struct volume *v, uint8_t which)
{
	struct qcow2_check_result c;
	struct qcow2_snapshot *list;
	struct volume_error why;
	size_t n;

	switch (which % 6) {
	case 0:
		(void)!qcow2_snapshot_create(v, which & 64 ? "a" : "b", which, 0, &why);
		break;
	case 1:
		(void)!qcow2_snapshot_apply(v, which & 64 ? "a" : "1", &why);
		break;
	case 2:
		(void)!qcow2_snapshot_delete(v, which & 64 ? "a" : "1", &why);
		break;
	case 3:
		(void)!qcow2_resize(v, (uint64_t)which << 12, which & 64, NULL, &why);
		break;
	case 4:
		(void)!qcow2_check(v, which & 64 ? QCOW2_REPAIR_ALL : QCOW2_REPAIR_LEAKS, NULL,
				   NULL, &c, &why);
		break;
	default:
		if (qcow2_snapshot_list(v, &list, &n, &why) == 0)
			free(list);
		break;
	}
}

/* The process is gone; the next one goes on from the file and the log. NULL: it cannot. */
static struct volume *killed(struct volume *v, uint8_t flags)
{
	const uint64_t len = min_u64(v->size, MAX_LEN);
	const bool known = clean && volume_settle(v) == 0 && volume_read(v, bytes, len, 0) == 0;

	qcow2_free(qcow2_of(v));
	if (!open_image(flags, &v)) {
		require(!known);
		return NULL;
	}
	if (known)
		require(volume_read(v, back, len, 0) == 0 && memcmp(bytes, back, len) == 0);
	return v;
}

static void request(struct volume *v, const uint8_t *in)
{
	uint64_t at = ((uint64_t)in[1] << 8 | in[2]) * 512, len = 512 * (1 + in[3] % 128U);

	if (in[0] & 128) /* near the end */
		at = v->size > at ? v->size - at : 0;
	if (in[0] & 64)
		at += 100, len -= 50;
	if (at >= v->size)
		return;
	if (len > v->size - at)
		len = v->size - at;
	switch (in[0] & 7) {
	case 0:
	case 1:
		write_and_read(v, at, len, in[4]);
		break;
	case 2:
		(void)!volume_read(v, back, len, at);
		break;
	case 3:
		zero_and_read(v, at, len, in[4] & 1);
		break;
	case 4:
		(void)!volume_discard(v, at, len);
		break;
	case 5:
		(void)!(in[4] & 1 ? volume_settle(v) : volume_flush(v));
		break;
	case 6:
		map_all(v, at, len);
		break;
	default:
		tool(v, in[4]);
		break;
	}
}

/* A log that says anything, which is applied before anything else. Bytes of it. */
static size_t take_log(const uint8_t *in, size_t size)
{
	const size_t n = size < sizeof(redo_log) ? size : sizeof(redo_log);

	memset(redo_log, 0, sizeof(redo_log));
	memcpy(redo_log, in, n);
	return n;
}

/* Whether what it says is settled lies within the file. */
static bool log_fits(void)
{
	const uint64_t n = redo_log[0];
	bool fits = n <= LOG_WORDS / 2;

	for (uint64_t i = 0; fits && i < n; i++) {
		const uint64_t at = redo_log[1 + 2 * i];

		fits = at % 8 == 0 && range_within(at, 8, file.store.size);
	}
	return fits;
}

static void apply_log(uint8_t flags)
{
	const uint64_t size = file.store.size;
	const bool fits = log_fits() || flags & (READONLY | TOOL);
	struct volume *v;

	if (open_image(flags, &v)) {
		volume_close(v);
		require(fits);
	} else {
		require(fits || file.store.size == size);
	}
	memset(redo_log, 0, sizeof(redo_log)); /* a log that is refused stays */
}

static void run(const uint8_t *in, size_t n, uint8_t flags)
{
	unsigned int kills = 0;
	struct volume *v;

	if (!open_image(flags, &v))
		return;
	for (size_t i = 0; i < n && v; i++) {
		const uint8_t *r = in + i * 5;

		if ((r[0] & 7) == 5 && r[4] & 2 && kills++ < MAX_KILLS)
			v = killed(v, flags);
		else
			request(v, r);
	}
	if (!v)
		return;
	require(v->readonly || file.store.size <= qcow2_growth_bound(v) || v->size == 0);
	volume_close(v);
	require(!clean || corruptions() == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const size_t n = size > 1 ? data[1] % MAX_REQUESTS : 0;
	size_t at = 2 + n * 5;

	if (size < at)
		return 0;
	prepare_others();
	at += take_log(data + at, data[0] & ANY_LOG ? size - at : 0);
	fill(data + at, size - at, data[0] & SPREAD);
	if (data[0] & ANY_LOG)
		apply_log(data[0]);
	clean = corruptions() == 0;
	run(data + 2, n, data[0]);
	return 0;
}
