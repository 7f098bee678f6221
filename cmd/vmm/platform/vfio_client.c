/* SPDX-License-Identifier: Apache-2.0 */
/* vfio-user, the client's side; see vfio_client.h. */
#include "cmd/vmm/platform/vfio_client.h"

#include "cmd/vmm/platform/peer.h"
#include "cmd/vmm/platform/vfio_internal.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <linux/vfio.h>
#include <string.h>
#include <sys/mman.h>

/* ---- one exchange ---- */

static int send_msg(struct vfio_client *c, const struct vfu_msg *m, const int *fds, size_t n_fds,
		    struct peer_deadline *d)
{
	uint8_t wire[VFU_HEADER_LEN + VFU_PAYLOAD_MAX];
	int len = vfu_encode(m, wire, sizeof(wire));

	return len < 0 ? len : peer_send(c->sock, wire, (size_t)len, fds, n_fds, d);
}

/* The answer to m and to nothing else. */
static int recv_reply(struct vfio_client *c, const struct vfu_msg *m, struct vfu_msg *ret,
		      int *ret_fd, struct peer_deadline *d)
{
	uint8_t wire[VFU_HEADER_LEN], payload[VFU_PAYLOAD_MAX];
	struct vfu_header h = { 0 };
	size_t len;
	int r = peer_recv(c->sock, wire, sizeof(wire), ret_fd, d);

	if (r == 0)
		r = vfu_decode_header(wire, &h);
	if (r < 0)
		return r == -EOPNOTSUPP ? -EBADMSG : r;
	if (h.size < VFU_HEADER_LEN || h.size - VFU_HEADER_LEN > sizeof(payload))
		return -EBADMSG;
	len = h.size - VFU_HEADER_LEN;
	r = peer_recv(c->sock, payload, len, ret_fd, d);
	if (r == 0)
		r = vfu_decode(&h, payload, len, ret);
	if (r < 0)
		return r;
	if (!ret->reply || ret->id != m->id || ret->command != m->command)
		return -EBADMSG;
	return ret->error ? -EPROTO : 0;
}

int vfio_exchange(struct vfio_client *c, struct vfu_msg *m, const int *fds, size_t n_fds,
		  struct vfu_msg *ret, int *ret_fd)
{
	struct peer_deadline own = peer_patience();
	struct peer_deadline *d = c->whole ? c->whole : &own;
	int r = c->dead ? -EPIPE : 0;

	m->id = c->next_id++;
	if (r == 0)
		r = send_msg(c, m, fds, n_fds, d);
	if (r == 0)
		r = recv_reply(c, m, ret, ret_fd, d);
	c->dead = r < 0;
	return r;
}

/* ---- open, close, interrupt ---- */

int vfio_client_open(struct vfio_client *c, int sock, uint64_t min_size, bool has_irq,
		     const char **ret_why)
{
	int r;

	*c = (struct vfio_client){ .sock = sock, .has_irq = has_irq, .irq_fd = -1 };
	r = vfio_shake_hands(c, min_size, ret_why);
	if (r < 0)
		vfio_client_close(c);
	return r;
}

void vfio_client_close(struct vfio_client *c)
{
	if (c->page)
		munmap((void *)(uintptr_t)c->page, c->page_len);
	c->page = NULL;
	closep(&c->sock);
	c->dead = true;
}

int vfio_client_set_irq(struct vfio_client *c, int eventfd)
{
	struct vfu_msg m = { .command = VFIO_USER_DEVICE_SET_IRQS,
			     .set_irqs = { .flags = VFIO_IRQ_SET_DATA_EVENTFD |
						    VFIO_IRQ_SET_ACTION_TRIGGER,
					   .count = 1 } };
	struct vfu_msg reply = { 0 };

	c->irq_fd = eventfd;
	return vfio_exchange(c, &m, &eventfd, 1, &reply, NULL);
}

/* ---- in service ---- */

bool vfio_client_peek8(const struct vfio_client *c, uint64_t offset, uint8_t *ret)
{
	if (!c->page || offset >= c->page_len)
		return false;
	for (uint32_t i = 0; i < c->shape.n_sparse; i++) {
		const struct vfu_sparse *s = &c->shape.sparse[i];

		if (offset < s->offset || offset - s->offset >= s->size)
			continue;
		*ret = *(const volatile uint8_t *)(c->page + offset);
		return true;
	}
	return false;
}

