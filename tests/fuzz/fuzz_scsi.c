/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio-scsi adapter with a CD-ROM and a disk: commands of any bytes, task management, kicks, completions,
 * configuration and resets in any order; its process ends, and the next one goes on with the page that it has left, as it is or
 * changed. A model of what may be: images see no request outside of the medium, none that writes a CD-ROM, every chain comes
 * back at most once, a drain leaves nothing in flight, a page as it was left is the state that there was.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input.h"
#include "tests/unit/testvscsi.h"

#include <string.h>

#define N 32U
#define OPS 200U
#define HEADS (TR_DATA + 0x10000U)
#define FUNCTIONS (TR_DATA + 0x20000U)

static struct testvscsi t;
static struct kept kept;
static bool ready;

/* Mostly right: head, response and data in a row, the direction by choice. */
static void op_command(void)
{
	const uint16_t d = take() % (N - 2);
	const uint8_t how = take();
	const uint32_t head = HEADS + 256U * d, head_len = VSCSI_HEAD_LEN + t.v.config.cdb_size;
	const uint32_t response_len = VSCSI_RESPONSE_LEN + t.v.config.sense_size;
	uint8_t *h = t.ring.ram + head;
	const uint32_t len = how & 4 ? 512U * (take() & 15) : take();
	const uint64_t data = TR_DATA + 512U * take();

	h[0] = 1;
	h[2] = 0x40;
	h[3] = how & 1;
	h[8] = take() & 3;
	for (unsigned int i = 0; i < SCSI_CDB_MAX; i++)
		h[VSCSI_HEAD_LEN + i] = take();
	if (how & 8) /* few blocks at a place that there may be */
		memset(h + VSCSI_HEAD_LEN + 2, 0, 2);
	testring_desc(&t.ring, d, head, head_len - (how >> 7), D_NEXT, (uint16_t)(d + 1));
	if (how & 2) {
		testring_desc(&t.ring, d + 1U, data, len, D_NEXT, (uint16_t)(d + 2));
		testring_desc(&t.ring, d + 2U, head + 0x8000, response_len, D_WRITE, 0);
	} else {
		testring_desc(&t.ring, d + 1U, head + 0x8000, response_len,
			      len ? D_NEXT | D_WRITE : D_WRITE, (uint16_t)(d + 2));
		testring_desc(&t.ring, d + 2U, data, len, D_WRITE, 0);
	}
	testring_avail(&t.ring, d);
}

static void op_param(void)
{
	uint8_t *at = t.ring.ram + TR_DATA + 512U * take();

	for (unsigned int i = 0; i < 24; i++)
		at[i] = take();
}

static void op_manage(void)
{
	const uint64_t avail = TV_CONTROL + 0x2000;
	const uint16_t d = take() % (N - 1);
	const uint32_t at = FUNCTIONS + 64U * d;
	uint8_t *f = t.ring.ram + at;

	memset(f, 0, 24);
	f[0] = take() & 3;
	f[4] = take() & 15;
	f[8] = 1;
	f[10] = 0x40;
	f[11] = take() & 3;
	f[16] = take() & 3;
	testring_put(&t.ring, TV_CONTROL, d, at, 24U - (take() & 1), D_NEXT, (uint16_t)(d + 1));
	testring_put(&t.ring, TV_CONTROL, d + 1U, at + 32, take() & 7, D_WRITE, 0);
	testring_store16(&t.ring, avail + 4 + 2U * (t.control_idx % N), d);
	testring_store16(&t.ring, avail + 2, ++t.control_idx);
	dev_queue_run(testvscsi_queue(&t, VSCSI_CONTROLQ));
}

/* A buffer for an event, of any size, or something to tell. */
static void op_event(void)
{
	const uint64_t avail = TV_EVENT + 0x2000;
	const uint16_t d = take() % N;

	t.v.changed |= take() & 3U;
	testring_put(&t.ring, TV_EVENT, d, FUNCTIONS + 0x8000U + 64U * d, take() & 31, D_WRITE, 0);
	testring_store16(&t.ring, avail + 4 + 2U * (t.event_idx % N), d);
	testring_store16(&t.ring, avail + 2, ++t.event_idx);
	dev_queue_run(testvscsi_queue(&t, VSCSI_EVENTQ));
	require(testvscsi_queue(&t, VSCSI_EVENTQ)->vq.n_in_flight <= 1);
}

static void op_descriptor(void)
{
	const uint32_t index = take() % N;

	testring_put(&t.ring, take() & 1 ? TR_DESC : TR_TABLE, index,
		     take() & 1 ? TR_DATA + take32() : take32(), take32() >> (take() & 31),
		     take() & 7, take() % (N + 2));
}

