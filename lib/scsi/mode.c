/* SPDX-License-Identifier: Apache-2.0 */
/* MODE SENSE; see scsi.h. Nothing is to be chosen, so MODE SELECT there is none. SPC-4, 6.11 and 7.5; MMC-6, 7. */
#include "lib/scsi/internal.h"

#include "lib/base/cleanup.h"

/* SBC-3, 6.5.5 */
static void caching(const struct scsi_lun *l, uint8_t *at)
{
	at[2] = scsi_writable(l) ? 0x04 : 0; /* WCE */
}

/* MMC-6, 7.3.2 of older ones, which drivers still ask for: reads CDs and DVDs, has a tray that can be locked. */
static void capabilities(const struct scsi_lun *l, uint8_t *at)
{
	at[2] = 0x3b; /* reads CD-R, CD-RW, DVD-ROM, DVD-R and DVD-RAM */
	at[4] = 0x70; /* sectors of mode 2, sessions */
	at[6] = (uint8_t)(0x29 | (l->locked ? 0x02 : 0)); /* a tray; it ejects; locks */
	put_be16(at + 8, 706 * 4);			  /* KB/s */
	put_be16(at + 12, 2048);			  /* KiB of buffer */
	put_be16(at + 14, 706 * 4);
}

static void nothing(const struct scsi_lun *l, uint8_t *at)
{
	(void)l, (void)at;
}

static const struct {
	uint8_t code, len; /* bytes that follow the first two */
	bool disk, cd;
	void (*fill)(const struct scsi_lun *l, uint8_t *at);
} pages[] = {
	{ 0x01, 10, true, true, nothing }, /* errors: nothing is tried again by us */
	{ 0x08, 18, true, false, caching },
	{ 0x0a, 10, true, false, nothing }, /* control */
	{ 0x2a, 20, false, true, capabilities },
};

#define ALL_PAGES 0x3f

enum { CURRENT, CHANGEABLE, DEFAULT, SAVED };

static bool put_pages(const struct scsi_lun *l, uint8_t code, unsigned int which,
		      struct scsi_result *r)
{
	bool any = false;

	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		uint8_t *at;

		if ((code != ALL_PAGES && code != pages[i].code) ||
		    !(l->type == SCSI_CDROM ? pages[i].cd : pages[i].disk))
			continue;
		any = true;
		at = scsi_put(r, 2U + pages[i].len);
		at[0] = pages[i].code;
		at[1] = pages[i].len;
		if (which != CHANGEABLE)
			pages[i].fill(l, at);
	}
	return any || code == ALL_PAGES;
}

/* What blocks there are: of a disk, unless it is not wanted. */
static uint8_t put_blocks(const struct scsi_command *c, struct scsi_result *r)
{
	const struct scsi_lun *l = c->lun;
	uint8_t *at;

	if (c->cdb[1] & 0x08 || l->type != SCSI_DISK)
		return 0;
	at = scsi_put(r, 8);
	put_be32(at, l->n_blocks > UINT32_MAX ? UINT32_MAX : (uint32_t)l->n_blocks);
	put_be32(at + 4, l->block);
	return 8;
}

static uint8_t specific(const struct scsi_lun *l)
{
	if (l->type == SCSI_CDROM)
		return 0;
	return scsi_writable(l) ? 0x10 : 0x90; /* FUA is heeded; write-protected */
}

/* True: the header is to be filled in; *ret_blocks bytes of what is behind it are of blocks. */
static bool sense(const struct scsi_command *c, struct scsi_result *r, uint8_t *ret_blocks)
{
	const unsigned int which = c->cdb[2] >> 6;
	const uint8_t code = c->cdb[2] & 0x3f;

	if (which == SAVED) {
		scsi_fail(r, SENSE_NOT_SAVED);
		return false;
	}
	*ret_blocks = put_blocks(c, r);
	if ((c->cdb[3] == 0 || c->cdb[3] == 0xff) && put_pages(c->lun, code, which, r))
		return true;
	scsi_fail(r, SENSE_INVALID_FIELD);
	return false;
}

void scsi_mode_sense_6(const struct scsi_command *c, struct scsi_result *r)
{
	uint8_t *head = scsi_put(r, 4), blocks;

	if (!sense(c, r, &blocks))
		return;
	head[0] = (uint8_t)(r->n_data - 1);
	head[2] = specific(c->lun);
	head[3] = blocks;
}

void scsi_mode_sense_10(const struct scsi_command *c, struct scsi_result *r)
{
	uint8_t *head = scsi_put(r, 8), blocks;

	if (!sense(c, r, &blocks))
		return;
	put_be16(head, (uint16_t)(r->n_data - 2));
	head[3] = specific(c->lun);
	head[7] = blocks;
}
