/* SPDX-License-Identifier: Apache-2.0 */
/* The request queues of virtio-scsi; see virtio_scsi.h. */
#include "lib/virtio_scsi/virtio_scsi.h"

#include "lib/base/units.h"

#include <errno.h>

static void answer(struct vscsi *v, struct dev_queue *q, const struct vscsi_place *p,
		   const struct vscsi_says *s)
{
	vscsi_respond(q, v->flight.chain.head, p, s);
}

static void done(void *owner, struct flight_slot *s, int result)
{
	struct vscsi *v = owner;
	struct vscsi_flying *f = &v->flying[flight_index(&v->flight, s)];
	struct vscsi_says says = { .response = f->overruled, .residual = f->room - f->moved };

	if (f->overruled == VSCSI_OK)
		says.sense = scsi_sense_of(f->op, result);
	if (says.sense)
		says.status = SCSI_CHECK_CONDITION;
	if (f->overruled || says.sense) /* a read that failed may have written some of it */
		says.residual = f->room;
	else if (f->op == IMAGE_READ)
		says.written = f->moved;
	vscsi_respond(&v->dev.queue[s->queue], s->head, &f->place, &says);
	vscsi_control_done(v, f);
}

static int chain_iov(const struct vscsi *v, const struct image_io *io, struct iovec *iov, size_t *n)
{
	const struct virtq_chain *c = &v->flight.chain;

	if (io->op == IMAGE_READ)
		return virtq_chain_writable_iov(c, v->request.response_len, io->len, iov, n,
						FLIGHT_IOV_MAX);
	if (io->op == IMAGE_WRITE)
		return virtq_chain_readable_iov(c, v->request.head_len, io->len, iov, n,
						FLIGHT_IOV_MAX);
	return 0;
}

/* What cannot be started is answered at once: more pieces than a slot has, data outside RAM. */
static void start(struct vscsi *v, struct dev_queue *q, struct flight_slot *s,
		  const struct vscsi_place *p)
{
	const struct vscsi_request *r = &v->request;
	struct vscsi_flying *f = &v->flying[flight_index(&v->flight, s)];
	struct image_io *io = &v->result.io;
	int e;

	*f = (struct vscsi_flying){ .place = *p,
				    .lun = r->lun,
				    .tag = r->tag,
				    .op = io->op,
				    .moved = v->result.moved,
				    .room = r->n_in + r->n_out };
	io->n_iov = 0;
	e = chain_iov(v, io, flight_iov(&v->flight, s), &io->n_iov);
	if (e == 0)
		e = flight_start(&v->flight, q, s, (unsigned int)r->lun, io);
	if (e == 0)
		return;
	f->place.n = 0;
	flight_drop(&v->flight, s);
	answer(v, q, p,
	       &(struct vscsi_says){ .response = e == -EBUSY ? VSCSI_BUSY : VSCSI_FAILURE,
				     .residual = f->room });
}

static int give(struct vscsi *v, struct dev_queue *q, const struct vscsi_place *p)
{
	const struct scsi_result *r = &v->result;
	const uint64_t room = v->request.n_in + v->request.n_out;
	const bool overrun = r->action == SCSI_OVERRUN;
	int e = virtq_chain_write(&v->flight.chain, v->request.response_len, r->data, r->n_data);

	if (e < 0)
		return e;
	answer(v, q, p,
	       &(struct vscsi_says){ .response = overrun ? VSCSI_OVERRUN : VSCSI_OK,
				     .status = r->status,
				     .sense = r->sense,
				     .residual = overrun ? room : room - r->moved,
				     .written = r->n_data });
	return 0;
}

/* Reads what the guest sends with it, carries it out or finds what is to be done. */
static int command(struct vscsi *v)
{
	const struct vscsi_request *r = &v->request;
	const uint32_t wants = scsi_wants(r->cdb);
	const uint32_t n_param = r->n_out < wants ? (uint32_t)r->n_out : wants;
	const struct scsi_command c = {
		.cdb = r->cdb,
		.param = v->param,
		.n_param = n_param,
		.n_out = r->n_out,
		.n_in = r->n_in,
		.lun = r->lun < 0 ? NULL : &v->lun[r->lun],
		.luns = (uint16_t)((1U << v->config.n_luns) - 1),
	};
	int e = virtq_chain_read(&v->flight.chain, r->head_len, v->param, n_param);

	if (e < 0)
		return e;
	scsi_command(&c, &v->result);
	if (v->result.action == SCSI_ANSWER) /* no other changes anything */
		vscsi_keep(v);
	return 0;
}

/* A request that is never a command: of no target, of data in both directions, or with a response that is scattered. */
static enum vscsi_response refuse(const struct vscsi_request *r, int place)
{
	if (place < 0)
		return VSCSI_FAILURE;
	if (r->lun == VSCSI_NO_TARGET)
		return VSCSI_BAD_TARGET;
	return r->n_in && r->n_out ? VSCSI_FAILURE : VSCSI_OK;
}

