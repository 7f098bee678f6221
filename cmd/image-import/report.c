/* SPDX-License-Identifier: Apache-2.0 */
/* What an image is; see report.h. */
#include "cmd/image-import/report.h"

#include "lib/imagekit/process.h"

#include <jansson.h>

static uint64_t on_disk; /* bytes that the file takes */

void report_prepare(const struct stat *st)
{
	on_disk = (uint64_t)st->st_blocks * 512;
	json_object_seed(1); /* it would look for one in a file */
}

static int put(const char *text, size_t len, void *arg)
{
	(void)arg;
	image_print("%.*s", (int)len, text);
	return 0;
}

static void print_json(const struct image_node *n, const struct import *i)
{
	const char *format = image_formats[n->format];
	json_t *name = json_string(n->name);
	json_t *o = json_pack("{so ss sI sI sb s{ss s{ss sb}}}", "filename",
			      name ? name : json_string("?"), "format", format, "virtual-size",
			      (json_int_t)i->info.size, "actual-size", (json_int_t)on_disk,
			      "dirty-flag", 0, "format-specific", "type", format, "data",
			      "create-type", i->info.kind, "compressed", i->info.compressed);

	if (o && i->info.block)
		(void)json_object_set_new(o, "cluster-size", json_integer(i->info.block));
	(void)json_dump_callback(o, put, NULL, JSON_INDENT(4) | JSON_ENSURE_ASCII);
	image_print("\n");
	json_decref(o);
}

static void print_text(const struct image_node *n, const struct import *i)
{
	char size[24], actual[24];

	image_print("image: %s\nfile format: %s\nvirtual size: %s (%llu bytes)\ndisk size: %s\n",
		    n->name, image_formats[n->format],
		    image_size_text(i->info.size, size, sizeof(size)),
		    (unsigned long long)i->info.size,
		    image_size_text(on_disk, actual, sizeof(actual)));
	if (i->info.block)
		image_print("cluster_size: %u\n", i->info.block);
	image_print("Format specific information:\n    create type: %s\n    compressed: %s\n",
		    i->info.kind, i->info.compressed ? "true" : "false");
}

int report(const struct image_job *job, const struct import *i)
{
	if (job->json)
		print_json(&job->nodes[0], i);
	else
		print_text(&job->nodes[0], i);
	return IMAGE_EXIT_OK;
}
