/* SPDX-License-Identifier: Apache-2.0 */
/* See testvsock.h. */
#include "tests/unit/testvsock.h"

#include "lib/base/cleanup.h"

#include <linux/virtio_vsock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(2);
}

int testvsock_open(struct vsock *v, struct loop *loop, int sock)
{
	static const struct vsock_options o = { .cid = TESTVSOCK_CID,
						.listen = { .n = 1, .port = { TESTVSOCK_PORT } } };
	const int type = SOCK_STREAM | SOCK_CLOEXEC;
	int listener = socket(AF_UNIX, type | SOCK_NONBLOCK, 0), client = socket(AF_UNIX, type, 0);
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(a);

	/* at a name that the kernel chooses */
	need(bind(listener, (struct sockaddr *)&a, sizeof(a.sun_family)) == 0, "bind");
	need(listen(listener, 1) == 0, "listen");
	need(getsockname(listener, (struct sockaddr *)&a, &len) == 0, "getsockname");
	need(connect(client, (struct sockaddr *)&a, len) == 0, "connect");
	need(vsock_prepare(v, &o, loop, sock, listener, -1) == 0, "vsock_prepare");
	return client;
}

struct packet testvsock_packet(const struct vsock *v, uint16_t op, uint32_t len)
{
	return (struct packet){ .src_cid = TESTVSOCK_CID,
				.dst_cid = PACKET_HOST_CID,
				.src_port = TESTVSOCK_PORT,
				.dst_port = v->hub.conns[0].own_port,
				.len = len,
				.type = VIRTIO_VSOCK_TYPE_STREAM,
				.op = op,
				.buf_alloc = 1U << 20 };
}

void testvsock_join(struct vsock *v, struct loop *loop, int client)
{
	static const char line[] = "CONNECT 22\n";
	struct packet p;

	need(write(client, line, sizeof(line) - 1) == sizeof(line) - 1, "write");
	for (int i = 0; i < 10 && v->hub.conns[0].state != CONN_REQUESTED; i++)
		need(loop_run_once(loop, 0) == 0, "loop");
	p = testvsock_packet(v, VIRTIO_VSOCK_OP_RESPONSE, 0);
	need(!hub_take(&v->hub, &p, 0) && v->hub.conns[0].state == CONN_OPEN, "open");
	v->hub.conns[0].due_request = false;
}

void testvsock_close(struct vsock *v)
{
	vu_device_close(&v->dev);
	for (size_t i = 0; i < HUB_CONNS; i++) {
		loop_remove(v->loop, &v->ends[i].src);
		closep(&v->ends[i].fd);
	}
	loop_remove(v->loop, &v->accepts);
	closep(&v->listener);
}
