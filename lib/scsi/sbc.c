/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of blocks; see scsi.h. Sections are of SBC-3. */
#include "lib/scsi/internal.h"

#include "lib/base/checked.h"

#include <string.h>

/* Where and how many; both the guest's. */
struct range {
	uint64_t block;
	uint64_t n;
};

/* By the length of the CDB, which its code's group says. */
static struct range range_of(const uint8_t *cdb)
{
	switch (cdb[0] >> 5) {
	case 0: /* 5.7: no blocks are 256 of them */
		return (struct range){ (uint32_t)(cdb[1] & 0x1f) << 16 | get_be16(cdb + 2),
				       cdb[4] ? cdb[4] : 256 };
	case 1:
	case 2:
		return (struct range){ get_be32(cdb + 2), get_be16(cdb + 7) };
	case 4:
		return (struct range){ get_be64(cdb + 2), get_be32(cdb + 10) };
	default:
		return (struct range){ get_be32(cdb + 2), get_be32(cdb + 6) };
	}
}

/* Whether these are blocks of the medium, in bytes; else the command has failed. */
static bool on_medium(const struct scsi_lun *l, const struct range *g, struct scsi_result *r)
{
	if (!range_within(g->block, g->n, l->n_blocks)) {
		scsi_fail(r, SENSE_OUT_OF_RANGE);
		return false;
	}
	/* neither product is larger than the medium */
	r->io.offset = g->block * l->block;
	r->io.len = g->n * l->block;
	return true;
}

/* No blocks are nothing to do, and no error. */
static void start(struct scsi_result *r, enum image_op op)
{
	r->io.op = op;
	if (r->io.len || op == IMAGE_FLUSH)
		r->action = SCSI_START;
}

/* Bits of the second byte: protection information, of which there is none, and FUA. */
#define PROTECT 0xe0
#define FUA 0x08

/* 5.6 to 5.11, 5.32 and on */
void scsi_read_write(const struct scsi_command *c, struct scsi_result *r)
{
	const struct range g = range_of(c->cdb);
	const uint8_t code = c->cdb[0] & 0x1f;
	const bool write = code == (WRITE_6 & 0x1f); /* of every group */
	const bool small = c->cdb[0] >> 5 == 0;

	if (!small && c->cdb[1] & PROTECT) {
		scsi_fail(r, SENSE_INVALID_FIELD);
		return;
	}
	if (!on_medium(c->lun, &g, r))
		return;
	if (r->io.len > (write ? c->n_out : c->n_in)) {
		r->action = SCSI_OVERRUN;
		return;
	}
	r->moved = r->io.len;
	r->io.sync = write && !small && c->cdb[1] & FUA;
	start(r, write ? IMAGE_WRITE : IMAGE_READ);
}

/* 5.28: that the blocks can be read is known without reading them; nothing is compared. */
void scsi_verify(const struct scsi_command *c, struct scsi_result *r)
{
	const struct range g = range_of(c->cdb);

	if (c->cdb[1] & (PROTECT | 0x06))
		scsi_fail(r, SENSE_INVALID_FIELD);
	else
		(void)on_medium(c->lun, &g, r);
}

/* 5.22: all of the medium, whatever part is meant. */
void scsi_synchronize(const struct scsi_command *c, struct scsi_result *r)
{
	const struct range g = range_of(c->cdb);

	if (!on_medium(c->lun, &g, r) || !scsi_writable(c->lun))
		return;
	r->io.offset = r->io.len = 0;
	start(r, IMAGE_FLUSH);
}

static bool is_zero(const uint8_t *at, size_t len)
{
	return len == 0 || (at[0] == 0 && memcmp(at, at + 1, len - 1) == 0);
}

/* 5.44: of zeroes alone, as the medium has no other way to have the same many times. */
void scsi_write_same(const struct scsi_command *c, struct scsi_result *r)
{
	const struct range g = range_of(c->cdb);
	const bool no_data = c->cdb[0] == WRITE_SAME_16 && c->cdb[1] & 0x01;

	if (c->cdb[1] & (PROTECT | 0x16 | (no_data ? 0 : 0x01)) || !g.n || g.n > SCSI_RANGE_MAX) {
		scsi_fail(r, SENSE_INVALID_FIELD);
		return;
	}
	if (!on_medium(c->lun, &g, r))
		return;
	if (!no_data && c->n_param < c->lun->block) {
		r->action = SCSI_OVERRUN;
		return;
	}
	if (!no_data && !is_zero(c->param, c->lun->block)) {
		scsi_fail(r, SENSE_INVALID_PARAMETER);
		return;
	}
	r->moved = no_data ? 0 : c->lun->block;
	r->io.may_unmap = c->cdb[1] & 0x08;
	start(r, IMAGE_ZERO);
}

#define UNMAP_HEAD 8U
#define UNMAP_RANGE 16U

/* 5.25: at most one range, as the page of limits says. */
void scsi_unmap(const struct scsi_command *c, struct scsi_result *r)
{
	const uint16_t len = get_be16(c->cdb + 7);
	struct range g;

	if (!c->lun->image->can_discard || c->cdb[1] & 1) {
		scsi_fail(r, c->cdb[1] & 1 ? SENSE_INVALID_FIELD : SENSE_INVALID_OPCODE);
		return;
	}
	if (len > c->n_param) {
		r->action = SCSI_OVERRUN;
		return;
	}
	r->moved = len;
	if (!len)
		return;
	if (len < UNMAP_HEAD) {
		scsi_fail(r, SENSE_PARAMETER_LENGTH);
		return;
	}
	if (get_be16(c->param + 2) < UNMAP_RANGE)
		return; /* no range */
	if (get_be16(c->param + 2) != UNMAP_RANGE || len < UNMAP_HEAD + UNMAP_RANGE) {
		scsi_fail(r, SENSE_INVALID_PARAMETER);
		return;
	}
	g = (struct range){ get_be64(c->param + UNMAP_HEAD), get_be32(c->param + UNMAP_HEAD + 8) };
	if (g.n > SCSI_RANGE_MAX)
		scsi_fail(r, SENSE_INVALID_PARAMETER);
	else if (on_medium(c->lun, &g, r))
		start(r, IMAGE_DISCARD);
}

/* 5.12: the last block; one that is too far asks for the longer command. */
void scsi_capacity_10(const struct scsi_command *c, struct scsi_result *r)
{
	const uint64_t last = c->lun->n_blocks - 1;
	uint8_t *at = scsi_put(r, 8);

	put_be32(at, last > UINT32_MAX ? UINT32_MAX : (uint32_t)last);
	put_be32(at + 4, c->lun->block);
}

/* 5.13 */
void scsi_service_action_in(const struct scsi_command *c, struct scsi_result *r)
{
	const struct scsi_lun *l = c->lun;
	uint8_t *at;

	if ((c->cdb[1] & 0x1f) != READ_CAPACITY_16 || l->type != SCSI_DISK) {
		scsi_fail(r, SENSE_INVALID_OPCODE);
		return;
	}
	at = scsi_put(r, 32);
	put_be64(at, l->n_blocks - 1);
	put_be32(at + 8, l->block);
	at[13] = (uint8_t)__builtin_ctz(l->physical / l->block);
	/* thin; what is unmapped need not read as zeroes */
	at[14] = scsi_writable(l) && l->image->can_discard ? 0x80 : 0;
}
