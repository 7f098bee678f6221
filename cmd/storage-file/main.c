/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage-file: serves the image of one disk to its dev-blk, as an NBD server, and by the disk's rates.
 * Trust: the channel HOSTILE, image HOSTILE, argv trusted.
 * Holds: 3 control, 4 channel to the dev-blk, 5 image (until the ring has it).
 */
#include "cmd/storage-file/policy.h"
#include "lib/base/cleanup.h"
#include "lib/devkit/args.h"
#include "lib/devkit/compartment.h"
#include "lib/image/raw.h"
#include "lib/storagekit/server.h"

#include <errno.h>

static struct raw_image raw;
static struct storage storage;

/* There is no pool here that would do everything on a host without io_uring. */
static int prepare_filter(void *filter, bool everything)
{
	return everything ? -ENOSYS : sandbox_prepare_thread(&storage_file_puncher_policy, filter);
}

static int enter_puncher(void *filter)
{
	return sandbox_enter_thread(filter);
}

static int prepare(const struct storage_file_options *o, struct compartment *c,
		   const char **ret_what)
{
	static struct sandbox_thread filter; /* for as long as the thread may still load it */
	const struct raw_confiner confiner = { prepare_filter, enter_puncher, &filter };
	const struct raw_how how = { .readonly = o->readonly,
				     .direct = o->cache,
				     .logical = o->logical ? 4096 : 512 };
	int r;

	*ret_what = "filter of a thread";
	r = sandbox_trap_install(FD_CONTROL);
	if (r < 0)
		return r;
	r = raw_open(&raw, STORAGE_FILE_FD_IMAGE, &how, &confiner);
	*ret_what = raw_what(&how, r);
	if (r < 0)
		return r;
	*ret_what = "server";
	return storage_open(&storage, &raw.image, &c->loop, &o->rates);
}

/* The image never grows by us. */
static int enter(struct compartment *c, const char **ret_what)
{
	struct sandbox_policy policy = storage_file_policy;
	int r;

	policy.limits.fsize = raw.image.readonly ? 0 : raw.image.capacity;
	r = compartment_enter(c, &policy, ret_what);
	*ret_what = "channel";
	return r < 0 ? r : storage_connect(&storage, STORAGE_FILE_FD_CHANNEL);
}

/* The dev-blk was started again. */
static int on_message(struct compartment *c, const struct control_msg *m, int fd)
{
	(void)c;
	if (m->type == CTL_CHANNEL)
		return storage_connect(&storage, fd);
	closep(&fd);
	return -EPROTO;
}

static void finish(struct compartment *c)
{
	(void)c;
	storage_finish(&storage);
}

int main(int argc, char **argv)
{
	struct storage_file_options options;
	static struct compartment c;
	const char *what = "word";
	int r;

	r = args_parse(&storage_file_kind, argc, argv, &options, &what); /* 1 words only */
	if (r == 0)
		r = compartment_open(&c, &storage_file_declared, &what); /* 2 close others */
	if (r == 0)
		r = prepare(&options, &c, &what); /* 3 no hostile byte */
	if (r == 0)
		r = enter(&c, &what); /* 4 no way back */
	if (r < 0)
		return compartment_fail("storage-file", what, r);
	c.finish = finish;
	c.message = on_message;
	return compartment_serve(&c); /* 5 hostile from here */
}
