/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dirty logging for a front end that migrates (QEMU, docs/interop/vhost-user.rst, "Migration"):
 * what the log must cover, and where a ring's used part is logged; see vu_device.h.
 */
#include "lib/devkit/vu_internal.h"

static bool wanted(const struct vu_device *d)
{
	return d->features & (1ULL << VHOST_F_LOG_ALL);
}

int vu_log_set(struct vu_device *d, int fd, uint64_t offset, uint64_t size)
{
	guestmem_set_log(&d->mem, NULL, 0);
	return vu_shm_map(&d->log, fd, offset, size);
}

/* The used ring may be logged at a place of its own, inside guest memory or not. */
static bool covers_ring(const struct dev_queue *q)
{
	return !q->armed || !q->log_used ||
	       guestmem_log_covers(&q->dev->mem, q->log_addr, 6 + 8ULL * q->num);
}

static bool covers_all(const struct vu_device *d)
{
	for (size_t i = 0; i < d->mem.n_regions; i++)
		if (!guestmem_log_covers(&d->mem, d->mem.regions[i].gpa, d->mem.regions[i].size))
			return false;
	for (unsigned int i = 0; i < d->spec->n_queues; i++)
		if (!covers_ring(&d->queue[i]))
			return false;
	return true;
}

int vu_log_update(struct vu_device *d)
{
	guestmem_set_log(&d->mem, wanted(d) ? d->log.at : NULL, wanted(d) ? d->log.size : 0);
	for (unsigned int i = 0; i < d->spec->n_queues; i++) {
		struct dev_queue *q = &d->queue[i];

		virtq_log_used(&q->vq, q->log_used ? &q->log_addr : NULL);
	}
	if (d->mem.log && !covers_all(d))
		return vu_blame(d, "the dirty log does not cover guest memory and rings");
	return 0;
}

void vu_log_close(struct vu_device *d)
{
	guestmem_set_log(&d->mem, NULL, 0);
	vu_shm_unmap(&d->log);
}
