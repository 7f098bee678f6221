/* SPDX-License-Identifier: Apache-2.0 */
/* The command that started the VM, and clients of the listening sockets; see vm.h. */
#include "cmd/supervisor/vm.h"

#include "cmd/supervisor/clock.h"
#include "cmd/supervisor/plug.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/sandbox/peer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* Who asks: a client, or the command when client is NULL. */
struct asker {
	struct vm *vm;
	struct client *client;
	int sock;
	int *fd; /* what came with the request, or -1 */
};

static int refuse(const struct asker *a, const char *why)
{
	struct control_msg m = { .type = CTL_REFUSED, .text_len = strlen(why) };

	memcpy(m.text, why, m.text_len);
	return tell_peer(a->sock, &m, -1);
}

static uint32_t count_alive(const struct vm *vm)
{
	uint32_t n = 0;

	for (size_t i = 0; i < vm->n_parts; i++)
		n += vm->parts[i].process.pidfd >= 0;
	return n;
}

static uint32_t count_restarts(const struct vm *vm)
{
	uint32_t n = 0;

	for (size_t i = 0; i < vm->n_parts; i++)
		n += vm->parts[i].again.n;
	return n;
}

static int on_query(const struct asker *a, const struct control_msg *q)
{
	const struct vm *vm = a->vm;
	struct control_msg m = {
		.type = CTL_INFO,
		.info = { .pid = (uint32_t)vm->pid,
			  .cpus = vm->config->cpus,
			  .memory = vm->config->memory,
			  .state = vm->paused ? CTL_EVENT_PAUSED : vm->event,
			  .processes = count_alive(vm),
			  .soft = vm->soft,
			  .restarts = count_restarts(vm) },
	};

	(void)q;
	if (vm->event)
		m.info.uptime_s = (uint64_t)(monotonic_s() - vm->running_since);
	snprintf(m.info.name, sizeof(m.info.name), "%s", vm->config->name);
	plug_list(vm, m.info.attached, sizeof(m.info.attached));
	snprintf(m.info.why, sizeof(m.info.why), "%s", pause_why(vm));
	return tell_peer(a->sock, &m, -1);
}

static int on_stop(const struct asker *a, const struct control_msg *m)
{
	const struct control_msg done = { .type = CTL_DONE };

	if (m->number > 1)
		return -EBADMSG;
	if (m->number == 1)
		vm_kill(a->vm, a->client ? "bulkhead stop" : "its user");
	else
		vm_press_power(a->vm, !a->client);
	return tell_peer(a->sock, &done, -1);
}

static int on_attach(const struct asker *a, const struct control_msg *q)
{
	const struct control_msg m = { .type = CTL_ATTACHED };
	struct vm *vm = a->vm;
	_cleanup_(closep) int theirs = -1;
	int pair[2], r;

	(void)q;
	if (vm_part(vm, PART_CONSOLE)->state != PART_READY)
		return refuse(a, "the console is not there yet: try again");
	if (vm->attached || vm->front_attached)
		return refuse(a, "the console is in use by another command");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return refuse(a, "no socket for the console");
	theirs = pair[1];
	r = vm_give_stream(vm, pair[0]);
	if (r < 0)
		return refuse(a, "the console does not answer");
	r = tell_peer(a->sock, &m, theirs);
	if (r == 0)
		vm->attached = a->client;
	return r;
}

/* Whoever had it: a client, or the command when c is NULL. */
static void leave_console(struct vm *vm, const struct client *c)
{
	if (c && vm->attached == c)
		vm->attached = NULL;
	else if (!c && vm->front_attached)
		vm->front_attached = false;
	else
		return;
	vm_forget_stream(vm);
}

static int on_release(const struct asker *a, const struct control_msg *q)
{
	const struct control_msg done = { .type = CTL_DONE };

	(void)q;
	leave_console(a->vm, a->client);
	return tell_peer(a->sock, &done, -1);
}

static int on_size(const struct asker *a, const struct control_msg *m)
{
	const struct control_msg done = { .type = CTL_DONE };
	struct vm *vm = a->vm;

	if (a->client ? vm->attached != a->client : !vm->front_attached)
		return refuse(a, "the console is not yours");
	size_want(vm, m->number);
	return tell_peer(a->sock, &done, -1);
}

/* Answered later, unless it is refused at once. */
static int on_add(const struct asker *a, const struct control_msg *m)
{
	const char *why = plug_attach(a->vm, a->client, m->text, *a->fd);

	fds_close(a->client->beside, ARRAY_SIZE(a->client->beside));
	return why ? refuse(a, why) : 0;
}

