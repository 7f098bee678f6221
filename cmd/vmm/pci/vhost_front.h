/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vhost-user front end for one back end (QEMU, docs/interop/vhost-user.rst). The back end is
 * HOSTILE: each reply must answer the request that was sent, in size, flags and range; a
 * descriptor in one is an error; every exchange has a limit in time (platform/peer.h).
 *
 * After any negative return, but for -EOPNOTSUPP, the channel is dead: every later call is -EPIPE.
 * Nothing here allocates or maps.
 */
#ifndef BULKHEAD_VMM_PCI_VHOST_FRONT_H
#define BULKHEAD_VMM_PCI_VHOST_FRONT_H

#include "lib/vhost_user/vhost_user.h"

#include <time.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a back end that can marks the pages of RAM that it writes to: a bit for each 4096 bytes. */
struct vhost_log {
	int fd;
	uint64_t len; /* bytes; 0: nobody asks */
};

struct vhost_front {
	int sock;
	bool dead;
	bool has_protocol;     /* VHOST_USER_F_PROTOCOL_FEATURES was offered, and is acknowledged */
	uint64_t features;     /* offered, without that bit and VHOST_F_LOG_ALL */
	uint64_t protocol;     /* protocol features in use */
	unsigned int n_queues; /* that the back end has; as given, where it does not say */
	struct vhost_log log;
	bool logs; /* it marks there what it writes */
	/* How vhost_front_stop waits: 0 when sock is readable, -ETIMEDOUT when the limit is over, of
	 * which it takes off what it waited, or another negative errno. */
	int (*wait)(void *owner, int sock, struct timespec *left);
	/* NULL, or whether the back end has given requests back since this was asked last. */
	bool (*has_served)(void *owner);
	void *owner;
};

/* What rings and their buffers are made of: guest RAM as the back end maps it. */
struct vhost_memory {
	int fd;
	unsigned int n; /* 1 to VU_MAX_REGIONS */
	struct vu_region regions[VU_MAX_REGIONS];
};

/* Where the back end notes the requests in flight: given to whoever serves the rings after it. */
struct vhost_inflight {
	int fd; /* -1: none */
	uint64_t size, offset;
	uint16_t n_queues, queue_size;
};

struct vhost_ring {
	bool used;			 /* false: not started */
	uint16_t base;			 /* index of the first request that is not done */
	uint16_t size;			 /* descriptors */
	uint64_t desc, avail, used_ring; /* in the regions' uaddr */
	int kick_fd, call_fd, err_fd;
};

/*
 * Handshake on a connected stream socket, owned from now on: SET_OWNER, features, protocol
 * features, queue count. n_queues is what a back end without MQ has; log stays open. Failure closes the
 * socket.
 */
[[nodiscard]] int vhost_front_open(struct vhost_front *f, int sock, unsigned int n_queues,
				   const struct vhost_log *log);
/* Before vhost_front_stop; otherwise that waits by itself. */
void vhost_front_wait_by(struct vhost_front *f,
			 int (*wait)(void *owner, int sock, struct timespec *left),
			 bool (*has_served)(void *owner), void *owner);
void vhost_front_close(struct vhost_front *f);

/* Whether the back end has a configuration space at all. */
[[nodiscard]] bool vhost_front_has_config(const struct vhost_front *f);
/* len is 1 to VU_MAX_CONFIG. -EOPNOTSUPP: the back end has none or refuses this range. */
[[nodiscard]] int vhost_front_get_config(struct vhost_front *f, uint32_t offset, void *out,
					 uint32_t len);
/* 0 even if the back end refuses the value. */
[[nodiscard]] int vhost_front_set_config(struct vhost_front *f, uint32_t offset, const void *data,
					 uint32_t len);

/* The guest's choice among f->features; no ring may be running. */
[[nodiscard]] int vhost_front_set_features(struct vhost_front *f, uint64_t features);
/*
 * Gives the back end the memory, and starts the rings. The memory for requests in flight, of which each
 * ring has n_queues and queue_size, is asked for where there is none yet, and used if the back end can.
 */
[[nodiscard]] int vhost_front_start(struct vhost_front *f, const struct vhost_memory *mem,
				    const struct vhost_ring *rings, unsigned int n_rings,
				    struct vhost_inflight *inflight);
/*
 * Stops the rings that are used, waits until the back end has let go of them, and resets it. What is in
 * flight may take any time: as long as the back end answers GET_STATUS meanwhile (or in turn), it is
 * waited for. One that is silent, or has no STATUS, has the time of an exchange from the last request on
 * that it has given back.
 */
[[nodiscard]] int vhost_front_stop(struct vhost_front *f, const struct vhost_ring *rings,
				   unsigned int n_rings);
/* The device status as the back end has it; 0 where it cannot say. */
[[nodiscard]] int vhost_front_get_status(struct vhost_front *f, uint8_t *ret);

#endif
