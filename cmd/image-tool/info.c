/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead image info: what an image is. Keys and words are those of `qemu-img info`. */
#include "cmd/image-tool/shots.h"
#include "cmd/image-tool/tool.h"
#include "lib/base/fd.h"
#include "lib/imagekit/process.h"

#include <stdlib.h>

#define SECTOR 512U

struct facts {
	const struct image_node *node;
	struct store_fd file;
	uint64_t size, actual;
	bool qcow2;
	struct qcow2_info q;
	struct qcow2_snapshot *shots;
	size_t n_shots;
};

/* Of a damaged image the header is shown all the same. */
static void find_shots(struct facts *f)
{
	struct qcow2_options o = { .readonly = true, .tool = true };
	struct volume_error e = { "" };
	struct volume *v = NULL;

	if (!f->q.n_snapshots)
		return;
	if (qcow2_open(&f->file.store, &o, &v, &e) < 0 ||
	    qcow2_snapshot_list(v, &f->shots, &f->n_shots, &e) < 0)
		image_warn(f->node->name, "its snapshots cannot be listed: %s", e.text);
}

static int look(struct facts *f)
{
	struct volume_error e = { "" };
	struct stat st = { 0 };
	int r = store_fd_open(&f->file, f->node->fd, STORE_TOOL | STORE_READONLY);

	if (r == 0)
		r = fd_stat(f->node->fd, &st);
	if (r < 0)
		return image_fail_errno(f->node->name, "opening", r);
	f->actual = (uint64_t)st.st_blocks * 512;
	f->size = (f->file.store.size + SECTOR - 1) & ~(uint64_t)(SECTOR - 1);
	f->qcow2 = f->node->format == FORMAT_QCOW2;
	if (!f->qcow2)
		return 0;
	r = qcow2_read_info(&f->file.store, &f->q, &e);
	if (r < 0)
		return *e.text ? image_fail(f->node->name, "%s", e.text) :
				 image_fail_errno(f->node->name, "reading", r);
	f->size = f->q.size;
	find_shots(f);
	return 0;
}

/* ---- for machines ---- */

static json_t *qcow2_json(const struct qcow2_info *q)
{
	json_t *o = json_object();

	json_put_text(o, "compat", q->version == 2 ? "0.10" : "1.1");
	json_put_text(o, "compression-type", q->compression == QCOW2_ZSTD ? "zstd" : "zlib");
	if (q->version > 2)
		json_put_bool(o, "lazy-refcounts", q->lazy_refcounts);
	json_put_number(o, "refcount-bits", q->refcount_bits);
	if (q->version > 2) {
		json_put_bool(o, "corrupt", q->corrupt);
		json_put_bool(o, "extended-l2", q->extended_l2);
	}
	if (q->data_file) {
		json_put_text(o, "data-file", q->data_file_name);
		json_put_bool(o, "data-file-raw", q->data_file_raw);
	}
	return o;
}

static void add_qcow2(json_t *o, const struct facts *f)
{
	const struct qcow2_info *q = &f->q;
	json_t *special = json_object();

	json_put_number(o, "cluster-size", q->cluster_size);
	json_put_bool(o, "dirty-flag", q->dirty);
	if (*q->backing_file)
		json_put_text(o, "backing-filename", q->backing_file);
	if (*q->backing_format)
		json_put_text(o, "backing-filename-format", q->backing_format);
	if (f->n_shots)
		json_put(o, "snapshots", shots_json(f->shots, f->n_shots));
	json_put_text(special, "type", "qcow2");
	json_put(special, "data", qcow2_json(q));
	json_put(o, "format-specific", special);
}

static void print_json(const struct facts *f)
{
	json_t *o = json_object();

	json_put_text(o, "filename", f->node->name);
	json_put_text(o, "format", image_formats[f->node->format]);
	json_put_number(o, "virtual-size", f->size);
	json_put_number(o, "actual-size", f->actual);
	if (f->qcow2)
		add_qcow2(o, f);
	else
		json_put_bool(o, "dirty-flag", false);
	json_print(o);
}

/* ---- for people ---- */

static const char *yes(bool v)
{
	return v ? "true" : "false";
}

static void print_qcow2(const struct facts *f)
{
	const struct qcow2_info *q = &f->q;
	char name[1024];

	image_print("cluster_size: %u\n", q->cluster_size);
	if (*q->backing_file)
		image_print("backing file: %s\n", text_plain(q->backing_file, name, sizeof(name)));
	if (*q->backing_format)
		image_print("backing file format: %s\n",
			    text_plain(q->backing_format, name, sizeof(name)));
	shots_print(f->shots, f->n_shots);
	image_print("Format specific information:\n    compat: %s\n    compression type: %s\n",
		    q->version == 2 ? "0.10" : "1.1",
		    q->compression == QCOW2_ZSTD ? "zstd" : "zlib");
	if (q->version > 2)
		image_print("    lazy refcounts: %s\n", yes(q->lazy_refcounts));
	image_print("    refcount bits: %u\n", q->refcount_bits);
	if (q->data_file)
		image_print("    data file: %s\n    data file raw: %s\n",
			    text_plain(q->data_file_name, name, sizeof(name)),
			    yes(q->data_file_raw));
	if (q->version > 2)
		image_print("    corrupt: %s\n    extended l2: %s\n", yes(q->corrupt),
			    yes(q->extended_l2));
}

static void print_text(const struct facts *f)
{
	char size[24], actual[24];

	image_print("image: %s\nfile format: %s\nvirtual size: %s (%llu bytes)\ndisk size: %s\n",
		    f->node->name, image_formats[f->node->format],
		    image_size_text(f->size, size, sizeof(size)), (unsigned long long)f->size,
		    image_size_text(f->actual, actual, sizeof(actual)));
	if (f->q.dirty)
		image_print("cleanly shut down: no\n");
	if (f->qcow2)
		print_qcow2(f);
}

int run_info(const struct image_job *job, struct pool *pool)
{
	static struct facts f;
	int r;

	(void)pool;
	if (!job->n_nodes)
		return image_fail(NULL, "no file was given");
	f.node = &job->nodes[0];
	r = look(&f);
	if (r)
		return r;
	if (job->json)
		print_json(&f);
	else
		print_text(&f);
	return IMAGE_EXIT_OK;
}