/* Not answered: what is wrong with it shows then. */
static int on_add_beside(const struct asker *a, const struct control_msg *m)
{
	if (!m->number || m->number >= KIND_FILES_MAX || a->client->beside[m->number - 1] >= 0)
		return -EBADMSG;
	a->client->beside[m->number - 1] = take_fd(a->fd);
	return 0;
}

static int on_remove(const struct asker *a, const struct control_msg *m)
{
	const char *why = plug_detach(a->vm, a->client, m->text);

	return why ? refuse(a, why) : 0;
}

/* What needs a guest that runs. */
static int refuse_now(const struct asker *a)
{
	return refuse(a, a->vm->state == VM_STARTING ? "the VM is starting: try again" :
						       "the VM is ending");
}

static int on_resume(const struct asker *a, const struct control_msg *q)
{
	const char *why = pause_resume(a->vm, a->client);

	(void)q;
	return why ? refuse(a, why) : 0;
}

static int on_resize(const struct asker *a, const struct control_msg *q)
{
	const char *why = resize_ask(a->vm, a->client, *a->fd);

	(void)q;
	fds_close(a->client->beside, ARRAY_SIZE(a->client->beside));
	return why ? refuse(a, why) : 0;
}

static int on_resized(const struct asker *a, const struct control_msg *m)
{
	const char *why;

	if (m->number > 1)
		return -EBADMSG;
	why = resize_done(a->vm, a->client, m->number == 1);
	return why ? refuse(a, why) : 0;
}

/* Not answered. */
static int on_goes_on(const struct asker *a, const struct control_msg *m)
{
	(void)m;
	resize_goes_on(a->vm, a->client);
	return 0;
}

static int on_set_link(const struct asker *a, const struct control_msg *m)
{
	const char *why;

	if (m->number > 1)
		return -EBADMSG;
	why = link_set(a->vm, a->client, m->text, m->number == 1);
	return why ? refuse(a, why) : 0;
}

enum asker_kind { BY_COMMAND = 1, BY_CLIENT = 2 };

static const struct {
	enum control_type type;
	unsigned int by;
	unsigned int states; /* of the VM */
	int (*handle)(const struct asker *a, const struct control_msg *m);
} requests[] = {
	{ CTL_QUERY, BY_CLIENT, VM_STARTING | VM_RUNNING | VM_ENDING, on_query },
	{ CTL_STOP, BY_COMMAND | BY_CLIENT, VM_STARTING | VM_RUNNING | VM_ENDING, on_stop },
	{ CTL_ATTACH, BY_CLIENT, VM_STARTING | VM_RUNNING, on_attach },
	{ CTL_SIZE, BY_COMMAND | BY_CLIENT, VM_STARTING | VM_RUNNING, on_size },
	{ CTL_ADD, BY_CLIENT, VM_RUNNING, on_add },
	{ CTL_ADD_FILE, BY_CLIENT, VM_RUNNING, on_add },
	{ CTL_ADD_BESIDE, BY_CLIENT, VM_STARTING | VM_RUNNING | VM_ENDING, on_add_beside },
	{ CTL_REMOVE, BY_CLIENT, VM_RUNNING, on_remove },
	{ CTL_SET_LINK, BY_CLIENT, VM_RUNNING, on_set_link },
	{ CTL_RESUME, BY_CLIENT, VM_STARTING | VM_RUNNING, on_resume },
	{ CTL_RESIZE, BY_CLIENT, VM_RUNNING, on_resize },
	{ CTL_RESIZED, BY_CLIENT, VM_RUNNING, on_resized },
	{ CTL_GOES_ON, BY_CLIENT, VM_STARTING | VM_RUNNING | VM_ENDING, on_goes_on },
	{ CTL_RELEASE, BY_COMMAND | BY_CLIENT, VM_STARTING | VM_RUNNING | VM_ENDING, on_release },
};

static int dispatch(const struct asker *a, const struct control_msg *m)
{
	unsigned int by = a->client ? BY_CLIENT : BY_COMMAND;

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		if (requests[i].type != m->type || !(requests[i].by & by))
			continue;
		if (!(requests[i].states & a->vm->state))
			return refuse_now(a);
		return requests[i].handle(a, m);
	}
	return -EBADMSG;
}

