/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev-net's control queue: commands of any bytes in any pieces under any features, processes that take over from each
 * other, and lies in what they keep. After each step what is set can be; a command that was refused has changed nothing,
 * and what was kept is found again.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input.h"
#include "tests/unit/testring.h"

#include "lib/netcard/control.h"
#include "lib/netcard/net_features.h"

#include <errno.h>
#include <string.h>

#define N 16U
#define STEPS 200U
#define MAC 0x525400123456ULL
#define PAIRS 4U
#define ANSWER_AT (TR_DATA + 0x10000U)

static struct testring t;
static struct virtq vq;
static struct virtq_chain chain;
static struct control c;
static struct control_kept kept;
static uint64_t features;

static void check(void)
{
	require(filter_can_be(&c.filter));
	require(!(c.off & ~NET_GUEST_OFFLOADS));
	require(c.pairs >= 1 && c.pairs <= PAIRS);
}

static void run(void)
{
	const struct control before = c;
	int r = control_run(&c, features, PAIRS, &chain);

	require(r == CONTROL_OK || r == CONTROL_ERR || r == -EBADMSG || r == -EFAULT);
	if (r != CONTROL_OK) {
		require(memcmp(&before, &c, sizeof(c)) == 0);
		return;
	}
	require(chain.writable_len && features & NET_FEATURES);
	control_keep(&c, &kept);
}

/* Bytes in two pieces of the length that a byte says, the last of which may reach out of RAM, and an answer. */
static void op_command(void)
{
	struct virtq_budget budget = { N, 1 << 20 };
	uint32_t len = 2U + take() + (take() & 1 ? 512U : 0), cut = take();
	uint8_t how = take();

	for (uint32_t i = 0; i < len && in.left; i++)
		t.ram[TR_DATA + i] = take();
	cut = cut < len ? cut : len - 1;
	testring_desc(&t, 0, TR_DATA, cut ? cut : 1, D_NEXT, 1);
	testring_desc(&t, 1, how & 8 ? TR_RAM - 1U : TR_DATA + (cut ? cut : 1), len - cut,
		      how & 1 ? 0 : D_NEXT, 2);
	testring_desc(&t, 2, ANSWER_AT, 1U + (how & 4), D_WRITE, 0);
	testring_avail(&t, how & 2 ? 2 : 0);
	require(virtq_pop(&vq, &budget, &chain) == 1);
	run();
	require(virtq_push(&vq, chain.head, 0) == 0);
}

static void op_frame(void)
{
	size_t len = 14U + take() % (FILTER_HEAD - 14U + 1U);
	uint8_t *frame = malloc(len);

	require(frame);
	for (size_t i = 0; i < len; i++)
		frame[i] = take();
	(void)!filter_passes(&c.filter, take() & 1, frame, len);
	free(frame);
}

/* The next process; before it another one may have lied. */
static void op_next(void)
{
	const struct control before = c;
	uint8_t *const bytes = (uint8_t *)&kept;
	bool lies = take() & 1;

	if (lies)
		bytes[((size_t)take() << 8 | take()) % sizeof(kept)] = take();
	control_load(&c, &kept, MAC, PAIRS);
	require(lies || memcmp(&before, &c, sizeof(c)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	in.data = data;
	in.left = size;
	testring_open(&t, N, false, false);
	virtq_init(&vq, &t.mem);
	require(virtq_start(&vq, &t.layout, 0) == 0);
	memset(&kept, 0, sizeof(kept));
	control_load(&c, &kept, MAC, PAIRS);
	control_keep(&c, &kept);
	features = take() & 1 ?
			   NET_FEATURES :
			   NET_FEATURES | NET_TAP_FEATURES | NET_USO_FEATURES | NET_MQ_FEATURES;
	for (unsigned int i = 0; i < STEPS && in.left; i++) {
		uint8_t op = take() & 7;

		if (op < 5)
			op_command();
		else if (op < 7)
			op_frame();
		else
			op_next();
		check();
	}
	virtq_stop(&vq);
	testring_close(&t);
	return 0;
}
