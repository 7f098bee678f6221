/* SPDX-License-Identifier: Apache-2.0 */
/* A disk whose image another process has; see apart.h. */
#include "lib/diskkit/apart.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/image/nbd_client.h"

#include <errno.h>
#include <string.h>

static struct nbd_client apart;

/* Another channel to the storage process: one of the two has been started again. */
static int on_message(struct process *c, const struct control_msg *m, int fd)
{
	struct flight *f = c->owner;

	if (m->type != CTL_CHANNEL) {
		closep(&fd);
		return -EPROTO;
	}
	flight_forget(f, 0);
	nbd_client_connect(&apart, fd);
	return flight_watch(f, 0);
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

static int begin(struct process *c, void *flight, struct volume_error *e)
{
	const char *why;
	int r = 0;

	c->owner = flight;
	c->message = on_message;
	while (r == 0 && !apart.up) {
		r = nbd_client_await(&apart, FD_CONTROL, -1);
		if (r == -EPIPE || r == -ECANCELED)
			r = take_channel(c);
	}
	why = strerrordesc_np(-r); /* no strerror: it would look for a message catalogue */
	return r < 0 ? volume_fail(e, r, "its storage process: %s", why ? why : "failed") : 0;
}

int disk_open_any(struct disk *ret, const struct disk_options *o, const char **ret_what)
{
	struct stat st = { 0 };
	int r;

	*ret_what = "image";
	r = fd_stat(DISK_FD_IMAGE, &st);
	if (r < 0)
		return r;
	if (!S_ISSOCK(st.st_mode))
		return disk_open(ret, o, ret_what);
	nbd_client_open(&apart, DISK_FD_IMAGE, o->readonly);
	*ret = (struct disk){ .image = &apart.image, .fsize = 0, .begin = begin };
	return 0;
}
