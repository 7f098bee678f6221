/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead image check: the refcounts of a qcow2 image. Keys and words are those of `qemu-img check`. */
#include "lib/imagekit/json.h"
#include "cmd/image-tool/source.h"
#include "cmd/image-tool/tool.h"
#include "lib/image/qcow2/qcow2.h"
#include "lib/imagekit/process.h"

#define LINES_MAX 100U /* of findings that are shown; a hostile image has as many as it likes */

struct findings {
	const struct image_job *job;
	unsigned int n;
};

static void say(void *arg, const char *line)
{
	struct findings *f = arg;

	if (f->job->json || f->n++ > LINES_MAX)
		return;
	image_print("%s\n", f->n > LINES_MAX ? "…" : line);
}

static double percent(uint64_t part, uint64_t all)
{
	return all ? (double)part * 100 / (double)all : 0;
}

static void print_text(const struct qcow2_check_result *c)
{
	if (c->leaks_fixed)
		image_print("The following inconsistencies were found and repaired:\n\n"
			    "    %llu leaked clusters\n\n",
			    (unsigned long long)c->leaks_fixed);
	if (c->corruptions)
		image_print("\n%llu errors were found on the image.\nData may be corrupted, or "
			    "further writes to the image may corrupt it.\n",
			    (unsigned long long)c->corruptions);
	if (c->leaks)
		image_print("\n%llu leaked clusters were found on the image.\nThis means waste of "
			    "disk space, but no harm to data.\n",
			    (unsigned long long)c->leaks);
	if (!c->corruptions && !c->leaks)
		image_print("No errors were found on the image.\n");
	if (c->total_clusters)
		image_print("%llu/%llu = %0.2f%% allocated, %0.2f%% fragmented, %0.2f%% "
			    "compressed clusters\n",
			    (unsigned long long)c->allocated_clusters,
			    (unsigned long long)c->total_clusters,
			    percent(c->allocated_clusters, c->total_clusters),
			    percent(c->fragmented_clusters, c->allocated_clusters),
			    percent(c->compressed_clusters, c->allocated_clusters));
	image_print("Image end offset: %llu\n", (unsigned long long)c->image_end);
}

static void print_json(const struct source *s, const struct qcow2_check_result *c)
{
	json_t *o = json_object();

	json_put_text(o, "filename", s->name);
	json_put_text(o, "format", "qcow2");
	json_put_number(o, "check-errors", 0);
	json_put_number(o, "image-end-offset", c->image_end);
	if (c->corruptions)
		json_put_number(o, "corruptions", c->corruptions);
	if (c->leaks)
		json_put_number(o, "leaks", c->leaks);
	if (c->leaks_fixed)
		json_put_number(o, "leaks-fixed", c->leaks_fixed);
	json_put_number(o, "total-clusters", c->total_clusters);
	json_put_number(o, "allocated-clusters", c->allocated_clusters);
	json_put_number(o, "fragmented-clusters", c->fragmented_clusters);
	json_put_number(o, "compressed-clusters", c->compressed_clusters);
	json_print(o);
}

/* What was found and is not mended. */
static void take_off(struct qcow2_check_result *c)
{
	c->leaks -= c->leaks_fixed < c->leaks ? c->leaks_fixed : c->leaks;
}

int run_check(const struct image_job *job, struct pool *pool)
{
	static struct source s;
	struct findings f = { .job = job };
	struct qcow2_check_result c = { 0 };
	struct volume_error e = { "" };
	int r = source_open(&s, job, ROLE_SOURCE, SOURCE_TOOL);

	(void)pool;
	if (r)
		return r;
	if (!s.qcow2)
		return image_fail(s.name, "a raw image has nothing to be checked");
	r = qcow2_check(s.link[0].volume,
			job->repair == REPAIR_LEAKS ? QCOW2_REPAIR_LEAKS : QCOW2_REPAIR_NOTHING,
			say, &f, &c, &e);
	if (r == 0 && job->repair != REPAIR_NONE)
		r = volume_flush(s.link[0].volume);
	if (r < 0)
		return *e.text ? image_fail(s.name, "%s", e.text) :
				 image_fail_errno(s.name, "checking", r);
	source_close(&s);
	take_off(&c);
	if (job->json)
		print_json(&s, &c);
	else
		print_text(&c);
	return c.corruptions ? IMAGE_EXIT_CORRUPT : c.leaks ? IMAGE_EXIT_LEAKS : IMAGE_EXIT_OK;
}
