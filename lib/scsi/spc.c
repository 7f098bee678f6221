/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of every device, and sense data; see scsi.h. Sections are of SPC-4. */
#include "lib/scsi/internal.h"

#include <stdio.h>
#include <string.h>

void scsi_lun_init(struct scsi_lun *l, enum scsi_type type, const struct image *image,
		   uint32_t block, uint32_t physical, const char *id)
{
	*l = (struct scsi_lun){ .type = type,
				.image = image,
				.block = block,
				.physical = physical,
				.n_blocks = image->capacity / block };
	snprintf(l->id, sizeof(l->id), "%s", id);
}

/* The tray closes, as one does when its machine is switched on. */
void scsi_lun_reset(struct scsi_lun *l)
{
	l->open = l->locked = false;
	l->attention = SENSE_NONE;
}

/* 4.5.3 */
void scsi_sense_put(uint8_t *at, enum scsi_sense sense)
{
	memset(at, 0, SCSI_SENSE_LEN);
	at[0] = 0x70; /* current, of fixed format */
	at[2] = (uint8_t)(sense >> 16);
	at[7] = SCSI_SENSE_LEN - 8;
	at[12] = (uint8_t)(sense >> 8);
	at[13] = (uint8_t)sense;
}

enum scsi_sense scsi_sense_of(enum image_op op, int result)
{
	if (result == 0)
		return SENSE_NONE;
	if (result == -ENOSPC)
		return SENSE_NO_SPACE;
	if (result == -EOPNOTSUPP)
		return SENSE_INVALID_FIELD;
	return op == IMAGE_READ ? SENSE_READ_ERROR : SENSE_WRITE_ERROR;
}

void scsi_test_unit_ready(const struct scsi_command *c, struct scsi_result *r)
{
	(void)c;
	r->status = SCSI_GOOD;
}

/* 6.39. A command's sense comes with its response: what is left to be told is an attention. */
void scsi_request_sense(const struct scsi_command *c, struct scsi_result *r)
{
	enum scsi_sense sense = c->lun ? c->lun->attention : SENSE_NO_SUCH_LUN;

	if (c->cdb[1] & 1) { /* descriptor format */
		scsi_fail(r, SENSE_INVALID_FIELD);
		return;
	}
	if (c->lun && !sense && c->lun->open)
		sense = SENSE_NO_MEDIUM;
	if (c->lun)
		c->lun->attention = SENSE_NONE;
	scsi_sense_put(scsi_put(r, SCSI_SENSE_LEN), sense);
}

/* 6.33: SELECT REPORT, of which the second asks for well-known units, and there are none. */
void scsi_report_luns(const struct scsi_command *c, struct scsi_result *r)
{
	const uint8_t select = c->cdb[2];
	uint8_t *head = scsi_put(r, 8);

	if (select > 2 || get_be32(c->cdb + 6) < 16) {
		scsi_fail(r, SENSE_INVALID_FIELD);
		return;
	}
	for (unsigned int i = 0; i < SCSI_LUNS_MAX && select != 1; i++)
		if (c->luns >> i & 1)
			scsi_put(r, 8)[1] = (uint8_t)i;
	put_be32(head, r->n_data - 8);
}
