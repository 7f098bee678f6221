/* SPDX-License-Identifier: Apache-2.0 */
/* vfio-user, the client's side; see vfio_client.h. */
#include "cmd/vmm/platform/vfio_client.h"

#include "cmd/vmm/platform/peer.h"
#include "lib/base/checked.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define VERSION_MAJOR 0
#define VERSION_MINOR 1
#define SERVER_JSON "{\"capabilities\":{\"max_msg_fds\":1,\"max_data_xfer_size\":256}}"
#define PAGE_LEN 4096U

/* ---- one exchange ---- */

static int send_msg(struct vfio_client *c, struct vfu_msg *m, const int *fds, size_t n_fds,
		    struct peer_deadline *d)
{
	uint8_t wire[VFU_HEADER_LEN + VFU_PAYLOAD_MAX];
	int len;

	m->id = c->next_id++;
	len = vfu_encode(m, wire, sizeof(wire));
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

int vfio_client_flush(struct vfio_client *c)
{
	struct peer_deadline d = peer_patience();
	size_t len = (size_t)c->n_posted * VFIO_CLIENT_POST_LEN;
	int r;

	if (c->dead)
		return -EPIPE;
	if (!c->n_posted)
		return 0;
	c->n_posted = 0;
	r = peer_send(c->sock, c->posted, len, NULL, 0, &d);
	c->dead = r < 0;
	return r;
}

static int exchange(struct vfio_client *c, struct vfu_msg *m, const int *fds, size_t n_fds,
		    struct vfu_msg *ret, int *ret_fd)
{
	struct peer_deadline d = peer_patience();
	int r = vfio_client_flush(c); /* what was written before comes before */

