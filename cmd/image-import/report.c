/* SPDX-License-Identifier: Apache-2.0 */
/* What an image is; see report.h. */
#include "cmd/image-import/report.h"

#include "lib/imagekit/json.h"
#include "lib/imagekit/process.h"

static uint64_t on_disk; /* bytes that the file takes */

void report_prepare(const struct stat *st)
{
	on_disk = (uint64_t)st->st_blocks * 512;
	json_object_seed(1); /* it would look for one in a file */
}

static void print_json(const struct image_node *n, const struct import *i)
{
	const char *format = image_formats[n->format];
	json_t *o = json_object(), *specific = json_object(), *data = json_object();

	json_put_text(o, "filename", n->name);
	json_put_text(o, "format", format);
	json_put_number(o, "virtual-size", i->info.size);
	json_put_number(o, "actual-size", on_disk);
	json_put_bool(o, "dirty-flag", false);
	json_put_text(data, "create-type", i->info.kind);
	json_put_bool(data, "compressed", i->info.compressed);
	json_put_text(specific, "type", format);
	json_put(specific, "data", data);
	json_put(o, "format-specific", specific);
	if (i->info.block)
		json_put_number(o, "cluster-size", i->info.block);
	json_print(o);
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
