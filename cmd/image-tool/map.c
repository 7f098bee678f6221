/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead image map: what lies where. The keys are those of `qemu-img map --output=json`. */
#include "cmd/image-tool/source.h"
#include "cmd/image-tool/tool.h"
#include "lib/imagekit/process.h"

#include <stdbool.h>

/* Pieces that are of one kind, one behind the other. */
struct run {
	struct piece p;
	uint64_t start;
};

struct map {
	const struct image_job *job;
	struct run now;
	bool any, printed;
};

static bool is_packed(const struct piece *p)
{
	return p->kind != PIECE_ZERO && p->kind != PIECE_DATA;
}

static void print_json(const struct map *m)
{
	const struct piece *p = &m->now.p;

	image_print("%s{ \"start\": %llu, \"length\": %llu, \"depth\": %u, \"present\": %s, "
		    "\"zero\": %s, \"data\": %s, \"compressed\": %s",
		    m->printed ? ",\n" : "[", (unsigned long long)m->now.start,
		    (unsigned long long)p->len, p->depth, p->absent ? "false" : "true",
		    p->kind == PIECE_ZERO ? "true" : "false",
		    p->kind == PIECE_ZERO ? "false" : "true", is_packed(p) ? "true" : "false");
	if (p->kind == PIECE_DATA)
		image_print(", \"offset\": %llu", (unsigned long long)p->at);
	image_print("}");
}

static void print_text(const struct map *m)
{
	const struct piece *p = &m->now.p;

	if (!m->printed)
		image_print("%-16s%-16s%-16s%s\n", "Offset", "Length", "Mapped to", "File");
	if (p->kind == PIECE_DATA)
		image_print("%#-16llx%#-16llx%#-16llx%s\n", (unsigned long long)m->now.start,
			    (unsigned long long)p->len, (unsigned long long)p->at, p->name);
	else if (is_packed(p))
		image_print("%#-16llx%#-16llx%-16s%s\n", (unsigned long long)m->now.start,
			    (unsigned long long)p->len, "compressed", p->name);
}

static void print_now(struct map *m)
{
	if (!m->any)
		return;
	if (m->job->json)
		print_json(m);
	else
		print_text(m);
	m->printed = true;
}

static bool continues(const struct run *now, const struct piece *p)
{
	if (now->p.kind != p->kind || now->p.depth != p->depth || now->p.absent != p->absent)
		return false;
	return p->kind != PIECE_DATA || (now->p.fd == p->fd && now->p.at + now->p.len == p->at);
}

static void add(struct map *m, uint64_t offset, const struct piece *p)
{
	if (m->any && continues(&m->now, p)) {
		m->now.p.len += p->len;
		return;
	}
	print_now(m);
	m->now = (struct run){ *p, offset };
	m->any = true;
}

int run_map(const struct image_job *job, struct pool *pool)
{
	static struct source s;
	struct map m = { .job = job };
	uint64_t offset = job->start, end;
	int r = source_open(&s, job, ROLE_SOURCE, SOURCE_READ);

	(void)pool;
	if (r)
		return r;
	if (offset > s.size)
		return image_fail(s.name, "--start-offset lies behind its end");
	end = job->length < s.size - offset ? offset + job->length : s.size;
	while (offset < end) {
		struct piece p;

		r = source_piece(&s, offset, end - offset, &p);
		if (r < 0)
			return image_fail_errno(s.name, "reading where its data are", r);
		add(&m, offset, &p);
		offset += p.len;
	}
	print_now(&m);
	if (job->json)
		image_print("%s]\n", m.printed ? "" : "[");
	source_close(&s);
	return IMAGE_EXIT_OK;
}
