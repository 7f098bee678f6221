/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio device as a vhost-user back end, in a loop. vu_device.c owns the session, vu_requests.c
 * its policy (request x legal states -> handler), vu_ring.c the rings. A device gives a
 * struct dev_ops and sees kicked queues; it never sees a message.
 *
 * Hostile: the front end and, through the rings, the guest.
 *   The front end's error (a request that is unknown, malformed or out of order) ends the loop
 *     with a negative errno; process_serve says one line and the process ends.
 *   The guest's error (anything in a ring, a ring address that is not RAM or not aligned) puts the
 *     device into NEEDS_RESET: one gated log line, every queue stands still, GET_STATUS shows
 *     VIRTIO_CONFIG_S_NEEDS_RESET and the error descriptors are signalled. Over with a reset, or
 *     when all rings have been stopped.
 *   The front end going away ends the loop with 0, once what is in flight has completed.
 *
 * Nothing waits in here. A request that needs a ring to stand still (GET_VRING_BASE, a reset, another
 * memory table) is put aside until the last chain has completed, and carried out then; the loop runs
 * meanwhile. GET_STATUS is answered at once also then, so that a front end that has a limit to its
 * patience can tell a device that drains from one that is dead; whatever else comes waits its turn.
 *
 * Rings (QEMU, docs/interop/vhost-user.rst, "Ring states"): a ring's num, base and addresses are
 * frozen from SET_VRING_KICK to GET_VRING_BASE, SET_STATUS 0 or RESET_DEVICE. SET_VRING_KICK needs
 * num and addresses to be there and a descriptor (polled rings are refused). Queues are served
 * while enabled. Received descriptors must be eventfds and become non-blocking.
 *
 * A process that ends with requests in flight loses none (INFLIGHT_SHMFD): the kit notes in memory
 * that the front end keeps which chains are taken, and the next process on the same rings takes those
 * again, in order, through dev_queue_pop like any other. A chain may so be carried out twice; it is
 * given back once. What a device keeps beyond a chain's bytes is its own to restore.
 *
 * With LOG_SHMFD and VHOST_F_LOG_ALL every page of guest memory that is written to is marked in the
 * front end's log. The kit and lib/guestmem do it, except for what a device has the kernel write
 * through an iovec: guestmem_mark_iov, before the chain is given back.
 *
 * With DEVICE_STATE a front end that migrates has the device's own state read or written while no ring runs,
 * through a pipe and without waiting for it: dev_ops' row of the state contract.
 *
 * A device may lend a ring to somebody else who serves it, the host's kernel, say (dev_ops' queue_lend). It is taken back
 * before anything of it changes: the memory table, its descriptors, whether it is served. A device that lends offers no
 * dirty log, as nobody would mark what the other one writes.
 *
 * One thread; nothing here allocates after vu_device_open.
 */
#ifndef BULKHEAD_DEVKIT_VU_DEVICE_H
#define BULKHEAD_DEVKIT_VU_DEVICE_H

#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/devkit/vu_poll.h"
#include "lib/guestmem/guestmem.h"
#include "lib/state/state.h"
#include "lib/vhost_user/vhost_user.h"
#include "lib/virtio/virtqueue.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEV_MAX_QUEUES 18

struct vu_device;
struct dev_queue;

/* A ring for somebody else to serve: where it lies in this process's memory, whole, and what belongs to it. */
struct dev_lent {
	uint64_t desc, avail, used; /* addresses */
	uint16_t num, base;	    /* entries; the next available one */
	int kick_fd;
	int call_fd; /* -1: none */
};

/* What the device is; fixed before the sandbox. */
struct dev_spec {
	const char *name;      /* for log lines */
	uint64_t features;     /* the device's own bits. Added to them: VERSION_1, INDIRECT_DESC,
				* EVENT_IDX and VHOST_USER_F_PROTOCOL_FEATURES */
	unsigned int n_queues; /* 1 to DEV_MAX_QUEUES */
	uint16_t queue_max;    /* largest ring, a power of two up to VIRTQ_SIZE_MAX */
	uint32_t config_len;   /* bytes of configuration space, 0 to VU_MAX_CONFIG; what is read
				* past it is 0 */
	uint32_t pass_descriptors; /* budget of one pass over a queue; 0: 4 * queue_max */
	uint64_t pass_bytes;	   /* 0: 64 MiB */
	uint32_t poll_queues; /* bits: looked at for a moment before the loop sleeps (vu_poll.h) */
};

