/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage-file: serves the image of one disk to its dev-blk, as an NBD server, and by the disk's rates.
 * Trust: the channel HOSTILE, image HOSTILE, argv trusted.
 * Holds: 3 control, 4 channel to the dev-blk, 5 image (a raw one until the ring has it) and from 6 up the files beside it.
 */
#include "cmd/storage-file/policy.h"
#include "lib/base/cleanup.h"
#include "lib/devkit/args.h"
#include "lib/diskkit/disk.h"
#include "lib/storagekit/serve.h"

static struct disk disk;
static struct storage storage;

static int prepare(const struct storage_file_options *o, struct process *c, const char **ret_what)
{
	int r;

	*ret_what = "signals";
	r = sandbox_trap_install(FD_CONTROL);
	if (r == 0)
		r = disk_open(&disk, &o->image, ret_what);
	if (r < 0)
		return r;
	*ret_what = "server";
	return storage_open(&storage, disk.image, &c->loop, &o->rates);
}

static int begin(struct process *c, struct volume_error *e)
{
	const char *what = "?";
	int r = disk.begin ? disk.begin(c, &storage, e) : 0;

	if (r < 0)
		return r;
	r = storage_ready(&storage, c, STORAGE_FILE_FD_CHANNEL, &what);
	return r < 0 ? volume_fail(e, r, "%s", what) : 0;
}

int main(int argc, char **argv)
{
	struct storage_file_options options;
	static struct process c;
	struct volume_error e = { "" };
	const char *what = "word";
	int r;

	disk_look();
	r = args_parse(&storage_file_kind, argc, argv, &options, &what); /* 1 words only */
	if (r == 0)
		r = process_open(&c, &storage_file_declared, &what); /* 2 close others */
	if (r == 0)
		r = prepare(&options, &c, &what); /* 3 no hostile byte */
	if (r == 0)
		r = disk_confine(&disk, &c, &storage_file_policy, &what); /* 4 no way back */
	if (r < 0)
		return process_fail("storage-file", what, r);
	r = begin(&c, &e); /* 5 the image: hostile from here */
	if (r < 0)
		return control_fail(FD_CONTROL, "storage-file: image: %s", e.text);
	return disk_end(&disk, "storage-file", storage_serve(&storage, &c)); /* 6 the dev-blk */
}
