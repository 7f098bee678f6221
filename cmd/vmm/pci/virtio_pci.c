/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio device on the bus; see virtio_pci.h. */
#include "cmd/vmm/pci/virtio_pci.h"

#include "cmd/vmm/platform/peer.h"
#include "cmd/vmm/space.h"
#include "lib/base/checked.h"
#include "lib/base/cleanup.h"
#include "lib/base/units.h"

#include <assert.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define VENDOR_VIRTIO 0x1af4
#define DEVICE_BASE 0x1040
#define REVISION 1
#define GATE_LINES 5

static_assert(sizeof(struct virtio_pci) + KIB(8) <= SPACE_CHANNEL);

/* Bits of the ring and the transport that this front end can carry */
#define RING_FEATURES \
	(BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_F_VERSION_1))

static_assert(VMM_VIRTIO_QUEUES_MAX <= VIRTIO_PCI_MAX_QUEUES);
static_assert(VMM_VIRTIO_CONFIG_MAX <= VU_MAX_CONFIG);

/* ---- BAR 0 ---- */

uint64_t virtio_bar_read(struct virtio_pci *v, uint64_t offset, unsigned int width)
{
	uint64_t page = offset & ~(uint64_t)(VPCI_PAGE_SIZE - 1), at = offset - page;
	uint8_t isr = v->isr;

	switch (page) {
	case VPCI_COMMON:
		return virtio_common_read(v, at, width);
	case VPCI_ISR:
		if (at != 0)
			return 0;
		v->isr = 0; /* read and clear, 4.1.4.5 */
		return isr;
	case VPCI_CONFIG:
		return virtio_config_read(v, at, width);
	case VPCI_MSIX_TABLE:
		return msix_table_read(&v->msix, at, width);
	case VPCI_MSIX_PBA:
		return msix_pba_read(&v->msix, at, width);
	default:
		return 0;
	}
}

void virtio_bar_write(struct virtio_pci *v, uint64_t offset, unsigned int width, uint64_t value)
{
	uint64_t page = offset & ~(uint64_t)(VPCI_PAGE_SIZE - 1), at = offset - page;

	if (v->draining)
		return;
	switch (page) {
	case VPCI_COMMON:
		virtio_common_write(v, at, width, value);
		break;
	case VPCI_CONFIG:
		virtio_config_write(v, at, width, value);
		break;
	case VPCI_NOTIFY:
		/* the address names the queue; the value, which says the same, is not looked at */
		if (at % VPCI_NOTIFY_STRIDE == 0)
			virtio_notify(v, (unsigned int)(at / VPCI_NOTIFY_STRIDE));
		break;
	case VPCI_MSIX_TABLE:
		msix_table_write(&v->msix, at, width, value);
		break;
	default:
		break;
	}
}

static uint64_t bus_bar_read(void *owner, uint64_t offset, unsigned int width)
{
	return virtio_bar_read(owner, offset, width);
}

static void bus_bar_write(void *owner, uint64_t offset, unsigned int width, uint64_t value)
{
	virtio_bar_write(owner, offset, width, value);
}

static const struct bus_ops bar_bus_ops = { .read = bus_bar_read, .write = bus_bar_write };

static void bar_moved(struct pci_function *fn, uint64_t base)
{
	struct virtio_pci *v = fn->owner;

	v->notify_base = base ? base + VPCI_NOTIFY : 0;
	virtio_bind_notifiers(v);
}

static void function_remove(struct pci_function *fn);

static const struct pci_function_ops function_ops = {
	.config_read = virtio_caps_read,
	.config_written = virtio_caps_written,
	.bar_moved = bar_moved,
	.state = &virtio_pci_state,
	.remove = function_remove,
};

/* ---- the back end's events ---- */

static int on_hangup(struct loop_source *src, uint32_t events)
{
	struct virtio_pci *v = src->owner;

	(void)events;
	loop_remove(&v->m->loop, src);
	virtio_lose(v);
	return 0;
}

int virtio_watch(struct virtio_pci *v)
{
	return v->away ?
		       0 :
		       loop_add(&v->m->loop, &v->channel, v->front.sock, EPOLLRDHUP, on_hangup, v);
}

/* Edge-triggered in the loop and never read: the back end shares the eventfd. */
static int on_err(struct loop_source *src, uint32_t events)
{
	struct virtio_pci *v = src->owner;
	uint8_t status = VIRTIO_CONFIG_S_NEEDS_RESET;
	int r = 0;

	(void)events;
	if (v->away || v->draining || virtio_state(v) != VIRTIO_STATE_LIVE)
		return 0;
	if (v->front.protocol & BIT(VHOST_USER_PROTOCOL_F_STATUS))
		r = virtio_outcome(v, vhost_front_get_status(&v->front, &status));
	if (r < 0)
		virtio_fail(v, r);
	else if (!v->away && (status & VIRTIO_CONFIG_S_NEEDS_RESET))
		virtio_needs_reset(v, "its process found a broken ring");
	return 0;
}

/* ---- making ---- */

static int make_eventfd(int *fd)
{
	*fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return *fd < 0 ? -errno : 0;
}

static int add_queue(struct virtio_pci *v, struct virtio_queue *q)
{
	int r = make_eventfd(&q->kick_fd);

	if (r == 0)
		r = make_eventfd(&q->call_fd);
	if (r == 0)
		r = msix_add_source(&v->msix, q->call_fd);
	if (r < 0)
		return r;
	q->source = (unsigned int)r;
	q->size = QUEUE_SIZE_MAX;
	return 0;
}

