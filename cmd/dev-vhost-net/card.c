/* SPDX-License-Identifier: Apache-2.0 */
/* A network card whose rings are the kernel's; see card.h. */
#include "cmd/dev-vhost-net/card.h"

#include "cmd/dev-vhost-net/taps.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/netcard/net_features.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define COMMANDS_MAX 64U /* of one pass */

/* Without filters of what is received: see card.h. */
#define FEATURES                                                                                   \
	(BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_MTU) | BIT(VIRTIO_NET_F_MRG_RXBUF) |             \
	 BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) | \
	 BIT(VIRTIO_NET_F_SPEED_DUPLEX))

static bool chose(const struct vhost_net *net, unsigned int feature)
{
	return net->features & BIT(feature);
}

static unsigned int pairs(const struct vhost_net *net)
{
	return chose(net, VIRTIO_NET_F_MQ) ? net->control.pairs : 1;
}

static unsigned int controlq(const struct vhost_net *net)
{
	return chose(net, VIRTIO_NET_F_MQ) ? 2 * net->n_pairs : NET_CONTROLQ;
}

static void config_read(void *owner, uint8_t *config)
{
	const struct vhost_net *net = owner;
	bool announces = net->control.announces && chose(net, VIRTIO_NET_F_GUEST_ANNOUNCE);
	const struct card_config c = {
		.mac = net->mac,
		.status = (uint16_t)((net->down || net->gone ? 0 : CARD_LINK_UP) |
				     (announces ? CARD_ANNOUNCE : 0)),
		.pairs = net->n_pairs > 1 ? (uint16_t)net->n_pairs : 0,
		.mtu = net->mtu,
		.speed = net->speed,
	};

	card_config_write(&c, config);
}

/* ---- what the tap is told ---- */

static void set_offloads(const struct vhost_net *net)
{
	if (!net->bare)
		taps_set_offloads(net->tap, net->n_pairs, net->features & ~net->control.off);
}

static void set_taps(const struct vhost_net *net)
{
	taps_use(net->tap, net->n_pairs, pairs(net));
	set_offloads(net);
}

/* No ring is the kernel's now. */
static void set_features(void *owner, uint64_t features)
{
	struct vhost_net *net = owner;

	net->features = features;
	set_taps(net);
}

/* ---- the rings ---- */

static struct kernel_ring ring_of(const struct vhost_net *net, unsigned int queue)
{
	const unsigned int pair = queue / 2;

	return (struct kernel_ring){ net->kernel[pair], queue % 2, net->tap[pair],
				     net->error[queue].fd };
}

/* What the descriptor is to know before the first of its two rings is the kernel's. */
static int tell_kernel(struct vhost_net *net, unsigned int pair)
{
	const struct dev_queue *q = &net->dev.queue[(size_t)2 * pair];
	int r;

	if (q[0].lent || q[1].lent)
		return 0;
	r = kernel_set_features(net->kernel[pair], net->dev.features, net->bare);
	return r < 0 ? r : kernel_set_memory(net->kernel[pair], &net->dev.mem);
}

static int lend(void *owner, struct dev_queue *q, const struct dev_lent *ring)
{
	struct vhost_net *net = owner;
	const struct kernel_ring k = ring_of(net, q->index < controlq(net) ? q->index : 0);
	int r;

	if (q->index >= controlq(net) || q->index / 2 >= pairs(net) || net->down || net->gone)
		return 0;
	r = tell_kernel(net, q->index / 2);
	if (r == 0)
		r = kernel_start(&k, ring);
	return r < 0 ? r : 1;
}

static uint16_t reclaim(void *owner, struct dev_queue *q)
{
	const struct kernel_ring k = ring_of(owner, q->index);

	return kernel_stop(&k);
}

/* ---- what is served here ---- */

static void say_announced(struct vhost_net *net)
{
	if (net->announced)
		net->announced(net->owner);
}

/* The kernel has the rings of a pair only while the tap has its queue, and never finds a tap that is not there. */
static int change_pairs(struct vhost_net *net, unsigned int before)
{
	int r;

	if (pairs(net) > before)
		taps_use(net->tap, net->n_pairs, pairs(net));
	r = vu_device_lend(&net->dev);
	if (pairs(net) < before)
		taps_use(net->tap, net->n_pairs, pairs(net));
	return r;
}

static int command(struct vhost_net *net, struct dev_queue *q)
{
	const struct virtq_chain *c = &net->chain;
	const unsigned int before = pairs(net);
	const uint64_t off = net->control.off;
	const bool announces = net->control.announces;
	uint8_t answer;
	int r;

	if (!chose(net, VIRTIO_NET_F_CTRL_VQ))
		return -EBADMSG;
	r = control_run(&net->control, net->features, (uint16_t)net->n_pairs, c);
	if (r < 0)
		return r;
	if (r == CONTROL_OK)
		control_keep(&net->control, net->kept);
	if (net->control.off != off)
		set_offloads(net);
	answer = (uint8_t)r;
	r = virtq_chain_write(c, 0, &answer, sizeof(answer));
	if (r == 0)
		dev_queue_push(q, c->head, sizeof(answer));
	if (announces && !net->control.announces)
		say_announced(net);
	return r < 0 || pairs(net) == before ? r : change_pairs(net, before);
}

