/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev-vhost-net against a kernel that the test plays, as one that refuses cannot be had otherwise: in which order it is
 * asked, and that nothing of a ring changes while the kernel has it. The real one is tests/device/test_vhost_net.py's.
 */
#include "tests/unit/testring.h"

#include "cmd/dev-vhost-net/card.h"
#include "lib/base/cleanup.h"
#include "lib/netcard/net_features.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/vhost.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define UADDR 0x7f0000000000ULL
#define CHOSEN (BIT(VHOST_USER_F_PROTOCOL_FEATURES) | BIT(VIRTIO_F_VERSION_1))
#define ALL_FEATURES                                                                       \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_INDIRECT_DESC) | BIT(VIRTIO_F_EVENT_IDX) | \
	 BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VHOST_NET_F_VIRTIO_NET_HDR))

/* The kernel. */
static struct {
	uint64_t has, chosen;
	unsigned long refuses; /* a request; 0: none */
	bool owned, table;
	int backend[2], kick[2];
	unsigned int n_started, n_stopped, n_tables;
	unsigned long offloads;
	int attached; /* queues: +1 and -1 */
} k;

static struct vhost_net net;
static struct vhost_net_page page;
static struct testring ring;
static struct loop loop;
static int sock, kick_fd, taps[NET_PAIRS_MAX], kernels[NET_PAIRS_MAX];

static int set_backend(const struct vhost_vring_file *f)
{
	assert_true(f->index < 2 && k.table);
	assert_true(f->fd < 0 || f->fd == taps[0]);
	assert_true(f->fd < 0 || k.kick[f->index] >= 0); /* all else is there before */
	k.n_started += f->fd >= 0;
	k.n_stopped += f->fd < 0 && k.backend[f->index] >= 0;
	k.backend[f->index] = f->fd;
	return 0;
}

static bool runs(void)
{
	return k.backend[0] >= 0 || k.backend[1] >= 0;
}

static int tap_request(unsigned long what, void *arg)
{
	if (what == TUNSETOFFLOAD)
		k.offloads = (unsigned long)arg;
	else if (what == TUNSETQUEUE)
		k.attached += ((const struct ifreq *)arg)->ifr_flags == IFF_ATTACH_QUEUE ? 1 : -1;
	else
		fail_msg("%#lx of a tap", what);
	return 0;
}

int __wrap_ioctl(int fd, unsigned long what, void *arg);
int __wrap_ioctl(int fd, unsigned long what, void *arg)
{
	(void)fd;
	if (what == k.refuses) {
		errno = EFAULT;
		return -1;
	}
	if (what == TUNSETOFFLOAD || what == TUNSETQUEUE)
		return tap_request(what, arg);
	assert_true(what == VHOST_SET_OWNER || k.owned);
	switch (what) {
	case VHOST_SET_OWNER:
		k.owned = true;
		return 0;
	case VHOST_GET_FEATURES:
		memcpy(arg, &k.has, sizeof(k.has));
		return 0;
	case VHOST_SET_FEATURES:
		assert_false(runs());
		memcpy(&k.chosen, arg, sizeof(k.chosen));
		assert_int_equal(k.chosen & ~k.has, 0);
		return 0;
	case VHOST_SET_MEM_TABLE:
		assert_false(runs());
		k.table = true;
		k.n_tables++;
		return 0;
	case VHOST_SET_VRING_NUM:
	case VHOST_SET_VRING_BASE:
	case VHOST_SET_VRING_ADDR:
	case VHOST_SET_VRING_ERR:
		assert_true(k.backend[*(const unsigned int *)arg] < 0);
		return 0;
	case VHOST_SET_VRING_KICK:
		k.kick[*(const unsigned int *)arg] = ((const struct vhost_vring_file *)arg)->fd;
		return 0;
	case VHOST_SET_VRING_CALL:
		return 0;
	case VHOST_GET_VRING_BASE:
		assert_true(k.backend[*(const unsigned int *)arg] < 0);
		return 0;
	case VHOST_NET_SET_BACKEND:
		return set_backend(arg);
	}
	fail_msg("%#lx of /dev/vhost-net", what);
	return 0;
}

