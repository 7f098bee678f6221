/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev-tpm: serves a TPM's registers over vfio-user, and has swtpm carry out its commands. It has neither guest RAM nor
 * DMA nor keys.
 * Trust: registers HOSTILE, vmm HOSTILE, swtpm HOSTILE, argv trusted.
 * Holds: 3 control, 4 vfio-user socket, 5 the pages that keep its state, which a predecessor left HOSTILE, 6 a socket
 *	to swtpm, for commands alone.
 */
#include "cmd/dev-tpm/device.h"
#include "cmd/dev-tpm/policy.h"
#include "lib/base/cleanup.h"
#include "lib/devkit/args.h"
#include "lib/devkit/process.h"

#include <errno.h>

#define NAME "dev-tpm"

static struct process process;
static struct tpm_device device;

_Static_assert(sizeof(struct tpm_kept) <= TPM_STATE_SIZE, "room for it");

static int on_message(struct process *c, const struct control_msg *m, int fd)
{
	closep(&fd);
	(void)c;
	if (m->type != CTL_TPM)
		return -EPROTO;
	tpm_started(&device, m->number);
	return 0;
}

static int prepare(const char **ret_what)
{
	void *page = NULL;
	int r;

	*ret_what = "state pages";
	r = fd_map_shared(TPM_FD_STATE, TPM_STATE_SIZE, &page);
	if (r < 0)
		return r;
	*ret_what = "vfio-user";
	return tpm_open(&device, page, &process.loop, TPM_FD_VFIO_USER, TPM_FD_SWTPM, FD_CONTROL);
}

int main(int argc, char **argv)
{
	struct tpm_options options = { 0 };
	const char *what = "argument";
	int r;

	r = args_parse(&tpm_kind, argc, argv, &options, &what); /* 1 words only */
	if (r == 0)
		r = process_open(&process, &tpm_declared, &what); /* 2 close others */
	if (r == 0)
		r = prepare(&what); /* 3 no hostile byte */
	if (r == 0)
		r = process_enter(&process, &tpm_policy, &what); /* 4 no way back */
	if (r < 0)
		return process_fail(NAME, what, r);
	process.message = on_message;
	device.vfu.ret_why = &process.why;
	tpm_begin(&device);
	return process_serve(&process); /* 5 hostile from here */
}
