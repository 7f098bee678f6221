/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev-blk: serves one virtio-blk device over vhost-user.
 * Trust: rings HOSTILE, vmm HOSTILE, image HOSTILE, argv trusted.
 * Holds: 3 control, 4 vhost-user, 5 image (a raw one until the ring has it) and from 6 up the files beside it, or
 * in its place a channel to a storage process, HOSTILE, which has it. What a disk with metadata, or of a storage
 * process, is shows only in the sandbox, and the device is ready once it has shown.
 */
#include "cmd/dev-blk/policy.h"
#include "lib/base/cleanup.h"
#include "lib/devkit/args.h"
#include "lib/diskkit/apart.h"

#include <errno.h>

static struct disk disk;
static struct blk blk;

static int prepare(const struct blk_options *o, struct process *c, const char **ret_what)
{
	int r;

	*ret_what = "signals";
	r = sandbox_trap_install(FD_CONTROL);
	if (r == 0)
		r = disk_open_any(&disk, &o->disk.image, ret_what);
	if (r < 0)
		return r;
	*ret_what = "device";
	return blk_prepare(&blk, o, disk.image, &c->loop, BLK_FD_VHOST_USER);
}

static int begin(const struct blk_options *o, struct process *c, struct volume_error *e)
{
	const char *what = "?";
	int r = disk.begin ? disk.begin(c, &blk.flight, e) : 0;

	if (r < 0)
		return r;
	if (disk.begin)
		blk_learn(&blk, o);
	r = process_ready(c, &what);
	return r < 0 ? volume_fail(e, r, "%s", what) : 0;
}

/* What the guest was told or may have counted on is not cut off in the middle. */
static void finish(struct process *c)
{
	(void)c;
	vu_device_finish(&blk.dev);
}

static int serve(struct process *c)
{
	blk.dev.ret_why = &c->why;
	blk.dev.busy = process_busy;
	blk.dev.busy_owner = c;
	c->finish = finish;
	return disk_end(&disk, "dev-blk", process_serve(c));
}

int main(int argc, char **argv)
{
	struct blk_options options;
	static struct process c;
	struct volume_error e = { "" };
	const char *what = "word";
	int r;

	disk_look();
	r = args_parse(&blk_kind, argc, argv, &options, &what); /* 1 words only */
	if (r == 0)
		r = process_open(&c, &blk_declared, &what); /* 2 close others */
	if (r == 0)
		r = prepare(&options, &c, &what); /* 3 no hostile byte */
	if (r == 0)
		r = disk_confine(&disk, &c, &blk_policy, &what); /* 4 no way back */
	if (r < 0)
		return process_fail("dev-blk", what, r);
	r = begin(&options, &c, &e); /* 5 the image, or who has it: hostile from here */
	if (r == -ECANCELED)
		return 0;
	if (r < 0)
		return control_fail(FD_CONTROL, "dev-blk: image: %s", e.text);
	return serve(&c); /* 6 the guest */
}
