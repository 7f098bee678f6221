/* SPDX-License-Identifier: Apache-2.0 */
/* Device status, the rings' start and stop, device configuration; see virtio_pci.h. */
#include "cmd/vmm/pci/virtio_pci.h"

#include "cmd/vmm/platform/peer.h"
#include "lib/base/checked.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <unistd.h>

#define USED_INDEX 2 /* VIRTIO 1.2, 2.7.8 */

#define ACKNOWLEDGE VIRTIO_CONFIG_S_ACKNOWLEDGE
#define DRIVER VIRTIO_CONFIG_S_DRIVER
#define DRIVER_OK VIRTIO_CONFIG_S_DRIVER_OK
#define FEATURES_OK VIRTIO_CONFIG_S_FEATURES_OK
#define NEEDS_RESET VIRTIO_CONFIG_S_NEEDS_RESET
#define FAILED VIRTIO_CONFIG_S_FAILED

enum virtio_state virtio_state(const struct virtio_pci *v)
{
	if (v->status & (NEEDS_RESET | FAILED))
		return VIRTIO_STATE_BROKEN;
	if (v->status & DRIVER_OK)
		return VIRTIO_STATE_LIVE;
	return v->status & FEATURES_OK ? VIRTIO_STATE_FEATURES : VIRTIO_STATE_INIT;
}

int virtio_fail(struct virtio_pci *v, int error)
{
	machine_fail(v->m, "virtio %s: %s", v->type->name, peer_strerror(error));
	return error;
}

static void signal_config(struct virtio_pci *v)
{
	const uint64_t one = 1;

	v->isr |= VPCI_ISR_CONFIG;
	(void)!write(v->config_fd, &one, sizeof(one));
}

void virtio_needs_reset(struct virtio_pci *v, const char *why)
{
	if (v->status & NEEDS_RESET)
		return;
	log_gated(&v->gate, LOG_LEVEL_WARNING, "virtio %s: needs a reset: %s", v->type->name, why);
	v->status |= NEEDS_RESET;
	if (v->status & DRIVER_OK)
		signal_config(v);
}

/* ---- rings ---- */

/* VIRTIO 1.2, 2.7: sizes and alignments of a split ring's parts */
static bool ring_in_ram(const struct virtio_pci *v, const struct virtio_queue *q)
{
	gpa_t gpa;

	return q->desc % 16 == 0 && q->driver % 2 == 0 && q->device % 4 == 0 &&
	       guestmem_from_uaddr(&v->m->mem, q->desc, 16ULL * q->size, &gpa) == 0 &&
	       guestmem_from_uaddr(&v->m->mem, q->driver, 6ULL + 2ULL * q->size, &gpa) == 0 &&
	       guestmem_from_uaddr(&v->m->mem, q->device, 6ULL + 8ULL * q->size, &gpa) == 0;
}

/* What the back end has given back so far. */
static uint16_t used_index(const struct virtio_pci *v, const struct virtio_queue *q)
{
	uint16_t index = 0;

	if (q->enabled)
		(void)!guest_load16(&v->m->mem, GPA(q->device + USED_INDEX), &index);
	return index;
}

static void describe_rings(const struct virtio_pci *v, bool again,
			   struct vhost_ring rings[VIRTIO_PCI_MAX_QUEUES])
{
	memset(rings, 0, sizeof(rings[0]) * VIRTIO_PCI_MAX_QUEUES);
	for (unsigned int i = 0; i < v->n_queues; i++) {
		const struct virtio_queue *q = &v->queues[i];

		rings[i] = (struct vhost_ring){ .used = q->enabled,
						.base = again ? used_index(v, q) : 0,
						.size = q->size,
						.desc = q->desc,
						.avail = q->driver,
						.used_ring = q->device,
						.kick_fd = q->kick_fd,
						.call_fd = q->call_fd,
						.err_fd = v->err_fd };
	}
}

/* Front-end addresses are guest addresses; the file holds low RAM first, high RAM behind it. */
static void describe_memory(const struct machine *m, struct vhost_memory *mem)
{
	uint64_t low = m->ram_size < LOW_RAM_MAX ? m->ram_size : LOW_RAM_MAX;

	*mem = (struct vhost_memory){ .fd = m->ram_fd, .n = 1 };
	mem->regions[0] = (struct vu_region){ .size = low };
	if (m->ram_size == low)
		return;
	mem->n = 2;
	mem->regions[1] = (struct vu_region){ .gpa = HIGH_RAM_START,
					      .size = m->ram_size - low,
					      .uaddr = HIGH_RAM_START,
					      .mmap_offset = low };
}

