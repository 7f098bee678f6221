/* SPDX-License-Identifier: Apache-2.0 */
/* What a request is in SCSI's commands, and what their answers mean; see iscsi_client.h. */
#include "lib/image/iscsi_client_internal.h"

#include "lib/base/cleanup.h"
#include "lib/image/iov.h"

#include <errno.h>
#include <string.h>

#define TRIES 8U	    /* of a command that the target does not take now */
#define DATA_MAX (8U << 20) /* bytes of one command */
#define LUN_NOT_SUPPORTED 0x25
#define WAS_RESET 0x29	  /* with UNIT ATTENTION */
#define HAS_CHANGED 0x2a  /* likewise: parameters or capacity */
#define SPACE_FAILED 0x27 /* with DATA PROTECT: and ASCQ 7 */

static const uint8_t zeroes[ISCSI_ZEROES];

/* What is asked before the first read, in this order. */
static const enum scsi_verb looks[] = {
	SCSI_INQUIRY,	    SCSI_TEST_READY,	 SCSI_CAPACITY,
	SCSI_MODE,	    SCSI_CACHING,	 SCSI_INQUIRY_SERIAL,
	SCSI_INQUIRY_NAMES, SCSI_INQUIRY_LIMITS, SCSI_SYNCHRONIZE,
};

bool initiator_is_write(enum scsi_verb verb)
{
	return verb == SCSI_WRITE || verb == SCSI_WRITE_STABLE || verb == SCSI_WRITE_SAME ||
	       verb == SCSI_WRITE_SAME_UNMAP || verb == SCSI_UNMAP;
}

static bool is_same(enum scsi_verb verb)
{
	return verb == SCSI_WRITE_SAME || verb == SCSI_WRITE_SAME_UNMAP;
}

/* ---- requests ---- */

/* Whether it is done once it is stable, which it is where the unit has no cache that can be lost. */
static bool is_stable(const struct iscsi_client *c, const struct iscsi_task *t)
{
	return (t->io.op == IMAGE_WRITE || t->io.op == IMAGE_ZERO) && t->io.sync && c->disk.cached;
}

static enum scsi_verb write_verb(const struct iscsi_client *c, const struct iscsi_task *t)
{
	return is_stable(c, t) && c->disk.takes_fua ? SCSI_WRITE_STABLE : SCSI_WRITE;
}

static enum scsi_verb verb_of(const struct iscsi_client *c, const struct iscsi_task *t)
{
	if (t == &c->task[ISCSI_LOOKS])
		return looks[c->step];
	if (t->last)
		return SCSI_SYNCHRONIZE;
	switch (t->io.op) {
	case IMAGE_READ:
		return SCSI_READ;
	case IMAGE_WRITE:
		return write_verb(c, t);
	case IMAGE_FLUSH:
		return SCSI_SYNCHRONIZE;
	case IMAGE_DISCARD:
		return SCSI_UNMAP;
	case IMAGE_ZERO:
		break;
	}
	if (c->no_same)
		return write_verb(c, t);
	return t->io.may_unmap && c->disk.unmaps && c->disk.unmapped_is_zero ?
		       SCSI_WRITE_SAME_UNMAP :
		       SCSI_WRITE_SAME;
}

/* Blocks of one command. */
static uint64_t most_of(const struct iscsi_client *c, const struct iscsi_task *t)
{
	const struct scsi_disk *d = &c->disk;
	uint64_t most = (t->io.op == IMAGE_ZERO ? ISCSI_ZEROES : DATA_MAX) / d->block;

	if (is_same(t->verb))
		return d->same_max;
	if (t->verb == SCSI_UNMAP)
		return d->unmap_max;
	return most < d->io_max ? most : d->io_max;
}

void initiator_prepare(struct iscsi_client *c, struct iscsi_task *t)
{
	t->verb = verb_of(c, t);
	t->moved = t->asked = 0;
	t->piece = t->last ? 0 : t->io.len - t->at;
	if (t->verb != SCSI_READ && !initiator_is_write(t->verb)) {
		t->piece = 0;
		t->expected = scsi_reply_len(t->verb);
		return;
	}
	if (t->piece / c->disk.block > most_of(c, t))
		t->piece = most_of(c, t) * c->disk.block;
	t->expected = is_same(t->verb)	    ? c->disk.block :
		      t->verb == SCSI_UNMAP ? SCSI_UNMAP_LEN :
					      (uint32_t)t->piece;
	if (t->verb == SCSI_UNMAP)
		scsi_unmap_list((t->io.offset + t->at) / c->disk.block,
				(uint32_t)(t->piece / c->disk.block), t->list);
}

