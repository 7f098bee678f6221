/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host kernel's vhost-net (linux/vhost.h, drivers/vhost/net.c): one descriptor moves the frames of one pair of rings
 * and one queue of a tap. Whoever owns it does so until the descriptor is closed everywhere: its memory is the one that the
 * kernel reads and writes, and nobody else can own it after him. So each process opens its own.
 *
 * What comes back are the numbers that the kernel has; nothing of the guest's is looked at here.
 */
#ifndef BULKHEAD_DEV_VHOST_NET_KERNEL_H
#define BULKHEAD_DEV_VHOST_NET_KERNEL_H

#include "lib/devkit/vu_device.h"

/* One ring of a descriptor's two: 0 receives, 1 transmits. */
struct kernel_ring {
	int vhost_fd;
	unsigned int index;
	int tap_fd;
	int err_fd; /* counts when the kernel finds what cannot be in the ring */
};

/* Before the sandbox: owns it, and reads what it can do. 0, or a negative errno: -EOPNOTSUPP without a feature that every
 * ring of ours has. */
[[nodiscard]] int kernel_own(int vhost_fd);
/* What the driver chose, of the bits that the kernel has; bare: the tap's frames have no header, which the kernel adds
 * and removes. While none of the two rings is started. 0 or a negative errno. */
[[nodiscard]] int kernel_set_features(int vhost_fd, uint64_t features, bool bare);
/* All of guest memory. 0 or a negative errno. */
[[nodiscard]] int kernel_set_memory(int vhost_fd, const struct guestmem *mem);
/* From here on the kernel serves it. 0, or a negative errno and it does not. */
[[nodiscard]] int kernel_start(const struct kernel_ring *k, const struct dev_lent *ring);
/* It does no more, and has forgotten the kick. The next available entry. */
[[nodiscard]] uint16_t kernel_stop(const struct kernel_ring *k);

#endif