int virtio_hand_over(struct virtio_pci *v, bool again)
{
	struct vhost_ring rings[VIRTIO_PCI_MAX_QUEUES];
	struct vhost_memory mem;

	v->inflight.n_queues = (uint16_t)v->n_queues;
	v->inflight.queue_size = QUEUE_SIZE_MAX;
	describe_rings(v, again, rings);
	describe_memory(v->m, &mem);
	if (!v->front.logs)
		machine_unlogged(v->m, true);
	return vhost_front_start(&v->front, &mem, rings, v->n_queues, &v->inflight);
}

static bool rings_in_ram(struct virtio_pci *v)
{
	for (unsigned int i = 0; i < v->n_queues; i++) {
		if (!v->queues[i].enabled || ring_in_ram(v, &v->queues[i]))
			continue;
		virtio_needs_reset(v, "a ring is not in RAM");
		return false;
	}
	return true;
}

/* False: the device does not become live. */
static bool start(struct virtio_pci *v)
{
	int r;

	if (!rings_in_ram(v))
		return false;
	r = v->away ? 0 : virtio_outcome(v, virtio_hand_over(v, false));
	if (r < 0) {
		virtio_fail(v, r);
		v->status |= NEEDS_RESET;
		return false;
	}
	v->running = true;
	virtio_bind_notifiers(v);
	return true;
}

int virtio_go_on(struct virtio_pci *v)
{
	if (v->running)
		return 0;
	v->running = (v->status & DRIVER_OK) && rings_in_ram(v);
	virtio_bind_notifiers(v);
	return v->away ? 0 : virtio_bring_up_to_date(v);
}

/* The host may take its time over what is in flight: the machine's others go on meanwhile. */
int virtio_wait(void *owner, int sock, struct timespec *left)
{
	struct virtio_pci *v = owner;

	return machine_wait(v->m, sock, left);
}

/* Each index by its own power of a prime: two that change at once do not make up for each other. */
static uint64_t sum_used(const struct virtio_pci *v)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < v->n_queues; i++)
		sum = sum * 65537 + used_index(v, &v->queues[i]);
	return sum;
}

bool virtio_has_served(void *owner)
{
	struct virtio_pci *v = owner;
	uint64_t before = v->used_sum;

	v->used_sum = sum_used(v);
	return v->used_sum != before;
}

int virtio_stop(struct virtio_pci *v)
{
	struct vhost_ring rings[VIRTIO_PCI_MAX_QUEUES];
	int r;

	if (!v->running)
		return 0;
	v->running = false;
	virtio_bind_notifiers(v);
	closep(&v->inflight.fd);
	if (v->away)
		return 0;
	describe_rings(v, false, rings);
	v->used_sum = sum_used(v);
	v->draining = true;
	r = virtio_outcome(v, vhost_front_stop(&v->front, rings, v->n_queues));
	v->draining = false;
	machine_wake(v->m);
	if (r == 0 && v->config_stale)
		virtio_config_changed(v);
	return r;
}

static void bind_notifier(struct virtio_pci *v, struct virtio_queue *q, uint64_t gpa)
{
	const struct accel_ops *ops = v->m->ops;

	if (q->notify_gpa == gpa)
		return;
	if (q->notify_gpa)
		(void)!ops->ioeventfd_unbind(v->m->accel, q->notify_gpa, q->kick_fd);
	q->notify_gpa = 0;
	/* without one, the access comes to virtio_notify */
	if (gpa && ops->ioeventfd_bind(v->m->accel, gpa, q->kick_fd) == 0)
		q->notify_gpa = gpa;
}

void virtio_bind_notifiers(struct virtio_pci *v)
{
	for (unsigned int i = 0; i < v->n_queues; i++) {
		bool on = v->running && v->notify_base && v->queues[i].enabled;

		bind_notifier(v, &v->queues[i],
			      on ? v->notify_base + (uint64_t)i * VPCI_NOTIFY_STRIDE : 0);
	}
}

/* The back end shares the eventfd, which is the queue's for as long as there is a machine. */
void virtio_notify(struct virtio_pci *v, unsigned int queue)
{
	if (v->running && queue < v->n_queues && v->queues[queue].enabled)
		machine_count_event(v->m, v->queues[queue].kick_fd);
}

/* ---- device status (2.1, 3.1.1) ---- */

static bool features_acceptable(const struct virtio_pci *v)
{
	return !(v->driver_features & ~v->features) &&
	       (v->driver_features & (1ULL << VIRTIO_F_VERSION_1));
}

