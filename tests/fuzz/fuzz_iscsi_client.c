/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The iSCSI client and a target that is the fuzzer: all that it says is there from the start, then it is gone. The first byte
 * says how: bit 0, CHAP of both sides; bit 1, whether login and looking are over; bits 2 to 4, how many requests are in
 * flight. Every request completes once at most, and memory beyond its own is untouched.
 */
#include "lib/base/cleanup.h"
#include "lib/image/iscsi_client.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LEN 1024U
#define GUARD 0xa5

static struct iscsi_client c;
static uint8_t memory[8][2 * LEN];
static unsigned int n_done[8];
static struct iscsi_who who = { .initiator = "iqn.a:a",
				.target = "iqn.b:b",
				.user = "guest",
				.peer = "host",
				.isid = { 0x80 } };

ssize_t __wrap_getrandom(void *out, size_t len, unsigned int flags);

/* So that an input says the same each time. */
ssize_t __wrap_getrandom(void *out, size_t len, unsigned int flags)
{
	(void)flags;
	memset(out, 7, len);
	return (ssize_t)len;
}

static void on_done(void *owner, uint64_t handle, int result)
{
	(void)owner;
	require(handle < 8 && ++n_done[handle] == 1 && result <= 0);
}

static void ask(unsigned int i)
{
	static struct iovec iov[8][2];
	static const enum image_op ops[] = { IMAGE_READ, IMAGE_WRITE, IMAGE_ZERO, IMAGE_FLUSH,
					     IMAGE_DISCARD };
	const struct image_io io = { .op = ops[i % ARRAY_SIZE(ops)],
				     .sync = i > 4,
				     .may_unmap = true,
				     .offset = (uint64_t)i * LEN,
				     .len = LEN,
				     .iov = iov[i],
				     .n_iov = 2,
				     .handle = i };

	iov[i][0] = (struct iovec){ memory[i], 100 };
	iov[i][1] = (struct iovec){ memory[i] + 100, LEN - 100 };
	(void)!image_queue(&c.image, &io);
}

/* What login and looking end with. */
static void be_up(void)
{
	c.phase = ISCSI_CLIENT_UP;
	c.known = c.image.can_discard = true;
	c.login.n_out = 0;
	c.most = ISCSI_CLIENT_DEPTH;
	c.image.capacity = 1 << 20;
	c.disk = (struct scsi_disk){ .blocks = 2048,
				     .block = 512,
				     .unmaps = true,
				     .io_max = 1,
				     .unmap_max = 1,
				     .same_max = 1 };
	c.terms = (struct iscsi_terms){ .send_max = 512,
					.first_burst = 512,
					.max_burst = 1024,
					.at = { 1, 1 },
					.maxcmdsn = 64 };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t lun[ISCSI_LUN_LEN] = { 0, 1 };
	int socks[2];

	if (!size || socketpair(AF_UNIX, SOCK_STREAM, 0, socks) < 0)
		return 0;
	memset(memory, GUARD, sizeof(memory));
	memset(n_done, 0, sizeof(n_done));
	who.secret.len = who.peer_secret.len = data[0] & 1 ? ISCSI_SECRET_MIN : 0;
	iscsi_client_open(&c, &who, lun, false, 512);
	require(iscsi_client_connect(&c, socks[0]) == 0);
	c.image.done = on_done;
	if (data[0] & 2) {
		be_up();
		for (unsigned int i = 0; i < (data[0] >> 2 & 7U); i++)
			ask(i);
		require(image_submit(&c.image) == 0);
	}
	(void)!send(socks[1], data + 1, size - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	shutdown(socks[1], SHUT_WR);
	for (int i = 0; i < 100 && c.phase != ISCSI_CLIENT_GONE; i++)
		if (image_reap(&c.image) < 0)
			break;
	for (unsigned int i = 0; i < 8; i++)
		for (size_t k = LEN; k < 2 * LEN; k++)
			require(memory[i][k] == GUARD);
	image_close(&c.image);
	close(socks[1]);
	return 0;
}
