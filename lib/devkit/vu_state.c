/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device's own state through a pipe of the front end's (QEMU, docs/interop/vhost-user.rst, "Migrating
 * back-end state"); see vu_device.h. What comes is HOSTILE: it is read into memory, and at its end taken as
 * a whole by the device's row of the state contract, or not at all.
 */
#include "lib/devkit/vu_internal.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

/* What was on its way is not any more; what is left of the pipe says so to the other end. */
void vu_state_close(struct vu_device *d)
{
	struct vu_transfer *t = &d->transfer;

	loop_remove(d->loop, &t->src);
	closep(&t->fd);
}

static int end(struct vu_device *d, enum vu_transfer_state state)
{
	d->transfer.state = state;
	vu_state_close(d);
	return 0;
}

/* ---- to the front end ---- */

static int on_room(struct loop_source *src, uint32_t events)
{
	struct vu_device *d = src->owner;
	struct vu_transfer *t = &d->transfer;
	ssize_t n = write(t->fd, t->bytes + t->at, t->len - t->at);

	(void)events;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : end(d, VU_TRANSFER_FAILED);
	t->at += (size_t)n;
	return t->at < t->len ? 0 : end(d, VU_TRANSFER_DONE);
}

/* ---- from the front end ---- */

/* Rings that have started meanwhile are of a guest that runs already. */
static int take(struct vu_device *d)
{
	const struct state_object o = { d->ops->state, d->owner };
	struct vu_transfer *t = &d->transfer;
	char why[STATE_WHY_MAX] = "its rings run";
	int r = vu_rings_any_armed(d) ? -EBUSY : state_object_load(&o, t->bytes, t->len, why);

	if (r < 0)
		log_gated(&d->gate, LOG_LEVEL_WARNING, "%s: no state was loaded: %s", d->spec->name,
			  why);
	return end(d, r < 0 ? VU_TRANSFER_FAILED : VU_TRANSFER_DONE);
}

/* Until there is nothing to read for now, or its end. */
static int receive(struct vu_device *d)
{
	struct vu_transfer *t = &d->transfer;

	while (t->state == VU_TRANSFER_LOADS) {
		ssize_t n = read(t->fd, t->bytes + t->len, sizeof(t->bytes) - t->len);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : end(d, VU_TRANSFER_FAILED);
		if (n == 0)
			return take(d);
		t->len += (size_t)n;
		if (t->len == sizeof(t->bytes)) /* more than any state has */
			return end(d, VU_TRANSFER_FAILED);
	}
	return 0;
}

static int on_bytes(struct loop_source *src, uint32_t events)
{
	(void)events;
	return receive(src->owner);
}

/* ---- the requests ---- */

/* Nothing else has an end that both sides see, and bounds what is on its way. */
static bool is_pipe(int fd)
{
	struct stat st;

	return fd_stat(fd, &st) == 0 && S_ISFIFO(st.st_mode) && fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

static int begin_save(struct vu_device *d)
{
	const struct state_object o = { d->ops->state, d->owner };
	struct vu_transfer *t = &d->transfer;
	int len = state_object_save(&o, t->bytes, sizeof(t->bytes));

	if (len < 0)
		return len;
	t->len = (size_t)len;
	t->state = VU_TRANSFER_SAVES;
	return loop_add(d->loop, &t->src, t->fd, EPOLLOUT, on_room, d);
}

static int begin_load(struct vu_device *d)
{
	struct vu_transfer *t = &d->transfer;

	t->state = VU_TRANSFER_LOADS;
	return loop_add(d->loop, &t->src, t->fd, EPOLLIN, on_bytes, d);
}

static bool under_way(const struct vu_device *d)
{
	return d->transfer.fd >= 0;
}

int vu_state_begin(struct vu_device *d, const struct vu_msg *m, int *fd)
{
	const bool saves = m->transfer.direction == VU_TRANSFER_SAVE;
	struct vu_transfer *t = &d->transfer;
	int r;

	if (under_way(d) || m->transfer.phase != VU_TRANSFER_STOPPED ||
	    (!saves && m->transfer.direction != VU_TRANSFER_LOAD) || !is_pipe(*fd))
		return -EINVAL;
	t->fd = take_fd(fd);
	t->at = t->len = 0;
	r = saves ? begin_save(d) : begin_load(d);
	if (r < 0)
		end(d, VU_TRANSFER_FAILED);
	return r;
}

/* What the front end has written before it asks is there by now. Asked too early, all of it is void. */
bool vu_state_check(struct vu_device *d)
{
	if (d->transfer.state == VU_TRANSFER_LOADS)
		(void)receive(d);
	if (under_way(d))
		end(d, VU_TRANSFER_FAILED);
	return d->transfer.state == VU_TRANSFER_DONE;
}