/* Negative when the asker is gone or is to be dropped. */
static int serve(const struct asker *a)
{
	struct control_msg m;
	_cleanup_(closep) int fd = -1;
	struct asker with = *a;
	int r = control_recv(a->sock, &m, &fd);

	with.fd = &fd;
	if (r == -EAGAIN)
		return 0;
	return r > 0 ? dispatch(&with, &m) : r < 0 ? r : -EPIPE;
}

/* ---- the command ---- */

static void drop_front(struct vm *vm)
{
	int fd = vm->front.fd;

	loop_remove(&vm->loop, &vm->front);
	closep(&fd);
	leave_console(vm, NULL);
}

static int on_front(struct loop_source *src, uint32_t events)
{
	struct vm *vm = src->owner;
	const struct asker a = { .vm = vm, .sock = src->fd };

	(void)events;
	if (serve(&a) == 0)
		return 0;
	drop_front(vm);
	vm_kill(vm, "the end of its command");
	return 0;
}

/* ---- clients ---- */

static void drop_client(struct client *c)
{
	struct vm *vm = c->vm;
	int fd = c->src.fd;

	loop_remove(&vm->loop, &c->src);
	closep(&fd);
	fds_close(c->beside, ARRAY_SIZE(c->beside));
	leave_console(vm, c);
	plug_leave(vm, c);
	pause_forget(vm, c);
	link_leave(vm, c);
	resize_leave(vm, c);
}

static int on_client(struct loop_source *src, uint32_t events)
{
	struct client *c = src->owner;
	const struct asker a = { .vm = c->vm, .client = c, .sock = src->fd };

	(void)events;
	if (serve(&a) < 0)
		drop_client(c);
	return 0;
}

static struct client *free_slot(struct vm *vm)
{
	for (size_t i = 0; i < VM_MAX_CLIENTS; i++)
		if (vm->clients[i].src.fd < 0)
			return &vm->clients[i];
	return NULL;
}

static int on_connect(struct loop_source *src, uint32_t events)
{
	struct vm *vm = src->owner;
	_cleanup_(closep) int sock = accept4(src->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *c;

	(void)events;
	/* an abstract socket has no owner and no mode: anybody may connect, so look who did */
	if (sock < 0 || !peer_is(sock, vm->owner))
		return 0;
	c = free_slot(vm);
	if (!c || loop_add(&vm->loop, &c->src, sock, EPOLLIN, on_client, c) < 0)
		return 0;
	c->vm = vm;
	(void)take_fd(&sock);
	return 0;
}

int clients_watch(struct vm *vm, int front, const int listeners[NAMES_PLACES])
{
	int r = 0;

	for (size_t i = 0; i < VM_MAX_CLIENTS; i++) {
		vm->clients[i].src.fd = -1;
		memset(vm->clients[i].beside, -1, sizeof(vm->clients[i].beside));
	}
	if (front >= 0)
		r = loop_add(&vm->loop, &vm->front, front, EPOLLIN, on_front, vm);
	for (size_t i = 0; i < NAMES_PLACES && r == 0; i++)
		if (listeners[i] >= 0)
			r = loop_add(&vm->loop, &vm->listeners[i], listeners[i], EPOLLIN,
				     on_connect, vm);
	return r;
}

void clients_tell_started(struct vm *vm)
{
	const struct control_msg m = { .type = CTL_STARTED };

	if (vm->front.fd >= 0 && tell_peer(vm->front.fd, &m, -1) < 0)
		tell(vm, NULL, LOG_LEVEL_WARNING, "the command does not listen");
	if (!vm->config->detach)
		return;
	drop_front(vm);
	(void)dup2(vm->null, STDERR_FILENO);
	closep(&vm->null);
}

void clients_tell_ending(struct vm *vm)
{
	const struct control_msg m = { .type = CTL_ENDING };

	if (vm->front.fd >= 0 && vm->front_attached)
		(void)!tell_peer(vm->front.fd, &m, -1);
	if (vm->attached)
		(void)!tell_peer(vm->attached->src.fd, &m, -1);
}

void clients_tell_ended(struct vm *vm)
{
	struct control_msg m = { .type = CTL_ENDED, .number = vm->verdict.event };

	m.text_len = strlen(vm->verdict.text);
	memcpy(m.text, vm->verdict.text, m.text_len);
	if (vm->front.fd >= 0)
		(void)!tell_peer(vm->front.fd, &m, -1);
	for (size_t i = 0; i < VM_MAX_CLIENTS; i++)
		if (vm->clients[i].src.fd >= 0)
			(void)!tell_peer(vm->clients[i].src.fd, &m, -1);
}
