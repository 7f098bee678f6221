/* SPDX-License-Identifier: Apache-2.0 */
/* The requests to the kernel's vhost-net; see kernel.h. */
#include "cmd/dev-vhost-net/kernel.h"

#include "lib/base/units.h"
#include "lib/netcard/net_features.h"

#include <errno.h>
#include <linux/vhost.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define NEEDED                                                                             \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_INDIRECT_DESC) | BIT(VIRTIO_F_EVENT_IDX) | \
	 BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VHOST_NET_F_VIRTIO_NET_HDR))
/* The other features are between the driver and the tap, or this process. */
#define PASSED (NEEDED & ~BIT(VHOST_NET_F_VIRTIO_NET_HDR))

/* As VHOST_SET_MEM_TABLE has it, with room for all there can be. */
struct memory {
	uint32_t n, padding;
	struct vhost_memory_region region[GUESTMEM_MAX_REGIONS];
};
_Static_assert(offsetof(struct memory, region) == sizeof(struct vhost_memory), "one table");

static int request(int fd, unsigned long what, const void *arg)
{
	return ioctl(fd, what, arg) < 0 ? -errno : 0;
}

int kernel_own(int fd)
{
	uint64_t features = 0;
	int r = request(fd, VHOST_SET_OWNER, NULL);

	if (r == 0)
		r = request(fd, VHOST_GET_FEATURES, &features);
	if (r < 0)
		return r;
	return (features & NEEDED) == NEEDED ? 0 : -EOPNOTSUPP;
}

int kernel_set_features(int fd, uint64_t features, bool bare)
{
	const uint64_t its = (features & PASSED) | (bare ? BIT(VHOST_NET_F_VIRTIO_NET_HDR) : 0);

	return request(fd, VHOST_SET_FEATURES, &its);
}

int kernel_set_memory(int fd, const struct guestmem *mem)
{
	struct memory table = { .n = 0 };

	for (size_t i = 0; i < mem->n_regions; i++) {
		const struct guestmem_region *from = &mem->regions[i];
		struct vhost_memory_region *to = &table.region[table.n++];
		uint64_t address = 0;
		int r = guestmem_address(mem, GPA(from->gpa), from->size, &address);

		if (r < 0)
			return r;
		to->guest_phys_addr = from->gpa;
		to->memory_size = from->size;
		to->userspace_addr = address;
	}
	return request(fd, VHOST_SET_MEM_TABLE, &table);
}

static int set_number(const struct kernel_ring *k, unsigned long what, unsigned int number)
{
	const struct vhost_vring_state s = { k->index, number };

	return request(k->vhost_fd, what, &s);
}

static int set_file(const struct kernel_ring *k, unsigned long what, int fd)
{
	const struct vhost_vring_file f = { k->index, fd };

	return request(k->vhost_fd, what, &f);
}

static int set_addresses(const struct kernel_ring *k, const struct dev_lent *ring)
{
	const struct vhost_vring_addr a = { .index = k->index,
					    .desc_user_addr = ring->desc,
					    .used_user_addr = ring->used,
					    .avail_user_addr = ring->avail };

	return request(k->vhost_fd, VHOST_SET_VRING_ADDR, &a);
}

static int start(const struct kernel_ring *k, const struct dev_lent *ring)
{
	int r = set_number(k, VHOST_SET_VRING_NUM, ring->num);

	if (r == 0)
		r = set_number(k, VHOST_SET_VRING_BASE, ring->base);
	if (r == 0)
		r = set_addresses(k, ring);
	if (r == 0)
		r = set_file(k, VHOST_SET_VRING_CALL, ring->call_fd);
	if (r == 0)
		r = set_file(k, VHOST_SET_VRING_ERR, k->err_fd);
	if (r == 0)
		r = set_file(k, VHOST_SET_VRING_KICK, ring->kick_fd);
	return r < 0 ? r : set_file(k, VHOST_NET_SET_BACKEND, k->tap_fd);
}

/* Chains may be there whose kick somebody has heard: it looks once more than it had to. */
static void kick(int fd)
{
	const uint64_t one = 1;

	(void)!write(fd, &one, sizeof(one));
}

int kernel_start(const struct kernel_ring *k, const struct dev_lent *ring)
{
	int r = start(k, ring);

	if (r < 0)
		(void)kernel_stop(k);
	else
		kick(ring->kick_fd);
	return r;
}

uint16_t kernel_stop(const struct kernel_ring *k)
{
	struct vhost_vring_state s = { .index = k->index };

	(void)set_file(k, VHOST_NET_SET_BACKEND,
		       -1); /* returns when the kernel has let go of the ring */
	(void)set_file(k, VHOST_SET_VRING_KICK, -1);
	(void)set_file(k, VHOST_SET_VRING_CALL, -1);
	(void)request(k->vhost_fd, VHOST_GET_VRING_BASE, &s);
	return (uint16_t)s.num;
}
