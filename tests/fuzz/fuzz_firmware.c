/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev-firmware's registers under any run of accesses, with any image of items and anything kept: offsets stay
 * within the image, a byte that is read is of the item or zero, and an access that comes twice is one. Input: bits
 * that say whether the image and what is kept are made of it, its bytes for those, then accesses of four bytes.
 */
#include "cmd/dev-firmware/registers.h"

#include "lib/base/cleanup.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD_LEN 64 /* of the image, beside its rows: what the input says */
#define ACCESS_LEN 4

static uint8_t image[FWCFG_IMAGE_SIZE];
static struct kept kept;
static struct registers r;
static uint64_t now_ns;

static void require(bool ok)
{
	if (!ok)
		abort();
}

static uint64_t clock_of_the_input(clockid_t id)
{
	return id == CLOCK_MONOTONIC ? now_ns : now_ns * 1000;
}

static size_t take(const uint8_t **data, size_t *size, void *to, size_t len)
{
	size_t n = len < *size ? len : *size;

	memcpy(to, *data, n);
	*data += n;
	*size -= n;
	return n;
}

static void make_image(bool wild, const uint8_t **data, size_t *size)
{
	static const uint8_t cmos[FWCFG_CMOS_LEN], file[700];
	struct fwcfg_writer w;

	memset(image, 0, sizeof(image));
	fwcfg_begin(&w, image, cmos);
	fwcfg_add(&w, 0, "QEMU", 4);
	fwcfg_add_file(&w, "file", file, sizeof(file));
	require(fwcfg_finish(&w) == 0);
	if (wild)
		take(data, size, image + FWCFG_ROWS_AT, HEAD_LEN);
	memset(image + FWCFG_DATA_AT, 0x5a, sizeof(image) - FWCFG_DATA_AT);
}

static void check_run(uint16_t id, uint32_t len)
{
	uint8_t first[VFU_DATA_MAX], again[VFU_DATA_MAX];
	uint32_t offset;

	r.vfu.id = id;
	require(r.vfu.ops->read_run(&r, 0, FWREGS_DATA, first, len));
	offset = r.items.offset;
	require(offset <= FWCFG_IMAGE_SIZE);
	for (uint32_t i = 0; i < len; i++)
		require(first[i] == 0x5a || first[i] == 0);
	require(r.vfu.ops->read_run(&r, 0, FWREGS_DATA, again, len));
	require(memcmp(first, again, len) == 0 && r.items.offset == offset);
}

static void access_one(uint16_t id, const uint8_t a[ACCESS_LEN])
{
	const uint32_t offset = a[1] | (uint32_t)(a[0] & 1) << 8;
	const unsigned int width = 1U << (a[0] >> 1 & 3);
	const uint64_t value = a[2] | (uint64_t)a[3] << 8;

	r.vfu.id = id;
	now_ns += a[3] * 12345678ULL;
	switch (a[0] >> 3 & 3) {
	case 0:
		r.vfu.ops->write(&r, a[0] >> 7, offset, width, value);
		break;
	case 1:
		(void)r.vfu.ops->read(&r, a[0] >> 7, offset, width);
		break;
	case 2:
		check_run(id, a[2] + 1U);
		break;
	default:
		r.vfu.ops->reset(&r);
	}
	require(r.cmos.index <= CMOS_INDEX_MASK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t how = 0, access[ACCESS_LEN];
	struct loop loop;
	int pair[2];

	take(&data, &size, &how, 1);
	make_image(how & 1, &data, &size);
	memset(&kept, 0, sizeof(kept));
	if (how & 2)
		take(&data, &size, &kept, sizeof(kept));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 || loop_open(&loop) < 0)
		return 0;
	now_ns = 0;
	require(registers_open(&r, image, &kept, clock_of_the_input, &loop, pair[0]) == 0);
	for (uint16_t id = 1; take(&data, &size, access, sizeof(access)) == sizeof(access); id++)
		access_one(id, access);
	vfu_server_close(&r.vfu);
	loop_close(&loop);
	close(pair[1]);
	return 0;
}
