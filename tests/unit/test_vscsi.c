/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-scsi with images that complete when the test wants: what is ended while it is in flight, and what is left of it. */
#include "tests/unit/testvscsi.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define N 64U
#define HEAD(i) (TR_DATA + 0x100U * (i))
#define RESPONSE(i) (TR_DATA + 0x20000U + 0x100U * (i))
#define DATA(i) (TR_DATA + 0x40000U + 2048U * (i))
#define FUNCTION(i) (TR_DATA + 0x60000U + 0x40U * (i))
#define HEAD_LEN (VSCSI_HEAD_LEN + VSCSI_CDB_SIZE)
#define RESPONSE_LEN (VSCSI_RESPONSE_LEN + VSCSI_SENSE_SIZE)
#define UNTOUCHED 0xee

static struct testvscsi t;

static int setup(void **state)
{
	(void)state;
	testvscsi_open(&t, N);
	testvscsi_arm(&t);
	t.cd.held = t.disk.held = true;
	memset(t.ring.ram + RESPONSE(0), UNTOUCHED, 0x4000);
	memset(t.ring.ram + FUNCTION(0), UNTOUCHED, 0x1000);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	testvscsi_close(&t);
	return 0;
}

/* Command i of a unit, tagged i + 1, with one block of data. Not yet kicked. */
static void add(unsigned int i, unsigned int lun, uint8_t opcode, bool write)
{
	const uint16_t d = (uint16_t)(3 * i), data = write ? (uint16_t)(d + 1) : (uint16_t)(d + 2);
	const uint16_t response = write ? (uint16_t)(d + 2) : (uint16_t)(d + 1);
	uint8_t *h = t.ring.ram + HEAD(i);

	memset(h, 0, HEAD_LEN);
	h[0] = 1;
	h[2] = 0x40;
	h[3] = (uint8_t)lun;
	h[8] = (uint8_t)(i + 1);
	h[VSCSI_HEAD_LEN] = opcode;
	h[VSCSI_HEAD_LEN + 5] = (uint8_t)i; /* the block */
	h[VSCSI_HEAD_LEN + 8] = 1;
	testring_desc(&t.ring, d, HEAD(i), HEAD_LEN, D_NEXT, (uint16_t)(d + 1));
	testring_desc(&t.ring, data, DATA(i), lun == TV_CD ? 2048 : 512, write ? D_NEXT : D_WRITE,
		      (uint16_t)(d + 2));
	testring_desc(&t.ring, response, RESPONSE(i), RESPONSE_LEN,
		      write ? D_WRITE : D_WRITE | D_NEXT, (uint16_t)(d + 2));
	testring_avail(&t.ring, d);
}

static void kick(void)
{
	dev_queue_run(testvscsi_queue(&t, VSCSI_REQUESTQ));
}

/* Function i of task management, and its kick. */
static void manage(unsigned int i, uint32_t function, unsigned int lun, uint8_t tag)
{
	const uint64_t avail = TV_CONTROL + 0x2000;
	uint8_t *f = t.ring.ram + FUNCTION(i);
	const uint16_t d = (uint16_t)(2 * i);

	memset(f, 0, 24);
	memcpy(f + 4, &function, 4);
	f[8] = 1;
	f[10] = 0x40;
	f[11] = (uint8_t)lun;
	f[16] = tag;
	testring_put(&t.ring, TV_CONTROL, d, FUNCTION(i), 24, D_NEXT, (uint16_t)(d + 1));
	testring_put(&t.ring, TV_CONTROL, d + 1U, FUNCTION(i) + 32, 1, D_WRITE, 0);
	testring_store16(&t.ring, avail + 4 + 2U * (t.control_idx % N), d);
	testring_store16(&t.ring, avail + 2, ++t.control_idx);
	dev_queue_run(testvscsi_queue(&t, VSCSI_CONTROLQ));
}

static uint8_t answered(unsigned int i)
{
	return t.ring.ram[FUNCTION(i) + 32];
}

static uint8_t response(unsigned int i)
{
	return t.ring.ram[RESPONSE(i) + 11];
}

