/* SPDX-License-Identifier: Apache-2.0 */
/* Registers of a TPM; see crb.h. */
#include "cmd/dev-tpm/crb.h"

#include "lib/base/cleanup.h"

#include <string.h>

#define IN(state) (1U << (state))
#define ANYWHERE (IN(CRB_STATES) - 1)

/* ---- what is written ---- */

struct row {
	uint32_t offset, value;
	unsigned int states;
	void (*act)(struct crb *c);
};

static void clear(struct crb *c)
{
	memset(c->buffer, 0, TPM_BUFFER_LEN);
}

static void take_locality(struct crb *c)
{
	c->assigned = true;
}

static void give_locality(struct crb *c)
{
	c->assigned = false;
}

static void get_ready(struct crb *c)
{
	clear(c);
	c->state = CRB_READY;
}

static void go_idle(struct crb *c)
{
	clear(c);
	c->state = CRB_IDLE;
}

static void ask_ready(struct crb *c)
{
	c->request = CRB_REQ_READY;
}

static void ask_idle(struct crb *c)
{
	c->request = CRB_REQ_IDLE;
}

static void start(struct crb *c)
{
	c->state = CRB_EXECUTION;
	c->cancel = false;
}

static void cancel(struct crb *c)
{
	c->cancel = true;
}

static void no_cancel(struct crb *c)
{
	c->cancel = false;
}

/* A value that is not here is ignored: two requests at once, too. */
static const struct row rows[] = {
	{ TPM_LOC_CTRL, CRB_LOC_REQUEST, ANYWHERE, take_locality },
	{ TPM_LOC_CTRL, CRB_LOC_RELINQUISH, ANYWHERE & ~IN(CRB_EXECUTION), give_locality },
	{ TPM_CTRL_REQ, CRB_REQ_READY, ANYWHERE & ~IN(CRB_EXECUTION), get_ready },
	{ TPM_CTRL_REQ, CRB_REQ_IDLE, IN(CRB_READY) | IN(CRB_RECEPTION) | IN(CRB_COMPLETION),
	  go_idle },
	{ TPM_CTRL_REQ, CRB_REQ_READY, IN(CRB_EXECUTION), ask_ready },
	{ TPM_CTRL_REQ, CRB_REQ_IDLE, IN(CRB_EXECUTION), ask_idle },
	{ TPM_CTRL_START, CRB_START, IN(CRB_RECEPTION), start },
	{ TPM_CTRL_CANCEL, CRB_CANCEL, IN(CRB_EXECUTION), cancel },
	{ TPM_CTRL_CANCEL, 0, ANYWHERE, no_cancel },
};

static bool may_take_data(const struct crb *c)
{
	return c->assigned &&
	       (c->state == CRB_READY || c->state == CRB_RECEPTION || c->state == CRB_COMPLETION);
}

static void write_buffer(struct crb *c, uint64_t at, unsigned int width, uint64_t value)
{
	if (!may_take_data(c) || at >= TPM_BUFFER_LEN || width > TPM_BUFFER_LEN - at)
		return;
	if (c->state == CRB_COMPLETION)
		clear(c); /* no byte of a response is a command's */
	for (unsigned int i = 0; i < width; i++)
		c->buffer[at + i] = (uint8_t)(value >> (8 * i));
	c->state = CRB_RECEPTION;
}

bool crb_write(struct crb *c, uint64_t offset, unsigned int width, uint64_t value)
{
	const bool was = c->state == CRB_EXECUTION;

	if (offset >= TPM_BUFFER_AT) {
		write_buffer(c, offset - TPM_BUFFER_AT, width, value);
		return false;
	}
	if (width != 4 || (!c->assigned && offset != TPM_LOC_CTRL))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].offset == offset && rows[i].value == value &&
		    rows[i].states & IN(c->state)) {
			rows[i].act(c);
			break;
		}
	return !was && c->state == CRB_EXECUTION;
}

/* ---- what is read ---- */

static uint32_t loc_state(const struct crb *c)
{
	return CRB_STATE_VALID | CRB_STATE_NOT_ESTABLISHED | (c->assigned ? CRB_STATE_ASSIGNED : 0);
}

static uint32_t control_status(const struct crb *c)
{
	return (c->failed ? CRB_STS_FATAL : 0) | (c->state == CRB_IDLE ? CRB_STS_IDLE : 0);
}

/* The register at that offset, of 4 bytes. */
static uint32_t value_of(const struct crb *c, uint64_t offset)
{
	switch (offset) {
	case TPM_LOC_STATE:
		return loc_state(c);
	case TPM_LOC_STS:
		return c->assigned ? CRB_LOC_GRANTED : 0;
	case TPM_INTF_ID:
		return CRB_INTF_ID;
	case TPM_INTF_ID + 4:
		return CRB_VENDOR;
	case TPM_CTRL_REQ:
		return c->request;
	case TPM_CTRL_STS:
		return control_status(c);
	case TPM_CTRL_CANCEL:
		return c->cancel ? CRB_CANCEL : 0;
	case TPM_CTRL_START:
		return c->state == CRB_EXECUTION ? CRB_START : 0;
	case TPM_CMD_SIZE:
	case TPM_RSP_SIZE:
		return TPM_BUFFER_LEN;
	case TPM_CMD_LOW:
	case TPM_RSP_LOW:
		return TPM_CRB_BASE + TPM_BUFFER_AT;
	default:
		return 0; /* what is carried out at once, and what is reserved */
	}
}

/* What it holds while it executes is nobody's to see. */
static uint8_t buffer_byte(const struct crb *c, uint64_t at)
{
	if (at >= TPM_BUFFER_LEN || c->state == CRB_EXECUTION || c->state == CRB_IDLE)
		return 0xff;
	return c->buffer[at];
}

uint8_t crb_byte(const struct crb *c, uint64_t offset)
{
	if (offset >= TPM_BUFFER_AT)
		return buffer_byte(c, offset - TPM_BUFFER_AT);
	return (uint8_t)(value_of(c, offset & ~3ULL) >> (8 * (offset & 3)));
}

/* ---- the rest ---- */

void crb_complete(struct crb *c, uint32_t len)
{
	if (len < TPM_BUFFER_LEN)
		memset(c->buffer + len, 0, TPM_BUFFER_LEN - len);
	if (c->state == CRB_EXECUTION)
		c->state = CRB_COMPLETION;
	if (c->request == CRB_REQ_READY)
		get_ready(c);
	else if (c->request == CRB_REQ_IDLE)
		go_idle(c);
	c->request = 0;
}

void crb_reset(struct crb *c)
{
	clear(c);
	c->state = CRB_IDLE;
	c->assigned = c->cancel = false;
	c->request = 0;
}
