/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vfio-user client and a server that is the fuzzer: all answers are there from the start, then
 * the server is gone, and its successor has the others. The first byte says at which byte, in steps of 8, a
 * descriptor is attached and of what kind it is; the next two how many bytes are the first server's. It
 * must end without waiting, read no page that may go away, and keep no descriptor.
 */
#include "cmd/vmm/platform/vfio_client.h"
#include "lib/base/fd.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static int memory(unsigned int seals)
{
	int fd = memfd_create("page", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	require(fd >= 0 && ftruncate(fd, 8192) == 0 && fcntl(fd, F_ADD_SEALS, seals) == 0);
	return fd;
}

static void look(const struct vfio_client *c)
{
	uint8_t value;

	for (uint64_t at = 0; at < 4096; at += 7)
		(void)!vfio_client_peek8(c, at, &value);
}

static int serve(struct vfio_client *c, int sock, struct vfio_access *write_,
		 struct vfio_access *read_)
{
	int r = vfio_client_access(c, write_);

	if (r == 0)
		r = vfio_client_post8(c, 0, 2);
	if (r == 0)
		r = vfio_client_access(c, read_);
	if (r == 0)
		r = vfio_client_set_irq(c, sock);
	return r == 0 ? vfio_client_reset(c) : r;
}

/* What was cut off is answered, or goes on to be owed. */
static void succeed(struct vfio_client *c, int sock)
{
	const char *why = NULL;
	const struct vfio_access *cut = c->cut;
	int r = vfio_client_succeed(c, sock, &why);

	require(r != -ETIMEDOUT && c->n_owed <= 1);
	require(r == 0 ? !c->cut && (!cut || cut->answered) : why != NULL && c->dead);
	look(c);
}

/* Takes both sockets. */
static void whole_life(struct vfio_client *c, int sock, int next, int shrinkable)
{
	struct vfio_access first = vfio_access_write8(1, 2), second = vfio_access_read8(3);
	const char *why = NULL;
	int r = vfio_client_open(c, sock, 8, true, &why);

	if (r < 0) {
		require(why != NULL && r != -ETIMEDOUT);
		close(next);
		return;
	}
	require(c->shape.region_size >= 8);
	if (shrinkable >= 0) {
		require(ftruncate(shrinkable, 0) == 0); /* as a server may at any time */
		require(ftruncate(shrinkable, 8192) == 0);
	}
	look(c);
	r = serve(c, sock, &first, &second);
	require(r == 0 || c->dead);
	require(r != -ETIMEDOUT);
	if (r == -EPIPE && vfio_client_can_succeed(c)) {
		c->irq_fd = -1; /* was the first socket */
		succeed(c, next);
	} else {
		close(next);
	}
	vfio_client_close(c);
}

static void send_answers(int sock, const uint8_t *data, size_t size, size_t at, int fd)
{
	struct iovec iov = { (void *)(uintptr_t)data, at < size ? at : size };

	(void)!msg_send(sock, &iov, iov.iov_len ? 1 : 0, NULL, 0);
	if (at >= size)
		return;
	iov = (struct iovec){ (void *)(uintptr_t)(data + at), size - at };
	(void)!msg_send(sock, &iov, 1, &fd, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int kinds[4] = { -1, -1, -1, -1 };
	struct vfio_client c;
	int socks[2], others[2], next;
	unsigned int kind;
	size_t n;

	if (kinds[0] < 0) {
		kinds[0] = memory(F_SEAL_SHRINK);
		kinds[1] = memory(0);
		kinds[2] = eventfd(0, EFD_CLOEXEC);
		kinds[3] = memory(F_SEAL_SHRINK | F_SEAL_SEAL);
	}
	if (size < 3)
		return 0;
	require(socketpair(AF_UNIX, SOCK_STREAM, 0, socks) == 0);
	require(socketpair(AF_UNIX, SOCK_STREAM, 0, others) == 0);
	kind = data[0] & 3;
	n = data[1] | (size_t)data[2] << 8;
	n = n < size - 3 ? n : size - 3;
	send_answers(socks[1], data + 3, n, (data[0] >> 2) * 8U, kinds[kind]);
	send_answers(others[1], data + 3 + n, size - 3 - n, (data[0] >> 2) * 8U, kinds[kind]);
	shutdown(socks[1], SHUT_WR);
	shutdown(others[1], SHUT_WR);
	whole_life(&c, socks[0], others[0], kind == 1 ? kinds[1] : -1);
	close(socks[1]);
	close(others[1]);
	next = dup(0);
	require(next < 16); /* nothing piles up */
	close(next);
	return 0;
}
