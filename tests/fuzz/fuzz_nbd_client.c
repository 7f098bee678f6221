/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The NBD client and a server that is the fuzzer: all that it says is there from the start, then it is gone.
 * The first byte says how: bit 0, whether the handshake is part of it or over; bits 1 to 3, how many
 * requests are in flight. Every request completes once at most, and memory beyond its own is untouched.
 */
#include "lib/base/cleanup.h"
#include "lib/image/nbd_client.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SIZE (1U << 20)
#define LEN 1024U
#define GUARD 0xa5

static struct nbd_client c;
static uint8_t memory[8][2 * LEN];
static unsigned int n_done[8];

static void on_done(void *owner, uint64_t handle, int result)
{
	(void)owner;
	require(handle < 8 && ++n_done[handle] == 1 && result <= 0);
}

static void say(int sock, const void *data, size_t len)
{
	(void)!send(sock, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The handshake's bytes, which are always the same. */
static void say_hello(int sock)
{
	static const struct nbd_export e = { .size = SIZE,
					     .flags = 0x6d,
					     .block_min = 1,
					     .block_preferred = 4096,
					     .block_max = SIZE };
	uint8_t wire[NBD_HELLO_LEN], info[2][16];
	struct nbd_option_reply reply = { NBD_OPT_GO, NBD_REP_INFO, 12 };
	uint8_t header[NBD_OPTION_REPLY_LEN];

	require(nbd_hello_encode(3, wire, sizeof(wire)) == sizeof(wire));
	say(sock, wire, sizeof(wire));
	require(nbd_info_encode(NBD_INFO_EXPORT, &e, info[0], sizeof(info[0])) == 12);
	require(nbd_info_encode(NBD_INFO_BLOCK_SIZE, &e, info[1], sizeof(info[1])) == 14);
	for (unsigned int i = 0; i < 2; i++) {
		reply.len = 12 + 2 * i;
		require(nbd_option_reply_encode(&reply, header, sizeof(header)) > 0);
		say(sock, header, sizeof(header));
		say(sock, info[i], reply.len);
	}
	reply.type = NBD_REP_ACK;
	reply.len = 0;
	require(nbd_option_reply_encode(&reply, header, sizeof(header)) > 0);
	say(sock, header, sizeof(header));
}

static void ask(unsigned int i)
{
	static struct iovec iov[8][2];
	static const enum image_op ops[] = { IMAGE_READ, IMAGE_WRITE, IMAGE_READ, IMAGE_FLUSH };
	struct image_io io = { .op = ops[i % ARRAY_SIZE(ops)],
			       .offset = i * LEN,
			       .len = LEN,
			       .iov = iov[i],
			       .n_iov = 2,
			       .handle = i };

	iov[i][0] = (struct iovec){ memory[i], 100 };
	iov[i][1] = (struct iovec){ memory[i] + 100, LEN - 100 };
	(void)!image_queue(&c.image, &io);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int socks[2];

	if (!size || socketpair(AF_UNIX, SOCK_STREAM, 0, socks) < 0)
		return 0;
	memset(memory, GUARD, sizeof(memory));
	memset(n_done, 0, sizeof(n_done));
	nbd_client_open(&c, socks[0], false);
	c.image.done = on_done;
	if (data[0] & 1) {
		say_hello(socks[1]);
		for (int i = 0; i < 8 && !c.up; i++)
			require(image_reap(&c.image) == 0);
		require(c.up);
		for (unsigned int i = 0; i < (data[0] >> 1 & 7U); i++)
			ask(i);
		require(image_submit(&c.image) == 0);
	}
	say(socks[1], data + 1, size - 1);
	shutdown(socks[1], SHUT_WR);
	for (int i = 0; i < 100 && !c.gone; i++)
		if (image_reap(&c.image) < 0)
			break;
	for (unsigned int i = 0; i < 8; i++)
		for (size_t k = LEN; k < 2 * LEN; k++)
			require(memory[i][k] == GUARD);
	image_close(&c.image);
	close(socks[1]);
	return 0;
}