/* The response of one whose place is not kept: it is said at once, byte by byte where it lies. */
static int refuse_scattered(struct vscsi *v, struct dev_queue *q)
{
	const uint32_t len = v->request.response_len;
	uint8_t bytes[VSCSI_RESPONSE_LEN + VSCSI_SIZE_MAX] = { 0 };
	int e;

	bytes[VSCSI_RESPONSE_LEN - 1] = VSCSI_FAILURE;
	e = virtq_chain_write(&v->flight.chain, 0, bytes, len);
	if (e == 0)
		dev_queue_push(q, v->flight.chain.head, len);
	return e;
}

static int serve_request(struct vscsi *v, struct dev_queue *q, struct flight_slot *s)
{
	const struct vscsi_request *r = &v->request;
	struct vscsi_place place = { 0 };
	enum vscsi_response refused;
	int p, e;

	p = vscsi_place(&v->flight.chain, r->response_len, &place);
	if (p < 0 && p != -ENOBUFS)
		return p;
	refused = refuse(r, p);
	if (p < 0)
		return refuse_scattered(v, q);
	if (refused) {
		answer(v, q, &place,
		       &(struct vscsi_says){ .response = refused, .residual = r->n_in + r->n_out });
		return 0;
	}
	e = command(v);
	if (e < 0)
		return e;
	if (v->result.action != SCSI_START)
		return give(v, q, &place);
	start(v, q, s, &place);
	return 1;
}

/* Serves what was taken; s is a slot to use or to give back. */
static int serve(void *owner, struct dev_queue *q, struct flight_slot *s)
{
	struct vscsi *v = owner;
	int e = vscsi_parse(&v->config, &v->flight.chain, &v->request);

	if (e == 0)
		e = serve_request(v, q, s);
	if (e == 1)
		return 0; /* on its way, or answered */
	flight_drop(&v->flight, s);
	return e;
}

static const struct flight_ops on_the_way = { serve, done };

static int queue_run(void *owner, struct dev_queue *q)
{
	struct vscsi *v = owner;

	if (q->index == VSCSI_CONTROLQ)
		return vscsi_control_run(v, q);
	if (q->index == VSCSI_EVENTQ)
		return vscsi_event_run(v, q);
	return flight_queue_run(&v->flight, q);
}

static unsigned int queue_drain(void *owner, struct dev_queue *q)
{
	struct vscsi *v = owner;

	if (q->index == VSCSI_CONTROLQ)
		return v->waiting.there;
	return q->index == VSCSI_EVENTQ ? 0 : flight_queue_drain(&v->flight, q);
}

static bool may_poll(void *owner)
{
	return !flight_any(&((struct vscsi *)owner)->flight);
}

static void config_read(void *owner, uint8_t *config)
{
	vscsi_config_read(&((const struct vscsi *)owner)->config, config);
}

static int config_write(void *owner, uint32_t offset, const uint8_t *data, uint32_t len)
{
	struct vscsi *v = owner;
	int r = vscsi_config_write(&v->config, offset, data, len);

	if (r == 0)
		vscsi_keep(v);
	return r;
}

static void reset(void *owner)
{
	(void)!vscsi_state.reset(owner);
}

static const struct dev_ops vscsi_ops = {
	.config_read = config_read,
	.config_write = config_write,
	.queue_run = queue_run,
	.queue_drain = queue_drain,
	.reset = reset,
	.may_poll = may_poll,
	.state = &vscsi_state,
};

void vscsi_add(struct vscsi *v, enum scsi_type type, struct image *image, uint32_t block,
	       uint32_t physical, const char *id)
{
	scsi_lun_init(&v->lun[v->flight.n_images], type, image, block, physical, id);
	flight_add(&v->flight, image);
}

void vscsi_learn(struct vscsi *v, unsigned int i, uint32_t block, uint32_t physical)
{
	struct scsi_lun *l = &v->lun[i];

	l->block = block;
	l->physical = physical;
	l->n_blocks = l->image->capacity / block;
}

int vscsi_prepare(struct vscsi *v, const char *name, uint16_t n_request_queues, struct loop *loop,
		  int sock)
{
	int r = 0;

	flight_init(&v->flight, &v->dev, &on_the_way, v);
	vscsi_config_init(&v->config, n_request_queues, (uint16_t)v->flight.n_images);
	v->spec = (struct dev_spec){ .name = name,
				     .n_queues = VSCSI_REQUESTQ + n_request_queues,
				     .queue_max = VSCSI_QUEUE_MAX,
				     .features = BIT(VIRTIO_SCSI_F_CHANGE) |
						 BIT(VIRTIO_SCSI_F_HOTPLUG),
				     .config_len = VSCSI_CONFIG_LEN,
				     .poll_queues = ~0U << VSCSI_REQUESTQ };
	v->dev.loop = loop;
	for (unsigned int i = 0; i < v->flight.n_images && r == 0; i++)
		r = flight_watch(&v->flight, i);
	return r < 0 ? r : vu_device_open(&v->dev, &v->spec, &vscsi_ops, v, loop, sock);
}

void vscsi_close(struct vscsi *v)
{
	flight_end(&v->flight);
	vu_device_close(&v->dev);
	for (unsigned int i = 0; i < v->flight.n_images; i++)
		flight_forget(&v->flight, i);
}