static uint32_t used_len(uint16_t n)
{
	return testring_load32(&t.ring, TR_USED + 8 + 8U * n);
}

static void test_units_complete_apart(void **state)
{
	(void)state;
	memset(t.cd.bytes, 0x11, 2048);
	memset(t.disk.bytes + 512, 0x22, 512);
	add(0, TV_CD, 0x28, false);
	add(1, TV_DISK, 0x28, false);
	kick();
	t.disk.held = false;
	testvscsi_complete(&t);
	assert_int_equal(response(0), UNTOUCHED);
	assert_int_equal(response(1), VSCSI_OK);
	assert_int_equal(used_len(0), RESPONSE_LEN + 512);
	t.cd.held = false;
	testvscsi_complete(&t);
	assert_int_equal(response(0), VSCSI_OK);
	assert_int_equal(t.ring.ram[DATA(0)], 0x11);
	assert_int_equal(t.ring.ram[DATA(1)], 0x22);
	assert_false(flight_any(&t.v.flight));
}

/* CVE-2024-8612: what failed is not said to be written. */
static void test_a_host_that_fails(void **state)
{
	(void)state;
	t.cd.held = t.disk.held = false;
	t.disk.fails = -EIO;
	add(0, TV_DISK, 0x28, false);
	add(1, TV_DISK, 0x2a, true);
	kick();
	testvscsi_complete(&t);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(used_len((uint16_t)i), RESPONSE_LEN);
		assert_int_equal(response(i), VSCSI_OK);
		assert_int_equal(t.ring.ram[RESPONSE(i) + 10], SCSI_CHECK_CONDITION);
		assert_int_equal(t.ring.ram[RESPONSE(i) + VSCSI_RESPONSE_LEN + 2], 3);
		assert_int_equal(testring_load32(&t.ring, RESPONSE(i) + 4), 512);
	}
}

static void test_a_task_that_is_ended(void **state)
{
	(void)state;
	add(0, TV_DISK, 0x2a, true);
	add(1, TV_DISK, 0x2a, true);
	kick();
	manage(0, 6, TV_DISK, 1); /* is it there? */
	assert_int_equal(answered(0), VSCSI_FUNCTION_SUCCEEDED);
	manage(1, 0, TV_DISK, 1);
	assert_int_equal(answered(1), UNTOUCHED); /* it cannot be called back */
	manage(2, 0, TV_DISK, 9);
	assert_int_equal(answered(2), UNTOUCHED); /* waits its turn */
	assert_int_equal(response(0), UNTOUCHED);
	t.disk.held = false;
	testvscsi_complete(&t);
	assert_int_equal(response(0), VSCSI_ABORTED);
	assert_int_equal(response(1), VSCSI_OK);
	assert_int_equal(answered(1), VSCSI_OK);
	assert_int_equal(loop_run_once(&t.loop, 0), 0);
	assert_int_equal(answered(2), VSCSI_OK);
}

static void test_a_unit_that_is_reset(void **state)
{
	(void)state;
	t.v.lun[TV_CD].locked = true;
	add(0, TV_CD, 0x28, false);
	add(1, TV_DISK, 0x28, false);
	kick();
	manage(0, 5, TV_CD, 0);
	assert_false(t.v.lun[TV_CD].locked);
	assert_int_equal(t.v.lun[TV_CD].attention, SENSE_WAS_RESET);
	assert_int_equal(t.v.lun[TV_DISK].attention, SENSE_NONE);
	t.disk.held = false;
	testvscsi_complete(&t);
	assert_int_equal(response(1), VSCSI_OK);
	assert_int_equal(answered(0), UNTOUCHED); /* of the other unit */
	t.cd.held = false;
	testvscsi_complete(&t);
	assert_int_equal(response(0), VSCSI_RESET);
	assert_int_equal(used_len(1), RESPONSE_LEN);
	assert_int_equal(answered(0), VSCSI_OK);
	manage(1, 4, TV_DISK, 0); /* of the nexus: all units */
	assert_int_equal(answered(1), VSCSI_OK);
	assert_int_equal(t.v.lun[TV_DISK].attention, SENSE_WAS_RESET);
}

