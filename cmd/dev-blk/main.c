/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev-blk: serves one virtio-blk device over vhost-user.
 * Trust: rings HOSTILE, vmm HOSTILE, image HOSTILE, argv trusted.
 * Holds: 3 control, 4 vhost-user, 5 image (until the ring has it), or a channel to a storage process,
 * HOSTILE, which has it in its place: then what the disk is shows only in the sandbox, and the device is ready
 * once it has shown.
 */
#include "cmd/dev-blk/blk.h"
#include "cmd/dev-blk/policy.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/devkit/args.h"
#include "lib/devkit/compartment.h"
#include "lib/image/nbd_client.h"
#include "lib/image/raw.h"

#include <errno.h>
#include <string.h>

_Static_assert(BLK_POOL_THREADS == WORKERS_THREADS, "as declared");

static struct raw_image raw;
static struct nbd_client apart;
static bool is_apart; /* the image is a storage process's, not raw */
static struct blk blk;

/* for as long as a thread may still load it */
static struct sandbox_thread filter;

static int prepare_filter(void *arg, bool everything)
{
	return sandbox_prepare_thread(everything ? &blk_pool_policy : &blk_puncher_policy, arg);
}

static int enter_filter(void *arg)
{
	return sandbox_enter_thread(arg);
}

static int open_raw(const struct blk_options *o, const char **ret_what)
{
	const struct raw_confiner confiner = { prepare_filter, enter_filter, &filter };
	const struct raw_how how = { .readonly = o->readonly,
				     .direct = o->cache == BLK_NONE,
				     .logical = blk_bytes(o->logical) };
	int r;

	*ret_what = "filter of a thread";
	r = sandbox_trap_install(FD_CONTROL);
	if (r < 0)
		return r;
	r = raw_open(&raw, BLK_FD_IMAGE, &how, &confiner);
	if (r == 0 && raw.no_ring)
		log_warning(
			"no io_uring on this host (%s): a disk is served by %u threads, more slowly",
			strerrorname_np(-raw.no_ring), WORKERS_THREADS);
	*ret_what = raw_what(&how, r);
	return r;
}

static int prepare(const struct blk_options *o, struct compartment *c, const char **ret_what)
{
	struct stat st = { 0 };
	int r;

	*ret_what = "image";
	r = fd_stat(BLK_FD_IMAGE, &st);
	is_apart = S_ISSOCK(st.st_mode);
	if (r == 0 && is_apart)
		nbd_client_open(&apart, BLK_FD_IMAGE, o->readonly);
	else if (r == 0)
		r = open_raw(o, ret_what);
	if (r < 0)
		return r;
	*ret_what = "device";
	return blk_prepare(&blk, o, is_apart ? &apart.image : &raw.image, &c->loop,
			   BLK_FD_VHOST_USER);
}

/* Another channel to the storage process: one of the two has been started again. */
static int on_message(struct compartment *c, const struct control_msg *m, int fd)
{
	(void)c;
	if (m->type != CTL_CHANNEL || !is_apart) {
		closep(&fd);
		return -EPROTO;
	}
	blk_forget_image(&blk);
	nbd_client_connect(&apart, fd);
	return blk_watch_image(&blk);
}

/* The storage process has ended, or another one has come: either way the supervisor brings a channel to it. */
static int take_channel(struct compartment *c)
{
	struct control_msg m;
	int fd = -1, r = control_recv(FD_CONTROL, &m, &fd);

	if (r == 0)
		return -ECANCELED; /* the VM has ended meanwhile */
	return r < 0 ? r : on_message(c, &m, fd);
}

static int learn(const struct blk_options *o, struct compartment *c, const char **ret_what)
{
	int r = 0;

	*ret_what = "its storage process";
	while (r == 0 && !apart.up) {
		r = nbd_client_await(&apart, FD_CONTROL);
		if (r == -EPIPE || r == -ECANCELED)
			r = take_channel(c);
	}
	if (r == 0)
		blk_learn(&blk, o);
	return r;
}

/* The image never grows by us. */
static int enter(const struct blk_options *o, struct compartment *c, const char **ret_what)
{
	struct sandbox_policy policy = blk_policy;
	int r;

	policy.limits.fsize = is_apart || raw.image.readonly ? 0 : raw.image.capacity;
	r = compartment_confine(c, &policy, ret_what);
	if (r == 0 && is_apart)
		r = learn(o, c, ret_what);
	return r < 0 ? r : compartment_ready(c, ret_what);
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
		r = enter(&options, &c, &what); /* 4 no way back */
	if (r == -ECANCELED)
		return 0;
	if (r < 0)
		return compartment_fail("dev-blk", what, r);
	blk.dev.ret_why = &c.why;
	blk.dev.busy = compartment_busy;
	blk.dev.busy_owner = &c;
	c.finish = finish;
	c.message = on_message;
	return compartment_serve(&c); /* 5 hostile from here */
}
