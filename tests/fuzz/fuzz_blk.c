/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev-blk and its ring, with guest memory, kicks, completions, configuration and resets in any
 * order. A model of what may be: the image sees no request outside the disk, every chain comes back
 * at most once, a drain leaves nothing in flight.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input.h"
#include "tests/unit/testblk.h"

#include <errno.h>
#include <string.h>

#define N 32U
#define OPS 200U
#define HEADERS (TR_DATA + 0x10000U)

static struct testblk t;
static bool ready;

/* Mostly small, sometimes at the edges of 64 bits. */
static uint64_t take_number(void)
{
	uint8_t v = take();

	switch (v >> 6) {
	case 0:
		return v & 63;
	case 1:
		return (uint64_t)(v & 63) << (take() & 63);
	case 2:
		return UINT64_MAX - (v & 63);
	default:
		return take32();
	}
}

/* A request that is nearly right: header, data, status in a row. */
static void op_request(void)
{
	static const uint8_t types[] = { 0, 1, 4, 8, 11, 13, 2, 255 };
	uint16_t d = take() % (N - 2);
	uint32_t type = types[take() & 7];
	uint64_t sector = take_number(), header = HEADERS + 64U * d;
	uint16_t write = take() & 1 ? D_WRITE : 0;
	uint32_t len = take() & 1 ? 512U * (take() & 7) : take();

	memcpy(t.ring.ram + header, &type, 4);
	memcpy(t.ring.ram + header + 8, &sector, 8);
	testring_desc(&t.ring, d, header, 16, D_NEXT, (uint16_t)(d + 1));
	testring_desc(&t.ring, d + 1U, TR_DATA + 512U * take(), len, D_NEXT | write,
		      (uint16_t)(d + 2));
	testring_desc(&t.ring, d + 2U, header + 32, 1, D_WRITE, 0);
	testring_avail(&t.ring, d);
}

static void op_range(void)
{
	uint64_t sector = take_number();
	uint32_t n = (uint32_t)take_number(), flags = take() & 3;
	uint8_t *at = t.ring.ram + TR_DATA + 512U * take();

	memcpy(at, &sector, 8);
	memcpy(at + 8, &n, 4);
	memcpy(at + 12, &flags, 4);
}

static void op_descriptor(void)
{
	uint64_t table = take() & 1 ? TR_DESC : TR_TABLE;
	uint32_t index = take() % N;
	uint64_t addr = take() & 1 ? TR_DATA + take_number() : take_number();

	testring_put(&t.ring, table, index, addr, (uint32_t)take_number(), take() & 7,
		     take() % (N + 2));
}

static void op_indirect(void)
{
	uint16_t d = take() % N;

	testring_desc(&t.ring, d, TR_TABLE, 16U * (take() % N), D_INDIRECT, 0);
	testring_avail(&t.ring, d);
}

static void op_poke(void)
{
	uint32_t at = (take32() & (TR_RAM - 1));

	t.ring.ram[at] = take();
}

static void op_complete(void)
{
	static const int results[] = { 0, 0, 0, -EIO, -ENOSPC, -EOPNOTSUPP };

	if (t.n_pending)
		testblk_complete(&t, take() % t.n_pending, results[take() % 6]);
}

static void op_config(void)
{
	uint8_t config[VU_MAX_CONFIG], data[4] = { take(), take(), 0, 0 };
	uint32_t len = take() & 3, offset = take() % VIRTIO_BLK_CONFIG_LEN;

	blk_config_read(&t.blk.disk, config);
	if (offset + len <= VIRTIO_BLK_CONFIG_LEN)
		(void)!blk_config_write(&t.blk.disk, offset, data, len);
}

static void op_restart(void)
{
	testblk_stop(&t);
	require(!t.n_pending && !t.blk.flight.n_in_flight[0] && !t.blk.dev.needs_reset);
	testblk_arm(&t, take_number());
	t.ring.avail_idx = testblk_queue(&t)->base;
}

/* Two requests of one head would both give it back (CVE-2026-45782). */
static void check_heads(void)
{
	uint64_t seen = 0;

	for (unsigned int i = 0; i < FLIGHT_SLOTS; i++) {
		if (!t.blk.flight.slot[i].used)
			continue;
		require(!(seen & (1ULL << t.blk.flight.slot[i].head)));
		seen |= 1ULL << t.blk.flight.slot[i].head;
	}
}

static void step(void)
{
	switch (take() % 10) {
	case 0:
	case 1:
		op_request();
		break;
	case 2:
		op_range();
		break;
	case 3:
		op_descriptor();
		break;
	case 4:
		op_indirect();
		break;
	case 5:
		op_poke();
		break;
	case 6:
		op_complete();
		break;
	case 7:
		op_config();
		break;
	case 8:
		dev_queue_run(testblk_queue(&t));
		break;
	default:
		if (take() & 1)
			testring_avail(&t.ring, take());
		else
			op_restart();
		break;
	}
	require(t.n_pending == t.blk.flight.n_in_flight[0]);
	require(testblk_queue(&t)->vq.n_in_flight <= N);
	if (t.n_pending > 1)
		check_heads();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t wish;

	if (!ready)
		testblk_open(&t, N);
	ready = true;
	in.data = data;
	in.left = size;
	testblk_reset(&t);
	wish = take();
	testblk_arm(&t, (wish & 3) << VIRTIO_F_INDIRECT_DESC | (wish & 4 ? t.blk.disk.offered : 0));
	for (unsigned int i = 0; i < OPS && in.left; i++)
		step();
	return 0;
}
