/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of lib/scsi share. */
#ifndef BULKHEAD_SCSI_INTERNAL_H
#define BULKHEAD_SCSI_INTERNAL_H

#include "lib/base/be.h"
#include "lib/scsi/scsi.h"

enum scsi_opcode {
	TEST_UNIT_READY = 0x00,
	REQUEST_SENSE = 0x03,
	READ_6 = 0x08,
	WRITE_6 = 0x0a,
	INQUIRY = 0x12,
	MODE_SENSE_6 = 0x1a,
	START_STOP_UNIT = 0x1b,
	PREVENT_ALLOW = 0x1e,
	READ_CAPACITY_10 = 0x25,
	READ_10 = 0x28,
	WRITE_10 = 0x2a,
	VERIFY_10 = 0x2f,
	SYNCHRONIZE_CACHE_10 = 0x35,
	WRITE_SAME_10 = 0x41,
	UNMAP = 0x42,
	READ_TOC = 0x43,
	GET_CONFIGURATION = 0x46,
	GET_EVENT_STATUS = 0x4a,
	READ_DISC_INFORMATION = 0x51,
	READ_TRACK_INFORMATION = 0x52,
	MODE_SENSE_10 = 0x5a,
	READ_16 = 0x88,
	WRITE_16 = 0x8a,
	VERIFY_16 = 0x8f,
	SYNCHRONIZE_CACHE_16 = 0x91,
	WRITE_SAME_16 = 0x93,
	SERVICE_ACTION_IN_16 = 0x9e,
	REPORT_LUNS = 0xa0,
	READ_12 = 0xa8,
	WRITE_12 = 0xaa,
	MECHANISM_STATUS = 0xbd,
};

/* The service action of READ CAPACITY (16). */
#define READ_CAPACITY_16 0x10

/* A command is refused. */
static inline void scsi_fail(struct scsi_result *r, enum scsi_sense sense)
{
	r->action = SCSI_ANSWER;
	r->status = SCSI_CHECK_CONDITION;
	r->sense = sense;
	r->n_data = 0;
	r->moved = 0;
}

/* Room for n more bytes of the answer, which are zero; all answers fit, whatever the guest says. */
static inline uint8_t *scsi_put(struct scsi_result *r, uint32_t n)
{
	uint8_t *at = r->data + r->n_data;

	r->n_data += n;
	return at;
}

/* Each of cdb.c's table. An answer is what they put into r; they need not cut it. */
typedef void scsi_run(const struct scsi_command *c, struct scsi_result *r);

/* spc.c */
scsi_run scsi_test_unit_ready, scsi_request_sense, scsi_report_luns;
/* vpd.c */
scsi_run scsi_inquiry;
/* mode.c */
scsi_run scsi_mode_sense_6, scsi_mode_sense_10;
/* sbc.c */
scsi_run scsi_read_write, scsi_verify, scsi_synchronize, scsi_write_same, scsi_unmap,
	scsi_capacity_10, scsi_service_action_in;
/* mmc.c */
scsi_run scsi_start_stop, scsi_prevent_allow, scsi_read_toc, scsi_configuration, scsi_event_status,
	scsi_disc_information, scsi_track_information, scsi_mechanism_status;

#endif