/* One vector a queue and one for configuration changes. */
static int add_queues(struct virtio_pci *v)
{
	int r;

	v->n_queues = v->front.n_queues < VIRTIO_PCI_MAX_QUEUES ? v->front.n_queues :
								  VIRTIO_PCI_MAX_QUEUES;
	msix_init(&v->msix, v->m, v->n_queues + 1);
	r = make_eventfd(&v->config_fd);
	if (r == 0)
		r = make_eventfd(&v->err_fd);
	if (r == 0)
		r = msix_add_source(&v->msix, v->config_fd);
	if (r < 0)
		return r;
	v->config_source = (unsigned int)r;
	r = 0;
	for (unsigned int i = 0; i < v->n_queues && r == 0; i++)
		r = add_queue(v, &v->queues[i]);
	return r;
}

static int check_back_end(struct virtio_pci *v, const char **ret_why)
{
	int r;

	v->features = v->front.features & (v->type->features | RING_FEATURES);
	if (!(v->features & BIT(VIRTIO_F_VERSION_1))) {
		*ret_why = "the back end does not speak VIRTIO 1";
		return -EPROTO;
	}
	if (v->type->type == VIRTIO_ID_NET && v->front.n_queues < v->type->queues_min)
		v->front.n_queues *= 2; /* DPDK counts a card's pairs of queues */
	if (v->front.n_queues < v->type->queues_min) {
		*ret_why = "the back end has too few queues";
		return -EPROTO;
	}
	r = virtio_config_fetch(v);
	if (r == -EOPNOTSUPP)
		*ret_why = "the back end has no configuration space of this type of device";
	return r;
}

static int join(struct virtio_pci *v, int slot)
{
	struct loop *loop = &v->m->loop;
	int r = loop_add(loop, &v->err, v->err_fd, EPOLLIN | EPOLLET, on_err, v);

	if (r == 0)
		r = virtio_watch(v);
	if (r < 0)
		return r;
	pci_config_init(&v->fn.config, VENDOR_VIRTIO, (uint16_t)(DEVICE_BASE + v->type->type),
			v->type->class_code, REVISION);
	pci_config_define(&v->fn.config, 0x2c /* subsystem vendor */, 2, VENDOR_VIRTIO, 0);
	pci_config_define(&v->fn.config, 0x2e /* subsystem */, 2, DEVICE_BASE + v->type->type, 0);
	v->fn.bar = (struct pci_bar){ .size = VPCI_BAR_SIZE, .ops = &bar_bus_ops };
	r = virtio_caps_define(v);
	if (r < 0)
		return r;
	return slot == PCI_SLOT_COLD ? pci_host_add(v->m->pci, &v->fn) :
				       pci_host_plug(v->m->pci, &v->fn, (unsigned int)slot);
}

static void virtio_free(struct virtio_pci *v)
{
	loop_remove(&v->m->loop, &v->err);
	loop_remove(&v->m->loop, &v->channel);
	for (unsigned int i = 0; i < VIRTIO_PCI_MAX_QUEUES; i++) {
		closep(&v->queues[i].kick_fd);
		closep(&v->queues[i].call_fd);
	}
	closep(&v->config_fd);
	closep(&v->err_fd);
	closep(&v->inflight.fd);
	vhost_front_close(&v->front);
	free(v);
}

/* A back end that does not stop its rings has them until its process ends. */
static void function_remove(struct pci_function *fn)
{
	struct virtio_pci *v = fn->owner;

	(void)!virtio_stop(v);
	msix_close(&v->msix);
	v->m->ops->irqfd_settle(v->m->accel);
	virtio_free(v);
}

static struct virtio_pci *virtio_new(struct machine *m, const struct virtio_type *type)
{
	struct virtio_pci *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->m = m;
	v->type = type;
	v->gate = LOG_GATE(GATE_LINES);
	v->fn = (struct pci_function){ .m = m, .ops = &function_ops, .owner = v };
	v->config_fd = v->err_fd = v->err.fd = v->channel.fd = v->front.sock = v->inflight.fd = -1;
	for (unsigned int i = 0; i < VIRTIO_PCI_MAX_QUEUES; i++)
		v->queues[i].kick_fd = v->queues[i].call_fd = -1;
	return v;
}

static int reconnect(void *owner, int sock, const char **ret_why)
{
	return virtio_reconnect(owner, sock, ret_why);
}

static void config_changed(void *owner)
{
	virtio_config_changed(owner);
}

/* Nobody knows of the device yet. */
static int shake_hands(struct virtio_pci *v, int sock, const char **ret_why)
{
	int r;

	pthread_mutex_unlock(&v->m->lock);
	r = vhost_front_open(&v->front, sock, v->type->n_queues, &v->m->log);
	vhost_front_wait_by(&v->front, virtio_wait, virtio_has_served, v);
	if (r == 0)
		r = check_back_end(v, ret_why);
	pthread_mutex_lock(&v->m->lock);
	return r;
}

int virtio_pci_add(struct machine *m, const struct virtio_type *type, unsigned int channel,
		   int sock, int slot, const char **ret_why)
{
	struct virtio_pci *v = virtio_new(m, type);
	const char *why = NULL;
	int r;

	if (!v) {
		close(sock);
		*ret_why = "no memory";
		return -ENOMEM;
	}
	v->number = channel;
	r = shake_hands(v, sock, &why);
	if (r == 0)
		r = add_queues(v);
	if (r == 0)
		r = join(v, slot);
	if (r == 0 && channel < MACHINE_CHANNELS_MAX)
		m->channels[channel] = (struct machine_channel){
			.reconnect = reconnect,
			.config_changed = config_changed,
			.owner = v,
			.name = type->name,
		};
	if (r < 0) {
		*ret_why = why ? why : peer_strerror(r);
		msix_close(&v->msix);
		virtio_free(v);
	}
	return r;
}
