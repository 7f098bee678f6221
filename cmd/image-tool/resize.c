/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead image resize. */
#include "cmd/image-tool/size.h"
#include "cmd/image-tool/source.h"
#include "cmd/image-tool/tool.h"
#include "lib/image/qcow2/qcow2.h"
#include "lib/imagekit/process.h"

static int find_size(const struct image_job *job, const struct source *s, uint64_t *ret)
{
	if (job->from && s->size != job->from)
		return image_fail(s->name,
				  "it says that its disk has %llu bytes, which had %llu when its "
				  "VM began with it: say the whole new size, not what is added",
				  (unsigned long long)s->size, (unsigned long long)job->from);
	*ret = size_after(job, s->size);
	if (!*ret)
		return image_fail(s->name,
				  "it has %llu bytes: with the new size it would have none, "
				  "or too many",
				  (unsigned long long)s->size);
	if (*ret < s->size && !job->shrink)
		return image_fail(
			s->name,
			"it has %llu bytes, more than the new size: what lies behind that "
			"would be lost; --shrink says that it may be",
			(unsigned long long)s->size);
	return 0;
}

/* Who waits for it knows that it goes on. */
static void step(void)
{
	image_progress(1, 1);
}

static int resize(const struct image_job *job, struct source *s, uint64_t size)
{
	struct source_link *l = &s->link[0];
	struct volume_error e = { "" };
	void (*const tell)(void) = job->progress ? step : NULL;
	int r;

	if (l->file.store.fixed)
		return image_fail(s->name, "it is a block device: its size is its host's");
	r = s->qcow2 ? qcow2_resize(l->volume, size, job->shrink, tell, &e) :
		       store_truncate(&l->file.store, size);
	if (tell)
		tell();
	if (r == 0)
		r = volume_flush(l->volume);
	if (r < 0)
		return *e.text ? image_fail(s->name, "%s", e.text) :
				 image_fail_errno(s->name, "resizing", r);
	return 0;
}

int run_resize(const struct image_job *job, struct pool *pool)
{
	static struct source s;
	uint64_t size = 0;
	int r = source_open(&s, job, ROLE_SOURCE, SOURCE_WRITE);

	(void)pool;
	if (r == 0)
		r = find_size(job, &s, &size);
	if (r == 0)
		r = resize(job, &s, size);
	source_close(&s);
	if (r == 0)
		image_print("Image resized.\n");
	return r;
}
