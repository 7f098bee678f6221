/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image-import: says what a VMDK, VHDX or VHD image is, or where what lies in it. It is an executable of its
 * own, so that these parsers are in no other process; what it finds goes to image-tool as a map, whose
 * bytes that one takes from the image itself.
 * Trust: the image HOSTILE, argv trusted.
 * Holds: 3 control, 4 output, 5 progress, 6 the image, 7 the map's pipe.
 */
#include "cmd/image-import/import.h"
#include "cmd/image-import/policy.h"
#include "cmd/image-import/report.h"
#include "lib/base/fd.h"
#include "lib/imagekit/process.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct file {
	struct import_file file;
	int fd;
};

struct sink {
	struct import_sink sink;
	int fd;
	size_t len;
	uint8_t wire[EXTENTS_WIRE_LEN * 128];
};

static int read_file(struct import_file *f, void *buf, size_t len, uint64_t offset)
{
	int fd = ((struct file *)f)->fd;
	size_t got = 0;

	while (got < len && offset <= INT64_MAX - len) {
		ssize_t n = pread(fd, (uint8_t *)buf + got, len - got, (off_t)(offset + got));

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			break;
		got += n > 0 ? (size_t)n : 0;
	}
	memset((uint8_t *)buf + got, 0, len - got);
	return 0;
}

/* ---- the map ---- */

static int flush(struct sink *s)
{
	size_t at = 0;

	while (at < s->len) {
		ssize_t n = write(s->fd, s->wire + at, s->len - at);

		if (n < 0 && errno != EINTR)
			return -errno;
		at += n > 0 ? (size_t)n : 0;
	}
	s->len = 0;
	return 0;
}

static int put(struct import_sink *sink, const struct extents_record *e)
{
	struct sink *s = (struct sink *)sink;

	extents_encode(e, s->wire + s->len);
	s->len += EXTENTS_WIRE_LEN;
	return s->len == sizeof(s->wire) ? flush(s) : 0;
}

static int map(struct import *i, const struct image_node *node,
	       int (*format)(struct import *i, struct import_sink *s))
{
	static struct sink s = { .sink = { put } };
	int r;

	s.fd = node->data_fd;
	r = put(&s.sink, &(struct extents_record){ .kind = EXTENTS_SIZE, .len = i->info.size });
	if (r == 0)
		r = format(i, &s.sink);
	if (r == 0)
		r = put(&s.sink, &(struct extents_record){ .kind = EXTENTS_END });
	if (r == 0)
		r = flush(&s);
	if (r == -EPIPE) /* image-tool has ended, and says why */
		return IMAGE_EXIT_FAILED;
	if (r < 0)
		return image_fail(node->name, "%s",
				  *i->error->text ? i->error->text : "its map cannot be sent");
	return IMAGE_EXIT_OK;
}

/* ---- the job ---- */

static const struct {
	int (*open)(struct import *i, struct import_file *f, struct import_error *e);
	int (*map)(struct import *i, struct import_sink *s);
} formats[N_FORMATS] = {
	[FORMAT_VMDK] = { vmdk_open, vmdk_map },
	[FORMAT_VHDX] = { vhdx_open, vhdx_map },
	[FORMAT_VPC] = { vhd_open, vhd_map },
};

static int run(const struct image_job *job, struct file *f)
{
	const struct image_node *node = &job->nodes[0];
	static struct import_error e;
	static struct import i;

	if (formats[node->format].open(&i, &f->file, &e) < 0)
		return image_fail(node->name, "%s", e.text);
	return job->verb == IMAGE_SERVE ? map(&i, node, formats[node->format].map) :
					  report(job, &i);
}

static int prepare(const struct image_job *job, struct file *f)
{
	struct stat st;

	if (job->n_nodes != 1 || !image_format_is_import(job->nodes[0].format))
		return image_fail(NULL, "one image of a format that is imported is right");
	f->file.read = read_file;
	f->fd = job->nodes[0].fd;
	if (fd_stat(f->fd, &st) < 0 || !S_ISREG(st.st_mode))
		return image_fail(job->nodes[0].name, "it is no regular file");
	f->file.size = (uint64_t)st.st_size;
	report_prepare(&st);
	return 0;
}

int main(int argc, char **argv)
{
	static struct image_job job;
	static struct file file;
	int status;

	if (image_process_open(argc, argv, &job) < 0) /* 1 words, close others */
		return IMAGE_EXIT_FAILED;
	if (prepare(&job, &file)) /* 2 no hostile byte */
		return IMAGE_EXIT_FAILED;
	if (image_process_enter(&image_import_policy) < 0) /* 3 no way back */
		return IMAGE_EXIT_FAILED;
	status = run(&job, &file); /* 4 hostile from here */
	return image_print_end() ? status : IMAGE_EXIT_FAILED;
}
