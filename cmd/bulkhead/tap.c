/* SPDX-License-Identifier: Apache-2.0 */
/* A tap for a network card; see tap.h. */
#include "cmd/bulkhead/tap.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

/* of Linux 6.2, whose headers a build need not have */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#define HEADER_LEN 12 /* virtio's, with num_buffers */
#define OFFLOADS (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)

unsigned int if_nametoindex(const char *name); /* <net/if.h> and <linux/if.h> exclude each other */

static int blame(int error, const char *why, const char **ret_why)
{
	*ret_why = why;
	return -error;
}

/* Of what may be behind an error of TUNSETIFF; by its manual and what the kernel checks in turn. */
static int blame_join(int error, unsigned int n, const char **ret_why)
{
	switch (error) {
	case EBUSY:
		return blame(error, "another program or VM has it", ret_why);
	case EPERM:
		return blame(
			error,
			"it is not yours: its owner is root, or who `ip tuntap add ... user NAME` "
			"said",
			ret_why);
	case EINVAL:
		return blame(
			error,
			n > 1 ? "it is no tap of several queues: `ip tuntap add NAME mode tap "
				"multi_queue user USER` makes one" :
				"it is no tap: `ip tuntap add NAME mode tap user USER` makes one",
			ret_why);
	}
	return blame(error, strerror(error), ret_why);
}

static int set_interface(int fd, const char *name, bool bare, unsigned int more)
{
	unsigned int flags = IFF_TAP | IFF_NO_PI | (bare ? 0 : IFF_VNET_HDR) | more;
	struct ifreq r = { .ifr_flags = (short)flags };

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	return ioctl(fd, TUNSETIFF, &r) < 0 ? -errno : 0;
}

/* One that was made for several queues is only joined as such. */
static int join(int fd, const char *name, const struct tap_form *f)
{
	int r = f->queues > 1 ? -EINVAL : set_interface(fd, name, f->bare, 0);

	return r == -EINVAL ? set_interface(fd, name, f->bare, IFF_MULTI_QUEUE) : r;
}

/* One that was there may have offloads from before. */
static int set_offloads(int fd, const struct tap_form *f)
{
	const unsigned int all = f->bare ? 0 : OFFLOADS | (f->uso ? TUN_F_USO4 | TUN_F_USO6 : 0);

	return ioctl(fd, TUNSETOFFLOAD, all) < 0 ? -errno : 0;
}

static int set_header(int fd, const struct tap_form *f)
{
	int len = HEADER_LEN;

	return !f->bare && ioctl(fd, TUNSETVNETHDRSZ, &len) < 0 ? -errno : 0;
}

static int open_tun(const char **ret_why)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0)
		return fd;
	return errno == ENOENT ?
		       blame(ENOENT, "this host has no /dev/net/tun: its module tun is not loaded",
			     ret_why) :
		       blame(errno, "/dev/net/tun cannot be opened: it is for everybody usually",
			     ret_why);
}

static int finish(int fd, const struct tap_form *f, const char **ret_why)
{
	int r = set_header(fd, f);

	if (r == 0)
		r = set_offloads(fd, f);
	if (r == -EINVAL && f->uso)
		return blame(-r, "this kernel's taps have no uso=: Linux has it from 6.2 on",
			     ret_why);
	return r < 0 ? blame(-r, "this kernel's taps have no virtio header or offloads", ret_why) :
		       0;
}

/* One queue. */
static int open_queue(const char *name, const struct tap_form *f, const char **ret_why)
{
	_cleanup_(closep) int fd = open_tun(ret_why);
	int r;

	if (fd < 0)
		return fd;
	r = join(fd, name, f);
	if (r < 0)
		return blame_join(-r, f->queues, ret_why);
	r = finish(fd, f, ret_why);
	return r < 0 ? r : take_fd(&fd);
}

/* Those from the first on: the ones before it are there. */
static int open_queues(const char *name, const struct tap_form *f, int *ret, unsigned int first,
		       const char **ret_why)
{
	for (unsigned int i = first; i < f->queues; i++) {
		ret[i] = open_queue(name, f, ret_why);
		if (ret[i] < 0) {
			int r = ret[i];

			fds_close(ret, i);
			return r;
		}
	}
	return 0;
}

int tap_open(const char *name, const struct tap_form *f, int *ret, const char **ret_why)
{
	/* whoever has the right to would make it by joining it, a name that is misspelt too */
	if (!if_nametoindex(name))
		return blame(ENODEV,
			     "there is no such interface: `ip tuntap add NAME mode tap user USER` "
			     "makes one",
			     ret_why);
	return open_queues(name, f, ret, 0, ret_why);
}

int tap_make(const char *name, const struct tap_form *f, int *ret, const char **ret_why)
{
	_cleanup_(closep) int fd = open_tun(ret_why);
	int r;

	if (fd < 0)
		return fd;
	r = set_interface(fd, name, f->bare, IFF_TUN_EXCL | (f->queues > 1 ? IFF_MULTI_QUEUE : 0));
	if (r == -EBUSY)
		return -EEXIST;
	if (r == -EPERM)
		return blame(EPERM,
			     "making a tap takes root (CAP_NET_ADMIN): it can make one for you to "
			     "use by tap=NAME, see TAPS in bulkhead(1)",
			     ret_why);
	if (r < 0)
		return blame(-r, strerror(-r), ret_why);
	r = finish(fd, f, ret_why);
	if (r < 0)
		return r;
	ret[0] = take_fd(&fd);
	return open_queues(name, f, ret, 1, ret_why);
}

int tap_join(int fd, const char *name, const struct tap_form *f, const char **ret_why)
{
	int r = set_interface(fd, name, f->bare, f->queues > 1 ? IFF_MULTI_QUEUE : 0);

	return r < 0 ? blame(-r, strerror(-r), ret_why) : finish(fd, f, ret_why);
}
