/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of a disk; see scsi.h. All numbers are big-endian. */
#include "lib/iscsi/scsi.h"

#include "lib/base/be.h"

#include <errno.h>
#include <string.h>

#define INQUIRY_LEN 36U
#define CAPACITY_LEN 32U
#define MODE_LEN 4U
#define CACHING_LEN 24U
#define LIMITS_LEN 64U
#define NAMES_LEN 252U
#define PAGE_SERIAL 0x80U
#define PAGE_NAMES 0x83U
#define PAGE_LIMITS 0xb0U
#define PAGE_CACHING 0x08U
#define ALL_PAGES 0x3fU
#define NO_DESCRIPTORS 0x08U /* DBD */
#define UNMAP_BIT 0x08U
#define FUA_BIT 0x08U
#define READONLY_BIT 0x80U /* of a disk's mode header */
#define DPOFUA_BIT 0x10U   /* likewise */
#define WCE_BIT 0x04U	   /* of the page of caching */
#define UNBOUNDED 0xffffffffU
#define SAME_MOST 65536U /* blocks of one command where the target says no bound */

/* ---- commands ---- */

static void of_range(uint8_t *out, uint8_t operation, uint64_t lba, uint32_t blocks)
{
	out[0] = operation;
	put_be64(out + 2, lba);
	put_be32(out + 10, blocks);
}

static void of_inquiry(uint8_t *out, uint8_t page, uint32_t len)
{
	out[0] = 0x12;
	out[1] = page != 0;
	out[2] = page;
	put_be16(out + 3, len);
}

static void of_mode(uint8_t *out, uint8_t page, uint8_t len)
{
	out[0] = 0x1a;
	out[1] = NO_DESCRIPTORS;
	out[2] = page;
	out[4] = len;
}

void scsi_cdb(enum scsi_verb verb, uint64_t lba, uint32_t blocks, uint8_t out[ISCSI_CDB_LEN])
{
	memset(out, 0, ISCSI_CDB_LEN);
	switch (verb) {
	case SCSI_READ:
		of_range(out, 0x88, lba, blocks);
		break;
	case SCSI_WRITE:
	case SCSI_WRITE_STABLE:
		of_range(out, 0x8a, lba, blocks);
		out[1] = verb == SCSI_WRITE ? 0 : FUA_BIT;
		break;
	case SCSI_WRITE_SAME_UNMAP:
	case SCSI_WRITE_SAME:
		of_range(out, 0x93, lba, blocks);
		out[1] = verb == SCSI_WRITE_SAME ? 0 : UNMAP_BIT;
		break;
	case SCSI_SYNCHRONIZE:
		of_range(out, 0x91, 0, 0);
		break;
	case SCSI_TEST_READY:
		break;
	case SCSI_INQUIRY:
		of_inquiry(out, 0, INQUIRY_LEN);
		break;
	case SCSI_INQUIRY_LIMITS:
		of_inquiry(out, PAGE_LIMITS, LIMITS_LEN);
		break;
	case SCSI_INQUIRY_SERIAL:
		of_inquiry(out, PAGE_SERIAL, NAMES_LEN);
		break;
	case SCSI_INQUIRY_NAMES:
		of_inquiry(out, PAGE_NAMES, NAMES_LEN);
		break;
	case SCSI_CAPACITY:
		out[0] = 0x9e;
		out[1] = 0x10;
		put_be32(out + 10, CAPACITY_LEN);
		break;
	case SCSI_MODE:
		of_mode(out, ALL_PAGES, MODE_LEN);
		break;
	case SCSI_CACHING:
		of_mode(out, PAGE_CACHING, CACHING_LEN);
		break;
	case SCSI_UNMAP:
		out[0] = 0x42;
		put_be16(out + 7, SCSI_UNMAP_LEN);
		break;
	}
}

void scsi_unmap_list(uint64_t lba, uint32_t blocks, uint8_t out[SCSI_UNMAP_LEN])
{
	memset(out, 0, SCSI_UNMAP_LEN);
	put_be16(out, SCSI_UNMAP_LEN - 2);
	put_be16(out + 2, SCSI_UNMAP_LEN - 8);
	put_be64(out + 8, lba);
	put_be32(out + 16, blocks);
}

uint32_t scsi_reply_len(enum scsi_verb verb)
{
	switch (verb) {
	case SCSI_INQUIRY:
		return INQUIRY_LEN;
	case SCSI_INQUIRY_LIMITS:
		return LIMITS_LEN;
	case SCSI_INQUIRY_SERIAL:
	case SCSI_INQUIRY_NAMES:
		return NAMES_LEN;
	case SCSI_CACHING:
		return CACHING_LEN;
	case SCSI_CAPACITY:
		return CAPACITY_LEN;
	case SCSI_MODE:
		return MODE_LEN;
	default:
		return 0;
	}
}

/* ---- what they answer ---- */

static int take_inquiry(const uint8_t *data, size_t len)
{
	if (len < 1)
		return -EBADMSG;
	if (data[0] >> 5)
		return -ENXIO; /* nothing is connected there */
	return (data[0] & 0x1f) == 0 ? 0 : -EOPNOTSUPP;
}