static int tell(struct vu_msg m, int fd)
{
	assert_int_equal(vu_send(sock, &m, &fd, fd >= 0 ? 1 : 0), 0);
	return loop_run_once(&loop, 0);
}

static void tell_memory(void)
{
	const struct vu_msg m = { .request = VHOST_USER_SET_MEM_TABLE,
				  .mem = { 1, { { 0, TR_RAM, UADDR, 0 } } } };

	assert_int_equal(tell(m, ring.fd), 0);
}

static void tell_state(uint32_t request, uint32_t index, uint32_t num)
{
	assert_int_equal(tell((struct vu_msg){ .request = request, .state = { index, num } }, -1),
			 0);
}

static void choose(uint64_t features)
{
	assert_int_equal(tell((struct vu_msg){ .request = VHOST_USER_SET_FEATURES,
					       .u64 = CHOSEN | features },
			      -1),
			 0);
	tell_memory();
}

/* The transmit queue, over the one ring that there is. */
static void start(void)
{
	const struct vu_msg addr = { .request = VHOST_USER_SET_VRING_ADDR,
				     .addr = { .index = 1,
					       .desc = UADDR + TR_DESC,
					       .used = UADDR + TR_USED,
					       .avail = UADDR + TR_AVAIL } };

	tell_state(VHOST_USER_SET_VRING_NUM, 1, 16);
	assert_int_equal(tell(addr, -1), 0);
	assert_int_equal(tell((struct vu_msg){ .request = VHOST_USER_SET_VRING_KICK, .u64 = 1 },
			      kick_fd),
			 0);
	tell_state(VHOST_USER_SET_VRING_ENABLE, 1, 1);
}

static int prepare(uint64_t queues, bool bare)
{
	const struct vhost_net_options o = { .mac = 0x525400123456,
					     .queues = queues,
					     .bare = bare };
	const char *what = NULL;
	int pair[2], r;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	sock = pair[0];
	r = vhost_net_prepare(&net, &o, &page, &loop, pair[1], taps, kernels, &what);
	if (r < 0)
		close(pair[1]);
	return r;
}

