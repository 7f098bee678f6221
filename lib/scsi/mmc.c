/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of a CD-ROM; see scsi.h. Sections are of MMC-6. One session of one track of data, as an image of ISO 9660 is. */
#include "lib/scsi/internal.h"

#include "lib/base/cleanup.h"

#include <string.h>

#define LEAD_OUT 0xaa
#define DATA_TRACK 0x14		    /* ADR and CONTROL */
#define CD_BLOCKS (80ULL * 60 * 75) /* a medium of more is a DVD */
#define MSF_START 150 /* blocks before the first one, counted as minutes, seconds and frames */

/* 6.49 and SBC-3, 5.20; there is no motor. */
void scsi_start_stop(const struct scsi_command *c, struct scsi_result *r)
{
	struct scsi_lun *l = c->lun;
	const bool load = c->cdb[4] & 1, tray = c->cdb[4] & 2;

	if (!tray || l->type != SCSI_CDROM || c->cdb[4] & 0xf0)
		return;
	if (!load && l->locked) {
		scsi_fail(r, SENSE_REMOVAL_PREVENTED);
		return;
	}
	if (load && l->open)
		l->attention = SENSE_MEDIUM_CHANGED;
	l->open = !load;
}

/* 6.19 */
void scsi_prevent_allow(const struct scsi_command *c, struct scsi_result *r)
{
	(void)r;
	c->lun->locked = c->cdb[4] & 1;
}

/* Frames are of 75ths of a second. */
static void put_address(uint8_t *at, uint32_t block, bool msf)
{
	if (!msf) {
		put_be32(at, block);
		return;
	}
	block += MSF_START;
	at[1] = (uint8_t)(block / 75 / 60);
	at[2] = (uint8_t)(block / 75 % 60);
	at[3] = (uint8_t)(block % 75);
}

static void put_track(struct scsi_result *r, uint8_t track, uint32_t block, bool msf)
{
	uint8_t *at = scsi_put(r, 8);

	at[1] = DATA_TRACK;
	at[2] = track;
	put_address(at + 4, block, msf);
}

static uint32_t blocks(const struct scsi_lun *l)
{
	return l->n_blocks > UINT32_MAX ? UINT32_MAX : (uint32_t)l->n_blocks;
}

/* 6.25: the tracks, or the sessions. */
void scsi_read_toc(const struct scsi_command *c, struct scsi_result *r)
{
	const bool msf = c->cdb[1] & 2;
	const uint8_t from = c->cdb[6], format = c->cdb[2] & 0xf ? c->cdb[2] & 0xf : c->cdb[9] >> 6;
	uint8_t *head = scsi_put(r, 4);

	head[2] = head[3] = 1; /* first and last */
	if (format == 0 && (from <= 1 || from == LEAD_OUT)) {
		if (from <= 1)
			put_track(r, 1, 0, msf);
		put_track(r, LEAD_OUT, blocks(c->lun), msf);
	} else if (format == 1) {
		put_track(r, 1, 0, msf);
	} else {
		scsi_fail(r, SENSE_INVALID_FIELD);
		return;
	}
	put_be16(head, (uint16_t)(r->n_data - 2));
}

#define PROFILE_CD_ROM 0x0008
#define PROFILE_DVD_ROM 0x0010

static uint16_t profile(const struct scsi_lun *l)
{
	if (l->open)
		return 0;
	return l->n_blocks > CD_BLOCKS ? PROFILE_DVD_ROM : PROFILE_CD_ROM;
}

/* 5.3 */
static void profiles(const struct scsi_lun *l, uint8_t *at)
{
	put_be16(at, PROFILE_DVD_ROM);
	at[2] = profile(l) == PROFILE_DVD_ROM;
	put_be16(at + 4, PROFILE_CD_ROM);
	at[6] = profile(l) == PROFILE_CD_ROM;
}

static void core(const struct scsi_lun *l, uint8_t *at)
{
	(void)l;
	put_be32(at, 1); /* SCSI */
}

static void removable(const struct scsi_lun *l, uint8_t *at)
{
	(void)l;
	at[0] = 0x29; /* a tray, that ejects and can be locked */
}

static void readable(const struct scsi_lun *l, uint8_t *at)
{
	put_be32(at, l->block);
	put_be16(at + 4, 16); /* blocks that are read together */
}

static void empty(const struct scsi_lun *l, uint8_t *at)
{
	(void)l, (void)at;
}

