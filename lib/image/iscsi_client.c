/* SPDX-License-Identifier: Apache-2.0 */
/* A logical unit as an image; see iscsi_client.h. */
#include "lib/image/iscsi_client_internal.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <time.h>

static struct iscsi_client *client_of(struct image *image)
{
	return (struct iscsi_client *)image; /* its first member */
}
_Static_assert(offsetof(struct iscsi_client, image) == 0, "client_of");

int initiator_fail(struct iscsi_client *c, int r, const char *why)
{
	if (!c->why[0])
		snprintf(c->why, sizeof(c->why), "%s", why);
	return r;
}

/* ---- tasks ---- */

static uint16_t index_of(const struct iscsi_client *c, const struct iscsi_task *t)
{
	return (uint16_t)(t - c->task);
}

uint32_t initiator_tag(const struct iscsi_client *c, const struct iscsi_task *t)
{
	return (uint32_t)t->generation << 16 | index_of(c, t);
}

struct iscsi_task *initiator_find(struct iscsi_client *c, uint32_t itt)
{
	uint32_t i = itt & 0xffff;

	if (i > ISCSI_CLIENT_DEPTH || c->task[i].state == ISCSI_TASK_FREE ||
	    initiator_tag(c, &c->task[i]) != itt)
		return NULL;
	return &c->task[i];
}

void initiator_enqueue(struct iscsi_client *c, struct iscsi_queue *q, struct iscsi_task *t)
{
	uint16_t i = index_of(c, t);

	t->next = ISCSI_NO_TASK;
	if (q->last == ISCSI_NO_TASK)
		q->first = i;
	else
		c->task[q->last].next = i;
	q->last = i;
}

struct iscsi_task *initiator_dequeue(struct iscsi_client *c, struct iscsi_queue *q)
{
	struct iscsi_task *t = &c->task[q->first];

	q->first = t->next;
	if (q->first == ISCSI_NO_TASK)
		q->last = ISCSI_NO_TASK;
	return t;
}

/* Another command of it, to be sent. Before the client is up, those of requests wait. */
void initiator_command(struct iscsi_client *c, struct iscsi_task *t)
{
	t->generation++;
	t->state = ISCSI_TASK_COMMAND;
	if (c->phase != ISCSI_CLIENT_UP && t != &c->task[ISCSI_LOOKS])
		return;
	initiator_prepare(c, t);
	initiator_enqueue(c, &c->commands, t);
}

void initiator_finish(struct iscsi_client *c, struct iscsi_task *t, int result)
{
	uint64_t handle = t->io.handle;

	t->state = ISCSI_TASK_FREE;
	t->generation++;
	t->next = c->first_free;
	c->first_free = index_of(c, t);
	c->n_in_flight--;
	c->image.done(c->image.owner, handle, result);
}

/* ---- image_ops ---- */

static int check(const struct iscsi_client *c, const struct image_io *io)
{
	int r = image_check(&c->image, io);

	if (r == 0 && io->op != IMAGE_FLUSH &&
	    (io->offset % c->disk.block || io->len % c->disk.block))
		return -EINVAL;
	return r;
}

static int client_queue(struct image *image, const struct image_io *io)
{
	struct iscsi_client *c = client_of(image);
	struct iscsi_task *t;
	int r = check(c, io);

	if (r < 0)
		return r;
	if (c->first_free == ISCSI_NO_TASK)
		return -EBUSY;
	t = &c->task[c->first_free];
	c->first_free = t->next;
	t->at = 0;
	t->tries = 0;
	t->last = false;
	t->io = *io;
	if (io->op == IMAGE_FLUSH)
		t->io.len = 0;
	c->n_in_flight++;
	initiator_command(c, t);
	return 0;
}

void iscsi_client_hang_up(struct iscsi_client *c)
{
	c->phase = ISCSI_CLIENT_GONE;
}

static void forget_queues(struct iscsi_client *c)
{
	c->commands = c->data = (struct iscsi_queue){ ISCSI_NO_TASK, ISCSI_NO_TASK };
	c->task[ISCSI_LOOKS].state = ISCSI_TASK_FREE;
	c->n_pings = 0;
	c->logout = c->leaving = c->sending = c->in_data = false;
	c->n_outstanding = 0;
	c->staged = c->taken = 0;
	c->out_sent = 0;
}

void iscsi_client_fail(struct iscsi_client *c, int result)
{
	if (c->phase != ISCSI_CLIENT_GONE)
		return;
	forget_queues(c);
	for (unsigned int i = 0; i < ISCSI_CLIENT_DEPTH; i++)
		if (c->task[i].state != ISCSI_TASK_FREE)
			initiator_finish(c, &c->task[i], result);
}