static int setup(void **state)
{
	(void)state;
	memset(&k, 0, sizeof(k));
	memset(&page, 0, sizeof(page));
	k.has = ALL_FEATURES;
	k.backend[0] = k.backend[1] = k.kick[0] = k.kick[1] = -1;
	testring_open(&ring, 16, false, true);
	assert_int_equal(loop_open(&loop), 0);
	for (unsigned int i = 0; i < 2; i++) {
		taps[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		kernels[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
	kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	closep(&sock);
	closep(&kick_fd);
	loop_close(&loop);
	testring_close(&ring);
	for (unsigned int i = 0; i < 2; i++) {
		close(taps[i]);
		close(kernels[i]);
	}
	return 0;
}

static void test_a_kernel_that_can_less(void **state)
{
	(void)state;
	for (unsigned int bit = 0; bit < 64; bit++) {
		if (!(ALL_FEATURES >> bit & 1))
			continue;
		k.has = ALL_FEATURES & ~BIT(bit);
		assert_int_equal(prepare(1, false), -EOPNOTSUPP);
		closep(&sock);
	}
}

static void test_somebody_elses(void **state)
{
	(void)state;
	k.refuses = VHOST_SET_OWNER;
	assert_int_equal(prepare(1, false), -EFAULT);
}

static void test_started_and_kicked(void **state)
{
	uint64_t n = 0;

	(void)state;
	assert_int_equal(prepare(1, false), 0);
	choose(BIT(VIRTIO_NET_F_MRG_RXBUF));
	assert_false(runs());
	start();
	assert_int_equal(k.backend[1], taps[0]);
	assert_int_equal(k.chosen, BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MRG_RXBUF));
	assert_int_equal(read(kick_fd, &n, sizeof(n)), sizeof(n)); /* chains that were there */
	vhost_net_close(&net);
	assert_false(runs());
}

/* set_backend and the others see to it that nothing comes while the ring runs. */
static void test_stopped_before_anything_changes(void **state)
{
	_cleanup_(closep) int call = eventfd(0, EFD_CLOEXEC);

	(void)state;
	assert_int_equal(prepare(1, false), 0);
	choose(0);
	start();
	tell_memory();
	assert_int_equal(k.n_tables, 2);
	assert_int_equal(k.n_stopped, 1);
	assert_int_equal(k.n_started, 2);
	assert_int_equal(
		tell((struct vu_msg){ .request = VHOST_USER_SET_VRING_CALL, .u64 = 1 }, call), 0);
	assert_int_equal(k.n_started, 3);
	tell_state(VHOST_USER_SET_VRING_ENABLE, 1, 0);
	assert_false(runs());
	tell_state(VHOST_USER_SET_VRING_ENABLE, 1, 1);
	assert_int_equal(vhost_net_set_link(&net, false, false), 0);
	assert_false(runs());
	assert_int_equal(vhost_net_set_link(&net, true, false), 0);
	assert_true(runs());
	vhost_net_close(&net);
}

/* Each request of a start: the ring is nobody's then, and the device needs a reset. */
static void test_a_kernel_that_refuses(void **state)
{
	static const unsigned long all[] = {
		VHOST_SET_FEATURES,   VHOST_SET_MEM_TABLE,  VHOST_SET_VRING_NUM,
		VHOST_SET_VRING_BASE, VHOST_SET_VRING_ADDR, VHOST_SET_VRING_CALL,
		VHOST_SET_VRING_ERR,  VHOST_SET_VRING_KICK, VHOST_NET_SET_BACKEND,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		k.refuses = 0;
		assert_int_equal(prepare(1, false), 0);
		choose(0);
		k.refuses = all[i];
		k.table = true; /* of before */
		start();
		assert_false(runs());
		assert_true(net.dev.needs_reset);
		vu_device_close(&net.dev);
		closep(&sock);
	}
}

static void test_what_the_kernel_finds(void **state)
{
	const uint64_t one = 1;

	(void)state;
	assert_int_equal(prepare(1, false), 0);
	choose(0);
	start();
	assert_int_equal(write(net.error[1].fd, &one, sizeof(one)), sizeof(one));
	assert_int_equal(loop_run_once(&loop, 0), 0);
	assert_true(net.dev.needs_reset);
	assert_false(runs());
	vhost_net_close(&net);
}

static void test_a_tap_without_headers(void **state)
{
	(void)state;
	k.offloads = 77;
	assert_int_equal(prepare(1, true), 0);
	choose(0);
	start();
	assert_int_equal(k.chosen, BIT(VIRTIO_F_VERSION_1) | BIT(VHOST_NET_F_VIRTIO_NET_HDR));
	assert_int_equal(k.offloads, 77); /* never asked */
	vhost_net_close(&net);
}

/* A driver that chooses what does not go together gets nothing of it. */
static void test_offloads(void **state)
{
	(void)state;
	assert_int_equal(prepare(1, false), 0);
	assert_int_equal(k.offloads, 0);
	choose(BIT(VIRTIO_NET_F_GUEST_TSO4));
	assert_int_equal(k.offloads, 0);
	choose(BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_CSUM));
	assert_int_equal(k.offloads, TUN_F_CSUM | TUN_F_TSO4);
	vhost_net_close(&net);
}

static void test_queues_that_are_not_used(void **state)
{
	(void)state;
	assert_int_equal(prepare(2, false), 0);
	assert_int_equal(k.attached, 0); /* the first one, and not the second */
	net.control.pairs = 2;
	choose(BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_CTRL_VQ));
	assert_int_equal(k.attached, 2);
	vhost_net_close(&net);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_kernel_that_can_less),   TEST(test_somebody_elses),
		TEST(test_started_and_kicked),	     TEST(test_stopped_before_anything_changes),
		TEST(test_a_kernel_that_refuses),    TEST(test_what_the_kernel_finds),
		TEST(test_a_tap_without_headers),    TEST(test_offloads),
		TEST(test_queues_that_are_not_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
