/* SPDX-License-Identifier: Apache-2.0 */
/* INQUIRY and its pages; see scsi.h. SPC-4, 6.6 and 7.8; SBC-3, 6.6. */
#include "lib/scsi/internal.h"

#include "lib/base/cleanup.h"

#include <string.h>

#define NO_LUN 0x7f /* qualifier and type of a unit that is not there */

static void put_text(uint8_t *at, size_t len, const char *text)
{
	size_t n = strnlen(text, len);

	memset(at, ' ', len);
	memcpy(at, text, n);
}

/* 7.8.15 */
static void unit_serial(const struct scsi_lun *l, struct scsi_result *r)
{
	const uint32_t n = (uint32_t)strnlen(l->id, SCSI_ID_LEN);

	memcpy(scsi_put(r, n), l->id, n);
}

/* 7.8.6: one designator of this unit, by the vendor and its serial number. */
static void identification(const struct scsi_lun *l, struct scsi_result *r)
{
	const uint32_t n = (uint32_t)strnlen(l->id, SCSI_ID_LEN);
	uint8_t *head = scsi_put(r, 4), *name = scsi_put(r, 8 + n);

	head[0] = 2; /* ASCII */
	head[1] = 1; /* T10 vendor identification */
	head[3] = (uint8_t)(8 + n);
	put_text(name, 8, "BULKHEAD");
	memcpy(name + 8, l->id, n);
}

/* SBC-3, 6.6.4; without its first four bytes, as are all. */
static void block_limits(const struct scsi_lun *l, struct scsi_result *r)
{
	uint8_t *at = scsi_put(r, 60);
	const uint32_t per = l->physical / l->block;

	at[0] = 1; /* WSNZ: a WRITE SAME says how many */
	put_be16(at + 2, (uint16_t)per);
	if (!scsi_writable(l))
		return;
	put_be64(at + 32, SCSI_RANGE_MAX);
	if (!l->image->can_discard)
		return;
	put_be32(at + 16, SCSI_RANGE_MAX);
	put_be32(at + 20, 1); /* descriptors of one UNMAP */
	put_be32(at + 24, per);
}

/* SBC-3, 6.6.2 */
static void characteristics(const struct scsi_lun *l, struct scsi_result *r)
{
	(void)l;
	put_be16(scsi_put(r, 60), 1); /* does not rotate */
}

/* SBC-3, 6.6.5 */
static void provisioning(const struct scsi_lun *l, struct scsi_result *r)
{
	uint8_t *at = scsi_put(r, 4);

	if (!scsi_writable(l))
		return;
	at[1] = l->image->can_discard ? 0xe0 : 0x60; /* UNMAP; WRITE SAME of 16 and of 10 bytes */
	at[2] = l->image->can_discard ? 2 : 0;	     /* thin */
}

static void supported(const struct scsi_lun *l, struct scsi_result *r);

static const struct {
	uint8_t page;
	bool disk; /* alone */
	void (*put)(const struct scsi_lun *l, struct scsi_result *r);
} pages[] = {
	{ 0x00, false, supported },	 { 0x80, false, unit_serial },
	{ 0x83, false, identification }, { 0xb0, true, block_limits },
	{ 0xb1, true, characteristics }, { 0xb2, true, provisioning },
};

static bool has_page(const struct scsi_lun *l, size_t i)
{
	return !pages[i].disk || l->type == SCSI_DISK;
}

/* 7.8.14 */
static void supported(const struct scsi_lun *l, struct scsi_result *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
		if (has_page(l, i))
			*scsi_put(r, 1) = pages[i].page;
}

static void vital(const struct scsi_lun *l, uint8_t page, struct scsi_result *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		uint8_t *head;

		if (pages[i].page != page || !has_page(l, i))
			continue;
		head = scsi_put(r, 4);
		head[0] = (uint8_t)l->type;
		head[1] = page;
		pages[i].put(l, r);
		put_be16(head + 2, (uint16_t)(r->n_data - 4));
		return;
	}
	scsi_fail(r, SENSE_INVALID_FIELD);
}

/* 6.6.2 */
static void standard(const struct scsi_lun *l, struct scsi_result *r)
{
	uint8_t *at = scsi_put(r, 66);

	at[0] = l ? (uint8_t)l->type : NO_LUN;
	at[1] = l && l->type == SCSI_CDROM ? 0x80 : 0; /* removable */
	at[2] = 5;				       /* SPC-3 */
	at[3] = 0x12;				       /* HiSup; the format of this answer */
	at[4] = 66 - 5;
	at[7] = 0x02; /* commands in any order */
	put_text(at + 8, 8, "BULKHEAD");
	put_text(at + 16, 16, l && l->type == SCSI_CDROM ? "CD-ROM" : "DISK");
	put_text(at + 32, 4, "1");
	put_be16(at + 58, 0x00a0);					 /* SAM-5 */
	put_be16(at + 60, 0x0460);					 /* SPC-4 */
	put_be16(at + 62, l && l->type == SCSI_CDROM ? 0x0460 : 0x04c0); /* SBC-3 */
}

void scsi_inquiry(const struct scsi_command *c, struct scsi_result *r)
{
	const uint8_t page = c->cdb[2];

	if (c->cdb[1] & 1 && c->lun)
		vital(c->lun, page, r);
	else if (c->cdb[1] & 3 || page)
		scsi_fail(r, SENSE_INVALID_FIELD);
	else
		standard(c->lun, r);
}
