/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control queue; see virtio_scsi.h. VIRTIO 1.2, 5.6.6.2 and 5.6.6.3.
 *
 * What an image has begun cannot be called back: a function that ends tasks is answered when those have come to an end,
 * and what they came to is not told as if nobody had ended them. One function at a time; what comes behind it waits.
 */
#include "lib/virtio_scsi/virtio_scsi.h"

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <string.h>

enum { T_TMF = 0, T_AN_QUERY = 1, T_AN_SUBSCRIBE = 2 };

#define TMF_LEN 24U
#define AN_LEN 16U
#define AN_ANSWER_LEN 5U /* events, and the response */

enum tmf {
	ABORT_TASK,
	ABORT_TASK_SET,
	CLEAR_ACA,
	CLEAR_TASK_SET,
	I_T_NEXUS_RESET,
	LOGICAL_UNIT_RESET,
	QUERY_TASK,
	QUERY_TASK_SET,
};

static const struct function {
	bool there;
	bool one;   /* the task of that tag; else those of the unit */
	bool nexus; /* of all units */
	bool query; /* nothing is ended */
	bool resets;
} functions[] = {
	[ABORT_TASK] = { .there = true, .one = true },
	[ABORT_TASK_SET] = { .there = true },
	[CLEAR_ACA] = { .there = false }, /* none is ever made: NACA is refused */
	[CLEAR_TASK_SET] = { .there = true },
	[I_T_NEXUS_RESET] = { .there = true, .nexus = true, .resets = true },
	[LOGICAL_UNIT_RESET] = { .there = true, .resets = true },
	[QUERY_TASK] = { .there = true, .one = true, .query = true },
	[QUERY_TASK_SET] = { .there = true, .query = true },
};

struct task {
	int lun;
	uint64_t tag;
};

static bool is_meant(const struct function *f, const struct task *t, const struct vscsi_flying *y)
{
	return f->nexus || (y->lun == t->lun && (!f->one || y->tag == t->tag));
}

/* How many are in flight that are meant; those that are to end are marked. */
static unsigned int look(struct vscsi *v, const struct function *f, const struct task *t)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < FLIGHT_SLOTS; i++) {
		struct vscsi_flying *y = &v->flying[i];

		if (!y->place.n || !is_meant(f, t, y))
			continue;
		n++;
		if (!f->query)
			y->overruled = f->resets ? VSCSI_RESET : VSCSI_ABORTED;
	}
	return n;
}

static void reset_units(struct vscsi *v, const struct function *f, const struct task *t)
{
	for (int i = 0; i < v->config.n_luns; i++) {
		if (!f->nexus && i != t->lun)
			continue;
		scsi_lun_reset(&v->lun[i]);
		v->lun[i].attention = SENSE_WAS_RESET;
	}
	vscsi_keep(v);
}

/* The response, or -EAGAIN: it waits for v->waiting.n of those in flight. */
static int carry_out(struct vscsi *v, const struct function *f, const struct task *t)
{
	unsigned int n;

	if (!f->there)
		return VSCSI_FUNCTION_REJECTED;
	n = look(v, f, t);
	if (f->query)
		return n ? VSCSI_FUNCTION_SUCCEEDED : VSCSI_OK;
	if (f->resets)
		reset_units(v, f, t);
	v->waiting.n = n;
	return n ? -EAGAIN : VSCSI_OK;
}

static int manage(struct vscsi *v, struct bytes_reader *in)
{
	const uint32_t which = bytes_get32(in);
	uint8_t lun[8];
	struct task t;

	bytes_get(in, lun, sizeof(lun));
	bytes_get(in, &t.tag, sizeof(t.tag));
	t.lun = vscsi_lun(&v->config, lun);
	if (t.lun < 0)
		return t.lun == VSCSI_NO_TARGET ? VSCSI_BAD_TARGET : VSCSI_INCORRECT_LUN;
	if (which >= ARRAY_SIZE(functions))
		return VSCSI_FUNCTION_REJECTED;
	return carry_out(v, &functions[which], &t);
}

/* There are no asynchronous notifications: none of what was asked for. */
static int notify(struct vscsi *v, struct bytes_reader *in)
{
	uint8_t lun[8];
	int r;

	bytes_get(in, lun, sizeof(lun));
	r = vscsi_lun(&v->config, lun);
	return r == VSCSI_NO_TARGET ? VSCSI_BAD_TARGET : r < 0 ? VSCSI_INCORRECT_LUN : VSCSI_OK;
}

/* By its first word; what is unknown is rejected in the shape of the first. */
static int serve(struct vscsi *v, struct dev_queue *q)
{
	const struct virtq_chain *c = &v->control;
	uint8_t bytes[TMF_LEN], answer[AN_ANSWER_LEN] = { 0 };
	struct bytes_reader in = bytes_reader(bytes, sizeof(bytes));
	uint32_t type, len;
	bool tmf;
	int r;

	r = virtq_chain_read(c, 0, bytes, 4);
	if (r < 0)
		return r;
	type = bytes_get32(&in);
	tmf = type == T_TMF || type > T_AN_SUBSCRIBE;
	len = tmf ? 1 : AN_ANSWER_LEN;
	if (c->readable_len < (tmf ? TMF_LEN : AN_LEN) || c->writable_len < len)
		return -EBADMSG;
	r = virtq_chain_read(c, 4, bytes + 4, (tmf ? TMF_LEN : AN_LEN) - 4);
	if (r == 0)
		r = vscsi_place(c, len, &v->waiting.place);
	if (r < 0)
		return r;
	r = type > T_AN_SUBSCRIBE ? VSCSI_FUNCTION_REJECTED : tmf ? manage(v, &in) : notify(v, &in);
	v->waiting.there = r == -EAGAIN;
	v->waiting.head = c->head;
	answer[len - 1] = (uint8_t)(r < 0 ? 0 : r);
	if (!v->waiting.there)
		vscsi_give_back(q, c->head, &v->waiting.place, answer, 0);
	return 0;
}

int vscsi_control_run(struct vscsi *v, struct dev_queue *q)
{
	int r = 0;

	while (r == 0 && !v->waiting.there) {
		r = dev_queue_pop(q, &v->control);
		if (r != 1)
			return r;
		r = serve(v, q);
	}
	return r;
}

void vscsi_control_done(struct vscsi *v, struct vscsi_flying *f)
{
	static const uint8_t complete[1] = { VSCSI_OK };
	struct dev_queue *q = &v->dev.queue[VSCSI_CONTROLQ];
	const bool waited_for = v->waiting.there && f->overruled;

	f->place.n = 0;
	if (!waited_for || --v->waiting.n)
		return;
	v->waiting.there = false;
	vscsi_give_back(q, v->waiting.head, &v->waiting.place, complete, 0);
	dev_queue_run_later(q);
}
