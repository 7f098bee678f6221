/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands, and what is checked for all of them; see scsi.h. */
#include "lib/scsi/internal.h"

#include "lib/base/cleanup.h"

#include <string.h>

enum {
	DISK = 1,
	CD = 2,
	BOTH = DISK | CD,
};

enum {
	NEEDS_MEDIUM = 1,
	WRITES = 2,	      /* refused where the medium is not to be written */
	ANY_LUN = 4,	      /* also of one that the target does not have */
	BEFORE_ATTENTION = 8, /* carried out although there is something to be told; SAM-5, 5.14 */
};

/* In the order of their codes. `allocation` says where the CDB has how much is to be answered at most, in how many bytes:
 * 0: there is none, the answer's length is the command's own. */
static const struct command {
	uint8_t opcode;
	uint8_t types;
	uint8_t flags;
	uint8_t allocation, width;
	bool param; /* what the guest sends is parameters */
	scsi_run *run;
} commands[] = {
	{ TEST_UNIT_READY, BOTH, NEEDS_MEDIUM, 0, 0, false, scsi_test_unit_ready },
	{ REQUEST_SENSE, BOTH, ANY_LUN | BEFORE_ATTENTION, 4, 1, false, scsi_request_sense },
	{ READ_6, BOTH, NEEDS_MEDIUM, 0, 0, false, scsi_read_write },
	{ WRITE_6, DISK, NEEDS_MEDIUM | WRITES, 0, 0, false, scsi_read_write },
	{ INQUIRY, BOTH, ANY_LUN | BEFORE_ATTENTION, 3, 2, false, scsi_inquiry },
	{ MODE_SENSE_6, BOTH, 0, 4, 1, false, scsi_mode_sense_6 },
	{ START_STOP_UNIT, BOTH, 0, 0, 0, false, scsi_start_stop },
	{ PREVENT_ALLOW, BOTH, 0, 0, 0, false, scsi_prevent_allow },
	{ READ_CAPACITY_10, BOTH, NEEDS_MEDIUM, 0, 0, false, scsi_capacity_10 },
	{ READ_10, BOTH, NEEDS_MEDIUM, 0, 0, false, scsi_read_write },
	{ WRITE_10, DISK, NEEDS_MEDIUM | WRITES, 0, 0, false, scsi_read_write },
	{ VERIFY_10, BOTH, NEEDS_MEDIUM, 0, 0, false, scsi_verify },
	{ SYNCHRONIZE_CACHE_10, BOTH, NEEDS_MEDIUM, 0, 0, false, scsi_synchronize },
	{ WRITE_SAME_10, DISK, NEEDS_MEDIUM | WRITES, 0, 0, true, scsi_write_same },
	{ UNMAP, DISK, NEEDS_MEDIUM | WRITES, 0, 0, true, scsi_unmap },
	{ READ_TOC, CD, NEEDS_MEDIUM, 7, 2, false, scsi_read_toc },
	{ GET_CONFIGURATION, CD, BEFORE_ATTENTION, 7, 2, false, scsi_configuration },
	{ GET_EVENT_STATUS, CD, BEFORE_ATTENTION, 7, 2, false, scsi_event_status },
	{ READ_DISC_INFORMATION, CD, NEEDS_MEDIUM, 7, 2, false, scsi_disc_information },
	{ READ_TRACK_INFORMATION, CD, NEEDS_MEDIUM, 7, 2, false, scsi_track_information },
	{ MODE_SENSE_10, BOTH, 0, 7, 2, false, scsi_mode_sense_10 },
	{ READ_16, BOTH, NEEDS_MEDIUM, 0, 0, false, scsi_read_write },
	{ WRITE_16, DISK, NEEDS_MEDIUM | WRITES, 0, 0, false, scsi_read_write },
	{ VERIFY_16, BOTH, NEEDS_MEDIUM, 0, 0, false, scsi_verify },
	{ SYNCHRONIZE_CACHE_16, BOTH, NEEDS_MEDIUM, 0, 0, false, scsi_synchronize },
	{ WRITE_SAME_16, DISK, NEEDS_MEDIUM | WRITES, 0, 0, true, scsi_write_same },
	{ SERVICE_ACTION_IN_16, BOTH, NEEDS_MEDIUM, 10, 4, false, scsi_service_action_in },
	{ REPORT_LUNS, BOTH, ANY_LUN | BEFORE_ATTENTION, 6, 4, false, scsi_report_luns },
	{ READ_12, BOTH, NEEDS_MEDIUM, 0, 0, false, scsi_read_write },
	{ WRITE_12, DISK, NEEDS_MEDIUM | WRITES, 0, 0, false, scsi_read_write },
	{ MECHANISM_STATUS, CD, 0, 8, 2, false, scsi_mechanism_status },
};

