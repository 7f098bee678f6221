/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device whose process is gone, until its successor is there; see virtio_pci.h.
 *
 * Meanwhile the guest's registers are this process's own, its notifications stay in the eventfds, and
 * what it asks of the device is noted in those registers. The successor gets all of it: features,
 * configuration that was written, rings at the first request that is not done, and the memory in which
 * the requests in flight are noted.
 */
#include "cmd/vmm/event.h"
#include "cmd/vmm/pci/virtio_pci.h"
#include "cmd/vmm/platform/peer.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <unistd.h>

void virtio_lose(struct virtio_pci *v)
{
	if (v->away)
		return;
	v->away = true;
	v->front.dead = true;
	machine_unlogged(v->m, false); /* what it wrote last may have no bit yet */
	machine_lost(v->m, v->number);
}

int virtio_outcome(struct virtio_pci *v, int r)
{
	if (r != -EPIPE)
		return r;
	virtio_lose(v);
	return 0;
}

/* ---- the successor ---- */

/* The count of an eventfd that nobody else writes to now is brought to 1, whatever was done to it. */
static void count_once(int fd)
{
	const uint64_t one = 1;

	(void)!event_take(fd);
	(void)!write(fd, &one, sizeof(one));
}

/* A kick that its predecessor took may not have been followed, an interrupt not been sent. */
static void repeat_events(struct virtio_pci *v)
{
	for (unsigned int i = 0; i < v->n_queues; i++) {
		if (!v->queues[i].enabled)
			continue;
		count_once(v->queues[i].kick_fd);
		count_once(v->queues[i].call_fd);
	}
}

static int check(struct virtio_pci *v, uint64_t features, const char **ret_why)
{
	if ((v->features & features) != v->features)
		*ret_why = "its new process offers fewer features";
	else if (v->front.n_queues < v->n_queues)
		*ret_why = "its new process has fewer queues";
	else
		return 0;
	return -EPROTO;
}

/* Byte by byte: the driver's accesses were of any width. */
static int write_config(struct virtio_pci *v)
{
	int r = 0;

	for (unsigned int i = 0; i < v->type->config_len && r == 0; i++)
		if (v->config_written[i])
			r = vhost_front_set_config(&v->front, i, &v->config[i], 1);
	return r;
}

int virtio_bring_up_to_date(struct virtio_pci *v)
{
	const uint8_t negotiated = VIRTIO_CONFIG_S_FEATURES_OK;
	int r = 0;

	if (v->status & negotiated)
		r = vhost_front_set_features(&v->front, v->driver_features);
	if (r == 0)
		r = write_config(v);
	if (r == 0)
		r = virtio_config_refresh(v);
	if (r < 0 || !v->running)
		return r;
	repeat_events(v);
	return virtio_hand_over(v, true);
}

static int meet(struct virtio_pci *v, int sock, const char **ret_why)
{
	int r = vhost_front_open(&v->front, sock, v->type->n_queues, &v->m->log);

	if (r < 0)
		return r;
	vhost_front_wait_by(&v->front, virtio_wait, virtio_has_served, v);
	r = check(v, v->front.features, ret_why);
	if (r == 0)
		r = virtio_bring_up_to_date(v);
	return r < 0 ? r : virtio_watch(v);
}

/* One that is gone already is awaited as the one before it. */
int virtio_reconnect(struct virtio_pci *v, int sock, const char **ret_why)
{
	const char *why = NULL;
	int r;

	while (v->draining) /* a vCPU, which is about to see the end of the channel */
		machine_sleep(v->m);
	loop_remove(&v->m->loop, &v->channel);
	vhost_front_close(&v->front);
	v->away = false;
	r = virtio_outcome(v, meet(v, sock, &why));
	if (r < 0)
		*ret_why = why ? why : peer_strerror(r);
	else if (!v->away)
		machine_found(v->m, v->number);
	return r;
}
