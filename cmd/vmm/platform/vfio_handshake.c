/* SPDX-License-Identifier: Apache-2.0 */
/* vfio-user, the client's handshake; see vfio_internal.h. */
#include "cmd/vmm/platform/peer.h"
#include "cmd/vmm/platform/vfio_internal.h"
#include "lib/base/checked.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"

#include <errno.h>
#include <linux/vfio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define VERSION_MAJOR 0
#define VERSION_MINOR 1
#define CLIENT_JSON "{\"capabilities\":{\"max_msg_fds\":1,\"max_data_xfer_size\":256}}"
#define PAGE_LEN 4096U

static int hello(struct vfio_client *c)
{
	struct vfu_msg m = {
		.command = VFIO_USER_VERSION,
		.version = { .major = VERSION_MAJOR, .minor = VERSION_MINOR, .json = CLIENT_JSON }
	};
	struct vfu_msg reply = { 0 };
	int r = vfio_exchange(c, &m, NULL, 0, &reply, NULL);

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
	int r = vfio_exchange(c, &m, NULL, 0, &reply, NULL);

	if (r < 0)
		return r;
	c->shape.n_regions = reply.device_info.num_regions;
	c->shape.n_irqs = reply.device_info.num_irqs;
	return c->shape.n_regions && (c->shape.n_irqs || !c->has_irq) ? 0 : -EPROTO;
}

static int irq_info(struct vfio_client *c)
{
	struct vfu_msg m = { .command = VFIO_USER_DEVICE_GET_IRQ_INFO };
	struct vfu_msg reply = { 0 };
	int r = vfio_exchange(c, &m, NULL, 0, &reply, NULL);

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
	uint64_t end;

	return u64_add(offset, len, &end) && fd_check_size(fd, end) == 0;
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
}

static int region_info(struct vfio_client *c, uint64_t min_size)
{
	const uint32_t access = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	struct vfu_msg m = { .command = VFIO_USER_DEVICE_GET_REGION_INFO };
	_cleanup_(closep) int fd = -1;
	struct vfu_msg reply = { 0 };
	int r = vfio_exchange(c, &m, NULL, 0, &reply, &fd);

	if (r < 0)
		return r;
	if (reply.region_info.index != 0 || reply.region_info.size < min_size ||
	    (reply.region_info.flags & access) != access || !sparse_valid(&reply))
		return -EPROTO;
	c->shape.region_size = reply.region_info.size;
	c->shape.region_flags = reply.region_info.flags;
	c->shape.n_sparse = reply.region_info.n_sparse;
	memcpy(c->shape.sparse, reply.region_info.sparse, sizeof(c->shape.sparse));
	if (fd >= 0)
		map_page(c, &reply, fd);
	return 0;
}

static int done_info(struct vfio_client *c)
{
	struct vfu_msg m = { .command = VFIO_USER_DEVICE_GET_REGION_INFO,
			     .region_info = { .index = VFU_DONE_REGION } };
	struct vfu_msg reply = { 0 };
	int r;

	if (c->shape.n_regions <= VFU_DONE_REGION)
		return 0;
	r = vfio_exchange(c, &m, NULL, 0, &reply, NULL);
	if (r < 0)
		return r;
	c->shape.has_done = reply.region_info.index == VFU_DONE_REGION &&
			    reply.region_info.size == VFU_DONE_SIZE &&
			    (reply.region_info.flags & VFIO_REGION_INFO_FLAG_READ);
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
	if (*ret_error == 0)
		*ret_error = done_info(c);
	if (*ret_error < 0)
		return "vfio-user: no usable region";
	*ret_error = c->has_irq ? irq_info(c) : 0;
	if (*ret_error < 0)
		return "vfio-user: no usable interrupt";
	return NULL;
}

int vfio_shake_hands(struct vfio_client *c, uint64_t min_size, const char **ret_why)
{
	int r;
	const char *why = handshake(c, min_size, &r);

	if (why)
		*ret_why = r == -ETIMEDOUT || r == -EPIPE ? peer_strerror(r) : why;
	return r;
}
