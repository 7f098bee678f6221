/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-rng; see rng.h. */
#include "cmd/dev-rng/rng.h"

#include "lib/base/checked.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <unistd.h>

static const struct dev_spec rng_spec = { .name = "dev-rng", .n_queues = 1, .queue_max = 256 };

/* The timer runs only while the bucket is not full, so that an idle device sleeps. */
static int set_ticking(struct rng *rng, bool on)
{
	struct itimerspec t = { 0 };

	if (rng->ticking == on)
		return 0;
	if (on)
		t.it_value.tv_nsec = t.it_interval.tv_nsec = RNG_TICK_MS * 1000000L;
	if (timerfd_settime(rng->timer_fd, 0, &t, NULL) < 0)
		return -errno;
	rng->ticking = on;
	return 0;
}

void rng_refill(struct rng *rng, uint64_t n)
{
	uint64_t per_tick = rng->rate * RNG_TICK_MS / 1000;
	uint64_t more;

	if (!per_tick)
		per_tick = 1;
	if (!u64_mul(per_tick, n, &more) || !u64_add(rng->tokens, more, &rng->tokens) ||
	    rng->tokens > rng->capacity)
		rng->tokens = rng->capacity;
}

static int on_timer(struct loop_source *src, uint32_t events)
{
	struct rng *rng = src->owner;
	uint64_t n;

	(void)events;
	if (read(rng->timer_fd, &n, sizeof(n)) < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	rng_refill(rng, n);
	dev_queue_run(&rng->dev.queue[0]);
	return rng->tokens == rng->capacity ? set_ticking(rng, false) : 0;
}

/* Bytes that the chain gets now: never more than its room, the request's bound and the bucket. */
static size_t share(const struct rng *rng, const struct virtq_chain *c)
{
	uint64_t n = RNG_REQUEST_MAX;

	if (n > c->writable_len)
		n = c->writable_len;
	if (n > rng->tokens)
		n = rng->tokens;
	return (size_t)n;
}

static int serve(struct rng *rng, struct dev_queue *q, const struct virtq_chain *c)
{
	uint8_t bytes[RNG_REQUEST_MAX];
	size_t n = share(rng, c);
	ssize_t got = n ? getrandom(bytes, n, 0) : 0;
	int r;

	if (got < 0)
		got = 0; /* the host's trouble: the driver gets nothing and asks again */
	r = virtq_chain_write(c, 0, bytes, (size_t)got);
	if (r < 0)
		return r;
	rng->tokens -= (uint64_t)got;
	dev_queue_push(q, c->head, (uint32_t)got);
	return 0;
}

int rng_run(void *owner, struct dev_queue *q)
{
	struct rng *rng = owner;
	int r = 0;

	while (rng->tokens) {
		r = dev_queue_pop(q, &rng->chain);
		if (r == 1)
			r = serve(rng, q, &rng->chain);
		else
			break;
		if (r < 0)
			break;
	}
	if (r < 0)
		return r;
	/* with an empty bucket, the timer runs the queue again */
	return rng->tokens < rng->capacity && set_ticking(rng, true) < 0 ? -EAGAIN : 0;
}

/* ---- state: what the bucket holds, so that a guest that moves does not get it full again ---- */

struct image {
	uint64_t tokens;
};

static const struct state_field fields[] = { STATE_ANY(struct image, tokens) };

static const struct state_schema schema = {
	.name = "dev-rng",
	.version = 1,
	.size = sizeof(struct image),
	.fields = fields,
	.n_fields = ARRAY_SIZE(fields),
};

static int reset_state(void *object)
{
	struct rng *rng = object;

	rng->tokens = rng->capacity;
	return 0;
}

static void save(const void *object, void *image)
{
	*(struct image *)image = (struct image){ ((const struct rng *)object)->tokens };
}

static int load(void *object, const void *image, const char **ret_why)
{
	const uint64_t tokens = ((const struct image *)image)->tokens;
	struct rng *rng = object;

	if (tokens > rng->capacity) {
		*ret_why = "more bytes than its rate gives";
		return -EINVAL;
	}
	rng->tokens = tokens;
	return tokens < rng->capacity ? set_ticking(rng, true) : 0;
}

static const struct state_ops state = { "dev-rng", &schema, reset_state, NULL, save, load, NULL };

static const struct dev_ops rng_ops = { .queue_run = rng_run, .state = &state };

int rng_prepare(struct rng *rng, const struct rng_options *o, struct loop *loop, int sock)
{
	int r;

	rng->rate = rng->capacity = rng->tokens = o->rate;
	rng->loop = loop;
	rng->timer.fd = -1;
	rng->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (rng->timer_fd < 0)
		return -errno;
	r = loop_add(loop, &rng->timer, rng->timer_fd, EPOLLIN, on_timer, rng);
	if (r < 0)
		return r;
	return vu_device_open(&rng->dev, &rng_spec, &rng_ops, rng, loop, sock);
}
