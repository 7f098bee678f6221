/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev-blk: serves one virtio-blk device over vhost-user.
 * Trust: rings HOSTILE, vmm HOSTILE, image HOSTILE, argv trusted.
 * Holds: 3 control, 4 vhost-user, 5 image (until the ring has it).
 */
#include "cmd/dev-blk/blk.h"
#include "cmd/dev-blk/policy.h"
#include "lib/base/cleanup.h"
#include "lib/devkit/args.h"
#include "lib/devkit/compartment.h"
#include "lib/image/raw.h"

static struct raw_image raw;
static struct blk blk;

static int enter_puncher(void *filter)
{
	return sandbox_enter_thread(filter);
}

static int prepare(const struct blk_options *o, struct compartment *c, const char **ret_what)
{
	static struct sandbox_thread filter; /* for as long as the thread may still load it */
	const struct raw_confiner confiner = { enter_puncher, &filter };
	const struct raw_how how = { .readonly = o->readonly,
				     .direct = o->cache == BLK_NONE,
				     .logical = blk_bytes(o->logical) };
	int r;

	*ret_what = "filter of a thread";
	r = sandbox_trap_install(FD_CONTROL);
	if (r == 0)
		r = sandbox_prepare_thread(&blk_puncher_policy, &filter);
	if (r < 0)
		return r;
	*ret_what = "image";
	r = raw_open(&raw, BLK_FD_IMAGE, &how, &confiner);
	if (how.direct && r == -EOPNOTSUPP)
		*ret_what = "image: its file system has no O_DIRECT, so say cache=writeback";
	else if (how.direct && r == -EDOM)
		*ret_what = "image: cache=none needs larger blocks there, so say "
			    "logical_block_size=4096 or cache=writeback";
	if (r < 0)
		return r;
	*ret_what = "device";
	return blk_prepare(&blk, o, &raw.image, &c->loop, BLK_FD_VHOST_USER);
}

/* The image never grows by us. */
static int enter(struct compartment *c, const char **ret_what)
{
	struct sandbox_policy policy = blk_policy;

	policy.limits.fsize = raw.image.readonly ? 0 : raw.image.capacity;
	return compartment_enter(c, &policy, ret_what);
}

/* What the guest was told or may have counted on is not cut off in the middle. */
static void finish(struct compartment *c)
{
	(void)c;
	vu_device_finish(&blk.dev);
}

int main(int argc, char **argv)
{
	struct blk_options options;
	static struct compartment c;
	const char *what = "word";
	int r;

	r = args_parse(&blk_kind, argc, argv, &options, &what); /* 1 words only */
	if (r == 0)
		r = compartment_open(&c, &blk_declared, &what); /* 2 close others */
	if (r == 0)
		r = prepare(&options, &c, &what); /* 3 no hostile byte */
	if (r == 0)
		r = enter(&c, &what); /* 4 no way back */
	if (r < 0)
		return compartment_fail("dev-blk", what, r);
	blk.dev.ret_why = &c.why;
	blk.dev.busy = compartment_busy;
	blk.dev.busy_owner = &c;
	c.finish = finish;
	return compartment_serve(&c); /* 5 hostile from here */
}
