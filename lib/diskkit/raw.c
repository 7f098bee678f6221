/* SPDX-License-Identifier: Apache-2.0 */
/* A raw disk: the bytes of its file; see disk.h. */
#include "lib/diskkit/disk.h"
#include "lib/image/raw.h"

#include <string.h>

_Static_assert(DISK_POOL_THREADS == WORKERS_THREADS, "as declared");

static struct raw_image raw;

/* for as long as a thread may still load it */
static struct sandbox_filter filter;

static int prepare_filter(void *arg, bool everything)
{
	return sandbox_prepare_thread(everything ? &disk_pool_policy : &disk_puncher_policy, arg);
}

static int enter_filter(void *arg)
{
	return sandbox_enter_thread(arg);
}

/* The image never grows by us. */
int disk_raw(struct disk *ret, const struct disk_options *o, const char **ret_what)
{
	const struct raw_confiner confiner = { prepare_filter, enter_filter, &filter };
	const struct raw_how how = { .readonly = o->readonly,
				     .direct = o->cache == DISK_NONE,
				     .logical = disk_bytes(o->logical) };
	int r = raw_open(&raw, DISK_FD_IMAGE, &how, &confiner);

	if (r == 0 && raw.no_ring)
		log_warning(
			"no io_uring on this host (%s): a disk is served by %u threads, more slowly",
			strerrorname_np(-raw.no_ring), WORKERS_THREADS);
	*ret_what = raw_what(&how, r);
	if (r < 0)
		return r;
	*ret = (struct disk){ .image = &raw.image, .fsize = o->readonly ? 0 : raw.image.capacity };
	return 0;
}
