/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev-rng: serves one virtio-rng device over vhost-user.
 * Trust: rings HOSTILE, vmm HOSTILE, argv trusted.
 * Holds: 3 control, 4 vhost-user.
 */
#include "cmd/dev-rng/policy.h"
#include "cmd/dev-rng/rng.h"
#include "lib/base/cleanup.h"
#include "lib/devkit/args.h"
#include "lib/devkit/process.h"

int main(int argc, char **argv)
{
	static struct rng rng;
	struct rng_options options;
	static struct process c;
	const char *what = "word";
	int r;

	r = args_parse(&rng_kind, argc, argv, &options, &what); /* 1 words only */
	if (r == 0)
		r = process_open(&c, &rng_declared, &what); /* 2 close others */
	if (r == 0) {
		what = "device";
		r = rng_prepare(&rng, &options, &c.loop, RNG_FD_VHOST_USER); /* 3 no hostile byte */
	}
	if (r == 0)
		r = process_enter(&c, &rng_policy, &what); /* 4 no way back */
	if (r < 0)
		return process_fail("dev-rng", what, r);
	rng.dev.ret_why = &c.why;
	return process_serve(&c); /* 5 hostile from here */
}
