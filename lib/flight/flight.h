/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of a virtio device that are on their way to its images: slots, the queues that wait for one, and
 * completions. The device takes a chain apart and answers it; what is in flight between the two is here.
 *
 * One thread; nothing allocates.
 */
#ifndef BULKHEAD_FLIGHT_FLIGHT_H
#define BULKHEAD_FLIGHT_FLIGHT_H

#include "lib/base/loop.h"
#include "lib/devkit/vu_device.h"
#include "lib/image/image.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define FLIGHT_SLOTS 256U   /* requests in flight */
#define FLIGHT_IOV_MAX 264U /* pieces of host memory: segments may straddle regions */
#define FLIGHT_IMAGES 8U    /* of a device */

struct flight_slot {
	bool used;
	uint32_t generation; /* of the handle: a completion for an older one is stale */
	uint16_t next_free;
	uint16_t head;
	size_t n_read; /* pieces of its iov that the image writes to guest memory */
	unsigned int queue;
};

struct flight_ops {
	/* Serves flight->chain. The slot is used by flight_start, or given back by flight_drop. 0, or the guest's error. */
	int (*serve)(void *owner, struct dev_queue *q, struct flight_slot *s);
	/* An image is done with a request: its chain is to be given back. The slot is free afterwards. */
	void (*done)(void *owner, struct flight_slot *s, int result);
};

struct flight_image {
	struct image *image;
	struct loop_source completions, others; /* of the image's two descriptors */
};

struct flight {
	struct vu_device *dev;
	const struct flight_ops *ops;
	void *owner;
	struct flight_image image[FLIGHT_IMAGES];
	unsigned int n_images;
	struct virtq_chain chain; /* that is served; scratch */
	uint16_t first_free;
	uint32_t starved; /* queues that wait for a slot */
	uint64_t n_done;
	unsigned int n_in_flight[DEV_MAX_QUEUES];
	struct flight_slot slot[FLIGHT_SLOTS];
	/* of each slot; apart from them, so that only what is used takes memory */
	struct iovec iov[FLIGHT_SLOTS][FLIGHT_IOV_MAX];
};

/* f is all zeroes. dev need not be open yet. */
void flight_init(struct flight *f, struct vu_device *dev, const struct flight_ops *ops,
		 void *owner);
/* One more image, which outlives f; its completions come here once it is watched. */
void flight_add(struct flight *f, struct image *image);
/* Around a change of an image's descriptor: forget the old one while it is open, and watch the new one. */
void flight_forget(struct flight *f, unsigned int i);
[[nodiscard]] int flight_watch(struct flight *f, unsigned int i);
/* Waits for what is in flight. */
void flight_end(struct flight *f);

/* Its place, and its pieces of host memory, for the device to fill. */
static inline unsigned int flight_index(const struct flight *f, const struct flight_slot *s)
{
	return (unsigned int)(s - f->slot);
}
static inline struct iovec *flight_iov(struct flight *f, const struct flight_slot *s)
{
	return f->iov[flight_index(f, s)];
}
/* Starts a request of f->chain, whose io has its pieces in the slot's iov. 0, or the image's refusal, and the slot is the
 * caller's still. */
[[nodiscard]] int flight_start(struct flight *f, struct dev_queue *q, struct flight_slot *s,
			       unsigned int image, struct image_io *io);
void flight_drop(struct flight *f, struct flight_slot *s);

/* For struct dev_ops. */
[[nodiscard]] int flight_queue_run(struct flight *f, struct dev_queue *q);
unsigned int flight_queue_drain(struct flight *f, struct dev_queue *q);
[[nodiscard]] bool flight_any(const struct flight *f);

#endif