static void op_config(void)
{
	uint8_t config[VU_MAX_CONFIG], data[4] = { take(), take(), 0, 0 };
	const uint32_t len = take() & 3, offset = take() % VSCSI_CONFIG_LEN;

	vscsi_config_read(&t.v.config, config);
	if (offset + len <= VSCSI_CONFIG_LEN)
		(void)!t.v.dev.ops->config_write(&t.v, offset, data, len);
	require(t.v.config.sense_size <= VSCSI_SIZE_MAX);
	require(t.v.config.cdb_size >= SCSI_CDB_MAX && t.v.config.cdb_size <= VSCSI_SIZE_MAX);
}

static void begin_anew(void)
{
	t.ring.avail_idx = t.control_idx = t.event_idx = 0;
	memset(t.ring.ram + TR_AVAIL, 0, 0x20000);
	memset(t.ring.ram + TV_CONTROL + 0x2000, 0, 0x2000);
	memset(t.ring.ram + TV_EVENT + 0x2000, 0, 0x2000);
	t.v.dev.needs_reset = false;
	testvscsi_arm(&t);
}

static void op_restart(void)
{
	testvscsi_stop(&t);
	require(!flight_any(&t.v.flight) && !t.v.waiting.there);
	begin_anew();
}

static bool is_lun_as(const struct scsi_lun *now, const struct scsi_lun *was)
{
	return now->open == was->open && now->locked == was->locked &&
	       now->attention == was->attention;
}

/* A byte of the sequence number, or of the image in either slot. */
static void change_page(uint8_t at, uint8_t to)
{
	if (at & 0x80)
		((uint8_t *)&kept.sequence)[at % sizeof(kept.sequence)] = to;
	else
		kept.slots[0][at] = kept.slots[1][at] = to;
}

/* Up to seven bytes of the page are changed by a predecessor that was taken over. */
static void op_successor(void)
{
	const uint8_t n = take() & 7;
	char why[STATE_WHY_MAX] = "";
	struct vscsi_config config;
	struct scsi_lun lun[2];
	int r;

	testvscsi_stop(&t);
	config = t.v.config;
	memcpy(lun, t.v.lun, sizeof(lun));
	for (unsigned int i = 0; i < n; i++)
		change_page(take(), take());
	t.v.kept = NULL;
	require(vscsi_state.reset(&t.v) == 0);
	r = vscsi_go_on(&t.v, &kept, why);
	require(r == 0 || *why);
	if (n == 0) {
		require(r == 0 && t.v.config.sense_size == config.sense_size &&
			t.v.config.cdb_size == config.cdb_size);
		require(is_lun_as(&t.v.lun[TV_CD], &lun[TV_CD]) &&
			is_lun_as(&t.v.lun[TV_DISK], &lun[TV_DISK]));
	} else if (r < 0) {
		require(t.v.config.sense_size == VSCSI_SENSE_SIZE &&
			t.v.config.cdb_size == VSCSI_CDB_SIZE);
	}
	require(!t.v.lun[TV_DISK].open);
	begin_anew();
}

static void step(void)
{
	switch (take() % 11) {
	case 0:
	case 1:
		op_command();
		break;
	case 2:
		op_param();
		break;
	case 3:
		op_manage();
		break;
	case 4:
		op_descriptor();
		break;
	case 5:
		t.cd.held = take() & 1;
		t.disk.held = take() & 1;
		t.disk.fails = take() & 1 ? -5 : 0;
		testvscsi_complete(&t);
		break;
	case 6:
		op_config();
		break;
	case 10:
		op_event();
		break;
	case 7:
		dev_queue_run(testvscsi_queue(&t, VSCSI_REQUESTQ));
		break;
	case 8:
		op_successor();
		break;
	default:
		op_restart();
		break;
	}
	require(!t.cd.n_bad && !t.disk.n_bad);
	require(testvscsi_queue(&t, VSCSI_REQUESTQ)->vq.n_in_flight <= N);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!ready) {
		testvscsi_open(&t, N);
		testvscsi_arm(&t);
	}
	ready = true;
	in.data = data;
	in.left = size;
	t.v.kept = NULL;
	testvscsi_reset(&t);
	kept_clear(&kept);
	require(vscsi_go_on(&t.v, &kept, (char[STATE_WHY_MAX]){ 0 }) == 0);
	t.v.dev.needs_reset = false;
	testvscsi_arm(&t);
	for (unsigned int i = 0; i < OPS && in.left; i++)
		step();
	return 0;
}