/* A ring that stops takes what waits for another ring's requests along; nothing is left. */
static void test_stop_with_a_function_that_waits(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 8; i++)
		add(i, i & 1, 0x28, false);
	kick();
	manage(0, 3, TV_DISK, 0);
	assert_true(t.v.waiting.there);
	testvscsi_stop(&t);
	assert_false(t.v.waiting.there);
	assert_int_equal(answered(0), VSCSI_OK);
	assert_int_equal(testring_load16(&t.ring, TR_USED + 2), 8);
	for (unsigned int i = 0; i < FLIGHT_SLOTS; i++)
		assert_false(t.v.flight.slot[i].used || t.v.flying[i].place.n);
}

static void test_state(void **state)
{
	uint8_t wire[STATE_IMAGE_MAX];
	char why[STATE_WHY_MAX];
	const struct state_object o = { &vscsi_state, &t.v };
	int len;

	(void)state;
	t.v.lun[TV_CD].open = true;
	t.v.lun[TV_CD].locked = true;
	t.v.lun[TV_DISK].attention = SENSE_WAS_RESET;
	t.v.config.sense_size = 7;
	len = state_object_save(&o, wire, sizeof(wire));
	assert_true(len > 0 && len <= KEPT_SLOT_LEN);
	assert_int_equal(vscsi_state.reset(&t.v), 0);
	assert_false(t.v.lun[TV_CD].open);
	assert_int_equal(state_object_load(&o, wire, (size_t)len, why), 0);
	assert_true(t.v.lun[TV_CD].open && t.v.lun[TV_CD].locked);
	assert_int_equal(t.v.lun[TV_DISK].attention, SENSE_WAS_RESET);
	assert_int_equal(t.v.config.sense_size, 7);
	/* a disk has no tray, and no sense is told that no device has */
	wire[STATE_HEADER_LEN + 8 + TV_DISK] = 1;
	assert_int_equal(state_object_load(&o, wire, (size_t)len, why), -EINVAL);
	wire[STATE_HEADER_LEN + 8 + TV_DISK] = 0;
	wire[STATE_HEADER_LEN + 8 + 16] = 1;
	assert_int_equal(state_object_load(&o, wire, (size_t)len, why), -EBADMSG);
}

/* Each change is there before its driver sees it, and what a predecessor left is taken whole or not at all. */
static void test_a_successor_goes_on(void **state)
{
	static struct kept kept;
	struct kept left;
	char why[STATE_WHY_MAX];

	(void)state;
	memset(&kept, 0, sizeof(kept));
	assert_int_equal(vscsi_go_on(&t.v, &kept, why), 0);
	manage(0, 4, TV_DISK, 0);
	assert_int_equal(answered(0), VSCSI_OK);
	t.v.lun[TV_CD].open = true;
	t.v.config.sense_size = 7;
	vscsi_keep(&t.v);
	left = kept;
	t.v.kept = NULL;
	assert_int_equal(vscsi_state.reset(&t.v), 0);
	assert_int_equal(vscsi_go_on(&t.v, &left, why), 0);
	assert_true(t.v.lun[TV_CD].open && !t.v.lun[TV_CD].locked);
	assert_int_equal(t.v.lun[TV_DISK].attention, SENSE_WAS_RESET);
	assert_int_equal(t.v.config.sense_size, 7);
	for (size_t i = 0; i < sizeof(left); i++) {
		bool may;

		left = kept;
		((uint8_t *)&left)[i] ^= 0xff;
		t.v.kept = NULL;
		assert_int_equal(vscsi_state.reset(&t.v), 0);
		may = vscsi_go_on(&t.v, &left, why) == 0;
		assert_true(t.v.config.sense_size <= VSCSI_SIZE_MAX && !t.v.lun[TV_DISK].open);
		assert_true(may || (!t.v.lun[TV_CD].open && !t.v.lun[TV_DISK].attention));
		assert_true(left.sequence);
	}
	t.v.kept = NULL;
}

