/* SPDX-License-Identifier: Apache-2.0 */
/* SCSI commands by themselves: hostile ones first. */
#include "lib/base/be.h"
#include "lib/base/cleanup.h"
#include "lib/scsi/scsi.h"
#include "tests/unit/testimage.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define BLOCKS (TESTIMAGE_SIZE / 512)
#define ROOM 512

static struct testimage image, read_only;
static struct scsi_lun disk, cd, protected;
static struct scsi_result r;
static uint8_t param[SCSI_PARAM_MAX];

static int setup(void **state)
{
	(void)state;
	testimage_open(&image, false);
	testimage_open(&read_only, true);
	scsi_lun_init(&disk, SCSI_DISK, &image.image, 512, 4096, "a-disk");
	scsi_lun_init(&protected, SCSI_DISK, &read_only.image, 512, 512, "b");
	scsi_lun_init(&cd, SCSI_CDROM, &read_only.image, SCSI_CD_BLOCK, SCSI_CD_BLOCK, "a-cd");
	memset(param, 0, sizeof(param));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	testimage_close(&image);
	testimage_close(&read_only);
	return 0;
}

/* With that many bytes either way; of what is sent, as many as are looked at. */
static void do_it(struct scsi_lun *l, const uint8_t *cdb, uint64_t in, uint64_t out)
{
	uint8_t whole[SCSI_CDB_MAX] = { 0 };
	uint32_t wants;
	struct scsi_command c = {
		.cdb = whole, .param = param, .n_in = in, .n_out = out, .lun = l, .luns = 3
	};

	memcpy(whole, cdb, SCSI_CDB_MAX);
	wants = scsi_wants(whole);
	c.n_param = out < wants ? out : wants;
	scsi_command(&c, &r);
}

#define CDB(...) ((const uint8_t[SCSI_CDB_MAX]){ __VA_ARGS__ })

static void assert_sense(enum scsi_sense sense)
{
	assert_int_equal(r.action, SCSI_ANSWER);
	assert_int_equal(r.status, SCSI_CHECK_CONDITION);
	assert_int_equal(r.sense, sense);
	assert_int_equal(r.n_data, 0);
	assert_int_equal(r.moved, 0);
}

static void assert_io(enum image_op op, uint64_t offset, uint64_t len)
{
	assert_int_equal(r.action, SCSI_START);
	assert_int_equal(r.io.op, op);
	assert_int_equal(r.io.offset, offset);
	assert_int_equal(r.io.len, len);
}

/* Whatever is asked for, what is begun lies on the medium and what is answered has room. */
static void test_any_command(void **state)
{
	struct scsi_lun *const units[] = { &disk, &cd, &protected, NULL };

	(void)state;
	srand(1);
	for (unsigned int i = 0; i < 300000; i++) {
		struct scsi_lun *l = units[rand() % ARRAY_SIZE(units)];
		const uint64_t in = (uint64_t)(rand() % 3) * (uint64_t)(rand() % 1024);
		const uint64_t out = (uint64_t)(rand() % 3) * (uint64_t)(rand() % 1024);
		uint8_t cdb[SCSI_CDB_MAX];

		for (unsigned int k = 0; k < sizeof(cdb); k++)
			cdb[k] = rand() % 3 ? 0 : (uint8_t)rand();
		cdb[0] = (uint8_t)rand();
		do_it(l, cdb, in, out);
		assert_true(r.n_data <= in && r.n_data <= sizeof(r.data));
		assert_true(r.moved <= in + out);
		if (r.action != SCSI_START)
			continue;
		assert_non_null(l);
		assert_int_equal(image_check(l->image, &r.io), 0);
	}
}

static void test_outside(void **state)
{
	static const uint8_t past[][SCSI_CDB_MAX] = {
		{ 0x28, 0, 0, 0, 0x20, 0, 0, 0, 1 },
		{ 0x28, 0, 0, 0, 0x1f, 0xff, 0, 0, 2 },
		{ 0x28, 0, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff },
		{ 0x88, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1 },
		{ 0x88, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff },
		{ 0x8a, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1 },
		{ 0xa8, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff },
		{ 0x0a, 0x1f, 0xff, 0xff, 1 },
		{ 0x2f, 0, 0, 0, 0x20, 0, 0, 0, 1 },
		{ 0x91, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
		{ 0x93, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(past); i++) {
		do_it(&disk, past[i], UINT64_MAX, 512);
		assert_sense(SENSE_OUT_OF_RANGE);
	}
}

static void test_lengths_that_differ(void **state)
{
	(void)state;
	do_it(&disk, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 2), 1023, 0);
	assert_int_equal(r.action, SCSI_OVERRUN);
	do_it(&disk, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 2), 4096, 1023);
	assert_int_equal(r.action, SCSI_OVERRUN);
	do_it(&disk, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 2), 0, 2048);
	assert_io(IMAGE_WRITE, 0, 1024);
	assert_int_equal(r.moved, 1024);
	do_it(&disk, CDB(0x41, 0, 0, 0, 0, 0, 0, 0, 2), 0, 511);
	assert_int_equal(r.action, SCSI_OVERRUN);
	do_it(&disk, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 24), 0, 23);
	assert_int_equal(r.action, SCSI_OVERRUN);
	do_it(&disk, CDB(0x12, 0, 0, 0, 255), 10, 0);
	assert_int_equal(r.action, SCSI_OVERRUN);
}

