/* SPDX-License-Identifier: Apache-2.0 */
/* A disk whose image another process has; see disk_apart.h. */
#include "cmd/dev-blk/disk_apart.h"
#include "lib/base/cleanup.h"
#include "lib/image/nbd_client.h"

#include <errno.h>
#include <string.h>

static struct nbd_client apart;

/* Another channel to the storage process: one of the two has been started again. */
static int on_message(struct process *c, const struct control_msg *m, int fd)
{
	struct blk *blk = c->owner;

	if (m->type != CTL_CHANNEL) {
		closep(&fd);
		return -EPROTO;
	}
	blk_forget_image(blk);
	nbd_client_connect(&apart, fd);
	return blk_watch_image(blk);
}

/* The storage process has ended, or another one has come: either way the supervisor brings a channel to it. */
static int take_channel(struct process *c)
{
	struct control_msg m;
	int fd = -1, r = control_recv(FD_CONTROL, &m, &fd);

	if (r == 0)
		return -ECANCELED; /* the VM has ended meanwhile */
	return r < 0 ? r : on_message(c, &m, fd);
}

static int begin(struct process *c, void *blk, struct volume_error *e)
{
	const char *why;
	int r = 0;

	c->owner = blk;
	c->message = on_message;
	while (r == 0 && !apart.up) {
		r = nbd_client_await(&apart, FD_CONTROL, -1);
		if (r == -EPIPE || r == -ECANCELED)
			r = take_channel(c);
	}
	why = strerrordesc_np(-r); /* no strerror: it would look for a message catalogue */
	return r < 0 ? volume_fail(e, r, "its storage process: %s", why ? why : "failed") : 0;
}

int disk_apart(struct disk *ret, const struct disk_options *o)
{
	nbd_client_open(&apart, DISK_FD_IMAGE, o->readonly);
	*ret = (struct disk){ .image = &apart.image, .fsize = 0, .begin = begin };
	return 0;
}