size_t initiator_data(const struct iscsi_client *c, const struct iscsi_task *t, uint32_t from,
		      uint64_t *len, struct iovec *iov, size_t max)
{
	const uint8_t *at = t->verb == SCSI_UNMAP ? t->list + from : zeroes;

	(void)c;
	if (t->io.op == IMAGE_WRITE)
		return iov_window(t->io.iov, t->io.n_iov, t->at + from, len, iov, max);
	iov[0] = (struct iovec){ (void *)(uintptr_t)at, (size_t)*len };
	return 1;
}

/* ---- answers ---- */

static int judge_disk(struct iscsi_client *c)
{
	const struct scsi_disk *d = &c->looked;

	if (c->known && !scsi_disk_is(d, &c->disk))
		return initiator_fail(c, -EBADMSG, "the target has another disk there than before");
	if (d->block > c->logical)
		return initiator_fail(c, -EOPNOTSUPP,
				      "the disk's blocks have 4096 bytes: say "
				      "logical_block_size=4096");
	if (d->readonly && !c->image.readonly)
		return initiator_fail(
			c, -EACCES,
			"the target does not let this disk be written: readonly=on may be right");
	return 0;
}

static int become_up(struct iscsi_client *c)
{
	int r = judge_disk(c);

	if (r < 0)
		return r;
	c->disk = c->looked;
	c->known = true;
	c->group = c->terms.group;
	c->phase = ISCSI_CLIENT_UP;
	c->image.capacity = c->disk.blocks * c->disk.block;
	c->image.block = c->disk.physical;
	c->image.cached = !c->image.readonly && c->disk.cached;
	c->image.can_discard = !c->image.readonly && c->disk.unmaps;
	for (unsigned int i = 0; i < ISCSI_CLIENT_DEPTH; i++)
		if (c->task[i].state == ISCSI_TASK_COMMAND)
			initiator_command(c, &c->task[i]);
	if (c->found)
		c->found(c);
	return 0;
}

static void look_at(struct iscsi_client *c, unsigned int step)
{
	struct iscsi_task *t = &c->task[ISCSI_LOOKS];

	c->step = step;
	t->tries = 0;
	t->io = (struct image_io){ .op = IMAGE_READ, .iov = &c->reply_iov, .n_iov = 1 };
	initiator_command(c, t);
}

void initiator_look(struct iscsi_client *c)
{
	c->phase = ISCSI_CLIENT_LOOKING;
	c->looked = SCSI_DISK_UNKNOWN;
	c->most = ISCSI_CLIENT_DEPTH;
	c->reply_iov = (struct iovec){ c->reply, sizeof(c->reply) };
	look_at(c, 0);
}

/* len: bytes of its answer. */
static int looked(struct iscsi_client *c, uint32_t len)
{
	int r = scsi_disk_take(&c->looked, looks[c->step], c->reply, len);
	unsigned int next = c->step + 1;

	if (r == -ENXIO)
		return initiator_fail(c, r, "the target has no logical unit of that number");
	if (r == -EOPNOTSUPP)
		return initiator_fail(c, r,
				      "that logical unit is no disk of blocks of 512 to 4096 "
				      "bytes");
	if (r < 0)
		return initiator_fail(c, r, "what the logical unit says of itself is not whole");
	if (next < ARRAY_SIZE(looks) && looks[next] == SCSI_SYNCHRONIZE && c->image.readonly)
		next++;
	if (next == ARRAY_SIZE(looks))
		return become_up(c);
	look_at(c, next);
	return 0;
}

static int look_failed(struct iscsi_client *c, struct scsi_sense sense)
{
	const enum scsi_verb verb = looks[c->step];
	const bool illegal = sense.key == SCSI_KEY_ILLEGAL_REQUEST;

	if (illegal && sense.asc == LUN_NOT_SUPPORTED)
		return initiator_fail(c, -ENXIO, "the target has no logical unit of that number");
	if (verb == SCSI_SYNCHRONIZE && illegal)
		return initiator_fail(c, -EOPNOTSUPP, "the disk has no SYNCHRONIZE CACHE (16)");
	if (illegal && (verb == SCSI_INQUIRY_LIMITS || verb == SCSI_CACHING ||
			verb == SCSI_INQUIRY_SERIAL || verb == SCSI_INQUIRY_NAMES))
		return looked(c, 0); /* it says none of it */
	if (verb == SCSI_MODE && illegal) {
		memset(c->reply, 0, sizeof(c->reply));
		return looked(c, scsi_reply_len(verb));
	}
	return initiator_fail(c, -EAGAIN,
			      sense.key == SCSI_KEY_NOT_READY ? "the disk is not ready" :
								"the disk does not say what it is");
}

