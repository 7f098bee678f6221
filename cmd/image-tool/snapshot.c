/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead image snapshot: of a qcow2 image that nobody uses. */
#include "cmd/image-tool/shots.h"
#include "cmd/image-tool/source.h"
#include "cmd/image-tool/tool.h"
#include "lib/imagekit/process.h"

#include <stdlib.h>
#include <time.h>

static int fail(const struct source *s, int r, const struct volume_error *e, const char *what)
{
	return *e->text ? image_fail(s->name, "%s", e->text) : image_fail_errno(s->name, what, r);
}

static int list(const struct image_job *job, struct source *s)
{
	struct qcow2_snapshot *shots = NULL;
	struct volume_error e = { "" };
	size_t n = 0;
	int r = qcow2_snapshot_list(s->link[0].volume, &shots, &n, &e);

	if (r < 0)
		return fail(s, r, &e, "listing its snapshots");
	if (job->json)
		json_print(shots_json(shots, n));
	else
		shots_print(shots, n);
	free(shots);
	return 0;
}

static int change(const struct image_job *job, struct source *s)
{
	struct volume *v = s->link[0].volume;
	struct volume_error e = { "" };
	struct timespec now;
	int r = 0;

	switch (job->snapshot) {
	case SNAPSHOT_CREATE:
		clock_gettime(CLOCK_REALTIME, &now);
		r = qcow2_snapshot_create(v, job->snapshot_name, (uint32_t)now.tv_sec,
					  (uint32_t)now.tv_nsec, &e);
		break;
	case SNAPSHOT_APPLY:
		r = qcow2_snapshot_apply(v, job->snapshot_name, &e);
		break;
	case SNAPSHOT_DELETE:
		r = qcow2_snapshot_delete(v, job->snapshot_name, &e);
		break;
	case SNAPSHOT_LIST:
		break;
	}
	if (r == 0)
		r = volume_flush(v);
	if (r == -ENOENT && !*e.text)
		return image_fail(s->name, "there is no snapshot %.100s", job->snapshot_name);
	return r < 0 ? fail(s, r, &e, "its snapshots") : 0;
}

int run_snapshot(const struct image_job *job, struct pool *pool)
{
	static struct source s;
	int r = source_open(&s, job, ROLE_SOURCE, SOURCE_TOOL);

	(void)pool;
	if (r)
		return r;
	if (!s.qcow2)
		return image_fail(s.name, "a raw image has no snapshots: qcow2 has");
	r = job->snapshot == SNAPSHOT_LIST ? list(job, &s) : change(job, &s);
	source_close(&s);
	return r;
}