static int run_control(struct vhost_net *net, struct dev_queue *q)
{
	for (unsigned int n = 0; n < COMMANDS_MAX; n++) {
		int r = dev_queue_pop(q, &net->chain);

		if (r == 1)
			r = command(net, q);
		else
			return r;
		if (r < 0)
			return r;
	}
	return -EAGAIN;
}

/* Of a link that is down, or a pair that is not used: what is to be sent is not. */
static int drop_all(struct vhost_net *net, struct dev_queue *q)
{
	int r;

	while ((r = dev_queue_pop(q, &net->chain)) == 1)
		dev_queue_push(q, net->chain.head, 0);
	return r;
}

static int run(void *owner, struct dev_queue *q)
{
	struct vhost_net *net = owner;

	if (q->index == controlq(net))
		return run_control(net, q);
	if (q->index > controlq(net)) /* of pairs that its driver does not know of */
		return 0;
	return q->index % 2 == NET_RECEIVEQ ? 0 : drop_all(net, q);
}

/* The driver begins anew. */
static void reset(void *owner)
{
	struct vhost_net *net = owner;

	if (net->control.announces)
		say_announced(net);
	control_init(&net->control, net->mac);
	control_keep(&net->control, net->kept);
	set_taps(net);
}

static const struct dev_ops card_ops = { .set_features = set_features,
					 .config_read = config_read,
					 .queue_run = run,
					 .queue_lend = lend,
					 .queue_reclaim = reclaim,
					 .reset = reset };

int vhost_net_set_link(struct vhost_net *net, bool up, bool announce)
{
	if (up && net->down)
		taps_drain(net->tap, net->n_pairs);
	net->down = !up;
	if (announce)
		net->control.announces = 1;
	return vu_device_lend(&net->dev);
}

/* ---- what the kernel says ---- */

static int lose_tap(struct vhost_net *net)
{
	log_line(LOG_LEVEL_WARNING, "dev-vhost-net: the tap was removed: the link is down");
	net->gone = true;
	return vu_device_lend(&net->dev);
}

static int on_error(struct loop_source *src, uint32_t events)
{
	const struct vhost_net_error *e = src->owner;
	uint64_t count;

	(void)events;
	if (read(e->fd, &count, sizeof(count)) < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (!e->net->gone && tap_is_gone(e->net->tap[e->queue / 2]))
		return lose_tap(e->net);
	if (!e->net->gone)
		dev_queue_fail(&e->net->dev.queue[e->queue], "the kernel cannot serve the ring");
	return 0;
}

static int open_error(struct vhost_net *net, unsigned int queue, struct loop *loop)
{
	struct vhost_net_error *e = &net->error[queue];

	*e = (struct vhost_net_error){ .net = net, .queue = queue, .src = { .fd = -1 } };
	e->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return e->fd < 0 ? -errno : loop_add(loop, &e->src, e->fd, EPOLLIN, on_error, e);
}

/* ---- all ---- */

static uint64_t offered(const struct vhost_net *net)
{
	uint64_t features = FEATURES;

	if (!net->bare)
		features |= NET_TAP_FEATURES | (net->uso ? NET_USO_FEATURES : 0);
	return features | (net->n_pairs > 1 ? NET_MQ_FEATURES : 0);
}

static void settle(struct vhost_net *net, const struct vhost_net_options *o,
		   struct vhost_net_page *page)
{
	net->features = 0;
	net->down = net->gone = false;
	net->n_pairs = (unsigned int)o->queues;
	net->mac = o->mac;
	net->mtu = (uint16_t)(o->mtu ? o->mtu : NET_MTU_USUAL);
	net->speed = (uint32_t)o->speed;
	net->bare = o->bare;
	net->uso = o->uso;
	net->spec = (struct dev_spec){
		.name = "dev-vhost-net",
		.features = offered(net),
		.n_queues = 2 * net->n_pairs + 1,
		.queue_max = NET_QUEUE_MAX,
		.config_len = NET_CONFIG_LEN,
	};
	net->kept = &page->control;
	control_load(&net->control, net->kept, net->mac, (uint16_t)net->n_pairs);
}

static int own(struct vhost_net *net, const int *taps, const int *kernels)
{
	int r = 0;

	for (unsigned int i = 0; i < net->n_pairs && r == 0; i++) {
		net->tap[i] = taps[i];
		net->kernel[i] = kernels[i];
		r = kernel_own(kernels[i]);
	}
	return r;
}

int vhost_net_prepare(struct vhost_net *net, const struct vhost_net_options *o,
		      struct vhost_net_page *page, struct loop *loop, int sock, const int *taps,
		      const int *kernels, const char **ret_what)
{
	int r;

	settle(net, o, page);
	*ret_what = "the kernel's vhost-net";
	r = own(net, taps, kernels);
	*ret_what = r < 0 ? *ret_what : "device";
	for (unsigned int i = 0; i < 2 * net->n_pairs && r == 0; i++)
		r = open_error(net, i, loop);
	if (r == 0)
		r = vu_device_open(&net->dev, &net->spec, &card_ops, net, loop, sock);
	if (r == 0)
		set_taps(net);
	return r;
}

void vhost_net_close(struct vhost_net *net)
{
	struct loop *loop = net->dev.loop;

	vu_device_close(&net->dev);
	for (unsigned int i = 0; i < 2 * net->n_pairs; i++) {
		loop_remove(loop, &net->error[i].src);
		closep(&net->error[i].fd);
	}
	fds_close(net->tap, net->n_pairs);
	fds_close(net->kernel, net->n_pairs);
}
