/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that is read; see source.h. */
#include "cmd/image-tool/source.h"

#include "cmd/image-tool/size.h"
#include "lib/base/units.h"
#include "lib/image/qcow2/qcow2.h"
#include "lib/imagekit/process.h"

#include <string.h>
#include <unistd.h>

#define SECTOR 512U

/* ---- opening ---- */

static int open_store(const struct image_node *n, int fd, struct store_fd *ret)
{
	int r = store_fd_open(ret, fd, STORE_TOOL | (n->readonly ? STORE_READONLY : 0));

	return r < 0 ? image_fail_errno(n->name, "opening", r) : 0;
}

/* A disk ends with a sector, as for a VM and in qemu-img, also where its file does not. */
static int open_raw(struct source_link *l)
{
	int r = volume_raw_open(&l->raw, &l->file.store);

	if (l->file.store.size < SECTOR && l->file.store.size > 0)
		r = -EINVAL;
	if (r < 0)
		return image_fail(l->node->name, "%s",
				  l->file.store.size ? "it is no raw disk: not one sector" :
						       "it is empty: there is no disk in it");
	l->raw.volume.size = (l->file.store.size + SECTOR - 1) & ~(uint64_t)(SECTOR - 1);
	l->volume = &l->raw.volume;
	return 0;
}

static int complain(const struct source_link *l, int r, const struct volume_error *e)
{
	return *e->text ? image_fail(l->node->name, "%s", e->text) :
			  image_fail_errno(l->node->name, "opening", r);
}

/* What the header names and what the user has named: both, or neither. */
static int check_named(const struct source_link *l, const struct qcow2_info *info,
		       const struct source_link *below)
{
	if (*info->backing_file && !below)
		return image_fail(l->node->name,
				  "it is backed by %.200s, which is opened only if you name it: "
				  "--backing FILE --backing-format %s",
				  info->backing_file,
				  *info->backing_format ? info->backing_format : "FORMAT");
	if (!*info->backing_file && below)
		return image_fail(l->node->name, "nothing backs it: leave --backing %.100s out",
				  below->node->name);
	if (info->data_file && l->node->data_fd < 0)
		return image_fail(l->node->name,
				  "its data are in the file %.200s: say --data-file FILE",
				  info->data_file_name);
	if (!info->data_file && l->node->data_fd >= 0)
		return image_fail(l->node->name, "it has no data file: leave --data-file out");
	return 0;
}

static int open_qcow2(struct source_link *l, struct source_link *below, const struct image_job *job,
		      enum source_how how)
{
	struct qcow2_options o = { .readonly = l->node->readonly, .tool = how == SOURCE_TOOL };
	struct volume_error e = { "" };
	struct qcow2_info info;
	int r = qcow2_read_info(&l->file.store, &info, &e);

	if (r < 0)
		return complain(l, r, &e);
	if (how == SOURCE_TOOL)
		below = NULL;
	else if (check_named(l, &info, below))
		return IMAGE_EXIT_FAILED;
	if (l->node->data_fd >= 0 && open_store(l->node, l->node->data_fd, &l->data))
		return IMAGE_EXIT_FAILED;
	o.backing = below ? below->volume : NULL;
	o.data = l->node->data_fd >= 0 ? &l->data.store : NULL;
	o.max_size = how == SOURCE_WRITE ? size_after(job, info.size) : 0;
	l->zstd = info.compression == QCOW2_ZSTD;
	r = qcow2_open(&l->file.store, &o, &l->volume, &e);
	return r < 0 ? complain(l, r, &e) : 0;
}

static int open_link(struct source *s, size_t i, const struct image_job *job, enum source_how how)
{
	struct source_link *l = &s->link[i], *below = i + 1 < s->n ? &s->link[i + 1] : NULL;

	if (open_store(l->node, l->node->fd, &l->file))
		return IMAGE_EXIT_FAILED;
	if (l->node->format == FORMAT_QCOW2)
		return open_qcow2(l, below, job, how);
	if (below)
		return image_fail(l->node->name, "a raw image has nothing that backs it");
	return open_raw(l);
}

static int read_record(struct source *s);

static int open_map(struct source *s)
{
	int r;

	s->mapped = true;
	s->map.pipe = s->link[0].node->data_fd;
	r = read_record(s);
	if (r < 0 || s->map.now.kind != EXTENTS_SIZE)
		return image_fail(s->name, "it cannot be read"); /* image-import has said why */
	s->size = s->map.now.len;
	s->map.now.len = 0;
	return 0;
}

int source_open(struct source *s, const struct image_job *job, enum image_role role,
		enum source_how how)
{
	int r = 0;