/* A buffer for an event, and its kick. */
static void give(unsigned int i, uint32_t len)
{
	const uint64_t avail = TV_EVENT + 0x2000;

	testring_put(&t.ring, TV_EVENT, i, FUNCTION(i), len, D_WRITE, 0);
	testring_store16(&t.ring, avail + 4 + 2U * (t.event_idx % N), (uint16_t)i);
	testring_store16(&t.ring, avail + 2, ++t.event_idx);
	dev_queue_run(testvscsi_queue(&t, VSCSI_EVENTQ));
}

static uint16_t n_events(void)
{
	uint16_t n;

	memcpy(&n, t.ring.ram + TV_EVENT + 0x3000 + 2, sizeof(n));
	return n;
}

/* What a successor on a larger image does: kept says what the driver has seen. */
static void grow(uint64_t blocks)
{
	static struct kept kept;
	char why[STATE_WHY_MAX];

	memset(&kept, 0, sizeof(kept));
	assert_int_equal(vscsi_go_on(&t.v, &kept, why), 0);
	t.v.kept = NULL;
	t.v.lun[TV_DISK].n_blocks = blocks;
	t.v.lun[TV_CD].n_blocks--;
	assert_int_equal(vscsi_go_on(&t.v, &kept, why), 0);
	t.v.kept = NULL;
}

/* Of a disk alone, once, whether the driver has room before or afterwards. */
static void test_a_size_that_changed_is_told(void **state)
{
	static const uint8_t event[] = { 3, 0, 0, 0, 1, 0, 0, TV_DISK, 0, 0, 0, 0, 0x2a, 9, 0, 0 };

	(void)state;
	give(0, sizeof(event));
	assert_int_equal(n_events(), 0);
	grow(4096);
	assert_int_equal(t.v.lun[TV_DISK].attention, SENSE_CAPACITY_CHANGED);
	assert_int_equal(t.v.lun[TV_CD].attention, SENSE_NONE);
	dev_queue_run(testvscsi_queue(&t, VSCSI_EVENTQ));
	assert_int_equal(n_events(), 1);
	assert_memory_equal(t.ring.ram + FUNCTION(0), event, sizeof(event));
	give(1, sizeof(event));
	assert_int_equal(n_events(), 1);
	grow(4096); /* the same as before, but for the attention, which is not told yet */
	dev_queue_run(testvscsi_queue(&t, VSCSI_EVENTQ));
	assert_int_equal(n_events(), 2);
	grow(8192);
	dev_queue_run(testvscsi_queue(&t, VSCSI_EVENTQ));
	assert_int_equal(n_events(), 2); /* there is no room */
	assert_int_equal(t.v.changed, 1U << TV_DISK);
	give(2, sizeof(event));
	assert_int_equal(n_events(), 3);
	assert_int_equal(t.v.changed, 0);
	assert_false(t.v.dev.needs_reset);
}

static void test_an_event_that_has_no_room(void **state)
{
	(void)state;
	grow(4096);
	give(0, VSCSI_EVENT_LEN - 1);
	assert_true(t.v.dev.needs_reset);
	assert_int_equal(n_events(), 0);
	assert_int_equal(t.ring.ram[FUNCTION(0)], UNTOUCHED);
}

static void test_who_asked_for_no_events(void **state)
{
	(void)state;
	t.v.dev.features = 0;
	grow(4096);
	give(0, VSCSI_EVENT_LEN);
	assert_int_equal(n_events(), 0);
	assert_int_equal(t.v.lun[TV_DISK].attention, SENSE_CAPACITY_CHANGED);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(test_units_complete_apart),
		T(test_a_host_that_fails),
		T(test_a_task_that_is_ended),
		T(test_a_unit_that_is_reset),
		T(test_stop_with_a_function_that_waits),
		T(test_state),
		T(test_a_successor_goes_on),
		T(test_a_size_that_changed_is_told),
		T(test_an_event_that_has_no_room),
		T(test_who_asked_for_no_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