static const struct {
	uint16_t code;
	uint8_t len, version;
	uint16_t profile; /* current with that one alone; 0: always, 1: with a medium */
	void (*fill)(const struct scsi_lun *l, uint8_t *at);
} features[] = {
	{ 0x0000, 8, 0, 0, profiles },
	{ 0x0001, 8, 2, 0, core },
	{ 0x0002, 4, 1, 0, empty },
	/* morphing */ { 0x0003, 4, 0, 0, removable },
	{ 0x0010, 8, 0, 1, readable },
	{ 0x001e, 4, 2, PROFILE_CD_ROM, empty },
	{ 0x001f, 4, 1, PROFILE_DVD_ROM, empty },
};

static bool is_current(const struct scsi_lun *l, size_t i)
{
	const uint16_t with = features[i].profile;

	return with == 0 || (with == 1 ? !l->open : with == profile(l));
}

/* 6.5: all, those that are current, or one. */
void scsi_configuration(const struct scsi_command *c, struct scsi_result *r)
{
	const uint8_t which = c->cdb[1] & 3;
	const uint16_t from = get_be16(c->cdb + 2);
	uint8_t *head = scsi_put(r, 8);

	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		const bool current = is_current(c->lun, i);
		uint8_t *at;

		if (which == 2 ? features[i].code != from : features[i].code < from)
			continue;
		if (which == 1 && !current)
			continue;
		at = scsi_put(r, 4U + features[i].len);
		put_be16(at, features[i].code);
		/* version; whether it is there for ever, as it is if always current */
		at[2] = (uint8_t)(features[i].version << 2 | (features[i].profile ? 0 : 2) |
				  current);
		at[3] = features[i].len;
		features[i].fill(c->lun, at + 4);
	}
	if (which == 3) {
		scsi_fail(r, SENSE_INVALID_FIELD);
		return;
	}
	put_be32(head, r->n_data - 4);
	put_be16(head + 6, profile(c->lun));
}

#define CLASS_MEDIA 4
#define MEDIA_CLOSED 2
#define MEDIA_OPEN 1

/* 6.7: of its classes of events there is the medium's; nobody but the guest moves it. */
void scsi_event_status(const struct scsi_command *c, struct scsi_result *r)
{
	uint8_t *head = scsi_put(r, 4), *at;

	if (!(c->cdb[1] & 1)) { /* to be told later */
		scsi_fail(r, SENSE_INVALID_FIELD);
		return;
	}
	head[3] = 1U << CLASS_MEDIA;
	if (!(c->cdb[4] & 1U << CLASS_MEDIA)) {
		head[2] = 0x80; /* none that was asked for */
		put_be16(head, 2);
		return;
	}
	head[2] = CLASS_MEDIA;
	at = scsi_put(r, 4);
	at[1] = c->lun->open ? MEDIA_OPEN : MEDIA_CLOSED;
	put_be16(head, 6);
}

/* 6.22: finished, of one session. */
void scsi_disc_information(const struct scsi_command *c, struct scsi_result *r)
{
	uint8_t *at;

	if (c->cdb[1] & 7) {
		scsi_fail(r, SENSE_INVALID_FIELD);
		return;
	}
	at = scsi_put(r, 34);
	put_be16(at, 32);
	at[2] = 0x0e; /* the last session is complete; the disc, finalized */
	at[3] = at[4] = at[5] = at[6] = 1;
	at[7] = 0x20; /* may be used by anyone */
}

/* 6.26: of the one track, by its number, its session, or any of its blocks. */
void scsi_track_information(const struct scsi_command *c, struct scsi_result *r)
{
	const uint8_t by = c->cdb[1] & 3;
	const uint32_t which = get_be32(c->cdb + 2);
	uint8_t *at;

	if (by == 3 || (by == 0 ? which >= c->lun->n_blocks : which != 1)) {
		scsi_fail(r, SENSE_INVALID_FIELD);
		return;
	}
	at = scsi_put(r, 36);
	put_be16(at, 34);
	at[2] = at[3] = 1;
	at[5] = 0x04; /* data */
	at[6] = 0x01; /* mode 1 */
	put_be32(at + 24, blocks(c->lun));
}

/* 6.13: no changer. */
void scsi_mechanism_status(const struct scsi_command *c, struct scsi_result *r)
{
	uint8_t *at = scsi_put(r, 8);

	at[1] = c->lun->open ? 0x10 : 0;
}