/* How the device acts. owner is what vu_device_open was given. NULL members: nothing to do. */
struct dev_ops {
	/* The driver's choice, only bits that were offered. Comes before any queue is served. */
	void (*set_features)(void *owner, uint64_t features);
	/* Writes all config_len bytes. */
	void (*config_read)(void *owner, uint8_t *config);
	/* [offset, offset + len) lies within config_len. 0, or -EINVAL: refused, nothing changed. */
	int (*config_write)(void *owner, uint32_t offset, const uint8_t *data, uint32_t len);
	/*
	 * The queue was kicked, started or rescheduled: take chains with dev_queue_pop until it
	 * returns other than 1, or as long as there is room for them, then return. Never entered
	 * again before it returned. 0, or -EAGAIN to be called again after other events had
	 * their turn (pop's own -EAGAIN does it too), or any other negative errno: the guest's
	 * error. A device that leaves chains behind for want of room calls dev_queue_run when it
	 * has room.
	 */
	int (*queue_run)(void *owner, struct dev_queue *q);
	/* The ring is about to stop or its memory to be unmapped: complete or drop every chain of it
	 * that need not be waited for. Returns how many are left; called again until that is 0, when
	 * nothing may refer to the ring or to guest memory. A device that has any left calls
	 * vu_device_drained as they complete. It may push. */
	unsigned int (*queue_drain)(void *owner, struct dev_queue *q);
	/* All queues are drained and stopped: back to the state of power-on. */
	void (*reset)(void *owner);
	/*
	 * The ring is served from now on: by somebody else if he takes it (1), by the kit as ever (0). Any negative
	 * errno: he cannot, which is the guest's error. NULL: never. While it is lent nothing else is called for it, and
	 * what the ring holds is nobody's here. The kick has been heard if it is to be: whoever takes it looks at once.
	 */
	int (*queue_lend)(void *owner, struct dev_queue *q, const struct dev_lent *ring);
	/* He has it no more when this returns, and has no chain of it. Returns the next available entry. */
	uint16_t (*queue_reclaim)(void *owner, struct dev_queue *q);
	/* Whether a kick is all that the device waits for, so that it may poll for it. NULL: always. */
	bool (*may_poll)(void *owner);
	/* What the device keeps beside its rings and what its driver negotiated; object is owner. NULL: nothing,
	 * or it is kept elsewhere: DEVICE_STATE is not offered. */
	const struct state_ops *state;
};

/* Memory shared with the front end beside guest RAM. */
struct vu_shm {
	uint8_t *at; /* NULL: none */
	size_t size;
};

enum vu_transfer_state {
	VU_TRANSFER_NONE,
	VU_TRANSFER_SAVES,
	VU_TRANSFER_LOADS,
	VU_TRANSFER_DONE,
	VU_TRANSFER_FAILED,
};

/* The device's state on its way; vu_state.c. */
struct vu_transfer {
	enum vu_transfer_state state;
	int fd; /* the front end's pipe; -1: nothing is under way */
	struct loop_source src;
	size_t at, len;
	uint8_t bytes[STATE_IMAGE_MAX + 1];
};

struct vu_inflight_ring; /* vu_inflight.c */

/* The memory that says which requests are in flight, for the process after this one. */
struct vu_inflight {
	int fd;		   /* made by us, for a front end that asks */
	struct vu_shm own; /* the same, mapped */
	bool given;
	struct vu_shm shm; /* what the front end said to use */
	uint16_t n_queues;
	uint16_t queue_size;
};

/* One queue. Devices look at index and go through the functions below. */
struct dev_queue {
	struct vu_device *dev;
	unsigned int index;
	struct virtq vq;
	struct virtq_budget budget;
	struct loop_source kick;
	int kick_fd;
	int call_fd;
	int err_fd;
	uint16_t num;
	uint16_t base;
	uint64_t uaddr_desc;
	uint64_t uaddr_avail;
	uint64_t uaddr_used;
	uint64_t log_addr; /* where the dirty log has the used ring */
	bool log_used;
	bool has_num;
	bool has_addr;
	bool armed; /* SET_VRING_KICK came: frozen */
	bool enabled;
	bool busy;   /* queue_run or queue_drain is on the stack */
	bool again;  /* to be run from the loop's next turn, or when it is no longer held */
	bool held;   /* nothing more is taken: drained, or about to be */
	bool pushed; /* something to signal */
	bool lent;   /* somebody else serves it */
	bool quiet;  /* found empty, and kicks were not asked for: it is polled */
	struct vu_inflight_ring *inflight; /* while armed, if requests in flight are tracked */
	uint64_t counter;		   /* of the next chain */
	/* chains that an earlier process took: taken again before any other */
	uint16_t n_again, next_again;
	uint16_t head_again[VIRTQ_SIZE_MAX];
};

