/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of a disk (SPC-4, SBC-3) that are used here, and what they answer: pure. */
#ifndef BULKHEAD_ISCSI_SCSI_H
#define BULKHEAD_ISCSI_SCSI_H

#include "lib/iscsi/pdu.h"

#define SCSI_REPLY_MAX 256U /* bytes of what the commands before the first read answer */
#define SCSI_UNMAP_LEN 24U  /* of UNMAP's list, of one range */
#define SCSI_SENSE_MAX 256U
#define SCSI_BLOCK_MAX 4096U /* bytes of a logical block */
#define SCSI_NAMES_MAX 256U  /* bytes of what tells a logical unit from others */

enum scsi_status {
	SCSI_GOOD = 0x00,
	SCSI_CHECK_CONDITION = 0x02,
	SCSI_BUSY = 0x08,
	SCSI_RESERVATION_CONFLICT = 0x18,
	SCSI_TASK_SET_FULL = 0x28,
	SCSI_TASK_ABORTED = 0x40,
};

enum scsi_key {
	SCSI_KEY_NOT_READY = 2,
	SCSI_KEY_ILLEGAL_REQUEST = 5,
	SCSI_KEY_UNIT_ATTENTION = 6,
	SCSI_KEY_DATA_PROTECT = 7,
	SCSI_KEY_ABORTED_COMMAND = 11,
};

struct scsi_sense {
	uint8_t key, asc, ascq;
};

/* What a logical unit is. */
struct scsi_disk {
	uint64_t blocks;
	uint32_t block;	   /* bytes of a logical one: a power of two from 512 to SCSI_BLOCK_MAX */
	uint32_t physical; /* bytes of one that it prefers */
	bool unmaps;
	bool unmapped_is_zero;
	bool readonly;
	bool takes_fua; /* a write can ask to be stable before it is answered */
	bool cached; /* one that does not may be lost when the unit is reset; so it is where it does not say */
	size_t names_len;
	uint8_t names[SCSI_NAMES_MAX]; /* the same at every port and after every reset; of none: 0 bytes */
	uint32_t io_max, unmap_max, same_max; /* blocks of one command */
};

enum scsi_verb {
	SCSI_READ,
	SCSI_WRITE,
	SCSI_WRITE_STABLE,     /* with FUA */
	SCSI_WRITE_SAME,       /* the block that comes with it */
	SCSI_WRITE_SAME_UNMAP, /* likewise; blocks may be deallocated where they read the same */
	SCSI_SYNCHRONIZE,      /* all of it */
	SCSI_TEST_READY,
	SCSI_INQUIRY,
	SCSI_INQUIRY_LIMITS, /* the page of block limits */
	SCSI_INQUIRY_SERIAL,
	SCSI_INQUIRY_NAMES, /* the page of designators */
	SCSI_CAPACITY,
	SCSI_MODE,    /* the header of MODE SENSE(6) */
	SCSI_CACHING, /* and its page of caching */
	SCSI_UNMAP,
};

void scsi_cdb(enum scsi_verb verb, uint64_t lba, uint32_t blocks, uint8_t out[ISCSI_CDB_LEN]);
/* The list that goes with SCSI_UNMAP. */
void scsi_unmap_list(uint64_t lba, uint32_t blocks, uint8_t out[SCSI_UNMAP_LEN]);
#define SCSI_DISK_UNKNOWN ((struct scsi_disk){ .cached = true })
/* How many bytes of reply each of the commands before the first read has. */
[[nodiscard]] uint32_t scsi_reply_len(enum scsi_verb verb);

/*
 * What came of one of the commands before the first read, in the order of the enum; d begins as SCSI_DISK_UNKNOWN. 0;
 * -EBADMSG: it is too short for what it must have; -ENXIO: there is no logical unit; -EOPNOTSUPP: it is no disk, or one of
 * blocks that are none here.
 */
[[nodiscard]] int scsi_disk_take(struct scsi_disk *d, enum scsi_verb verb, const uint8_t *data,
				 size_t len);
/* The data of a response: two bytes of length, and sense. All 0: there is none. */
struct scsi_sense scsi_sense_decode(const uint8_t *data, size_t len);
/* Whether they are one logical unit: as large, and of the same names. */
[[nodiscard]] bool scsi_disk_is(const struct scsi_disk *a, const struct scsi_disk *b);
/* The structure of a number below 16384; or -EINVAL. */
[[nodiscard]] int scsi_lun(uint32_t number, uint8_t out[ISCSI_LUN_LEN]);

#endif
