/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A storage process's server and a client that is the fuzzer. The first byte says how: bit 0, whether the
 * handshake is part of it or over; bit 1, whether the image holds everything back until the client has
 * gone; bit 2, whether it is read-only. The image sees no request that is not its own, and in the end
 * nothing is under way.
 */
#include "lib/storagekit/server.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/testimage.h"

#include <sys/socket.h>
#include <unistd.h>

static struct testimage image;
static struct storage s;

static void turn(struct loop *l)
{
	for (int i = 0; i < 64 && !l->stopped; i++)
		require(loop_run_once(l, 0) >= 0);
}

static void feed(struct loop *l, int sock, const uint8_t *data, size_t size)
{
	size_t at = 0;

	for (int i = 0; i < 64 && at < size; i++) {
		ssize_t n = send(sock, data + at, size - at, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0)
			at += (size_t)n;
		turn(l);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t hello[] = "\0\0\0\3IHAVEOPT\0\0\0\1\0\0\0";
	static const struct throttle_rates none;
	struct loop l = { .epfd = -1 };
	int socks[2];

	if (!size || socketpair(AF_UNIX, SOCK_STREAM, 0, socks) < 0)
		return 0;
	testimage_open(&image, data[0] & 4);
	image.held = data[0] & 2;
	require(loop_open(&l) == 0 && storage_open(&s, &image.image, &l, &none) == 0);
	require(storage_connect(&s, socks[0]) == 0);
	if (data[0] & 1)
		feed(&l, socks[1], hello, sizeof(hello));
	feed(&l, socks[1], data + 1, size - 1);
	close(socks[1]);
	turn(&l);
	image.held = false;
	require(image_submit(&image.image) == 0);
	storage_finish(&s);
	turn(&l);
	require(l.stopped && s.n_running == 0 && s.channel.fd == -1);
	require(image.n_bad == 0);
	testimage_close(&image);
	loop_close(&l);
	return 0;
}
