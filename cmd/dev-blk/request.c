/* SPDX-License-Identifier: Apache-2.0 */
/* One chain to one checked virtio-blk request; see blk.h. Pure but for reading the chain. */
#include "cmd/dev-blk/blk.h"

#include "lib/base/cleanup.h"
#include "lib/base/checked.h"
#include "lib/base/units.h"

#include <errno.h>

/* 5.2.6 */
struct blk_header {
	uint32_t type;
	uint32_t reserved;
	uint64_t sector;
};
_Static_assert(sizeof(struct blk_header) == VIRTIO_BLK_HEADER_LEN, "5.2.6");

struct blk_range {
	uint64_t sector;
	uint32_t n_sectors;
	uint32_t flags;
};
_Static_assert(sizeof(struct blk_range) == 16, "5.2.6");

static int answer(struct blk_request *r, uint8_t status)
{
	r->action = BLK_ANSWER;
	r->status = status;
	return 0;
}

/* Whether sectors from sector on, len bytes, are on the disk; both are the guest's. */
static bool on_disk(const struct blk_disk *disk, uint64_t sector, uint64_t len,
		    uint64_t *ret_offset)
{
	uint64_t offset;

	if (!u64_mul(sector, IMAGE_SECTOR, &offset) || !len || (offset | len) % disk->logical ||
	    !range_within(offset, len, disk->capacity))
		return false;
	*ret_offset = offset;
	return true;
}

static int start(const struct blk_disk *disk, struct blk_request *r, enum image_op op,
		 uint64_t sector, uint64_t len)
{
	uint64_t offset;

	if (!on_disk(disk, sector, len, &offset))
		return answer(r, VIRTIO_BLK_S_IOERR);
	r->action = BLK_START;
	r->io.op = op;
	r->io.offset = offset;
	r->io.len = len;
	r->io.sync = op != IMAGE_READ && !blk_writes_back(disk);
	return 0;
}

static int parse_in(const struct blk_disk *disk, const struct virtq_chain *c,
		    const struct blk_header *h, struct blk_request *r)
{
	(void)c;
	return start(disk, r, IMAGE_READ, h->sector, r->room);
}

static int parse_out(const struct blk_disk *disk, const struct virtq_chain *c,
		     const struct blk_header *h, struct blk_request *r)
{
	return start(disk, r, IMAGE_WRITE, h->sector, c->readable_len - VIRTIO_BLK_HEADER_LEN);
}

static int parse_flush(const struct blk_disk *disk, const struct virtq_chain *c,
		       const struct blk_header *h, struct blk_request *r)
{
	(void)disk, (void)c, (void)h;
	r->action = BLK_START;
	r->io.op = IMAGE_FLUSH;
	return 0;
}

static int parse_id(const struct blk_disk *disk, const struct virtq_chain *c,
		    const struct blk_header *h, struct blk_request *r)
{
	(void)disk, (void)c, (void)h;
	r->action = BLK_GET_ID;
	r->status = VIRTIO_BLK_S_OK;
	return 0;
}

/* One range is what we offer; flags is what this type may have set. */
static int parse_range(const struct blk_disk *disk, const struct virtq_chain *c,
		       struct blk_request *r, enum image_op op, uint32_t flags)
{
	struct blk_range range;
	int e;

	if (c->readable_len != VIRTIO_BLK_HEADER_LEN + sizeof(range))
		return answer(r, VIRTIO_BLK_S_IOERR);
	e = virtq_chain_read(c, VIRTIO_BLK_HEADER_LEN, &range, sizeof(range));
	if (e < 0)
		return e;
	if (range.flags & ~flags)
		return answer(r, VIRTIO_BLK_S_UNSUPP);
	if (range.n_sectors > BLK_RANGE_MAX)
		return answer(r, VIRTIO_BLK_S_IOERR);
	r->io.may_unmap = range.flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	return start(disk, r, op, range.sector, (uint64_t)range.n_sectors * IMAGE_SECTOR);
}

static int parse_discard(const struct blk_disk *disk, const struct virtq_chain *c,
			 const struct blk_header *h, struct blk_request *r)
{
	(void)h;
	return parse_range(disk, c, r, IMAGE_DISCARD, 0);
}

static int parse_zero(const struct blk_disk *disk, const struct virtq_chain *c,
		      const struct blk_header *h, struct blk_request *r)
{
	(void)h;
	return parse_range(disk, c, r, IMAGE_ZERO, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP);
}

static const struct blk_kind {
	uint32_t type;
	bool writes;	  /* refused on a read-only disk */
	uint64_t feature; /* that must have been negotiated */
	int (*parse)(const struct blk_disk *disk, const struct virtq_chain *c,
		     const struct blk_header *h, struct blk_request *r);
} kinds[] = {
	{ VIRTIO_BLK_T_IN, false, 0, parse_in },
	{ VIRTIO_BLK_T_OUT, true, 0, parse_out },
	{ VIRTIO_BLK_T_FLUSH, false, 0, parse_flush },
	{ VIRTIO_BLK_T_GET_ID, false, 0, parse_id },
	{ VIRTIO_BLK_T_DISCARD, true, BIT(VIRTIO_BLK_F_DISCARD), parse_discard },
	{ VIRTIO_BLK_T_WRITE_ZEROES, true, BIT(VIRTIO_BLK_F_WRITE_ZEROES), parse_zero },
};

static int parse_kind(const struct blk_disk *disk, const struct virtq_chain *c,
		      const struct blk_header *h, struct blk_request *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct blk_kind *k = &kinds[i];

		if (k->type != h->type)
			continue;
		if (k->writes && (disk->offered & BIT(VIRTIO_BLK_F_RO)))
			return answer(r, VIRTIO_BLK_S_IOERR);
		if (k->feature & ~disk->features)
			return answer(r, VIRTIO_BLK_S_UNSUPP);
		return k->parse(disk, c, h, r);
	}
	return answer(r, VIRTIO_BLK_S_UNSUPP);
}

/* The status is the last writable byte; that it is RAM shows before anything is done. */
static int place_status(const struct virtq_chain *c, struct blk_request *r)
{
	struct iovec iov[1];
	size_t n = 0;
	const struct virtq_piece *last;

	if (!c->writable_len)
		return -EBADMSG;
	last = &c->piece[c->n_readable + c->n_writable - 1];
	r->status_gpa = GPA(last->gpa.v + last->len - 1);
	r->room = c->writable_len - 1;
	return guest_iov(c->mem, r->status_gpa, 1, iov, &n, 1);
}

int blk_parse(const struct blk_disk *disk, const struct virtq_chain *c, struct blk_request *ret)
{
	struct blk_request r = { 0 };
	struct blk_header h;
	int e;

	if (c->readable_len < sizeof(h))
		return -EBADMSG;
	e = place_status(c, &r);
	if (e == 0)
		e = virtq_chain_read(c, 0, &h, sizeof(h));
	if (e == 0)
		e = parse_kind(disk, c, &h, &r);
	if (e < 0)
		return e;
	*ret = r;
	return 0;
}
