/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vfio-user server and a client that is the fuzzer: messages with good headers and any payload,
 * raw bytes, pieces, descriptors. It must end or serve, stay within its regions, and keep no
 * descriptor that it was not told to keep.
 */
#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/devkit/vfu_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REGION 64
#define IO_FDS_MAX 3

static void require(bool ok)
{
	if (!ok)
		abort();
}

static uint64_t on_read(void *owner, uint32_t region, uint64_t offset, unsigned int width)
{
	(void)owner;
	require(region == 0 && (width == 1 || width == 2) && offset + width <= REGION);
	return offset;
}

static void on_write(void *owner, uint32_t region, uint64_t offset, unsigned int width,
		     uint64_t value)
{
	(void)owner;
	require(region == 0 && offset + width <= REGION);
	require((width == 1 || width == 2) && value >> (8 * width) == 0);
}

static void on_reset(void *owner)
{
	(void)owner;
}

static void on_settle(void *owner)
{
	vfu_server_irq(owner, 0);
}

static const struct vfu_ops ops = { .read = on_read,
				    .write = on_write,
				    .reset = on_reset,
				    .settle = on_settle };

struct fuzz {
	struct loop loop;
	struct vfu_server server;
	int client;
	const uint8_t *data;
	size_t left;
	int status;
};

static const uint8_t *take(struct fuzz *f, size_t n)
{
	const uint8_t *p = f->data;

	if (n > f->left)
		return NULL;
	f->data += n;
	f->left -= n;
	return p;
}

static void send_bytes(struct fuzz *f, const void *bytes, size_t len, size_t n_fds)
{
	int fds[IO_FDS_MAX] = { -1, -1, -1 };
	struct iovec iov = { (void *)bytes, len };

	for (size_t i = 0; i < n_fds; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	(void)!msg_send(f->client, &iov, len ? 1 : 0, fds, n_fds);
	fds_close(fds, n_fds);
}

static void read_replies(struct fuzz *f)
{
	uint8_t bytes[4096];
	int fds[MSG_MAX_FDS];
	size_t n_fds = 0;

	while (msg_recv(f->client, bytes, sizeof(bytes), fds, &n_fds, MSG_DONTWAIT) > 0)
		fds_close(fds, n_fds);
}

static void run(struct fuzz *f)
{
	while (f->status == 0 && f->server.channel.fd >= 0) {
		int r = vfu_server_pass(&f->server);

		if (r <= 0) {
			f->status = r == -EAGAIN ? 0 : 1;
			break;
		}
	}
	read_replies(f);
}

/* A header that fits, so that the payload is what is tried. */
static void send_message(struct fuzz *f, uint16_t command, uint32_t flags, const uint8_t *payload,
			 size_t len, size_t n_fds)
{
	uint8_t wire[VFU_HEADER_LEN + 255];
	struct bytes_writer w = bytes_writer(wire, sizeof(wire));

	bytes_put16(&w, 1);
	bytes_put16(&w, command);
	bytes_put32(&w, (uint32_t)(VFU_HEADER_LEN + len));
	bytes_put32(&w, flags);
	bytes_put32(&w, 0);
	bytes_put(&w, payload, len);
	send_bytes(f, wire, w.at, n_fds);
}

static void negotiate(struct fuzz *f)
{
	static const uint8_t version[4] = { 0, 0, 1, 0 };

	send_message(f, VFIO_USER_VERSION, 0, version, sizeof(version), 0);
	run(f);
}

/* A well-formed access with fuzzed numbers. */
static void send_access(struct fuzz *f, const uint8_t *op)
{
	uint8_t payload[16 + 8] = { 0 };
	bool write = op[1] & 1;

	memcpy(payload, &(uint64_t){ op[2] }, 8);
	payload[8] = op[1] >> 6;
	payload[12] = op[3] & 7;
	send_message(f, write ? VFIO_USER_REGION_WRITE : VFIO_USER_REGION_READ,
		     op[1] & 2 ? VFU_FLAG_NO_REPLY : 0, payload, 16 + (write ? payload[12] : 0), 0);
}

static void step(struct fuzz *f)
{
	const uint8_t *op = take(f, 4);
	const uint8_t *bytes;

	if (!op) {
		f->left = 0;
		return;
	}
	if (op[0] & 0x80)
		run(f);
	switch (op[0] & 3) {
	case 0:
		send_access(f, op);
		return;
	case 1:
		bytes = take(f, op[1]);
		if (bytes)
			send_bytes(f, bytes, op[1], op[2] & 3);
		return;
	default:
		bytes = take(f, op[3]);
		if (bytes)
			send_message(f, op[1] & 15, op[0] & 4 ? VFU_FLAG_NO_REPLY : 0, bytes, op[3],
				     op[2] & 3);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int page_fd = -1;
	static uint8_t *page;
	static struct fuzz f;
	struct vfu_region region = { REGION, 1 | 2, -1, 1, { { 5, 1 } } };
	struct vfu_spec spec = { &region, 1, 1 };
	int socks[2];

	if (page_fd < 0 && vfu_page_create("fuzz", 4096, &page_fd, &page) < 0)
		return 0;
	region.page_fd = page_fd;
	f = (struct fuzz){ .data = data, .left = size };
	if (loop_open(&f.loop) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, socks) < 0)
		abort();
	f.client = socks[0];
	require(vfu_server_open(&f.server, &spec, &ops, &f.server, &f.loop, socks[1]) == 0);
	if (size && data[0] & 0x40)
		negotiate(&f);
	while (f.left && f.status == 0)
		step(&f);
	run(&f);
	require(f.server.rx_len <= VFU_RX_CAP &&
		(f.server.n_fds == 0 || f.server.rx_len > 0 || f.status));
	vfu_server_close(&f.server);
	close(f.client);
	loop_close(&f.loop);
	return 0;
}
