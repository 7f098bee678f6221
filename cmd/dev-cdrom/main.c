/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev-cdrom: serves one CD-ROM, alone behind a virtio-scsi adapter, over vhost-user.
 * Trust: rings HOSTILE, vmm HOSTILE, image HOSTILE but never looked at, argv trusted.
 * Holds: 3 control, 4 vhost-user, 5 image, until the ring has it, 6 the page that keeps its state, mapped.
 */
#include "cmd/dev-cdrom/cdrom.h"
#include "cmd/dev-cdrom/policy.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/devkit/args.h"
#include "lib/diskkit/disk.h"
#include "lib/virtio_scsi/virtio_scsi.h"

#include <errno.h>

static struct disk disk;
static struct vscsi adapter;
static struct kept *kept;
_Static_assert(sizeof(struct kept) <= CDROM_STATE_SIZE, "what its supervisor makes");

static int prepare(const struct cdrom_options *o, struct process *c, const char **ret_what)
{
	void *state = NULL;
	int r;

	*ret_what = "signals";
	r = sandbox_trap_install(FD_CONTROL);
	if (r == 0)
		r = disk_raw(&disk, &o->image, ret_what);
	if (r < 0)
		return r;
	*ret_what = "image: a CD-ROM has a block of 2048 bytes at least";
	if (disk.image->capacity < SCSI_CD_BLOCK)
		return -ENODATA;
	*ret_what = "state page";
	r = fd_map_shared(CDROM_FD_STATE, sizeof(*kept), &state);
	if (r < 0)
		return r;
	kept = state;
	*ret_what = "device";
	vscsi_add(&adapter, SCSI_CDROM, disk.image, SCSI_CD_BLOCK, SCSI_CD_BLOCK, o->serial);
	return vscsi_prepare(&adapter, "dev-cdrom", (uint16_t)o->queues, &c->loop,
			     CDROM_FD_VHOST_USER);
}

static void finish(struct process *c)
{
	(void)c;
	vu_device_finish(&adapter.dev);
}

/* What a predecessor has left is hostile. */
static void go_on(void)
{
	char why[STATE_WHY_MAX];

	if (vscsi_go_on(&adapter, kept, why) < 0)
		log_warning("what is kept of the drive cannot be (%s): it starts anew", why);
}

static int serve(struct process *c)
{
	go_on();
	adapter.dev.ret_why = &c->why;
	adapter.dev.busy = process_busy;
	adapter.dev.busy_owner = c;
	c->finish = finish;
	return process_serve(c);
}

int main(int argc, char **argv)
{
	static struct cdrom_options options;
	static struct process c;
	const char *what = "word";
	int r;

	r = args_parse(&cdrom_kind, argc, argv, &options, &what); /* 1 words only */
	if (r == 0)
		r = process_open(&c, &cdrom_declared, &what); /* 2 close others */
	if (r == 0)
		r = prepare(&options, &c, &what); /* 3 no hostile byte */
	if (r == 0)
		r = process_enter(&c, &cdrom_policy, &what); /* 4 no way back */
	if (r < 0)
		return process_fail("dev-cdrom", what, r);
	return serve(&c); /* 5 the guest */
}
