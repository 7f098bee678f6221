/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk: chains to requests, configuration space. */
#include "tests/unit/testring.h"

#include "cmd/dev-blk/blk.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define SECTORS 2048U
#define HEADER TR_DATA
#define OUT (TR_DATA + 0x1000U)
#define IN (TR_DATA + 0x10000U)
#define STATUS (TR_DATA + 0x40000U)

static struct testring t;
static struct virtq_chain chain;
static struct blk_disk disk;
static struct blk_request req;
static struct image image = { .capacity = SECTORS * 512ULL, .block = 4096, .can_discard = true };

static int setup(void **state)
{
	const struct blk_options o = { .disk.queues = 4, .disk.serial = "serial-7" };

	(void)state;
	testring_open(&t, 64, false, true);
	image.readonly = false;
	blk_disk_init(&disk, &o, &image);
	disk.features = disk.offered;
	chain = (struct virtq_chain){ .mem = &t.mem };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	testring_close(&t);
	return 0;
}

static void add(uint64_t gpa, uint32_t len, bool writable)
{
	chain.piece[chain.n_readable + chain.n_writable] = (struct virtq_piece){ GPA(gpa), len };
	if (writable) {
		chain.n_writable++;
		chain.writable_len += len;
	} else {
		chain.n_readable++;
		chain.readable_len += len;
	}
}

/* A chain with a header, out bytes to the device and in bytes from it, and a status. */
static int parse(uint32_t type, uint64_t sector, uint32_t out, uint32_t in)
{
	chain = (struct virtq_chain){ .mem = &t.mem };
	memcpy(t.ram + HEADER, &type, 4);
	memcpy(t.ram + HEADER + 8, &sector, 8);
	add(HEADER, 16, false);
	if (out)
		add(OUT, out, false);
	if (in)
		add(IN, in, true);
	add(STATUS, 1, true);
	return blk_parse(&disk, &chain, &req);
}

static void put_range(uint64_t sector, uint32_t n, uint32_t flags)
{
	memcpy(t.ram + OUT, &sector, 8);
	memcpy(t.ram + OUT + 8, &n, 4);
	memcpy(t.ram + OUT + 12, &flags, 4);
}

static void expect_answer(int r, uint8_t status)
{
	assert_int_equal(r, 0);
	assert_int_equal(req.action, BLK_ANSWER);
	assert_int_equal(req.status, status);
}

static void expect_start(int r, enum image_op op, uint64_t sector, uint64_t n)
{
	assert_int_equal(r, 0);
	assert_int_equal(req.action, BLK_START);
	assert_int_equal(req.io.op, op);
	assert_int_equal(req.io.offset, sector * 512);
	assert_int_equal(req.io.len, n * 512);
}

static void test_right_requests(void **state)
{
	(void)state;
	expect_start(parse(VIRTIO_BLK_T_IN, 3, 0, 1024), IMAGE_READ, 3, 2);
	assert_int_equal(req.room, 1024);
	assert_int_equal(req.status_gpa.v, STATUS);
	expect_start(parse(VIRTIO_BLK_T_OUT, SECTORS - 1, 512, 0), IMAGE_WRITE, SECTORS - 1, 1);
	expect_start(parse(VIRTIO_BLK_T_FLUSH, 99, 0, 0), IMAGE_FLUSH, 0, 0);
	assert_int_equal(parse(VIRTIO_BLK_T_GET_ID, 0, 0, 20), 0);
	assert_int_equal(req.action, BLK_GET_ID);
	put_range(8, 16, 0);
	expect_start(parse(VIRTIO_BLK_T_DISCARD, 0, 16, 0), IMAGE_DISCARD, 8, 16);
	put_range(8, 16, 1);
	expect_start(parse(VIRTIO_BLK_T_WRITE_ZEROES, 0, 16, 0), IMAGE_ZERO, 8, 16);
	assert_true(req.io.may_unmap);
}

