/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/devkit: what the session (vu_device.c) asks of the requests (vu_requests.c), and
 * both of the rings (vu_ring.c). */
#ifndef BULKHEAD_DEVKIT_VU_INTERNAL_H
#define BULKHEAD_DEVKIT_VU_INTERNAL_H

#include "lib/devkit/vu_device.h"

void vu_ring_init(struct dev_queue *q, struct vu_device *d, unsigned int index);
/* Freezes the ring and joins the loop with the kick descriptor, which it takes on success. A ring
 * that cannot be is the guest's error: NEEDS_RESET and 0. */
[[nodiscard]] int vu_ring_arm(struct dev_queue *q, int *kick_fd);
/* Holds the ring. How many of its chains are in flight: at 0 the device has forgotten all of them,
 * and the memory. */
[[nodiscard]] unsigned int vu_ring_drain(struct dev_queue *q);
/* The same for all rings. */
[[nodiscard]] unsigned int vu_rings_drain(struct vu_device *d);
/* Rings that were held may be served again. */
void vu_rings_release(struct vu_device *d);
/* Stops a drained ring; q->base is where it stood. Harmless when not armed. */
void vu_ring_stop(struct dev_queue *q);
/* Puts the kick descriptors' events in line with what is served, and serves once what is. */
[[nodiscard]] int vu_rings_update(struct vu_device *d);
[[nodiscard]] bool vu_rings_any_armed(const struct vu_device *d);
/* Runs the queues that asked to be run again. */
int vu_rings_on_again(struct loop_source *src, uint32_t events);
/* Nobody else serves the ring, or any; harmless where nobody did. Whoever changes what he was told comes before. */
void vu_ring_reclaim(struct dev_queue *q);
void vu_rings_reclaim(struct vu_device *d);
/* Whether it is one of those that are looked at before the loop sleeps (vu_poll.h). */
static inline bool vu_ring_is_polled(const struct dev_queue *q)
{
	return q->dev->spec->poll_queues & 1U << q->index;
}
/* Replaces *slot with an eventfd, which it takes, made non-blocking. -EPROTO for anything else. */
[[nodiscard]] int vu_ring_take_event(int *slot, int *fd);

/*
 * Maps size bytes of fd from offset on in place of what shm has, which stays on failure. -EPROTO
 * unless it is memory that cannot shrink (sealed so) and has these bytes from a page on; or the error
 * of mmap.
 */
[[nodiscard]] int vu_shm_map(struct vu_shm *shm, int fd, uint64_t offset, uint64_t size);
void vu_shm_unmap(struct vu_shm *shm);

/* Before the sandbox: the memory that GET_INFLIGHT_FD answers with. */
[[nodiscard]] int vu_inflight_open(struct vu_inflight *f, const struct dev_spec *spec);
void vu_inflight_close(struct vu_inflight *f);
/* The two requests. */
[[nodiscard]] int vu_inflight_get(struct vu_device *d, const struct vu_msg *m,
				  struct vu_msg *reply);
[[nodiscard]] int vu_inflight_set(struct vu_device *d, const struct vu_msg *m, int fd);
/* The ring has started: what was in flight waits to be taken again. */
[[nodiscard]] int vu_inflight_start(struct dev_queue *q);
[[nodiscard]] static inline bool vu_inflight_waiting(const struct dev_queue *q)
{
	return q->next_again < q->n_again;
}
/* A chain was taken; is about to be given back; some have been, in one step. */
void vu_inflight_taken(struct dev_queue *q, uint16_t head);
void vu_inflight_giving(struct dev_queue *q, uint16_t head);
void vu_inflight_given(struct dev_queue *q, const struct virtq_done *done, uint16_t n);
/* The chain taken last is put back: true if it was taken again, and waits for that once more; else what follows
 * once the ring has it. */
[[nodiscard]] bool vu_inflight_untake(struct dev_queue *q, uint16_t head);
void vu_inflight_untaken(struct dev_queue *q, uint16_t head);
/* What a drain left over was dropped; what still waits to be taken again is not. */
void vu_inflight_settle(struct dev_queue *q);
/* The ring has stopped; the memory stays as it is. */
void vu_inflight_stop(struct dev_queue *q);
/* The driver has forgotten all chains. */
void vu_inflight_reset(struct vu_device *d);

/* SET_LOG_BASE. */
[[nodiscard]] int vu_log_set(struct vu_device *d, int fd, uint64_t offset, uint64_t size);
/* Logs from now on if the session says so. Nothing is written to guest memory between a request and
 * this. */
[[nodiscard]] int vu_log_update(struct vu_device *d);
void vu_log_close(struct vu_device *d);

/* SET_DEVICE_STATE_FD; takes the descriptor unless it fails: a transfer that cannot be, or not now. */
[[nodiscard]] int vu_state_begin(struct vu_device *d, const struct vu_msg *m, int *fd);
/* CHECK_DEVICE_STATE: whether the last transfer has come to its end, and well. */
[[nodiscard]] bool vu_state_check(struct vu_device *d);
void vu_state_close(struct vu_device *d);

/* Says what the front end did wrong, for the last line. Always -EPROTO. */
int vu_blame(struct vu_device *d, const char *why);

/* The policy: a request, the states of the session in which it is legal, what it does. Handlers
 * return 0; VU_LATER, having done nothing but hold rings: to be called again when the device has
 * fewer chains in flight; or a negative errno, the front end's error. reply is sent when the request
 * has one. */
#define VU_LATER 1

struct vu_session_rule {
	uint32_t request;
	unsigned int states;  /* legal ones */
	int protocol_feature; /* that must have been negotiated, or -1 */
	int (*handle)(struct vu_device *d, const struct vu_msg *m, int *fds, struct vu_msg *reply);
};

/* Where a ring request names its ring. */
enum vu_index_at { VU_IN_STATE, VU_IN_ADDR, VU_IN_U64 };

struct vu_ring_rule {
	uint32_t request;
	unsigned int states; /* legal ones of the session */
	bool armed;	     /* legal while the ring is armed */
	enum vu_index_at index;
	int (*handle)(struct dev_queue *q, const struct vu_msg *m, int *fd, struct vu_msg *reply);
};

extern const struct vu_session_rule vu_session_rules[];
extern const size_t vu_n_session_rules;
extern const struct vu_ring_rule vu_ring_rules[];
extern const size_t vu_n_ring_rules;

#endif
