/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev-scsi: serves one disk, alone behind a virtio-scsi adapter, over vhost-user.
 * Trust: rings HOSTILE, vmm HOSTILE, image HOSTILE, argv trusted.
 * Holds: 3 control, 4 vhost-user, 5 image and from 6 up the files beside it, or in its place a channel to a storage
 * process, all as dev-blk has them; 22 the page that keeps its state, mapped.
 */
#include "cmd/dev-scsi/policy.h"
#include "cmd/dev-scsi/scsi_disk.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/devkit/args.h"
#include "lib/diskkit/apart.h"
#include "lib/virtio_scsi/virtio_scsi.h"

#include <errno.h>

static struct disk disk;
static struct vscsi adapter;
static struct kept *kept;
_Static_assert(sizeof(struct kept) <= SCSI_STATE_SIZE, "what its supervisor makes");
_Static_assert(SCSI_ID_LEN >= DISK_SERIAL_LEN, "room for a serial number");

static int map_state(void)
{
	void *state = NULL;
	int r = fd_map_shared(SCSI_FD_STATE, sizeof(*kept), &state);

	if (r == 0)
		kept = state;
	return r;
}

static int prepare(const struct disk_device_options *o, struct process *c, const char **ret_what)
{
	int r;

	*ret_what = "signals";
	r = sandbox_trap_install(FD_CONTROL);
	if (r == 0)
		r = disk_open_any(&disk, &o->image, ret_what);
	if (r < 0)
		return r;
	*ret_what = "state page";
	r = map_state();
	if (r < 0)
		return r;
	*ret_what = "device";
	vscsi_add(&adapter, SCSI_DISK, disk.image, IMAGE_SECTOR, IMAGE_SECTOR, o->serial);
	return vscsi_prepare(&adapter, "dev-scsi", (uint16_t)o->queues, &c->loop,
			     SCSI_FD_VHOST_USER);
}

/* What a predecessor has left is hostile. */
static void go_on(void)
{
	char why[STATE_WHY_MAX];

	if (vscsi_go_on(&adapter, kept, why) < 0)
		log_warning("what is kept of the adapter cannot be (%s): it starts anew", why);
}

static int begin(const struct disk_device_options *o, struct process *c, struct volume_error *e)
{
	const uint32_t logical = disk_bytes(o->image.logical);
	const char *what = "?";
	int r = disk.begin ? disk.begin(c, &adapter.flight, e) : 0;

	if (r < 0)
		return r;
	if (disk.image->capacity < logical)
		return volume_fail(e, -ENODATA, "a SCSI disk has a block of %u bytes at least",
				   logical);
	vscsi_learn(&adapter, 0, logical, disk_physical(o, disk.image->block));
	go_on();
	r = process_ready(c, &what);
	return r < 0 ? volume_fail(e, r, "%s", what) : 0;
}

/* What the guest was told or may have counted on is not cut off in the middle. */
static void finish(struct process *c)
{
	(void)c;
	vu_device_finish(&adapter.dev);
}

static int serve(struct process *c)
{
	adapter.dev.ret_why = &c->why;
	adapter.dev.busy = process_busy;
	adapter.dev.busy_owner = c;
	c->finish = finish;
	return disk_end(&disk, "dev-scsi", process_serve(c));
}

int main(int argc, char **argv)
{
	static struct scsi_options options;
	static struct process c;
	struct volume_error e = { "" };
	const char *what = "word";
	int r;

	disk_look();
	r = args_parse(&scsi_kind, argc, argv, &options, &what); /* 1 words only */
	if (r == 0)
		r = process_open(&c, &scsi_declared, &what); /* 2 close others */
	if (r == 0)
		r = prepare(&options.disk, &c, &what); /* 3 no hostile byte */
	if (r == 0)
		r = disk_confine(&disk, &c, &scsi_policy, &what); /* 4 no way back */
	if (r < 0)
		return process_fail("dev-scsi", what, r);
	r = begin(&options.disk, &c, &e); /* 5 the image, or who has it: hostile from here */
	if (r == -ECANCELED)
		return 0;
	if (r < 0)
		return control_fail(FD_CONTROL, "dev-scsi: image: %s", e.text);
	return serve(&c); /* 6 the guest */
}