unsigned int vfio_client_waiting(const struct vfio_client *c)
{
	return c->n_owed - c->n_sent;
}

int vfio_client_flush(struct vfio_client *c)
{
	struct peer_deadline own = peer_patience();
	const uint8_t *at = c->owed + (size_t)c->n_sent * VFIO_CLIENT_POST_LEN;
	size_t len = (size_t)vfio_client_waiting(c) * VFIO_CLIENT_POST_LEN;
	int r;

	if (c->dead)
		return -EPIPE;
	if (!len)
		return 0;
	c->n_sent = c->n_owed;
	r = peer_send(c->sock, at, len, NULL, 0, c->whole ? c->whole : &own);
	c->dead = r < 0;
	return r;
}

int vfio_client_post8(struct vfio_client *c, uint64_t offset, uint8_t value)
{
	struct vfu_msg m = { .command = VFIO_USER_REGION_WRITE,
			     .id = c->next_id,
			     .no_reply = true,
			     .access = { .offset = offset, .count = 1, .data = { value } } };
	int len;

	if (c->dead)
		return -EPIPE;
	if (c->n_owed == VFIO_CLIENT_OWED_MAX)
		return -ENOSPC;
	len = vfu_encode(&m, c->owed + (size_t)c->n_owed * VFIO_CLIENT_POST_LEN,
			 VFIO_CLIENT_POST_LEN);
	if (len != VFIO_CLIENT_POST_LEN)
		return len < 0 ? len : -EINVAL;
	if (c->n_owed == 0)
		c->owed_id = m.id;
	c->next_id++;
	c->n_owed++;
	return vfio_client_waiting(c) == VFIO_CLIENT_POST_MAX ? vfio_client_flush(c) : 0;
}

/* All before an answer was carried out before it. */
static void answered(struct vfio_client *c, struct vfio_access *a, const uint8_t *data, size_t len)
{
	if (len)
		memcpy(a->m.access.data, data, len);
	a->value = len ? *data : 0;
	a->answered = true;
	c->cut = NULL;
	c->n_owed = c->n_sent = 0;
	c->owed_id = c->next_id;
}

static bool answers(const struct vfu_msg *reply, const struct vfu_msg *m)
{
	return m->command == VFIO_USER_DEVICE_RESET ||
	       (reply->access.offset == m->access.offset && reply->access.region == 0 &&
		reply->access.count == m->access.count);
}

static int transact(struct vfio_client *c, struct vfio_access *a)
{
	struct peer_deadline own = peer_patience();
	struct peer_deadline *d = c->whole ? c->whole : &own;
	struct vfu_msg reply = { 0 };
	int r = vfio_client_flush(c); /* what was written before comes before */

	if (r == 0)
		r = send_msg(c, &a->m, NULL, 0, d);
	if (r == 0)
		r = recv_reply(c, &a->m, &reply, NULL, d);
	if (r == 0 && !answers(&reply, &a->m))
		r = -EBADMSG;
	if (r == 0)
		answered(c, a, reply.access.data,
			 a->m.command == VFIO_USER_REGION_READ ? a->m.access.count : 0);
	c->dead = r < 0;
	return r;
}

struct vfio_access vfio_access_read(uint64_t offset, uint32_t len)
{
	return (struct vfio_access){ .m = { .command = VFIO_USER_REGION_READ,
					    .access = { .offset = offset, .count = len } } };
}

struct vfio_access vfio_access_write(uint64_t offset, unsigned int width, uint64_t value)
{
	struct vfio_access a = { .m = { .command = VFIO_USER_REGION_WRITE,
					.access = { .offset = offset, .count = width } } };

	for (unsigned int i = 0; i < width; i++)
		a.m.access.data[i] = (uint8_t)(value >> (8 * i));
	return a;
}

struct vfio_access vfio_access_read8(uint64_t offset)
{
	return vfio_access_read(offset, 1);
}

struct vfio_access vfio_access_write8(uint64_t offset, uint8_t value)
{
	return vfio_access_write(offset, 1, value);
}

int vfio_client_access(struct vfio_client *c, struct vfio_access *a)
{
	int r;

	a->answered = false;
	if (c->dead)
		return -EPIPE;
	a->m.id = c->next_id++;
	r = transact(c, a);
	if (r == -EPIPE)
		c->cut = a;
	return r;
}

void vfio_client_drop(struct vfio_client *c, const struct vfio_access *a)
{
	if (c->cut == a)
		c->cut = NULL;
}

