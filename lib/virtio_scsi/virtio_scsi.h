/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-scsi (VIRTIO 1.2, 5.6): a host bus adapter whose one target has up to SCSI_LUNS_MAX units, each of an image.
 *
 *   config.c    configuration space
 *   request.c   one chain to one request: pure but for reading the chain
 *   answer.c    where a response goes, and what it says
 *   io.c        request queues
 *   control.c   the control queue: task management
 *   event.c     the event queue: what a driver is told of that it did not ask for
 *   state.c     the row of the state contract, and what a successor goes on with
 *
 * What a command asks for wrongly is CHECK CONDITION, with sense (lib/scsi). Buffers that are smaller than the command are
 * OVERRUN. A chain that is not even a request (no header, no room for a response) is the guest's error: NEEDS_RESET.
 */
#ifndef BULKHEAD_VIRTIO_SCSI_H
#define BULKHEAD_VIRTIO_SCSI_H

#include "lib/devkit/kept.h"
#include "lib/devkit/vu_device.h"
#include "lib/flight/flight.h"
#include "lib/scsi/scsi.h"

#define VSCSI_CONFIG_LEN 36U
#define VSCSI_SENSE_SIZE_AT 20U /* offsets of the fields that the driver may write */
#define VSCSI_CDB_SIZE_AT 24U
#define VSCSI_SENSE_SIZE 96U /* as they are at first: 5.6.4 */
#define VSCSI_CDB_SIZE 32U
#define VSCSI_SIZE_MAX 255U /* of both */

#define VSCSI_CONTROLQ 0U
#define VSCSI_EVENTQ 1U
#define VSCSI_REQUESTQ 2U    /* the first one */
#define VSCSI_QUEUES_MAX 16U /* for requests */
#define VSCSI_QUEUE_MAX 1024U
#define VSCSI_SEG_MAX 254U /* segments of a request that we offer */

/* 5.6.3: changes of a unit are told by events; and units that come and go: none does, but Linux has room for events only where
 * this is offered, too */
#define VIRTIO_SCSI_F_CHANGE 2
#define VIRTIO_SCSI_F_HOTPLUG 1
#define VSCSI_EVENT_LEN 16U /* 5.6.6.3 */

#define VSCSI_HEAD_LEN 19U     /* of a request, without its CDB; 5.6.6.1 */
#define VSCSI_RESPONSE_LEN 12U /* without sense */
#define VSCSI_PIECES_MAX 16U   /* that a response may lie in */

/* 5.6.6.1, 5.6.6.2 */
enum vscsi_response {
	VSCSI_OK = 0,
	VSCSI_OVERRUN = 1,
	VSCSI_ABORTED = 2,
	VSCSI_BAD_TARGET = 3,
	VSCSI_RESET = 4,
	VSCSI_BUSY = 5,
	VSCSI_FAILURE = 9,
	VSCSI_FUNCTION_SUCCEEDED = 10,
	VSCSI_FUNCTION_REJECTED = 11,
	VSCSI_INCORRECT_LUN = 12,
};

/* What the driver chose: how long requests and responses are. */
struct vscsi_config {
	uint32_t sense_size;
	uint32_t cdb_size;
	uint16_t n_request_queues;
	uint16_t n_luns;
};

/* Where a unit is not: as vscsi_lun. */
#define VSCSI_NO_TARGET (-1)
#define VSCSI_NO_LUN (-2)

struct vscsi_request {
	int lun;
	uint64_t tag;
	uint8_t cdb[SCSI_CDB_MAX];
	uint32_t head_len, response_len; /* bytes of the readable and the writable part */
	uint64_t n_out, n_in;		 /* bytes behind them */
};

/* Where a response goes; checked to be RAM. */
struct vscsi_place {
	struct virtq_piece piece[VSCSI_PIECES_MAX];
	uint8_t n;
	uint16_t len;
};

/* Of a request in flight, beside its slot. */
struct vscsi_flying {
	struct vscsi_place place;
	int lun;
	uint64_t tag;
	enum image_op op;
	uint64_t moved, room;	       /* bytes of data, and of its buffers */
	enum vscsi_response overruled; /* VSCSI_OK, or what it is answered, whatever it comes to */
};

/* A request of the control queue that waits for those in flight that it is about. */
struct vscsi_waiting {
	bool there;
	uint16_t head;
	unsigned int n; /* of those in flight */
	struct vscsi_place place;
};

