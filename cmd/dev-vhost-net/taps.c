/* SPDX-License-Identifier: Apache-2.0 */
/* See taps.h. */
#include "cmd/dev-vhost-net/taps.h"

#include "lib/netcard/net_features.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* of Linux 6.2, whose headers a build need not have */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#define DRAIN_MAX 65536U /* frames: whoever sends faster than they are read has none of them kept */

static const struct {
	unsigned int feature, offload;
} offloads[] = {
	{ VIRTIO_NET_F_GUEST_CSUM, TUN_F_CSUM }, { VIRTIO_NET_F_GUEST_TSO4, TUN_F_TSO4 },
	{ VIRTIO_NET_F_GUEST_TSO6, TUN_F_TSO6 }, { VIRTIO_NET_F_GUEST_ECN, TUN_F_TSO_ECN },
	{ VIRTIO_NET_F_GUEST_USO4, TUN_F_USO4 }, { VIRTIO_NET_F_GUEST_USO6, TUN_F_USO6 },
};

void taps_set_offloads(const int *taps, unsigned int n, uint64_t features)
{
	unsigned long set = 0;

	/* without the first there are no others (5.1.3.1) */
	for (unsigned int i = 0; i < sizeof(offloads) / sizeof(offloads[0]); i++)
		if (features & BIT(VIRTIO_NET_F_GUEST_CSUM) && features & BIT(offloads[i].feature))
			set |= offloads[i].offload;
	for (unsigned int i = 0; i < n; i++)
		if (ioctl(taps[i], TUNSETOFFLOAD, set) < 0)
			(void)ioctl(taps[i], TUNSETOFFLOAD, 0UL);
}

/* One that is so already is an error that means nothing. */
void taps_use(const int *taps, unsigned int n, unsigned int used)
{
	for (unsigned int i = 0; i < n && n > 1; i++) {
		const struct ifreq r = { .ifr_flags = (short)(i < used ? IFF_ATTACH_QUEUE :
									 IFF_DETACH_QUEUE) };

		(void)ioctl(taps[i], TUNSETQUEUE, &r);
	}
}

void taps_drain(const int *taps, unsigned int n)
{
	uint8_t frame[2048]; /* the rest of a longer one goes with it */

	for (unsigned int i = 0; i < n; i++)
		for (unsigned int k = 0; k < DRAIN_MAX && read(taps[i], frame, sizeof(frame)) > 0;
		     k++)
			;
}

/* No frame has no bytes: that is all the kernel says of one that is there. */
bool tap_is_gone(int tap)
{
	return write(tap, "", 0) < 0 && errno == EBADFD;
}
