/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev-dice: an entropy device (VIRTIO 1.2, 5.4) whose bytes are throws of dice.
 * Trust: rings HOSTILE, vmm HOSTILE, argv trusted.
 * Holds: 3 control, 4 vhost-user.
 */
#include "lib/base/cleanup.h"
#include "lib/devkit/args.h"
#include "lib/devkit/process.h"
#include "lib/devkit/vu_device.h"
#include "tests/toy-device/dice.h"

#include <sys/random.h>

#define REQUEST_MAX 256U

struct dice {
	struct vu_device dev;
	struct virtq_chain chain;
	struct dice_options options;
};

static const struct dev_spec spec = { .name = "dev-dice", .n_queues = 1, .queue_max = 256 };

static int serve(struct dice *dice, struct dev_queue *q)
{
	const struct virtq_chain *c = &dice->chain;
	size_t n = c->writable_len < REQUEST_MAX ? (size_t)c->writable_len : REQUEST_MAX;
	uint8_t bytes[REQUEST_MAX];
	ssize_t got = n ? getrandom(bytes, n, 0) : 0;
	int r;

	for (ssize_t i = 0; i < got; i++)
		bytes[i] = (uint8_t)(1 + bytes[i] % dice->options.faces);
	r = virtq_chain_write(c, 0, bytes, got > 0 ? (size_t)got : 0);
	if (r == 0)
		dev_queue_push(q, c->head, got > 0 ? (uint32_t)got : 0);
	return r;
}

static int run(void *owner, struct dev_queue *q)
{
	struct dice *dice = owner;
	int r;

	while ((r = dev_queue_pop(q, &dice->chain)) == 1) {
		r = serve(dice, q);
		if (r < 0)
			return r;
	}
	return r;
}

static const struct dev_ops ops = { .queue_run = run };

int main(int argc, char **argv)
{
	static struct process c;
	static struct dice dice;
	const char *what = "argument";
	int r;

	r = args_parse(&dice_kind, argc, argv, &dice.options, &what); /* 1 words only */
	if (r == 0)
		r = process_open(&c, &dice_declared, &what); /* 2 close others */
	if (r == 0) {
		what = "device";
		r = vu_device_open(&dice.dev, &spec, &ops, &dice, &c.loop,
				   DICE_FD_VHOST_USER); /* 3 no hostile byte */
	}
	if (r == 0)
		r = process_enter(&c, &dice_policy, &what); /* 4 no way back */
	if (r < 0)
		return process_fail(dice_declared.name, what, r);
	dice.dev.ret_why = &c.why;
	return process_serve(&c); /* 5 hostile from here */
}