static int client_submit(struct image *image)
{
	struct iscsi_client *c = client_of(image);

	/* what goes wrong here shows by the next reap */
	if (c->phase == ISCSI_CLIENT_UP)
		(void)!initiator_send(c);
	return 0;
}

static int client_reap(struct image *image)
{
	struct iscsi_client *c = client_of(image);
	int r;

	if (c->phase == ISCSI_CLIENT_GONE)
		return 0;
	r = initiator_receive(c);
	if (r == 0)
		r = initiator_send(c);
	if (r == 0)
		return 0;
	(void)initiator_fail(c, r, "the target ended the connection");
	/* a target that was there refuses for now */
	if (r != -EPIPE && !(c->lost && c->known && r != -EBADMSG))
		return r;
	iscsi_client_hang_up(c);
	if (c->lost)
		c->lost(c);
	return 0;
}

static bool has_to_say(const struct iscsi_client *c)
{
	return c->sending || c->login.n_out || c->n_pings || c->data.first != ISCSI_NO_TASK ||
	       initiator_can_command(c);
}

/* For the socket, and for other_fd, which may be -1. 1: it is other_fd. */
static int wait_for(const struct iscsi_client *c, int other_fd, int timeout_ms)
{
	struct pollfd p[] = { { .fd = c->sock,
				.events = (short)(POLLIN | (has_to_say(c) ? POLLOUT : 0)) },
			      { .fd = other_fd, .events = POLLIN } };
	const struct timespec t = { .tv_sec = timeout_ms / 1000,
				    .tv_nsec = timeout_ms % 1000 * 1000000L };
	int n = ppoll(p, ARRAY_SIZE(p), timeout_ms < 0 ? NULL : &t, NULL);

	if (n < 0 && errno != EINTR)
		return -errno;
	if (n == 0)
		return -ETIMEDOUT;
	return n > 0 && p[1].revents;
}

static int client_wait(struct image *image)
{
	struct iscsi_client *c = client_of(image);
	int r;

	if (!c->n_in_flight)
		return 0;
	if (c->phase == ISCSI_CLIENT_GONE)
		return -ENOTCONN;
	r = client_submit(image);
	if (r == 0)
		r = wait_for(c, -1, -1);
	return r < 0 ? r : client_reap(image);
}

static void client_close(struct image *image)
{
	iscsi_client_hang_up(client_of(image));
	closep(&client_of(image)->sock);
	image->fd = -1;
}

static const struct image_ops client_ops = {
	.queue = client_queue,
	.submit = client_submit,
	.reap = client_reap,
	.wait = client_wait,
	.close = client_close,
};

/* ---- connections ---- */

void iscsi_client_open(struct iscsi_client *c, const struct iscsi_who *who,
		       const uint8_t lun[ISCSI_LUN_LEN], bool readonly, uint32_t logical)
{
	memset(c, 0, sizeof(*c));
	for (unsigned int i = 0; i < ISCSI_CLIENT_DEPTH; i++)
		c->task[i].next = i + 1 < ISCSI_CLIENT_DEPTH ? (uint16_t)(i + 1) : ISCSI_NO_TASK;
	c->sock = -1;
	c->who = who;
	c->logical = logical;
	memcpy(c->lun, lun, sizeof(c->lun));
	c->image = (struct image){ .ops = &client_ops,
				   .readonly = readonly,
				   .fd = -1,
				   .other_fd = -1,
				   .events = EPOLLIN | EPOLLOUT | EPOLLET };
	forget_queues(c);
}

int iscsi_client_connect(struct iscsi_client *c, int sock)
{
	uint8_t random[1 + ISCSI_CHALLENGE_LEN];

	closep(&c->sock);
	c->sock = c->image.fd = sock;
	c->phase = ISCSI_CLIENT_GONE;
	c->why[0] = '\0';
	c->answered = false;
	forget_queues(c);
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return initiator_fail(c, -EAGAIN, "there are no random numbers");
	c->phase = ISCSI_CLIENT_LOGIN;
	iscsi_login_begin(&c->login, c->who, random);
	for (unsigned int i = 0; i < ISCSI_CLIENT_DEPTH; i++) {
		c->task[i].tries = 0;
		if (c->task[i].state != ISCSI_TASK_FREE)
			initiator_command(c, &c->task[i]);
	}
	return 0;
}

int iscsi_client_await(struct iscsi_client *c, int other_fd, int timeout_ms)
{
	while (c->phase != ISCSI_CLIENT_UP) {
		int r = wait_for(c, other_fd, timeout_ms);

		if (r == 1)
			return -ECANCELED;
		if (r == -ETIMEDOUT)
			return initiator_fail(c, r, "the target does not answer");
		if (r == 0)
			r = client_reap(&c->image);
		if (r < 0)
			return r;
		if (c->phase == ISCSI_CLIENT_GONE)
			return -EPIPE;
	}
	return 0;
}
