/* SPDX-License-Identifier: Apache-2.0 */
/* Registers in a process of their own; see remote.h. */
#include "cmd/vmm/platform/remote.h"

#include "cmd/vmm/platform/peer.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

int remote_outcome(struct remote *r, int error)
{
	if (error == 0)
		return 0;
	if (error != -EPIPE || !vfio_client_can_succeed(&r->client)) {
		machine_fail(r->m, "%s: %s", r->name, peer_strerror(error));
		return error;
	}
	if (!r->away)
		machine_lost(r->m, r->channel); /* who sees to a successor, or ends the VM */
	r->away = true;
	return 0;
}

bool remote_is_there(struct remote *r)
{
	while (r->away)
		if (!machine_hold(r->m))
			return false;
	return true;
}

bool remote_carry_out(struct remote *r, struct vfio_access *a)
{
	if (remote_outcome(r, vfio_client_access(&r->client, a)) < 0)
		return false;
	while (!a->answered)
		if (!machine_hold(r->m)) {
			vfio_client_drop(&r->client, a);
			return false;
		}
	return true;
}

uint64_t remote_read(struct remote *r, uint64_t offset, unsigned int width)
{
	struct vfio_access a = vfio_access_read(offset, width);
	uint64_t v = 0;

	if (!remote_is_there(r) || !remote_carry_out(r, &a))
		return UINT64_MAX;
	memcpy(&v, a.m.access.data, width);
	return v;
}

void remote_write(struct remote *r, uint64_t offset, unsigned int width, uint64_t value)
{
	struct vfio_access a = vfio_access_write(offset, width, value);

	if (remote_is_there(r))
		(void)!remote_carry_out(r, &a);
}

int remote_reset(struct remote *r)
{
	return remote_outcome(r, vfio_client_reset(&r->client));
}

static int on_hangup(struct loop_source *src, uint32_t events)
{
	struct remote *r = src->owner;

	(void)events;
	loop_remove(&r->m->loop, src);
	(void)!remote_outcome(r, -EPIPE);
	return 0;
}

int remote_watch(struct remote *r)
{
	return loop_add(&r->m->loop, &r->hangup, r->client.sock, EPOLLRDHUP, on_hangup, r);
}

int remote_open(struct remote *r, struct machine *m, const char *name, int sock, uint64_t min_size,
		bool has_irq, const char **ret_why)
{
	r->m = m;
	r->name = name;
	r->hangup.fd = -1;
	return vfio_client_open(&r->client, sock, min_size, has_irq, ret_why);
}

void remote_close(struct remote *r)
{
	loop_remove(&r->m->loop, &r->hangup);
	vfio_client_close(&r->client);
}

static int succeed(struct remote *r, int sock, const char **ret_why)
{
	int error = vfio_client_succeed(&r->client, sock, ret_why);

	if (error < 0)
		return error;
	error = remote_watch(r);
	if (error < 0) {
		*ret_why = strerrordesc_np(-error);
		return error;
	}
	r->away = false;
	machine_found(r->m, r->channel);
	return 0;
}

int remote_reconnect(struct remote *r, int sock, const char **ret_why)
{
	int error;

	if (!vfio_client_can_succeed(&r->client)) {
		close(sock);
		*ret_why = "its state has gone with its process";
		return -EOPNOTSUPP;
	}
	loop_remove(&r->m->loop, &r->hangup);
	(void)!remote_outcome(r, -EPIPE); /* its end may not have been seen yet */
	error = succeed(r, sock, ret_why);
	machine_wake(r->m);
	return error == -EPIPE ? 0 : error;
}