static void again(struct iscsi_client *c, struct iscsi_task *t)
{
	t->tries++;
	initiator_command(c, t);
}

/* A part is done, or all of it. */
static void went_well(struct iscsi_client *c, struct iscsi_task *t)
{
	t->tries = 0;
	t->at += t->piece;
	if (t->last || t->at >= t->io.len) {
		if (t->last || !is_stable(c, t) || t->verb == SCSI_WRITE_STABLE) {
			initiator_finish(c, t, 0);
			return;
		}
		t->last = true;
	}
	initiator_command(c, t);
}

static int on_good(struct iscsi_client *c, struct iscsi_task *t)
{
	if (initiator_is_write(t->verb) && t->moved != t->expected)
		return initiator_fail(c, -EBADMSG,
				      "the target says that it has written what it was not sent");
	if (t == &c->task[ISCSI_LOOKS])
		return looked(c, t->moved);
	c->answered = true;
	if (t->moved != t->expected)
		initiator_finish(c, t, -EIO);
	else
		went_well(c, t);
	return 0;
}

/* Whether there is another way; a hint that is not taken needs none. */
static bool goes_otherwise(struct iscsi_client *c, struct iscsi_task *t, struct scsi_sense sense)
{
	if (sense.key != SCSI_KEY_ILLEGAL_REQUEST)
		return false;
	if (t->verb == SCSI_UNMAP) {
		initiator_finish(c, t, 0);
		return true;
	}
	if (!is_same(t->verb))
		return false;
	c->no_same = true;
	initiator_command(c, t);
	return true;
}

/* What was under way may never be answered, and the disk may be another: it is looked at anew. */
static bool is_reset(struct scsi_sense sense)
{
	return sense.key == SCSI_KEY_UNIT_ATTENTION &&
	       (sense.asc == WAS_RESET || sense.asc == HAS_CHANGED);
}

static int on_check(struct iscsi_client *c, struct iscsi_task *t, struct scsi_sense sense)
{
	bool full = sense.key == SCSI_KEY_DATA_PROTECT && sense.asc == SPACE_FAILED &&
		    sense.ascq == 7;
	bool passes = sense.key == SCSI_KEY_UNIT_ATTENTION || sense.key == SCSI_KEY_ABORTED_COMMAND;
	bool of_look = t == &c->task[ISCSI_LOOKS];

	if (!of_look && is_reset(sense))
		return initiator_fail(c, -EPIPE, "the disk was reset, or has changed");
	if (!of_look && sense.key == SCSI_KEY_NOT_READY)
		return initiator_fail(c, -EPIPE, "the disk is not ready");
	if (passes && t->tries < TRIES) {
		again(c, t);
		return 0;
	}
	if (of_look)
		return look_failed(c, sense);
	if (!goes_otherwise(c, t, sense))
		initiator_finish(c, t, full ? -ENOSPC : -EIO);
	return 0;
}

/* It waits until another of its commands is done; there is none, or it has waited often: for the next connection. */
static int on_busy(struct iscsi_client *c, struct iscsi_task *t)
{
	if (t == &c->task[ISCSI_LOOKS])
		return initiator_fail(c, -EAGAIN, "the disk is not to be had now");
	if (!c->n_outstanding || t->tries >= TRIES)
		return initiator_fail(c, -EPIPE, "the disk is busy");
	c->most = c->n_outstanding;
	again(c, t);
	return 0;
}

static int on_refusal(struct iscsi_client *c, struct iscsi_task *t)
{
	if (t == &c->task[ISCSI_LOOKS])
		return initiator_fail(c, -EAGAIN, "the disk is not to be had now");
	initiator_finish(c, t, -EIO);
	return 0;
}

int initiator_answered(struct iscsi_client *c, struct iscsi_task *t, const struct iscsi_in *in,
		       struct scsi_sense sense)
{
	c->n_outstanding--;
	if (in->response)
		return on_refusal(c, t);
	switch (in->status) {
	case SCSI_GOOD:
		return on_good(c, t);
	case SCSI_CHECK_CONDITION:
		return on_check(c, t, sense);
	case SCSI_TASK_ABORTED:
		return on_check(c, t, (struct scsi_sense){ .key = SCSI_KEY_ABORTED_COMMAND });
	case SCSI_BUSY:
	case SCSI_TASK_SET_FULL:
		return on_busy(c, t);
	default:
		return on_refusal(c, t);
	}
}