	if (r == 0)
		r = send_msg(c, m, fds, n_fds, &d);
	if (r == 0)
		r = recv_reply(c, m, ret, ret_fd, &d);
	if (r < 0)
		c->dead = true;
	return r;
}

/* ---- the handshake ---- */

static int hello(struct vfio_client *c)
{
	struct vfu_msg m = { .command = VFIO_USER_VERSION,
			     .version = { .major = VERSION_MAJOR, .minor = VERSION_MINOR,
					  .json = SERVER_JSON } };
	struct vfu_msg reply = { 0 };
	int r = exchange(c, &m, NULL, 0, &reply, NULL);

	if (r < 0)
		return r;
	/* its capabilities do not matter: no access is longer than a byte */
	return reply.version.major == VERSION_MAJOR && reply.version.minor <= VERSION_MINOR ?
		       0 :
		       -EPROTO;
}

static int device_info(struct vfio_client *c)
{
	struct vfu_msg m = { .command = VFIO_USER_DEVICE_GET_INFO };
	struct vfu_msg reply = { 0 };
	int r = exchange(c, &m, NULL, 0, &reply, NULL);

	if (r < 0)
		return r;
	return reply.device_info.num_regions && reply.device_info.num_irqs ? 0 : -EPROTO;
}

static int irq_info(struct vfio_client *c)
{
	struct vfu_msg m = { .command = VFIO_USER_DEVICE_GET_IRQ_INFO };
	struct vfu_msg reply = { 0 };
	int r = exchange(c, &m, NULL, 0, &reply, NULL);

	if (r < 0)
		return r;
	if (reply.irq_info.index != 0 || reply.irq_info.count != 1 ||
	    !(reply.irq_info.flags & VFIO_IRQ_INFO_EVENTFD))
		return -EPROTO;
	return 0;
}

/* Whether [offset, offset + len) of the file is there and always will be. */
static bool cannot_shrink(int fd, uint64_t offset, uint64_t len)
{
	int seals = fcntl(fd, F_GET_SEALS, 0);
	struct stat st;

	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		return false;
	/* the C library's fstat is newfstatat, which takes a path */
	if (syscall(SYS_fstat, fd, &st) < 0 || st.st_size < 0)
		return false;
	return range_within(offset, len, (uint64_t)st.st_size);
}

static bool sparse_valid(const struct vfu_msg *reply)
{
	for (uint32_t i = 0; i < reply->region_info.n_sparse; i++)
		if (!range_within(reply->region_info.sparse[i].offset,
				  reply->region_info.sparse[i].size, reply->region_info.size))
			return false;
	return true;
}

/* A page that does not qualify is not used: messages do everything. */
static void map_page(struct vfio_client *c, const struct vfu_msg *reply, int fd)
{
	uint64_t offset = reply->region_info.offset;
	void *page;

	if (!(reply->region_info.flags & VFIO_REGION_INFO_FLAG_MMAP) ||
	    reply->region_info.size < PAGE_LEN || offset % PAGE_LEN || offset > INT64_MAX ||
	    !cannot_shrink(fd, offset, PAGE_LEN))
		return;
	page = mmap(NULL, PAGE_LEN, PROT_READ, MAP_SHARED, fd, (off_t)offset);
	if (page == MAP_FAILED)
		return;
	c->page = page;
	c->page_len = PAGE_LEN;
	c->n_sparse = reply->region_info.n_sparse;
	memcpy(c->sparse, reply->region_info.sparse, sizeof(c->sparse));
}

static int region_info(struct vfio_client *c, uint64_t min_size)
{
	const uint32_t access = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	struct vfu_msg m = { .command = VFIO_USER_DEVICE_GET_REGION_INFO };
	_cleanup_(closep) int fd = -1;
	struct vfu_msg reply = { 0 };
	int r = exchange(c, &m, NULL, 0, &reply, &fd);

	if (r < 0)
		return r;
	if (reply.region_info.index != 0 || reply.region_info.size < min_size ||
	    (reply.region_info.flags & access) != access || !sparse_valid(&reply))
		return -EPROTO;
	c->region_size = reply.region_info.size;
	if (fd >= 0)
		map_page(c, &reply, fd);
	return 0;
}

static const char *handshake(struct vfio_client *c, uint64_t min_size, int *ret_error)
{
	*ret_error = hello(c);
	if (*ret_error < 0)
		return "vfio-user: no common version";
	*ret_error = device_info(c);
	if (*ret_error < 0)
		return "vfio-user: no usable device";
	*ret_error = region_info(c, min_size);
	if (*ret_error < 0)
		return "vfio-user: no usable region";
	*ret_error = irq_info(c);
	if (*ret_error < 0)
		return "vfio-user: no usable interrupt";
	return NULL;
}

int vfio_client_open(struct vfio_client *c, int sock, uint64_t min_size, const char **ret_why)
{
	const char *why;
	int r;

	*c = (struct vfio_client){ .sock = sock };
	why = handshake(c, min_size, &r);
	if (!why)
		return 0;
	*ret_why = r == -ETIMEDOUT || r == -EPIPE ? peer_strerror(r) : why;
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

/* ---- in service ---- */

int vfio_client_set_irq(struct vfio_client *c, int eventfd)
{
	struct vfu_msg m = { .command = VFIO_USER_DEVICE_SET_IRQS,
			     .set_irqs = { .flags = VFIO_IRQ_SET_DATA_EVENTFD |
						    VFIO_IRQ_SET_ACTION_TRIGGER,
					   .count = 1 } };
	struct vfu_msg reply = { 0 };

	return exchange(c, &m, &eventfd, 1, &reply, NULL);
}

int vfio_client_read8(struct vfio_client *c, uint64_t offset, uint8_t *ret)
{
	struct vfu_msg m = { .command = VFIO_USER_REGION_READ,
			     .access = { .offset = offset, .count = 1 } };
	struct vfu_msg reply = { 0 };
	int r = exchange(c, &m, NULL, 0, &reply, NULL);

	if (r < 0)
		return r;
	if (reply.access.offset != offset || reply.access.region != 0 || reply.access.count != 1) {
		c->dead = true;
		return -EBADMSG;
	}
	*ret = reply.access.data[0];
	return 0;
}

bool vfio_client_peek8(const struct vfio_client *c, uint64_t offset, uint8_t *ret)
{
	if (!c->page || offset >= c->page_len)
		return false;
	for (uint32_t i = 0; i < c->n_sparse; i++) {
		const struct vfu_sparse *s = &c->sparse[i];

		if (offset < s->offset || offset - s->offset >= s->size)
			continue;
		*ret = *(const volatile uint8_t *)(c->page + offset);
		return true;
	}
	return false;
}

int vfio_client_post8(struct vfio_client *c, uint64_t offset, uint8_t value)
{
	struct vfu_msg m = { .command = VFIO_USER_REGION_WRITE,
			     .id = c->next_id++,
			     .no_reply = true,
			     .access = { .offset = offset, .count = 1, .data = { value } } };
	int len;

	if (c->dead)
		return -EPIPE;
	len = vfu_encode(&m, c->posted + (size_t)c->n_posted * VFIO_CLIENT_POST_LEN,
			 VFIO_CLIENT_POST_LEN);
	if (len != VFIO_CLIENT_POST_LEN)
		return len < 0 ? len : -EINVAL;
	c->n_posted++;
	return c->n_posted == VFIO_CLIENT_POST_MAX ? vfio_client_flush(c) : 0;
}

int vfio_client_write8(struct vfio_client *c, uint64_t offset, uint8_t value)
{
	struct vfu_msg m = { .command = VFIO_USER_REGION_WRITE,
			     .access = { .offset = offset, .count = 1, .data = { value } } };
	struct vfu_msg reply = { 0 };
	int r = exchange(c, &m, NULL, 0, &reply, NULL);

	if (r < 0)
		return r;
	if (reply.access.offset != offset || reply.access.region != 0 || reply.access.count != 1) {
		c->dead = true;
		return -EBADMSG;
	}
	return 0;
}

int vfio_client_reset(struct vfio_client *c)
{
	struct vfu_msg m = { .command = VFIO_USER_DEVICE_RESET };
	struct vfu_msg reply = { 0 };

	return exchange(c, &m, NULL, 0, &reply, NULL);
}