	*s = (struct source){ .n = 0 };
	for (size_t i = 0; i < job->n_nodes; i++)
		if (job->nodes[i].role == role)
			s->link[s->n++].node = &job->nodes[i];
	if (!s->n)
		return image_fail(NULL, "no file was given");
	s->name = s->link[0].node->name;
	if (s->link[0].node->mapped)
		return open_map(s);
	if (how == SOURCE_TOOL)
		s->n = 1;
	for (size_t i = s->n; i-- > 0 && r == 0;)
		r = open_link(s, i, job, how);
	if (r)
		return r;
	s->size = s->link[0].volume->size;
	s->qcow2 = s->link[0].node->format == FORMAT_QCOW2;
	return 0;
}

void source_close(struct source *s)
{
	if (s->n && !s->mapped)
		volume_close(s->link[0].volume); /* and what backs it */
	s->n = 0;
}

/* ---- pieces of a map ---- */

static int fill(struct source_map *m)
{
	ssize_t n;

	memmove(m->wire, m->wire + m->at, m->len - m->at);
	m->len -= m->at;
	m->at = 0;
	do
		n = read(m->pipe, m->wire + m->len, sizeof(m->wire) - m->len);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : -EPIPE;
	m->len += (size_t)n;
	return 0;
}

static int read_record(struct source *s)
{
	struct source_map *m = &s->map;
	int r = 0;

	while (m->len - m->at < EXTENTS_WIRE_LEN && r == 0)
		r = fill(m);
	if (r < 0)
		return r;
	m->now_from += m->now.len;
	r = extents_decode(m->wire + m->at, EXTENTS_WIRE_LEN, &m->now);
	m->at += EXTENTS_WIRE_LEN;
	return r;
}

static int map_piece(struct source *s, uint64_t offset, uint64_t len, struct piece *ret)
{
	struct source_map *m = &s->map;
	uint64_t in;
	int r = 0;

	while (r == 0 && offset >= m->now_from + m->now.len) {
		r = read_record(s);
		if (r == 0 && (m->now.kind == EXTENTS_SIZE || m->now.kind == EXTENTS_END ||
			       m->now.len > s->size - m->now_from))
			r = -EBADMSG;
	}
	if (r < 0 || offset < m->now_from)
		return r < 0 ? r : -ESPIPE;
	in = offset - m->now_from;
	*ret = (struct piece){
		.kind = PIECE_ZERO, .fd = -1, .len = m->now.len - in, .name = s->name
	};
	if (ret->len > len)
		ret->len = len;
	if (m->now.kind == EXTENTS_ZERO)
		return 0;
	ret->fd = s->link[0].node->fd;
	ret->kind = m->now.kind == EXTENTS_DATA ? PIECE_DATA : PIECE_ZLIB;
	ret->at = m->now.offset + (ret->kind == PIECE_DATA ? in : 0);
	if (ret->kind == PIECE_ZLIB) {
		ret->stored = m->now.stored;
		ret->skip = (uint32_t)in;
		ret->unit = (uint32_t)m->now.len;
	}
	return 0;
}

int source_finish(struct source *s)
{
	int r;

	if (!s->mapped)
		return 0;
	r = read_record(s);
	return r == 0 && s->map.now.kind != EXTENTS_END ? -EBADMSG : r;
}

/* ---- pieces of a chain ---- */

static int fd_of(const struct store *s)
{
	return ((const struct store_fd *)s)->fd; /* there are no others here */
}

/* What is compressed is had as a whole, a cluster. */
static void describe(const struct source_link *l, const struct extent *x, uint64_t offset,
		     struct piece *ret)
{
	uint32_t cluster = l->volume->cluster;

	ret->len = x->len;
	ret->name = l->node->name;
	if (x->kind == EXTENT_DATA || x->kind == EXTENT_COMPRESSED) {
		ret->kind = PIECE_DATA;
		ret->fd = fd_of(x->store);
		ret->at = x->offset;
	}
	if (x->kind == EXTENT_COMPRESSED) {
		ret->kind = l->zstd ? PIECE_ZSTD : PIECE_DEFLATE;
		ret->stored = x->stored;
		ret->skip = (uint32_t)(offset & (cluster - 1));
		ret->unit = cluster;
	}
}

/* From the image down to the first link that says something about these bytes. */
int source_piece(struct source *s, uint64_t offset, uint64_t len, struct piece *ret)
{
	struct piece p = { .kind = PIECE_ZERO, .fd = -1, .absent = true, .name = s->name };
	struct extent x;

	if (s->mapped)
		return map_piece(s, offset, len, ret);
	p.len = len;
	for (size_t i = 0; i < s->n; i++) {
		const struct source_link *l = &s->link[i];
		int r;

		if (offset >= l->volume->size)
			break;
		if (p.len > l->volume->size - offset)
			p.len = l->volume->size - offset;
		r = volume_map(l->volume, offset, p.len, &x);
		if (r < 0)
			return r;
		p.len = x.len;
		p.depth = (unsigned int)i;
		if (x.kind == EXTENT_HOLE)
			continue;
		p.absent = false;
		describe(l, &x, offset, &p);
		break;
	}
	*ret = p;
	return 0;
}
