/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A front end for tests of what outlives a device's process or watches its memory: one echo device
 * of one queue after another on the same testring, by messages.
 */
#ifndef BULKHEAD_TESTS_TESTFRONT_H
#define BULKHEAD_TESTS_TESTFRONT_H

#include "tests/unit/testring.h"

#include "lib/base/cleanup.h"
#include "lib/base/loop.h"
#include "lib/devkit/vu_device.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define TF_UADDR 0x7f0000000000ULL
#define TF_SIZE 16U /* of the ring */
#define TF_FEATURES (1ULL << VHOST_USER_F_PROTOCOL_FEATURES | 1ULL << VIRTIO_F_VERSION_1)
#define TF_PROTOCOL                                                                       \
	(1ULL << VHOST_USER_PROTOCOL_F_REPLY_ACK | 1ULL << VHOST_USER_PROTOCOL_F_STATUS | \
	 1ULL << VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD | 1ULL << VHOST_USER_PROTOCOL_F_LOG_SHMFD)

/* Writes 8 bytes of 0x5a into a chain and gives it back; or keeps it, in the order it was taken. */
struct front {
	struct testring ring;
	struct loop loop;
	struct vu_device dev;
	struct virtq_chain chain;
	int sock, kick_fd, call_fd;
	bool open, keep;
	unsigned int room; /* chains that it takes at most when it keeps them */
	uint16_t kept[TF_SIZE];
	unsigned int n_kept;
	uint16_t order[64]; /* heads as they came */
	unsigned int n_taken;
};

static inline int tf_run(void *owner, struct dev_queue *q)
{
	struct front *f = owner;
	int r = 0;

	while ((!f->keep || f->n_kept < f->room) && (r = dev_queue_pop(q, &f->chain)) == 1) {
		f->order[f->n_taken++ % 64] = f->chain.head;
		assert_int_equal(virtq_chain_write(&f->chain, 0, "ZZZZZZZZ", 8), 0);
		if (f->keep)
			f->kept[f->n_kept++] = f->chain.head;
		else
			dev_queue_push(q, f->chain.head, 8);
	}
	return r < 0 ? r : 0;
}

static inline void tf_give(struct front *f, unsigned int index)
{
	dev_queue_push(&f->dev.queue[0], f->kept[index], 8);
	f->kept[index] = f->kept[--f->n_kept];
}

static const struct dev_spec tf_spec = { .name = "echo", .n_queues = 1, .queue_max = TF_SIZE };
static const struct dev_ops tf_ops = { .queue_run = tf_run };

static inline void tf_open(struct front *f)
{
	int pair[2];

	assert_int_equal(loop_open(&f->loop), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	f->sock = pair[0];
	assert_int_equal(vu_device_open(&f->dev, &tf_spec, &tf_ops, f, &f->loop, pair[1]), 0);
	f->kick_fd = eventfd(0, EFD_CLOEXEC);
	f->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	f->open = true;
	f->keep = false;
	f->room = TF_SIZE;
	f->n_kept = f->n_taken = 0;
}

/* The process is gone: nothing is given back, nothing is said. */
static inline void tf_die(struct front *f)
{
	if (!f->open)
		return;
	f->open = false;
	vu_device_close(&f->dev);
	loop_close(&f->loop);
	closep(&f->sock);
	closep(&f->kick_fd);
	closep(&f->call_fd);
}

/* Sends a request and lets the device handle it: 0, or how the loop ended. */
static inline int tf_tell(struct front *f, struct vu_msg m, int fd)
{
	assert_int_equal(vu_send(f->sock, &m, &fd, fd >= 0 ? 1 : 0), 0);
	return loop_run_once(&f->loop, 0);
}

static inline void tf_turn(struct front *f)
{
	for (int i = 0; i < 4; i++)
		assert_int_equal(loop_run_once(&f->loop, 0), 0);
}

static inline int tf_u64(struct front *f, uint32_t request, uint64_t v)
{
	return tf_tell(f, (struct vu_msg){ .request = request, .u64 = v }, -1);
}

static inline int tf_state(struct front *f, uint32_t request, uint32_t num)
{
	return tf_tell(f, (struct vu_msg){ .request = request, .state = { 0, num } }, -1);
}

static inline int tf_inflight(struct front *f, uint64_t size, uint16_t n, uint16_t queue_size,
			      int fd)
{
	return tf_tell(f,
		       (struct vu_msg){ .request = VHOST_USER_SET_INFLIGHT_FD,
					.inflight = { size, 0, n, queue_size } },
		       fd);
}

static inline int tf_addr(struct front *f, uint32_t flags, uint64_t log)
{
	return tf_tell(f,
		       (struct vu_msg){ .request = VHOST_USER_SET_VRING_ADDR,
					.addr = { .flags = flags,
						  .desc = TF_UADDR + TR_DESC,
						  .used = TF_UADDR + TR_USED,
						  .avail = TF_UADDR + TR_AVAIL,
						  .log = log } },
		       -1);
}

static inline void tf_negotiate(struct front *f)
{
	struct vu_msg mem = { .request = VHOST_USER_SET_MEM_TABLE,
			      .mem = { 1, { { 0, TR_RAM, TF_UADDR, 0 } } } };

	assert_int_equal(tf_u64(f, VHOST_USER_SET_PROTOCOL_FEATURES, TF_PROTOCOL), 0);
	assert_int_equal(tf_u64(f, VHOST_USER_SET_FEATURES, TF_FEATURES), 0);
	assert_int_equal(tf_tell(f, mem, f->ring.fd), 0);
}

/* The ring up to its kick: what that came to. */
static inline int tf_arm(struct front *f, uint32_t num, uint16_t base)
{
	struct vu_msg m = { .request = VHOST_USER_SET_VRING_CALL };

	assert_int_equal(tf_state(f, VHOST_USER_SET_VRING_NUM, num), 0);
	assert_int_equal(tf_addr(f, 0, 0), 0);
	assert_int_equal(tf_state(f, VHOST_USER_SET_VRING_BASE, base), 0);
	assert_int_equal(tf_tell(f, m, f->call_fd), 0);
	m.request = VHOST_USER_SET_VRING_KICK;
	return tf_tell(f, m, f->kick_fd);
}

static inline void tf_enable(struct front *f)
{
	assert_int_equal(tf_state(f, VHOST_USER_SET_VRING_ENABLE, 1), 0);
	tf_turn(f);
}

static inline void tf_kick(struct front *f)
{
	uint64_t one = 1;

	assert_int_equal(write(f->kick_fd, &one, 8), 8);
	tf_turn(f);
}

static inline void tf_offer(struct front *f, uint16_t head)
{
	testring_desc(&f->ring, head, TR_DATA + 4096U * head, 8, D_WRITE, 0);
	testring_avail(&f->ring, head);
}

static inline uint16_t tf_used(const struct front *f)
{
	return testring_load16(&f->ring, TR_USED + 2);
}

static inline int tf_memfd(uint64_t size, int seals, uint8_t **ret)
{
	int fd = memfd_create("shared", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	*ret = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(*ret != MAP_FAILED);
	return fd;
}

#endif
