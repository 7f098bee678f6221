/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rings whose every byte is the fuzzer's: the descriptor table, both rings, indirect tables. Bytes
 * of the input are also stored while the ring is worked on, as a guest on another CPU would.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input.h"
#include "tests/unit/testring.h"

#include <errno.h>
#include <string.h>

#define N 16U
#define POPS 64U

static struct testring t;
static struct virtq vq;
static struct virtq_chain chain;
static bool ready;

static void fill(uint64_t gpa, size_t len)
{
	size_t n = len < in.left ? len : in.left;

	memset(t.ram + gpa, 0, len);
	memcpy(t.ram + gpa, in.data, n);
	in.data += n;
	in.left -= n;
}

static void check_chain(void)
{
	uint32_t n = (uint32_t)chain.n_readable + chain.n_writable;
	uint64_t readable = 0, writable = 0;

	require(n >= 1 && n <= VIRTQ_CHAIN_MAX && chain.head < N);
	for (uint32_t i = 0; i < n; i++) {
		require(chain.piece[i].len);
		if (i < chain.n_readable)
			readable += chain.piece[i].len;
		else
			writable += chain.piece[i].len;
	}
	require(readable == chain.readable_len && writable == chain.writable_len);
	require(readable + writable <= VIRTQ_CHAIN_LEN_MAX);
}

static void use_chain(void)
{
	struct iovec iov[8];
	uint8_t buf[64];
	size_t n = 0;
	uint64_t at = take();
	int r = virtq_chain_read(&chain, at, buf, take() % sizeof(buf));

	require(r == 0 || r == -EMSGSIZE || r == -EFAULT);
	r = virtq_chain_write(&chain, at, buf, take() % sizeof(buf));
	require(r == 0 || r == -EMSGSIZE || r == -EFAULT);
	r = virtq_chain_readable_iov(&chain, at, take(), iov, &n, 8);
	require(r == 0 ? n <= 8 : n == 0);
	r = virtq_chain_writable_iov(&chain, 0, chain.writable_len, iov, &n, 8);
	require(r < 0 || n <= 8);
}

/* One race: a byte of the rings changes. */
static void disturb(void)
{
	static const uint32_t areas[] = { TR_DESC, TR_AVAIL, TR_USED, TR_TABLE };

	t.ram[areas[take() & 3] + take()] = take();
}

static void work(void)
{
	struct virtq_budget budget = { .descriptors = 2000, .bytes = 1ULL << 34 };
	int r;

	for (unsigned int i = 0; i < POPS; i++) {
		r = virtq_pop(&vq, &budget, &chain);
		require(r == 1 || r == 0 || r == -EAGAIN || r == -EBADMSG);
		require((r == -EBADMSG) == (vq.broken != NULL));
		if (r != 1)
			break;
		check_chain();
		use_chain();
		if (take() & 1)
			disturb();
		if (take() & 3)
			require(virtq_push(&vq, chain.head, take()) != -EINVAL);
		require(vq.n_in_flight <= N);
	}
	(void)virtq_should_signal(&vq);
	r = virtq_kicks_on(&vq);
	require(r == 0 || r == 1 || r == -EBADMSG);
	virtq_kicks_off(&vq);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t flags;

	if (!ready)
		testring_open(&t, N, false, false);
	ready = true;
	in.data = data;
	in.left = size;
	flags = take();
	t.layout.event_idx = flags & 1;
	t.layout.indirect = flags & 2;
	fill(TR_AVAIL, 6 + 2 * N);
	fill(TR_USED, 6);
	fill(TR_DESC, 16 * N);
	fill(TR_TABLE, 256);
	virtq_init(&vq, &t.mem);
	require(virtq_start(&vq, &t.layout, take()) == 0);
	work();
	work();
	virtq_stop(&vq);
	return 0;
}