static void test_numbers_of_blocks(void **state)
{
	(void)state;
	do_it(&disk, CDB(0x08, 0, 0, 3, 0), UINT64_MAX, 0);
	assert_io(IMAGE_READ, 3 * 512, 256 * 512);
	do_it(&disk, CDB(0x28, 0, 0, 0, 0x20, 0), 0, 0); /* no blocks, behind the last one */
	assert_int_equal(r.status, SCSI_GOOD);
	assert_int_equal(r.action, SCSI_ANSWER);
	do_it(&disk, CDB(0x8a, 8, 0, 0, 0, 0, 0, 0, 0x1f, 0xff, 0, 0, 0, 1), 0, 512);
	assert_io(IMAGE_WRITE, TESTIMAGE_SIZE - 512, 512);
	assert_true(r.io.sync);
	do_it(&disk, CDB(0x2a, 0, 0, 0, 0, 1, 0, 0, 1), 0, 512);
	assert_false(r.io.sync);
	do_it(&disk, CDB(0x28, 0x20, 0, 0, 0, 0, 0, 0, 1), 512, 0);
	assert_sense(SENSE_INVALID_FIELD); /* protection information */
	do_it(&disk, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 4), 512, 0);
	assert_sense(SENSE_INVALID_FIELD); /* NACA */
}

