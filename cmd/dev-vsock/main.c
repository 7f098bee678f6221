/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev-vsock: serves one virtio-vsock device over vhost-user, and joins it to clients on the host.
 * Trust: rings HOSTILE, vmm HOSTILE, clients' bytes opaque but for one line, argv trusted.
 * Holds: 3 control, 4 vhost-user, 5 the socket that clients connect to, 6 a channel to
 * the dialer where the guest may reach ports of the host; each connection.
 */
#include "cmd/dev-vsock/policy.h"
#include "cmd/dev-vsock/vsock.h"
#include "lib/base/cleanup.h"
#include "lib/devkit/args.h"
#include "lib/devkit/process.h"

#include <signal.h>

int main(int argc, char **argv)
{
	static struct vsock vsock;
	static struct vsock_options options;
	static struct process c;
	const char *what = "word";
	int r;

	/* a client that went away is an error of write */
	signal(SIGPIPE, SIG_IGN);
	r = args_parse(&vsock_kind, argc, argv, &options, &what); /* 1 words only */
	if (r == 0)
		r = process_open(&c, &vsock_declared, &what); /* 2 close others */
	if (r == 0) {
		what = "device"; /* 3 no hostile byte */
		r = vsock_prepare(&vsock, &options, &c.loop, VSOCK_FD_VHOST_USER, VSOCK_FD_LISTENER,
				  options.connect.n ? VSOCK_FD_DIALER : -1);
	}
	if (r == 0)
		r = process_enter(&c, &vsock_policy, &what); /* 4 no way back */
	if (r < 0)
		return process_fail("dev-vsock", what, r);
	vsock.dev.ret_why = &c.why;
	return process_serve(&c); /* 5 hostile from here */
}