static int take_capacity(struct scsi_disk *d, const uint8_t *data, size_t len)
{
	uint64_t last;
	uint32_t block;

	if (len < 12)
		return -EBADMSG;
	last = get_be64(data);
	block = get_be32(data + 8);
	if (block < 512 || block > SCSI_BLOCK_MAX || block & (block - 1))
		return -EOPNOTSUPP;
	if (last >= INT64_MAX / block)
		return -EBADMSG;
	d->blocks = last + 1;
	d->block = block;
	d->physical = block;
	d->unmaps = d->unmapped_is_zero = false;
	if (len < 16)
		return 0;
	while (d->physical < SCSI_BLOCK_MAX && d->physical < (uint64_t)block << (data[13] & 15))
		d->physical *= 2;
	d->unmaps = data[14] & 0x80;
	d->unmapped_is_zero = data[14] & 0x40;
	return 0;
}

static uint32_t limit_of(const uint8_t *data, size_t len, size_t at, uint32_t unsaid)
{
	return len >= at + 4 && get_be32(data + at) ? get_be32(data + at) : unsaid;
}

/* A target that has no such page says none of it. */
static int take_limits(struct scsi_disk *d, const uint8_t *data, size_t len)
{
	bool is_page = len >= 4 && data[1] == PAGE_LIMITS;
	uint64_t same = 0;

	if (len >= 44 && is_page)
		same = get_be64(data + 36);
	d->same_max = same && same < SAME_MOST ? (uint32_t)same : SAME_MOST;
	d->io_max = limit_of(data, is_page ? len : 0, 8, UNBOUNDED);
	d->unmap_max = limit_of(data, is_page ? len : 0, 20, UNBOUNDED);
	return 0;
}

static int take_mode(struct scsi_disk *d, const uint8_t *data, size_t len)
{
	if (len < 3)
		return -EBADMSG;
	d->readonly = data[2] & READONLY_BIT;
	d->takes_fua = data[2] & DPOFUA_BIT;
	return 0;
}

/* Behind the header and its descriptors, of which there are to be none. */
static int take_caching(struct scsi_disk *d, const uint8_t *data, size_t len)
{
	size_t at = len < MODE_LEN ? len : MODE_LEN + (size_t)data[3];

	d->cached = len < at + 3 || (data[at] & 0x3f) != PAGE_CACHING || data[at + 2] & WCE_BIT;
	return 0;
}

static void add_name(struct scsi_disk *d, const uint8_t *data, size_t len)
{
	size_t room = sizeof(d->names) - d->names_len;

	if (len > room)
		len = room;
	memcpy(d->names + d->names_len, data, len);
	d->names_len += len;
}

/* Of a page of identification: its bytes, up to what came. */
static size_t page_end(const uint8_t *data, size_t len, uint8_t page)
{
	size_t end;

	if (len < 4 || data[1] != page)
		return 0;
	end = get_be16(data + 2) + 4U;
	return end < len ? end : len;
}

static int take_serial(struct scsi_disk *d, const uint8_t *data, size_t len)
{
	size_t end = page_end(data, len, PAGE_SERIAL);

	if (end > 4)
		add_name(d, data + 4, end - 4);
	return 0;
}

/* Those that are the unit's own, not a port's or its target's. */
static int take_names(struct scsi_disk *d, const uint8_t *data, size_t len)
{
	size_t end = page_end(data, len, PAGE_NAMES), size;

	for (size_t at = 4; at + 4 <= end; at += size) {
		size = 4 + (size_t)data[at + 3];
		if (size > end - at)
			break;
		if ((data[at + 1] >> 4 & 3) == 0)
			add_name(d, data + at, size);
	}
	return 0;
}

bool scsi_disk_is(const struct scsi_disk *a, const struct scsi_disk *b)
{
	return a->blocks == b->blocks && a->block == b->block && a->names_len == b->names_len &&
	       memcmp(a->names, b->names, a->names_len) == 0;
}

int scsi_disk_take(struct scsi_disk *d, enum scsi_verb verb, const uint8_t *data, size_t len)
{
	switch (verb) {
	case SCSI_INQUIRY:
		return take_inquiry(data, len);
	case SCSI_CAPACITY:
		return take_capacity(d, data, len);
	case SCSI_MODE:
		return take_mode(d, data, len);
	case SCSI_CACHING:
		return take_caching(d, data, len);
	case SCSI_INQUIRY_LIMITS:
		return take_limits(d, data, len);
	case SCSI_INQUIRY_SERIAL:
		return take_serial(d, data, len);
	case SCSI_INQUIRY_NAMES:
		return take_names(d, data, len);
	default:
		return 0;
	}
}

struct scsi_sense scsi_sense_decode(const uint8_t *data, size_t len)
{
	const struct scsi_sense none = { .key = 0 };
	const uint8_t *s = data + 2;
	size_t n = len < 2 ? 0 : get_be16(data);

	if (n > len - 2 && len >= 2)
		n = len - 2;
	if (n < 4)
		return none;
	switch (s[0] & 0x7f) {
	case 0x70:
	case 0x71:
		return (struct scsi_sense){ s[2] & 15, n > 12 ? s[12] : 0, n > 13 ? s[13] : 0 };
	case 0x72:
	case 0x73:
		return (struct scsi_sense){ s[1] & 15, s[2], s[3] };
	default:
		return none;
	}
}

int scsi_lun(uint32_t number, uint8_t out[ISCSI_LUN_LEN])
{
	if (number >= 16384)
		return -EINVAL;
	memset(out, 0, ISCSI_LUN_LEN);
	put_be16(out, number < 256 ? number : 0x4000 | number);
	return 0;
}