struct vscsi {
	struct vu_device dev;
	struct dev_spec spec;
	struct vscsi_config config;
	struct scsi_lun lun[SCSI_LUNS_MAX];
	struct kept *kept; /* NULL: a successor begins as after power-on */
	struct vscsi_waiting waiting;
	uint32_t changed; /* units: bits of those whose size the driver is to be told of */
	struct vscsi_request request; /* these are scratch */
	struct scsi_result result;
	uint8_t param[SCSI_PARAM_MAX];
	struct virtq_chain control;
	struct vscsi_flying flying[FLIGHT_SLOTS];
	struct flight flight; /* image i is that of unit i */
};

/* ---- config.c ---- */

void vscsi_config_init(struct vscsi_config *c, uint16_t n_request_queues, uint16_t n_luns);
void vscsi_config_reset(struct vscsi_config *c);
/* VSCSI_CONFIG_LEN bytes. */
void vscsi_config_read(const struct vscsi_config *c, uint8_t *config);
[[nodiscard]] int vscsi_config_write(struct vscsi_config *c, uint32_t offset, const uint8_t *data,
				     uint32_t len);

/* ---- request.c ---- */

/* 5.6.6.1: the unit that 8 bytes say, or VSCSI_NO_TARGET or VSCSI_NO_LUN. */
[[nodiscard]] int vscsi_lun(const struct vscsi_config *c, const uint8_t *lun);
/* 0, or -EBADMSG: not a request at all, or -EFAULT: its header is not guest RAM. */
[[nodiscard]] int vscsi_parse(const struct vscsi_config *c, const struct virtq_chain *chain,
			      struct vscsi_request *ret);

/* ---- answer.c ---- */

/* The first len bytes of the chain's writable part. 0; -EFAULT: not guest RAM; -ENOBUFS: in too many pieces. */
[[nodiscard]] int vscsi_place(const struct virtq_chain *chain, uint32_t len,
			      struct vscsi_place *ret);
struct vscsi_says {
	enum vscsi_response response;
	enum scsi_status status;
	enum scsi_sense sense;
	uint64_t residual; /* bytes of the buffers that nothing was moved to or from */
	uint64_t written;  /* bytes of data, without a gap behind the response */
};
/* Writes the response to a request and gives its chain back. */
void vscsi_respond(struct dev_queue *q, uint16_t head, const struct vscsi_place *p,
		   const struct vscsi_says *s);
/* The same of bytes that are the whole response. */
void vscsi_give_back(struct dev_queue *q, uint16_t head, const struct vscsi_place *p,
		     const uint8_t *bytes, uint64_t written);

/* ---- control.c ---- */

[[nodiscard]] int vscsi_control_run(struct vscsi *v, struct dev_queue *q);
/* A request that somebody may wait for is over. */
void vscsi_control_done(struct vscsi *v, struct vscsi_flying *f);

/* ---- event.c ---- */

[[nodiscard]] int vscsi_event_run(struct vscsi *v, struct dev_queue *q);

/* ---- io.c ---- */

/* Before the sandbox: v is all zeroes but for what vscsi_add has put there, and images outlive it. sock is taken. */
[[nodiscard]] int vscsi_prepare(struct vscsi *v, const char *name, uint16_t n_request_queues,
				struct loop *loop, int sock);
/* One more unit; before vscsi_prepare. As scsi_lun_init. */
void vscsi_add(struct vscsi *v, enum scsi_type type, struct image *image, uint32_t block,
	       uint32_t physical, const char *id);
/* What the image of unit i is is known only now, or another time: its size, in blocks of so many bytes. */
void vscsi_learn(struct vscsi *v, unsigned int i, uint32_t block, uint32_t physical);
void vscsi_close(struct vscsi *v);

/* ---- state.c ---- */

extern const struct state_ops vscsi_state; /* object: struct vscsi */
/* Behind vscsi_prepare: goes on with what a predecessor has left in kept, HOSTILE, or begins as after power-on; from now on
 * all that changes is kept there. -errno and *ret_why: it cannot be, and the adapter begins anew. */
[[nodiscard]] int vscsi_go_on(struct vscsi *v, struct kept *kept, char ret_why[STATE_WHY_MAX]);
/* Before its driver can see that something has changed. */
void vscsi_keep(struct vscsi *v);

#endif