int vfio_client_reset(struct vfio_client *c)
{
	if (c->dead && c->cut == &c->reset)
		return -EPIPE;
	c->reset = (struct vfio_access){ .m = { .command = VFIO_USER_DEVICE_RESET } };
	if (!c->dead)
		return vfio_client_access(c, &c->reset);
	c->reset.m.id = c->next_id++;
	c->cut = &c->reset;
	return -EPIPE;
}

/* ---- a successor ---- */

bool vfio_client_can_succeed(const struct vfio_client *c)
{
	return c->shape.has_done;
}

static bool same_shape(const struct vfio_shape *a, const struct vfio_shape *b)
{
	if (a->n_regions != b->n_regions || a->n_irqs != b->n_irqs ||
	    a->region_size != b->region_size || a->region_flags != b->region_flags ||
	    a->n_sparse != b->n_sparse || a->has_done != b->has_done)
		return false;
	for (uint32_t i = 0; i < a->n_sparse; i++)
		if (a->sparse[i].offset != b->sparse[i].offset ||
		    a->sparse[i].size != b->sparse[i].size)
			return false;
	return true;
}

static int read_done(struct vfio_client *c, uint32_t *ret)
{
	struct vfu_msg m = { .command = VFIO_USER_REGION_READ,
			     .access = { .region = VFU_DONE_REGION, .count = VFU_DONE_SIZE } };
	struct vfu_msg reply = { 0 };
	int r = vfio_exchange(c, &m, NULL, 0, &reply, NULL);

	if (r < 0)
		return r;
	if (reply.access.offset != 0 || reply.access.region != VFU_DONE_REGION ||
	    reply.access.count != VFU_DONE_SIZE)
		return -EBADMSG;
	memcpy(ret, reply.access.data, sizeof(*ret));
	return 0;
}

/* Takes what was carried out off what is owed. An id that was not sent says nothing. */
static void settle(struct vfio_client *c, uint32_t done)
{
	const uint8_t value = (uint8_t)(done >> VFU_DONE_VALUE_SHIFT);
	const uint16_t id = (uint16_t)done, ahead = (uint16_t)(id - c->owed_id);
	unsigned int n;

	c->n_sent = 0;
	if (!(done & VFU_DONE_ANY) || ahead >= (uint16_t)(c->next_id - c->owed_id))
		return;
	if (c->cut && c->cut->m.id == id) {
		answered(c, c->cut, &value, c->cut->m.command == VFIO_USER_REGION_READ);
		return;
	}
	n = ahead < c->n_owed ? ahead + 1U : c->n_owed;
	c->n_owed -= n;
	c->owed_id = (uint16_t)(c->owed_id + n);
	memmove(c->owed, c->owed + (size_t)n * VFIO_CLIENT_POST_LEN,
		(size_t)c->n_owed * VFIO_CLIENT_POST_LEN);
}

static int greet(struct vfio_client *c, const struct vfio_shape *before, uint32_t *ret_done,
		 const char **ret_why)
{
	int r = vfio_shake_hands(c, 1, ret_why);

	if (r < 0)
		return r;
	*ret_why = "vfio-user: not the device that was there before";
	if (!same_shape(&c->shape, before))
		return -EPROTO;
	if (c->irq_fd >= 0)
		r = vfio_client_set_irq(c, c->irq_fd);
	if (r == 0)
		r = read_done(c, ret_done);
	*ret_why = peer_strerror(r);
	return r;
}

/* Ids of the handshake are not of what is owed. */
static int resume(struct vfio_client *c, const struct vfio_shape *before, const char **ret_why)
{
	const uint16_t next_id = c->next_id;
	uint32_t done = 0;
	int r = greet(c, before, &done, ret_why);

	c->next_id = next_id;
	c->shape = *before;
	if (r < 0)
		return r;
	settle(c, done);
	r = c->cut ? transact(c, c->cut) : vfio_client_flush(c);
	*ret_why = peer_strerror(r);
	return r;
}

int vfio_client_succeed(struct vfio_client *c, int sock, const char **ret_why)
{
	const struct vfio_shape before = c->shape;
	struct peer_deadline whole = peer_patience();
	int r;

	vfio_client_close(c);
	c->sock = sock;
	c->dead = false;
	c->shape = (struct vfio_shape){ 0 };
	c->whole = &whole;
	r = resume(c, &before, ret_why);
	c->whole = NULL;
	if (r < 0)
		vfio_client_close(c);
	return r;
}
