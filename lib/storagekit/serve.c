/* SPDX-License-Identifier: Apache-2.0 */
/* What the mains of storage processes share; see serve.h. */
#include "lib/storagekit/serve.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/control/control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int storage_ready(struct storage *s, const struct process *c, int channel_fd, const char **ret_what)
{
	int r = process_ready(c, ret_what);

	return r < 0 ? r : storage_connect(s, channel_fd);
}

static void tell(const struct link_error *e)
{
	struct control_msg m = { .type = e ? CTL_AWAY : CTL_BACK };

	if (e)
		snprintf(m.text, sizeof(m.text), "%.*s", CTL_TEXT_MAX, e->text);
	m.text_len = strlen(m.text);
	(void)!control_send(FD_CONTROL, &m, -1);
}

int storage_ready_linked(struct storage *s, struct link *l, struct process *c, int channel_fd,
			 struct link_error *e)
{
	const char *what = "connection";
	int r = link_connect(l, c->control_fd, e);

	if (r < 0)
		return r;
	l->tell = tell;
	l->ret_why = &c->why;
	r = link_keep(l, s);
	if (r == 0)
		r = storage_ready(s, c, channel_fd, &what);
	if (r < 0)
		snprintf(e->text, sizeof(e->text), "%s: %s", what, strerrordesc_np(-r));
	return r;
}

/* The dev-blk was started again. */
static int on_message(struct process *c, const struct control_msg *m, int fd)
{
	if (m->type == CTL_CHANNEL)
		return storage_connect(c->owner, fd);
	closep(&fd);
	return -EPROTO;
}

static void finish(struct process *c)
{
	storage_finish(c->owner);
}

int storage_serve(struct storage *s, struct process *c)
{
	c->owner = s;
	c->finish = finish;
	c->message = on_message;
	return process_serve(c);
}