static void test_what_is_not_written(void **state)
{
	static const uint8_t writes[][SCSI_CDB_MAX] = {
		{ 0x0a, 0, 0, 0, 1 },
		{ 0x2a, 0, 0, 0, 0, 0, 0, 0, 1 },
		{ 0xaa, 0, 0, 0, 0, 0, 0, 0, 0, 1 },
		{ 0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 },
		{ 0x41, 0, 0, 0, 0, 0, 0, 0, 1 },
		{ 0x42, 0, 0, 0, 0, 0, 0, 0, 24 },
		{ 0x93, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(writes); i++) {
		do_it(&protected, writes[i], 0, 4096);
		assert_sense(SENSE_WRITE_PROTECTED);
		do_it(&cd, writes[i], 0, 4096);
		assert_sense(SENSE_INVALID_OPCODE);
	}
}

static void unmap(uint16_t len, uint16_t descriptors, uint64_t block, uint32_t n)
{
	put_be16(param + 2, descriptors);
	put_be64(param + 8, block);
	put_be32(param + 16, n);
	do_it(&disk, CDB(0x42, 0, 0, 0, 0, 0, 0, (uint8_t)(len >> 8), (uint8_t)len), 0, len);
}

static void test_unmap(void **state)
{
	(void)state;
	unmap(24, 16, 8, 16);
	assert_io(IMAGE_DISCARD, 8 * 512, 16 * 512);
	unmap(24, 16, BLOCKS, 1);
	assert_sense(SENSE_OUT_OF_RANGE);
	unmap(24, 16, UINT64_MAX, 1);
	assert_sense(SENSE_OUT_OF_RANGE);
	unmap(24, 16, 0, UINT32_MAX);
	assert_sense(SENSE_INVALID_PARAMETER);
	unmap(24, 32, 0, 1); /* more than there are */
	assert_sense(SENSE_INVALID_PARAMETER);
	unmap(23, 16, 0, 1);
	assert_sense(SENSE_INVALID_PARAMETER);
	unmap(7, 16, 0, 1);
	assert_sense(SENSE_PARAMETER_LENGTH);
	unmap(0, 16, 0, 1);
	assert_int_equal(r.status, SCSI_GOOD);
	unmap(24, 0, 0, 1);
	assert_int_equal(r.action, SCSI_ANSWER);
	assert_int_equal(r.status, SCSI_GOOD);
	unmap(24, 16, 5, 0);
	assert_int_equal(r.action, SCSI_ANSWER);
	do_it(&disk, CDB(0x42, 1, 0, 0, 0, 0, 0, 0, 24), 0, 24); /* anchored */
	assert_sense(SENSE_INVALID_FIELD);
}

static void test_write_same(void **state)
{
	(void)state;
	do_it(&disk, CDB(0x93, 9, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3), 0, 0);
	assert_io(IMAGE_ZERO, 2 * 512, 3 * 512);
	assert_true(r.io.may_unmap);
	do_it(&disk, CDB(0x41, 0, 0, 0, 0, 2, 0, 0, 3), 0, 512);
	assert_io(IMAGE_ZERO, 2 * 512, 3 * 512);
	assert_false(r.io.may_unmap);
	assert_int_equal(r.moved, 512);
	param[511] = 1;
	do_it(&disk, CDB(0x41, 0, 0, 0, 0, 2, 0, 0, 3), 0, 512);
	assert_sense(SENSE_INVALID_PARAMETER);
	do_it(&disk, CDB(0x93, 1), 0, 0); /* none is said */
	assert_sense(SENSE_INVALID_FIELD);
	do_it(&disk, CDB(0x41, 1, 0, 0, 0, 2, 0, 0, 3), 0, 512);
	assert_sense(SENSE_INVALID_FIELD);
}

/* What it is said to be, it is. */
static void test_pages(void **state)
{
	(void)state;
	do_it(&disk, CDB(0x12, 1, 0, 0, 255), ROOM, 0);
	assert_int_equal(r.n_data, 4 + 6);
	do_it(&disk, CDB(0x12, 1, 0xb0, 0, 255), ROOM, 0);
	assert_int_equal(r.n_data, 64);
	assert_int_equal(get_be16(r.data + 6), 8); /* blocks of 4096 bytes */
	assert_int_equal(get_be32(r.data + 24), 1);
	do_it(&disk, CDB(0x12, 1, 0xb2, 0, 255), ROOM, 0);
	assert_int_equal(r.data[5], 0xe0);
	do_it(&protected, CDB(0x12, 1, 0xb2, 0, 255), ROOM, 0);
	assert_int_equal(r.data[5], 0);
	do_it(&disk, CDB(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32), ROOM, 0);
	assert_int_equal(r.n_data, 32);
	assert_int_equal(get_be64(r.data), BLOCKS - 1);
	assert_int_equal(r.data[13], 3);
	do_it(&disk, CDB(0x1a, 0, 8, 0, 255), ROOM, 0);
	assert_int_equal(r.n_data, 4 + 8 + 20);
	assert_int_equal(r.data[0], r.n_data - 1);
	assert_int_equal(r.data[2], 0x10);
	assert_int_equal(r.data[12 + 2], 4);
	do_it(&protected, CDB(0x1a, 8, 0x3f, 0, 255), ROOM, 0);
	assert_int_equal(r.data[2], 0x90);
	assert_int_equal(r.data[3], 0);
}

static void test_no_such_unit(void **state)
{
	(void)state;
	do_it(NULL, CDB(0x00), 0, 0);
	assert_sense(SENSE_NO_SUCH_LUN);
	do_it(NULL, CDB(0xff), 0, 0);
	assert_sense(SENSE_NO_SUCH_LUN);
	do_it(NULL, CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 64), ROOM, 0);
	assert_int_equal(r.n_data, 8 + 16);
	assert_int_equal(r.data[17], 1);
	do_it(NULL, CDB(0xa0, 0, 1, 0, 0, 0, 0, 0, 0, 64), ROOM, 0);
	assert_int_equal(r.n_data, 8);
	do_it(NULL, CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 15), ROOM, 0);
	assert_sense(SENSE_INVALID_FIELD);
}

static void test_what_images_come_to(void **state)
{
	uint8_t sense[SCSI_SENSE_LEN];

	(void)state;
	assert_int_equal(scsi_sense_of(IMAGE_READ, 0), SENSE_NONE);
	assert_int_equal(scsi_sense_of(IMAGE_READ, -EIO), SENSE_READ_ERROR);
	assert_int_equal(scsi_sense_of(IMAGE_FLUSH, -EIO), SENSE_WRITE_ERROR);
	assert_int_equal(scsi_sense_of(IMAGE_WRITE, -ENOSPC), SENSE_NO_SPACE);
	scsi_sense_put(sense, SENSE_NO_SPACE);
	assert_int_equal(sense[0], 0x70);
	assert_int_equal(sense[2], 7);
	assert_int_equal(sense[7], 10);
	assert_int_equal(sense[12], 0x27);
	assert_int_equal(sense[13], 7);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(test_any_command),	     T(test_outside),
		T(test_lengths_that_differ), T(test_numbers_of_blocks),
		T(test_what_is_not_written), T(test_unmap),
		T(test_write_same),	     T(test_pages),
		T(test_no_such_unit),	     T(test_what_images_come_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
