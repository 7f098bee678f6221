/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead image compare: whether two disks hold the same bytes. */
#include "cmd/image-tool/piece.h"
#include "cmd/image-tool/source.h"
#include "cmd/image-tool/tool.h"
#include "lib/imagekit/process.h"

#include <stdlib.h>
#include <string.h>

#define STEP (1U << 20)
#define PROGRESS_EVERY (32ULL << 20)
#define DIFFERS 1

struct compare {
	const struct image_job *job;
	struct source a, b;
	struct unpacker unpacker;
	uint8_t *bytes_a, *bytes_b;
	uint64_t done, total;
};

static int fail(const struct source *s, int r)
{
	if (r == -EILSEQ)
		return image_fail(s->name, "what is compressed there is broken");
	return image_fail_errno(s->name, "reading", r);
}

/* Behind the end of a disk are zeroes. */
static int piece_of(struct source *s, uint64_t offset, uint64_t len, struct piece *ret)
{
	*ret = (struct piece){ .kind = PIECE_ZERO, .fd = -1, .len = len };
	if (offset >= s->size)
		return 0;
	return source_piece(s, offset, len < s->size - offset ? len : s->size - offset, ret);
}

static uint64_t first_difference(const uint8_t *a, const uint8_t *b, uint64_t len)
{
	uint64_t i = 0;

	while (i < len && a[i] == b[i])
		i++;
	return i;
}

static int say_mismatch(uint64_t offset)
{
	image_print("Content mismatch at offset %llu!\n", (unsigned long long)offset);
	return DIFFERS;
}

/* len bytes of both pieces, at most STEP. 0, DIFFERS, or a negative errno with *ret_which. */
static int compare_bytes(struct compare *c, const struct piece *a, const struct piece *b,
			 uint64_t offset, uint64_t len, struct source **ret_which)
{
	int r = piece_read(a, &c->unpacker, c->bytes_a, len);

	*ret_which = &c->a;
	if (r < 0)
		return r;
	*ret_which = &c->b;
	r = piece_read(b, &c->unpacker, c->bytes_b, len);
	if (r < 0 || memcmp(c->bytes_a, c->bytes_b, len) == 0)
		return r;
	return say_mismatch(offset + first_difference(c->bytes_a, c->bytes_b, len));
}

static void tell(struct compare *c, uint64_t offset)
{
	if (c->job->progress && (offset - c->done >= PROGRESS_EVERY || offset == c->total)) {
		image_progress(offset, c->total);
		c->done = offset;
	}
}

static int strict(const struct compare *c, const struct piece *a, const struct piece *b,
		  uint64_t offset)
{
	if (!c->job->strict || a->absent == b->absent)
		return 0;
	image_print("Strict mode: Offset %llu block status mismatch!\n",
		    (unsigned long long)offset);
	return DIFFERS;
}

static int compare_step(struct compare *c, uint64_t offset, uint64_t *ret_len)
{
	uint64_t len = c->total - offset;
	struct source *which = &c->a;
	struct piece a, b;
	int r = piece_of(&c->a, offset, len, &a);

	if (r < 0)
		return fail(&c->a, r);
	r = piece_of(&c->b, offset, a.len, &b);
	if (r < 0)
		return fail(&c->b, r);
	len = b.len;
	r = strict(c, &a, &b, offset);
	if (r == 0 && (a.kind != PIECE_ZERO || b.kind != PIECE_ZERO)) {
		if (len > STEP)
			len = STEP;
		r = compare_bytes(c, &a, &b, offset, len, &which);
	}
	*ret_len = len;
	return r < 0 ? fail(which, r) : r > 0 ? IMAGE_EXIT_DIFFERS : 0;
}

static int compare_sizes(struct compare *c)
{
	c->total = c->a.size > c->b.size ? c->a.size : c->b.size;
	if (c->a.size == c->b.size)
		return 0;
	if (!c->job->strict) {
		image_warn(NULL, "the sizes differ: what is missing is compared with zeroes");
		return 0;
	}
	image_print("Strict mode: Image size mismatch!\n");
	return IMAGE_EXIT_DIFFERS;
}

static int prepare(struct compare *c)
{
	int r = unpacker_init(&c->unpacker);

	c->bytes_a = malloc(STEP);
	c->bytes_b = malloc(STEP);
	if (r < 0 || !c->bytes_a || !c->bytes_b)
		return image_fail_errno(NULL, "memory", -ENOMEM);
	r = source_open(&c->a, c->job, ROLE_SOURCE, SOURCE_READ);
	return r ? r : source_open(&c->b, c->job, ROLE_OTHER, SOURCE_READ);
}

int run_compare(const struct image_job *job, struct pool *pool)
{
	static struct compare c;
	uint64_t len = 0;
	int r;

	(void)pool;
	c.job = job;
	r = prepare(&c);
	if (r == 0)
		r = compare_sizes(&c);
	for (uint64_t offset = 0; offset < c.total && r == 0; offset += len) {
		tell(&c, offset);
		r = compare_step(&c, offset, &len);
	}
	if (r == 0 && (source_finish(&c.a) < 0 || source_finish(&c.b) < 0))
		r = image_fail(NULL, "the images cannot be read to their end");
	if (r == 0) {
		tell(&c, c.total);
		image_print("Images are identical.\n");
	}
	return r;
}