static const struct command *find(uint8_t opcode)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].opcode == opcode)
			return &commands[i];
	return NULL;
}

/* The byte that ends every CDB, by its group: SAM-5, 5.2. The groups that are in the table have a length. */
static uint8_t control_of(const uint8_t *cdb)
{
	static const uint8_t length[] = { 6, 10, 10, 0, 16, 12 };
	const uint8_t group = cdb[0] >> 5;

	return group < ARRAY_SIZE(length) && length[group] ? cdb[length[group] - 1] : 0;
}

#define CONTROL_NACA 0x04 /* that a failure stops all others: not offered */

static uint32_t be_of(const uint8_t *at, unsigned int width)
{
	uint32_t v = 0;

	for (unsigned int i = 0; i < width; i++)
		v = v << 8 | at[i];
	return v;
}

uint32_t scsi_wants(const uint8_t *cdb)
{
	const struct command *k = find(cdb[0]);

	return k && k->param ? SCSI_PARAM_MAX : 0;
}

/* SENSE_NONE, or why it is not carried out. */
static enum scsi_sense refuse(const struct command *k, const struct scsi_command *c)
{
	const struct scsi_lun *l = c->lun;

	if (!l && !(k && k->flags & ANY_LUN))
		return SENSE_NO_SUCH_LUN;
	if (!k || (l && !(k->types & (l->type == SCSI_CDROM ? CD : DISK))))
		return SENSE_INVALID_OPCODE;
	if (control_of(c->cdb) & CONTROL_NACA)
		return SENSE_INVALID_FIELD;
	if (!l)
		return SENSE_NONE;
	if (k->flags & NEEDS_MEDIUM && l->open)
		return SENSE_NO_MEDIUM;
	return k->flags & WRITES && !scsi_writable(l) ? SENSE_WRITE_PROTECTED : SENSE_NONE;
}

/* What was done since the guest last asked is told once, in the place of a command. */
static bool tell_attention(const struct command *k, const struct scsi_command *c,
			   struct scsi_result *r)
{
	if (!c->lun || !c->lun->attention || (k && k->flags & BEFORE_ATTENTION))
		return false;
	scsi_fail(r, c->lun->attention);
	c->lun->attention = SENSE_NONE;
	return true;
}

/* What is asked for is the most that is answered, and no more is than there is room for. */
static void cut(const struct command *k, const struct scsi_command *c, struct scsi_result *r)
{
	const uint32_t most = k->width ? be_of(c->cdb + k->allocation, k->width) : r->n_data;

	if (r->n_data > most)
		r->n_data = most;
	r->moved = r->n_data;
	if (r->n_data <= c->n_in)
		return;
	r->action = SCSI_OVERRUN;
	r->n_data = 0;
	r->moved = 0;
}

void scsi_command(const struct scsi_command *c, struct scsi_result *ret)
{
	const struct command *k = find(c->cdb[0]);
	enum scsi_sense why;

	memset(ret, 0, sizeof(*ret));
	if (tell_attention(k, c, ret))
		return;
	why = refuse(k, c);
	if (why) {
		scsi_fail(ret, why);
		return;
	}
	k->run(c, ret);
	if (ret->action == SCSI_ANSWER && ret->status == SCSI_GOOD && ret->n_data)
		cut(k, c, ret);
}