int virtio_reset(struct virtio_pci *v)
{
	int r = virtio_stop(v);

	v->status = 0;
	v->isr = 0;
	v->driver_features = 0;
	v->device_feature_select = v->driver_feature_select = 0;
	v->queue_select = 0;
	memset(v->config_written, 0, sizeof(v->config_written));
	(void)msix_map(&v->msix, v->config_source, MSIX_NO_VECTOR);
	for (unsigned int i = 0; i < v->n_queues; i++) {
		struct virtio_queue *q = &v->queues[i];

		q->size = QUEUE_SIZE_MAX;
		q->enabled = false;
		q->desc = q->driver = q->device = 0;
		(void)msix_map(&v->msix, q->source, MSIX_NO_VECTOR);
	}
	return r < 0 ? virtio_fail(v, r) : 0;
}

/* True: the driver sees FEATURES_OK. */
static bool take_features(struct virtio_pci *v)
{
	int r;

	if (!features_acceptable(v))
		return false;
	r = v->away ? 0 :
		      virtio_outcome(v, vhost_front_set_features(&v->front, v->driver_features));
	return r < 0 ? virtio_fail(v, r), false : true;
}

void virtio_set_status(struct virtio_pci *v, uint8_t status)
{
	const uint8_t driver = ACKNOWLEDGE | DRIVER | FAILED;
	uint8_t rises = status & (uint8_t)~v->status;

	if (!status) {
		(void)!virtio_reset(v);
		return;
	}
	v->status |= status & driver; /* bits are only ever added */
	if ((rises & FEATURES_OK) && virtio_state(v) == VIRTIO_STATE_INIT && take_features(v))
		v->status |= FEATURES_OK;
	if ((rises & DRIVER_OK) && virtio_state(v) == VIRTIO_STATE_FEATURES && start(v)) {
		v->status |= DRIVER_OK;
		/* Linux's console looks at its size then, and not before */
		if (v->config_moved)
			signal_config(v);
	}
}

/* ---- device configuration ---- */

int virtio_config_fetch(struct virtio_pci *v)
{
	uint8_t fresh[VU_MAX_CONFIG] = { 0 };
	int r;

	if (v->away || !v->type->config_len || !vhost_front_has_config(&v->front))
		return 0;
	r = vhost_front_get_config(&v->front, 0, fresh, v->type->config_len);
	if (r < 0)
		return r;
	if (memcmp(fresh, v->config, sizeof(fresh)) != 0)
		v->generation++;
	memcpy(v->config, fresh, sizeof(fresh));
	return 0;
}

int virtio_config_refresh(struct virtio_pci *v)
{
	const uint8_t before = v->generation;
	int r = virtio_config_fetch(v);

	if (r == 0 && v->generation != before && virtio_state(v) == VIRTIO_STATE_LIVE)
		signal_config(v);
	return r;
}

void virtio_config_changed(struct virtio_pci *v)
{
	int r;

	v->config_moved = true;
	v->config_stale = v->draining; /* the channel is in the middle of an exchange */
	if (v->draining)
		return;
	r = virtio_outcome(v, virtio_config_refresh(v));
	if (r < 0)
		virtio_fail(v, r);
}

uint64_t virtio_config_read(struct virtio_pci *v, uint64_t offset, unsigned int width)
{
	uint64_t value = 0;

	if (!range_within(offset, width, v->type->config_len))
		return 0;
	for (unsigned int i = 0; i < width; i++)
		value |= (uint64_t)v->config[offset + i] << (8 * i);
	return value;
}

void virtio_config_write(struct virtio_pci *v, uint64_t offset, unsigned int width, uint64_t value)
{
	const enum virtio_state states = VIRTIO_STATE_FEATURES | VIRTIO_STATE_LIVE;
	uint8_t data[8];
	int r;

	if (!range_within(offset, width, v->type->config_len) || !(virtio_state(v) & states) ||
	    !vhost_front_has_config(&v->front))
		return;
	for (unsigned int i = 0; i < width; i++) {
		data[i] = (uint8_t)(value >> (8 * i));
		v->config_written[offset + i] = true;
	}
	r = v->away ? 0 : vhost_front_set_config(&v->front, (uint32_t)offset, data, width);
	if (r == 0)
		r = virtio_config_fetch(v);
	r = virtio_outcome(v, r);
	if (v->away)
		memcpy(v->config + offset, data, width);
	if (r < 0)
		virtio_fail(v, r);
}
