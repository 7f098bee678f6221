/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests in flight, kept in memory that outlives the process: a device that is started again
 * finishes what the one before it had taken (QEMU, docs/interop/vhost-user.rst, "Inflight I/O
 * tracking", split virtqueues). See vu_device.h.
 *
 * The memory is shared with the front end and was written by a process that may have been taken
 * over. Each field is read once; every index is checked against the ring; order is all that a
 * counter decides.
 */
#include "lib/devkit/vu_internal.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ALIGNMENT 64U /* of a ring's part */
#define VERSION 1U

/* QueueRegionSplit and DescStateSplit */
struct vu_inflight_desc {
	uint8_t in_flight;
	uint8_t padding[5];
	uint16_t next; /* of the last batch */
	uint64_t counter;
};
_Static_assert(sizeof(struct vu_inflight_desc) == 16, "DescStateSplit");

struct vu_inflight_ring {
	uint64_t features;
	uint16_t version; /* 0: nothing was ever written here */
	uint16_t n_desc;
	uint16_t last_batch_head;
	uint16_t used_idx;
	struct vu_inflight_desc desc[];
};
_Static_assert(sizeof(struct vu_inflight_ring) == 16, "QueueRegionSplit");

#define NO_HEAD UINT16_MAX /* of no ring */
#define LOAD(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

static uint64_t ring_size(uint16_t queue_size)
{
	uint64_t n = sizeof(struct vu_inflight_ring) +
		     (uint64_t)queue_size * sizeof(struct vu_inflight_desc);

	return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* ---- the memory ---- */

int vu_inflight_open(struct vu_inflight *f, const struct dev_spec *spec)
{
	uint64_t size = spec->n_queues * ring_size(spec->queue_max);
	_cleanup_(closep) int fd = memfd_create("inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r;

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	r = vu_shm_map(&f->own, fd, 0, size);
	if (r < 0)
		return r;
	f->fd = take_fd(&fd);
	return 0;
}

void vu_inflight_close(struct vu_inflight *f)
{
	vu_shm_unmap(&f->own);
	vu_shm_unmap(&f->shm);
	closep(&f->fd);
}

static bool size_valid(const struct vu_device *d, uint16_t n_queues, uint16_t queue_size)
{
	return n_queues >= 1 && n_queues <= d->spec->n_queues && queue_size >= 1 &&
	       queue_size <= d->spec->queue_max;
}

int vu_inflight_get(struct vu_device *d, const struct vu_msg *m, struct vu_msg *reply)
{
	struct vu_inflight *f = &d->inflight;

	if (!size_valid(d, m->inflight.n_queues, m->inflight.queue_size))
		return -EPROTO;
	/* for a new life of the VM: nothing is in flight */
	if (f->given)
		memset(f->own.at, 0, f->own.size);
	f->given = true;
	reply->inflight.size = m->inflight.n_queues * ring_size(m->inflight.queue_size);
	reply->inflight.offset = 0;
	reply->inflight.n_queues = m->inflight.n_queues;
	reply->inflight.queue_size = m->inflight.queue_size;
	return 0;
}

int vu_inflight_set(struct vu_device *d, const struct vu_msg *m, int fd)
{
	struct vu_inflight *f = &d->inflight;
	uint16_t n = m->inflight.n_queues, queue_size = m->inflight.queue_size;
	int r;

	if (!size_valid(d, n, queue_size) || m->inflight.size < n * ring_size(queue_size))
		return -EPROTO;
	r = vu_shm_map(&f->shm, fd, m->inflight.offset, m->inflight.size);
	if (r < 0)
		return r;
	f->n_queues = n;
	f->queue_size = queue_size;
	return 0;
}

static struct vu_inflight_ring *ring_at(const struct vu_inflight *shm, unsigned int index)
{
	return (void *)(shm->shm.at + index * ring_size(shm->queue_size));
}

/* ---- a ring starts ---- */

/* A process that ended between the used index and its own note of it had told the driver of some
 * chains that still look as if they were in flight: the last ones. */
static int repair(struct vu_inflight_ring *f, uint16_t used, uint16_t queue_size)
{
	uint16_t n = (uint16_t)(used - LOAD(&f->used_idx));
	uint16_t head = LOAD(&f->last_batch_head);

	for (uint16_t i = 0; i < n && i < queue_size; i++) {
		if (head >= queue_size)
			return -EBADMSG;
		STORE(&f->desc[head].in_flight, 0);
		head = LOAD(&f->desc[head].next);
	}
	return 0;
}

/* In the order in which they were taken. */
static void insert(struct dev_queue *q, uint64_t *counters, uint16_t head, uint64_t counter)
{
	uint16_t i = q->n_again++;

	while (i && counters[i - 1] > counter) {
		counters[i] = counters[i - 1];
		q->head_again[i] = q->head_again[i - 1];
		i--;
	}
	counters[i] = counter;
	q->head_again[i] = head;
}

static void collect(struct dev_queue *q, struct vu_inflight_ring *f)
{
	uint64_t counters[VIRTQ_SIZE_MAX] = { 0 };

	for (uint16_t i = 0; i < q->num; i++)
		if (LOAD(&f->desc[i].in_flight))
			insert(q, counters, i, LOAD(&f->desc[i].counter));
	q->counter = q->n_again ? counters[q->n_again - 1] + 1 : 0;
}

/* Nothing is in flight any more but what waits to be taken again. */
static void keep_waiting(struct dev_queue *q, struct vu_inflight_ring *f)
{
	uint64_t keep[VIRTQ_SIZE_MAX / 64] = { 0 };

	for (uint16_t i = q->next_again; i < q->n_again; i++)
		keep[q->head_again[i] / 64] |= 1ULL << (q->head_again[i] % 64);
	for (uint16_t i = 0; i < q->dev->inflight.queue_size; i++)
		if (!(keep[i / 64] & (1ULL << (i % 64))))
			STORE(&f->desc[i].in_flight, 0);
}

static void begin(struct dev_queue *q, struct vu_inflight_ring *f)
{
	STORE(&f->n_desc, q->dev->inflight.queue_size);
	STORE(&f->last_batch_head, 0);
	STORE(&f->used_idx, q->vq.used_idx);
	keep_waiting(q, f);
	STORE(&f->version, VERSION);
}

static int resume(struct dev_queue *q, struct vu_inflight_ring *f)
{
	if (repair(f, q->vq.used_idx, q->dev->inflight.queue_size) < 0)
		return vu_blame(q->dev, "the memory for requests in flight names no descriptor");
	collect(q, f);
	/* a driver that started over does not know of them */
	if (!virtq_adopt(&q->vq, q->head_again, q->n_again))
		q->n_again = 0;
	keep_waiting(q, f);
	STORE(&f->used_idx, q->vq.used_idx);
	q->pushed = true; /* the interrupt for what was given back may never have been sent */
	return 0;
}

int vu_inflight_start(struct dev_queue *q)
{
	const struct vu_inflight *shm = &q->dev->inflight;
	struct vu_inflight_ring *f;
	uint16_t version;

	q->inflight = NULL;
	q->n_again = q->next_again = 0;
	q->counter = 0;
	if (!shm->shm.at)
		return 0;
	if (q->index >= shm->n_queues || q->num > shm->queue_size)
		return vu_blame(q->dev, "the memory for requests in flight has no room for a ring");
	f = ring_at(shm, q->index);
	version = LOAD(&f->version);
	if (version > VERSION || LOAD(&f->features))
		return vu_blame(q->dev, "the memory for requests in flight is of another version");
	q->inflight = f;
	if (version)
		return resume(q, f);
	begin(q, f);
	return 0;
}

/* ---- a ring runs ---- */

void vu_inflight_taken(struct dev_queue *q, uint16_t head)
{
	if (!q->inflight)
		return;
	STORE(&q->inflight->desc[head].counter, q->counter++);
	STORE(&q->inflight->desc[head].in_flight, 1);
}

void vu_inflight_giving(struct dev_queue *q, uint16_t head)
{
	struct vu_inflight_ring *f = q->inflight;

	if (!f || head >= q->dev->inflight.queue_size)
		return;
	STORE(&f->desc[head].next, LOAD(&f->last_batch_head));
	STORE(&f->last_batch_head, head);
}

void vu_inflight_given(struct dev_queue *q, const struct virtq_done *done, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		/* the driver may offer it again, which is then no chain that waits */
		if (q->next_again && q->head_again[q->next_again - 1] == done[i].head)
			q->head_again[q->next_again - 1] = NO_HEAD;
		if (q->inflight)
			STORE(&q->inflight->desc[done[i].head].in_flight, 0);
	}
	/* last: until here they are of the batch, which repair looks at */
	if (q->inflight)
		STORE(&q->inflight->used_idx, q->vq.used_idx);
}

bool vu_inflight_untake(struct dev_queue *q, uint16_t head)
{
	if (!q->next_again || q->head_again[q->next_again - 1] != head)
		return false;
	q->next_again--;
	return true;
}

void vu_inflight_untaken(struct dev_queue *q, uint16_t head)
{
	if (q->inflight)
		STORE(&q->inflight->desc[head].in_flight, 0);
}

void vu_inflight_settle(struct dev_queue *q)
{
	if (q->inflight)
		keep_waiting(q, q->inflight);
}

void vu_inflight_stop(struct dev_queue *q)
{
	q->inflight = NULL;
	q->n_again = q->next_again = 0;
}

void vu_inflight_reset(struct vu_device *d)
{
	const struct vu_inflight *shm = &d->inflight;

	for (uint16_t i = 0; shm->shm.at && i < shm->n_queues; i++) {
		struct vu_inflight_ring *f = ring_at(shm, i);

		for (uint16_t j = 0; j < shm->queue_size; j++)
			STORE(&f->desc[j].in_flight, 0);
	}
}
