/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev-flash under any run of accesses, with any file and anything kept: no access leaves the view, the file has one of two
 * sizes, and what it has once the flash shows its array is that array. Input: bits that say whether the log behind the
 * store and what is kept are made of it, its bytes for those, then accesses of four bytes.
 */
#include "cmd/dev-flash/flash.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SIZE (2 * 4096U)
#define ALL (SIZE + FLASH_LOG_LEN(SIZE))
#define LOG_TAKEN 512
#define ACCESS_LEN 4

static struct flash f;
static struct store store;
static struct kept kept;
static uint8_t view[SIZE], disk[ALL];
static uint64_t disk_size;

static void require(bool ok)
{
	if (!ok)
		abort();
}

static size_t take(const uint8_t **data, size_t *size, void *to, size_t len)
{
	size_t n = len < *size ? len : *size;

	memcpy(to, *data, n);
	*data += n;
	*size -= n;
	return n;
}

static ssize_t read_disk(void *owner, void *to, size_t len, uint64_t at)
{
	(void)owner;
	require(at + len <= disk_size);
	memcpy(to, disk + at, len);
	return (ssize_t)len;
}

static ssize_t write_disk(void *owner, const void *from, size_t len, uint64_t at)
{
	(void)owner;
	require(at + len <= disk_size);
	memcpy(disk + at, from, len);
	return (ssize_t)len;
}

static int sync_disk(void *owner)
{
	(void)owner;
	return 0;
}

static int truncate_disk(void *owner, uint64_t size)
{
	(void)owner;
	require(size == SIZE || size == ALL);
	if (size > disk_size)
		memset(disk + disk_size, 0, size - disk_size);
	disk_size = size;
	return 0;
}

static void access_one(uint16_t id, const uint8_t a[ACCESS_LEN])
{
	const uint32_t offset = a[1] | (uint32_t)(a[0] & 0x1f) << 8;

	f.vfu.id = id;
	switch (a[0] >> 6) {
	case 0:
	case 1:
		f.vfu.ops->write(&f, a[0] >> 5 & 1 && a[2] == 0xaa, offset, 1, a[2]);
		break;
	case 2:
		f.vfu.ops->settle(&f);
		break;
	default:
		if (a[2] & 1)
			f.vfu.ops->reset(&f);
		else
			require(f.vfu.ops->read(&f, 0, offset, 1) == view[offset]);
	}
	require(f.now.mode < FLASH_MODES && f.now.at < SIZE);
	require(f.now.mode != FLASH_ARRAY || store.full || memcmp(view, store.saved, SIZE) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct store_io io = { read_disk, write_disk, sync_disk, truncate_disk, NULL };
	uint8_t how = 0, access[ACCESS_LEN];
	struct loop loop;
	int pair[2], timer;

	take(&data, &size, &how, 1);
	memset(disk, 0x5a, SIZE);
	memset(disk + SIZE, 0, sizeof(disk) - SIZE);
	memset(view, 0xa5, sizeof(view));
	memset(&kept, 0, sizeof(kept));
	disk_size = how & 1 ? ALL : SIZE;
	if (how & 1)
		take(&data, &size, disk + SIZE, LOG_TAKEN);
	if (how & 2)
		take(&data, &size, &kept, sizeof(kept));
	timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (timer < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ||
	    loop_open(&loop) < 0)
		return 0;
	require(store_alloc(&store, &io, disk_size) == 0);
	require(flash_open(&f, &store, view, &kept, timer, &loop, pair[0]) == 0);
	require(store_read(&store) == 0);
	flash_begin(&f);
	for (uint16_t id = 1; take(&data, &size, access, sizeof(access)) == sizeof(access); id++)
		access_one(id, access);
	flash_finish(&f);
	require(disk_size == SIZE && memcmp(disk, view, SIZE) == 0);
	loop_remove(&loop, &f.timer);
	vfu_server_close(&f.vfu);
	loop_close(&loop);
	store_free(&store);
	close(pair[1]);
	close(timer);
	return 0;
}
