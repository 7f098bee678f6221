/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device's saved state whose every byte is the fuzzer's, through the pipe and in the fuzzer's pieces: dev-rng
 * takes it as a whole, and says it again, or stays as it was.
 */
#include "cmd/dev-rng/rng.h"
#include "lib/base/cleanup.h"
#include "lib/devkit/vu_internal.h"
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RATE 5000U

static struct rng rng;
static struct loop loop;
static int sock = -1;

static void make(void)
{
	const struct rng_options o = { .rate = RATE };
	int pair[2];

	require(loop_open(&loop) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	sock = pair[0];
	require(rng_prepare(&rng, &o, &loop, pair[1]) == 0);
	loop_remove(&loop, &rng.timer); /* which would fill the bucket by the host's clock */
}

static void begin(uint32_t direction, int fd)
{
	const struct vu_msg m = { .request = VHOST_USER_SET_DEVICE_STATE_FD,
				  .transfer = { .direction = direction } };

	require(vu_state_begin(&rng.dev, &m, &fd) == 0);
}

/* What was taken is what is saved. */
static void check_saved(const uint8_t *data, size_t size)
{
	uint8_t wire[64];
	int p[2];

	require(pipe2(p, O_CLOEXEC) == 0);
	begin(VU_TRANSFER_SAVE, p[1]);
	require(loop_run_once(&loop, 0) == 0);
	require(read(p[0], wire, sizeof(wire)) == (ssize_t)size && memcmp(wire, data, size) == 0);
	require(vu_state_check(&rng.dev));
	close(p[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t piece, at = 0;
	bool taken;
	int p[2];

	if (sock < 0)
		make();
	if (size < 1)
		return 0;
	piece = data[0] ? data[0] : size;
	data++;
	size--;
	rng.tokens = 7;
	require(pipe2(p, O_CLOEXEC) == 0);
	begin(VU_TRANSFER_LOAD, p[0]);
	for (; at < size; at += piece) {
		size_t n = size - at < piece ? size - at : piece;

		require(write(p[1], data + at, n) == (ssize_t)n);
		require(loop_run_once(&loop, 0) == 0);
	}
	close(p[1]);
	taken = vu_state_check(&rng.dev);
	require(rng.tokens <= RATE && (taken || rng.tokens == 7) && rng.dev.transfer.fd < 0);
	if (taken)
		check_saved(data, size);
	return 0;
}
