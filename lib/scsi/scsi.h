/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SCSI commands, the target's side (SAM-5, SPC-4; SBC-3 for disks, MMC-6 for CD-ROMs). Pure: a command
 * descriptor block, and what came with it, to an answer or to one request of an image.
 *
 *   cdb.c     the table: which commands there are for which type, and what each may have; checks that all share
 *   spc.c     commands that every device has
 *   vpd.c     INQUIRY and its pages of vital product data
 *   mode.c    MODE SENSE
 *   sbc.c     of blocks: reads, writes and what becomes of blocks that are not needed
 *   mmc.c     of a CD-ROM
 *
 * All bytes of a CDB are the guest's. No length of it sizes anything: an answer is built in full in a buffer of a
 * fixed size, and cut at what the guest asked for. What is not in the table is refused: so MODE SELECT, as
 * nothing of a device here is the guest's to choose, block sizes least of all.
 */
#ifndef BULKHEAD_SCSI_SCSI_H
#define BULKHEAD_SCSI_SCSI_H

#include "lib/image/image.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCSI_CDB_MAX 16U     /* bytes of the longest command that there is */
#define SCSI_SENSE_LEN 18U   /* of fixed format */
#define SCSI_DATA_MAX 512U   /* bytes of an answer */
#define SCSI_PARAM_MAX 4096U /* bytes of parameters: a block, at most */
#define SCSI_CD_BLOCK 2048U
#define SCSI_ID_LEN 20U
#define SCSI_LUNS_MAX 8U
#define SCSI_RANGE_MAX (1U << 22) /* blocks of one UNMAP or WRITE SAME */

enum scsi_type { SCSI_DISK = 0x00, SCSI_CDROM = 0x05 };

enum scsi_status { SCSI_GOOD = 0x00, SCSI_CHECK_CONDITION = 0x02 };

/* SPC-4, 4.5.6: a sense key, an additional code and its qualifier, as 0xKKAAQQ. */
enum scsi_sense {
	SENSE_NONE = 0,
	SENSE_NO_MEDIUM = 0x023a02, /* the tray is open */
	SENSE_WRITE_ERROR = 0x030c00,
	SENSE_READ_ERROR = 0x031100,
	SENSE_PARAMETER_LENGTH = 0x051a00,
	SENSE_INVALID_OPCODE = 0x052000,
	SENSE_OUT_OF_RANGE = 0x052100,
	SENSE_INVALID_FIELD = 0x052400,
	SENSE_NO_SUCH_LUN = 0x052500,
	SENSE_INVALID_PARAMETER = 0x052600,
	SENSE_NOT_SAVED = 0x053900,
	SENSE_REMOVAL_PREVENTED = 0x055302,
	SENSE_MEDIUM_CHANGED = 0x062800,
	SENSE_WAS_RESET = 0x062903,
	SENSE_CAPACITY_CHANGED = 0x062a09,
	SENSE_WRITE_PROTECTED = 0x072700,
	SENSE_NO_SPACE = 0x072707,
};

/* A logical unit. */
struct scsi_lun {
	enum scsi_type type;
	const struct image *image; /* what it can; requests go through the device */
	uint32_t block;		   /* bytes, as requests count */
	uint32_t physical;	   /* bytes, a multiple of block */
	uint64_t n_blocks;
	char id[SCSI_ID_LEN + 1];
	/* what the guest changes */
	bool open;		   /* the tray: there is no medium */
	bool locked;		   /* the guest prevents its removal */
	enum scsi_sense attention; /* to be told by the next command that may */
};

/* What a device's file is seen as; id is text. */
void scsi_lun_init(struct scsi_lun *l, enum scsi_type type, const struct image *image,
		   uint32_t block, uint32_t physical, const char *id);
/* To power-on. */
void scsi_lun_reset(struct scsi_lun *l);
[[nodiscard]] static inline bool scsi_writable(const struct scsi_lun *l)
{
	return l->type == SCSI_DISK && !l->image->readonly;
}

/* What came with a CDB, and how much there is room for. */
struct scsi_command {
	const uint8_t *cdb;   /* SCSI_CDB_MAX bytes */
	const uint8_t *param; /* the first bytes of what the guest sends, up to SCSI_PARAM_MAX */
	uint64_t n_param;     /* how many of them there are */
	uint64_t n_out;	      /* bytes that the guest sends */
	uint64_t n_in;	      /* bytes that it has room for */
	struct scsi_lun *lun; /* NULL: the target has no such one */
	uint16_t luns;	      /* bits: those that it has */
};

enum scsi_action {
	SCSI_ANSWER,  /* status, sense and data are the answer */
	SCSI_START,   /* io is to be done; done by scsi_finish */
	SCSI_OVERRUN, /* the guest's buffers are smaller than what the CDB says: nothing is done */
};

struct scsi_result {
	enum scsi_action action;
	enum scsi_status status;
	enum scsi_sense sense;
	uint32_t n_data; /* for the guest, of data */
	uint64_t moved; /* bytes of the guest's data that this is about: what is left over is the residual */
	struct image_io io; /* without iov and handle */
	uint8_t data[SCSI_DATA_MAX];
};

/* How many bytes of what the guest sends the command reads as parameters: at most SCSI_PARAM_MAX. */
[[nodiscard]] uint32_t scsi_wants(const uint8_t *cdb);
/* Carries out c, or says what is to be done. */
void scsi_command(const struct scsi_command *c, struct scsi_result *ret);
/* What an image's request came to: SENSE_NONE: it was done. */
[[nodiscard]] enum scsi_sense scsi_sense_of(enum image_op op, int result);
/* SCSI_SENSE_LEN bytes, of fixed format. */
void scsi_sense_put(uint8_t *at, enum scsi_sense sense);

#endif
