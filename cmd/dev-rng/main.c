/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev-rng: serves one virtio-rng device over vhost-user.
 * Trust: rings HOSTILE, vmm HOSTILE, argv trusted.
 * Holds: 3 control, 4 vhost-user.
 */
#include "cmd/dev-rng/rng.h"
#include "lib/base/cleanup.h"
#include "lib/devkit/compartment.h"

static const struct fd_row fds[] = {
	{ FD_CONTROL, FD_SOCKET, false, "control channel" },
	{ 4, FD_SOCKET, false, "vhost-user channel" },
};

int main(int argc, char **argv)
{
	static struct rng rng;
	struct rng_options options = RNG_OPTIONS_DEFAULT;
	static struct compartment c;
	const char *what = "word";
	int r;

	r = args_parse(rng_args, n_rng_args, argc, argv, &options, &what); /* 1 words only */
	if (r == 0)
		r = compartment_open(&c, "dev-rng", fds, ARRAY_SIZE(fds), &what); /* 2 */
	if (r == 0) {
		what = "device";
		r = rng_prepare(&rng, &options, &c.loop, 4); /* 3 no hostile byte */
	}
	if (r == 0)
		r = compartment_enter(&c, &rng_policy, &what); /* 4 no way back */
	if (r < 0)
		return compartment_fail("dev-rng", what, r);
	rng.dev.ret_why = &c.why;
	return compartment_serve(&c); /* 5 hostile from here */
}
