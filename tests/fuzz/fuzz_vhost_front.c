/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vhost-user front end and a back end that is the fuzzer: all answers are there from the start,
 * then the back end is gone. The first byte says at which of the next 15 bytes a descriptor is
 * attached. It must end without waiting, and keep no descriptor.
 */
#include "cmd/vmm/pci/vhost_front.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define N_RINGS 2

static void whole_life(struct vhost_front *f, int sock)
{
	static int event = -1, ram = -1;
	struct vhost_memory mem = { .n = 1, .regions = { { .size = 0x10000 } } };
	struct vhost_ring rings[N_RINGS];
	struct vhost_inflight inflight = { .fd = -1, .n_queues = N_RINGS, .queue_size = 16 };
	uint8_t config[60], status;
	int r;

	if (event < 0)
		event = eventfd(0, EFD_CLOEXEC);
	if (ram < 0)
		ram = memfd_create("ram", MFD_CLOEXEC);
	mem.fd = ram;
	for (unsigned int i = 0; i < N_RINGS; i++)
		rings[i] = (struct vhost_ring){ .used = true,
						.size = 16,
						.kick_fd = event,
						.call_fd = event,
						.err_fd = event };
	if (vhost_front_open(f, sock, 1, &(struct vhost_log){ ram, 0x1000 }) < 0)
		return;
	require(f->n_queues >= 1 && f->n_queues <= 256);
	r = vhost_front_get_config(f, 0, config, sizeof(config));
	if (r == 0 || r == -EOPNOTSUPP)
		r = vhost_front_set_features(f, f->features);
	if (r == 0)
		r = vhost_front_set_config(f, 32, config, 1);
	if (r == 0)
		r = vhost_front_start(f, &mem, rings, N_RINGS, &inflight);
	require(inflight.fd < 0 || inflight.size);
	closep(&inflight.fd);
	if (r == 0)
		r = vhost_front_get_status(f, &status);
	if (r == 0)
		r = vhost_front_stop(f, rings, N_RINGS);
	require(r == 0 || f->dead);
	require(r != -ETIMEDOUT);
	if (f->dead)
		require(vhost_front_set_features(f, 0) == -EPIPE);
	vhost_front_close(f);
}

/* A descriptor goes with the byte at `at`. */
static void send_answers(int sock, const uint8_t *data, size_t size, size_t at)
{
	struct iovec iov = { (void *)(uintptr_t)data, at < size ? at : size };

	(void)!msg_send(sock, &iov, iov.iov_len ? 1 : 0, NULL, 0);
	if (at >= size)
		return;
	iov = (struct iovec){ (void *)(uintptr_t)(data + at), size - at };
	(void)!msg_send(sock, &iov, 1, at ? &sock : NULL, at ? 1 : 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vhost_front f;
	int socks[2], next;

	if (!size || socketpair(AF_UNIX, SOCK_STREAM, 0, socks) < 0)
		return 0;
	send_answers(socks[1], data + 1, size - 1, data[0] & 15);
	shutdown(socks[1], SHUT_WR);
	whole_life(&f, socks[0]);
	close(socks[1]);
	next = dup(0);
	require(next < 12); /* nothing piles up */
	close(next);
	return 0;
}