static void test_outside_of_the_disk(void **state)
{
	static const struct {
		uint64_t sector;
		uint32_t n;
	} rows[] = {
		{ SECTORS, 1 },		 { SECTORS - 1, 2 },	  { UINT64_MAX, 1 },
		{ UINT64_MAX / 512, 1 }, { UINT64_MAX / 512, 2 }, { 1ULL << 55, 1 },
		{ (1ULL << 55) - 1, 2 }, { 1ULL << 63, 1 },	  { SECTORS - 7, 8 },
		{ UINT64_MAX - 1, 8 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t s = rows[i].sector;

		expect_answer(parse(VIRTIO_BLK_T_IN, s, 0, rows[i].n * 512), VIRTIO_BLK_S_IOERR);
		expect_answer(parse(VIRTIO_BLK_T_OUT, s, rows[i].n * 512, 0), VIRTIO_BLK_S_IOERR);
		put_range(s, rows[i].n, 0);
		expect_answer(parse(VIRTIO_BLK_T_DISCARD, 0, 16, 0), VIRTIO_BLK_S_IOERR);
		expect_answer(parse(VIRTIO_BLK_T_WRITE_ZEROES, 0, 16, 0), VIRTIO_BLK_S_IOERR);
	}
	put_range(0, UINT32_MAX, 0);
	expect_answer(parse(VIRTIO_BLK_T_WRITE_ZEROES, 0, 16, 0), VIRTIO_BLK_S_IOERR);
}

static void test_lengths(void **state)
{
	static const uint32_t bad[] = { 0, 1, 511, 513, 1023 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		expect_answer(parse(VIRTIO_BLK_T_IN, 0, 0, bad[i]), VIRTIO_BLK_S_IOERR);
		expect_answer(parse(VIRTIO_BLK_T_OUT, 0, bad[i], 0), VIRTIO_BLK_S_IOERR);
	}
	put_range(0, 8, 0);
	expect_answer(parse(VIRTIO_BLK_T_DISCARD, 0, 15, 0), VIRTIO_BLK_S_IOERR);
	expect_answer(parse(VIRTIO_BLK_T_DISCARD, 0, 17, 0), VIRTIO_BLK_S_IOERR);
	expect_answer(parse(VIRTIO_BLK_T_DISCARD, 0, 32, 0), VIRTIO_BLK_S_IOERR);
}

static void test_flags(void **state)
{
	(void)state;
	put_range(0, 8, 1);
	expect_answer(parse(VIRTIO_BLK_T_DISCARD, 0, 16, 0), VIRTIO_BLK_S_UNSUPP);
	put_range(0, 8, 2);
	expect_answer(parse(VIRTIO_BLK_T_WRITE_ZEROES, 0, 16, 0), VIRTIO_BLK_S_UNSUPP);
}

static void test_unknown_types(void **state)
{
	(void)state;
	for (uint32_t type = 0; type < 64; type++)
		if (type > 1 && type != 4 && type != 8 && type != 11 && type != 13)
			expect_answer(parse(type, 0, 512, 512), VIRTIO_BLK_S_UNSUPP);
	expect_answer(parse(UINT32_MAX, 0, 0, 512), VIRTIO_BLK_S_UNSUPP);
}

static void test_not_negotiated(void **state)
{
	(void)state;
	disk.features = 0;
	put_range(0, 8, 0);
	expect_answer(parse(VIRTIO_BLK_T_DISCARD, 0, 16, 0), VIRTIO_BLK_S_UNSUPP);
	expect_answer(parse(VIRTIO_BLK_T_WRITE_ZEROES, 0, 16, 0), VIRTIO_BLK_S_UNSUPP);
}

static void test_chains_that_are_no_requests(void **state)
{
	(void)state;
	chain = (struct virtq_chain){ .mem = &t.mem };
	add(HEADER, 16, false); /* CVE-2026-48914: no room for the status */
	assert_int_equal(blk_parse(&disk, &chain, &req), -EBADMSG);
	chain = (struct virtq_chain){ .mem = &t.mem };
	add(HEADER, 15, false);
	add(STATUS, 1, true);
	assert_int_equal(blk_parse(&disk, &chain, &req), -EBADMSG);
	chain = (struct virtq_chain){ .mem = &t.mem };
	add(STATUS, 513, true);
	assert_int_equal(blk_parse(&disk, &chain, &req), -EBADMSG);
	chain = (struct virtq_chain){ .mem = &t.mem };
	add(HEADER, 16, false);
	add(TR_RAM - 512, 513, true); /* the status is behind the end of RAM */
	assert_int_equal(blk_parse(&disk, &chain, &req), -EFAULT);
	chain = (struct virtq_chain){ .mem = &t.mem };
	add(TR_RAM - 8, 16, false);
	add(STATUS, 1, true);
	assert_int_equal(blk_parse(&disk, &chain, &req), -EFAULT);
}

static void test_read_only(void **state)
{
	const struct blk_options o = { .disk.queues = 1, .disk.serial = "" };

	(void)state;
	image.readonly = true;
	blk_disk_init(&disk, &o, &image);
	assert_true(disk.offered & (1U << VIRTIO_BLK_F_RO));
	assert_false(disk.offered & (1U << VIRTIO_BLK_F_DISCARD));
	disk.features = disk.offered;
	put_range(0, 8, 0);
	expect_answer(parse(VIRTIO_BLK_T_OUT, 0, 512, 0), VIRTIO_BLK_S_IOERR);
	expect_answer(parse(VIRTIO_BLK_T_DISCARD, 0, 16, 0), VIRTIO_BLK_S_IOERR);
	expect_answer(parse(VIRTIO_BLK_T_WRITE_ZEROES, 0, 16, 0), VIRTIO_BLK_S_IOERR);
	expect_start(parse(VIRTIO_BLK_T_IN, 0, 0, 512), IMAGE_READ, 0, 1);
	disk.features = 0; /* a driver that does not know the bit may not write either */
	expect_answer(parse(VIRTIO_BLK_T_OUT, 0, 512, 0), VIRTIO_BLK_S_IOERR);
}

/* 5.2.5.2: who may lose a write that was answered. */
static void test_write_cache(void **state)
{
	const uint64_t wce = 1U << VIRTIO_BLK_F_CONFIG_WCE, flush = 1U << VIRTIO_BLK_F_FLUSH;
	uint8_t off = 0, two = 2;

	(void)state;
	assert_int_equal(parse(VIRTIO_BLK_T_OUT, 0, 512, 0), 0);
	assert_false(req.io.sync);
	assert_int_equal(blk_config_write(&disk, 32, &two, 1), -EINVAL);
	assert_int_equal(blk_config_write(&disk, 31, &off, 1), -EINVAL);
	assert_int_equal(blk_config_write(&disk, 32, &off, 1), 0);
	assert_int_equal(parse(VIRTIO_BLK_T_OUT, 0, 512, 0), 0);
	assert_true(req.io.sync);
	assert_int_equal(parse(VIRTIO_BLK_T_IN, 0, 0, 512), 0);
	assert_false(req.io.sync);
	disk.features = flush; /* no choice: write-back, with flushes */
	assert_true(blk_writes_back(&disk));
	assert_int_equal(blk_config_write(&disk, 32, &off, 1), -EINVAL);
	disk.features = 0;
	assert_false(blk_writes_back(&disk));
	blk_disk_reset(&disk);
	disk.features = wce;
	assert_true(blk_writes_back(&disk));
}

static void test_configuration(void **state)
{
	uint8_t c[VIRTIO_BLK_CONFIG_LEN + 4];
	uint64_t capacity;

	(void)state;
	memset(c, 0xa5, sizeof(c));
	memset(c, 0, VIRTIO_BLK_CONFIG_LEN);
	blk_config_read(&disk, c);
	memcpy(&capacity, c, 8);
	assert_int_equal(capacity, SECTORS);
	assert_int_equal(c[20] | c[21] << 8, 512); /* blk_size */
	assert_int_equal(c[24], 3);		   /* 4096-byte blocks */
	assert_int_equal(c[32], 1);		   /* writeback */
	assert_int_equal(c[34], 4);		   /* num_queues */
	assert_int_equal(c[56], 1);		   /* write_zeroes_may_unmap */
	assert_int_equal(c[VIRTIO_BLK_CONFIG_LEN], 0xa5);
	assert_memory_equal(disk.id, "serial-7\0\0\0\0\0\0\0\0\0\0\0", 20);
}

/* What is no whole number of the disk's blocks is none of its requests. */
static void test_blocks_of_4096(void **state)
{
	const struct blk_options o = { .disk.queues = 1,
				       .disk.image.logical = DISK_4096,
				       .disk.serial = "" };
	uint8_t c[VIRTIO_BLK_CONFIG_LEN];

	(void)state;
	image.capacity += 512;
	image.block = 512;
	blk_disk_init(&disk, &o, &image);
	image.capacity -= 512;
	image.block = 4096;
	disk.features = disk.offered;
	assert_int_equal(disk.capacity, SECTORS * 512ULL);
	expect_start(parse(VIRTIO_BLK_T_IN, 8, 0, 8192), IMAGE_READ, 8, 16);
	expect_answer(parse(VIRTIO_BLK_T_IN, 1, 0, 4096), VIRTIO_BLK_S_IOERR);
	expect_answer(parse(VIRTIO_BLK_T_IN, 0, 0, 512), VIRTIO_BLK_S_IOERR);
	expect_answer(parse(VIRTIO_BLK_T_OUT, 0, 4096 + 512, 0), VIRTIO_BLK_S_IOERR);
	put_range(8, 7, 0);
	expect_answer(parse(VIRTIO_BLK_T_DISCARD, 0, 16, 0), VIRTIO_BLK_S_IOERR);
	put_range(7, 8, 0);
	expect_answer(parse(VIRTIO_BLK_T_WRITE_ZEROES, 0, 16, 0), VIRTIO_BLK_S_IOERR);
	blk_config_read(&disk, c);
	assert_int_equal(c[20] | c[21] << 8, 4096); /* blk_size */
	assert_int_equal(c[24], 0);		    /* physical: one of them */
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_right_requests), CASE(test_outside_of_the_disk),
		CASE(test_blocks_of_4096), CASE(test_lengths),
		CASE(test_flags),	   CASE(test_unknown_types),
		CASE(test_not_negotiated), CASE(test_chains_that_are_no_requests),
		CASE(test_read_only),	   CASE(test_write_cache),
		CASE(test_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