enum vu_state {
	VU_STATE_START = 1 << 0, /* no SET_FEATURES yet */
	VU_STATE_SET = 1 << 1,	 /* features chosen, no ring armed */
	VU_STATE_LIVE = 1 << 2,	 /* a ring is armed */
};

/* A request that waits, with its descriptors. */
struct vu_parked {
	bool there;
	struct vu_msg m;
	int fds[MSG_MAX_FDS];
	size_t n_fds;
};

struct vu_device {
	const struct dev_spec *spec;
	const struct dev_ops *ops;
	void *owner;
	struct loop *loop;
	int sock;
	struct loop_source channel; /* fd -1: nothing is read for now */
	struct loop_source again;   /* an eventfd of our own: queues with work left */
	int again_fd;
	uint64_t features;
	uint64_t protocol_features;
	bool features_set;
	uint8_t status; /* as SET_STATUS left it, without NEEDS_RESET */
	bool needs_reset;
	struct vu_parked parked; /* waits for rings to be drained */
	struct vu_parked behind; /* came after it; nothing more is read */
	bool finishing;		 /* the loop ends once all is drained */
	/* Somebody waits for the device, which has n chains in flight; may be NULL. */
	void (*busy)(void *owner, unsigned int n);
	void *busy_owner;
	char why[96];	      /* what the front end did wrong */
	const char **ret_why; /* also told here: a process's why; may be NULL */
	struct log_gate gate;
	struct guestmem mem;
	struct vu_shm log; /* dirty pages */
	int log_fd;
	struct vu_inflight inflight;
	struct vu_transfer transfer;
	struct vu_poll poll;
	struct dev_queue queue[DEV_MAX_QUEUES];
};

/*
 * Before the sandbox: takes the connected socket and joins the loop. spec, ops and loop must
 * outlive it. 0, -EINVAL for a spec that cannot be, or the error of eventfd and epoll.
 */
[[nodiscard]] int vu_device_open(struct vu_device *d, const struct dev_spec *spec,
				 const struct dev_ops *ops, void *owner, struct loop *loop,
				 int sock);
/* Stops all queues, unmaps guest memory, closes every descriptor. What the device has in flight it
 * waits for before. */
void vu_device_close(struct vu_device *d);
/* No more requests: once every chain in flight has completed, the loop ends with 0. */
void vu_device_finish(struct vu_device *d);
/*
 * Chains have completed: goes on with what waited for that. Harmless when nothing did. 0, or the
 * front end's error, for the callback to return.
 */
[[nodiscard]] int vu_device_drained(struct vu_device *d);
/* The same from the loop's next turn, for when queue_run is on the stack. */
void vu_device_drained_later(struct vu_device *d);

/*
 * Takes a chain: as virtq_pop, within the budget of this pass; 0 also when the queue is not being
 * served. When the ring is empty, kicks are asked for again.
 */
[[nodiscard]] int dev_queue_pop(struct dev_queue *q, struct virtq_chain *ret);
/* The same, but kicks stay off when the ring is empty: for a device that looks again before it is done,
 * by dev_queue_pop. */
[[nodiscard]] int dev_queue_take(struct dev_queue *q, struct virtq_chain *ret);
/* Gives a chain back; as virtq_push, but a broken ring is not an error: the chain is dropped. The
 * interrupt follows when queue_run returns or with vu_device_flush. */
void dev_queue_push(struct dev_queue *q, uint16_t head, uint32_t written);
/* The same of several that the driver sees at once. */
void dev_queue_push_all(struct dev_queue *q, const struct virtq_done *done, uint16_t n);
/* Puts back the chain that was taken last, and of those that were not put back since: it comes next, and is
 * read anew. What it cost of the pass's budget stays spent. */
void dev_queue_untake(struct dev_queue *q, uint16_t head);
/*
 * Serves the queue now, with a fresh budget and the interrupt afterwards, as a kick would. Nothing
 * when the queue is not served or is busy. For devices whose data or room comes from elsewhere.
 */
void dev_queue_run(struct dev_queue *q);
/* The same from the loop's next turn. */
void dev_queue_run_later(struct dev_queue *q);
/* Takes back the rings that are lent, and asks for each that is served whether it is lent now. 0, or the error of
 * epoll. */
[[nodiscard]] int vu_device_lend(struct vu_device *d);
/* The guest's error, found by the device outside of queue_run: NEEDS_RESET. */
void dev_queue_fail(struct dev_queue *q, const char *why);
/* Whether the queue is armed, enabled and not broken. */
[[nodiscard]] bool dev_queue_served(const struct dev_queue *q);
/* Sends the interrupts that are due for what was pushed outside of queue_run. */
void vu_device_flush(struct vu_device *d);

#endif
