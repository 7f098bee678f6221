/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm: runs one guest's CPUs, and carries its register accesses and queue set-up to the devices.
 *
 * Trust: the guest's exits HOSTILE, kernel and initrd HOSTILE, every device's replies HOSTILE,
 * control and argv trusted.
 * Holds: 3 control, 4 /dev/kvm, 5 kernel, 6 initrd, 7 guest RAM, 10 the log of the pages that devices write to,
 *	which the software CPU needs, 12 and up one channel a device; 8, what firmware is told, until it has
 *	written and sealed that; 9, a flash as the guest reads it, until that is mapped; 11, the
 *	guest's identity, until it has read that.
 */
#include "cmd/vmm/args.h"
#include "cmd/vmm/machine.h"
#include "cmd/vmm/policy.h"
#include "cmd/vmm/prepare.h"
#include "cmd/vmm/serve.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/control/control.h"

#include <fcntl.h>
#include <string.h>

#define N_ROWS (10 + 4 + VMM_MAX_VIRTIO)

static int parse(int argc, char **argv, struct vmm_args *ret)
{
	const char *bad = NULL;

	return vmm_args_parse(argc, argv, ret, &bad) < 0 ?
		       control_fail(FD_CONTROL, "bad word: %s", bad) :
		       0;
}

/* The declared table, and the devices' channels as the words say. */
static int adopt(struct vmm_args *args)
{
	struct fd_row rows[N_ROWS];
	const struct fd_row *bad = NULL;
	size_t n = 0;
	int r;

	for (; n < vmm_declared.n_fds; n++) {
		rows[n] = vmm_declared.fds[n];
		if (rows[n].fd == VMM_FD_KVM)
			rows[n].optional = args->soft;
		if (rows[n].fd == VMM_FD_LOG)
			rows[n].optional = !args->soft;
	}
	if (args->serial_fd >= 0)
		rows[n++] = (struct fd_row){ args->serial_fd, FD_SOCKET, false, "serial" };
	if (args->registers_fd >= 0)
		rows[n++] = (struct fd_row){ args->registers_fd, FD_SOCKET, false, "registers" };
	if (args->flash_fd >= 0)
		rows[n++] = (struct fd_row){ args->flash_fd, FD_SOCKET, false, "flash" };
	if (args->tpm_fd >= 0)
		rows[n++] = (struct fd_row){ args->tpm_fd, FD_SOCKET, false, "TPM" };
	for (size_t i = 0; i < args->n_virtio; i++)
		rows[n++] = (struct fd_row){ args->virtio[i].fd, FD_SOCKET, false,
					     args->virtio[i].name };
	r = fds_adopt(rows, n, &bad);
	if (r < 0)
		return control_fail(FD_CONTROL, "descriptor %d (%s) is missing or of another kind",
				    bad ? bad->fd : -1, bad ? bad->name : "?");
	args->initrd_fd = fcntl(VMM_FD_INITRD, F_GETFD) < 0 ? -1 : VMM_FD_INITRD;
	return 0;
}

/* And says so. */
static int confine(const struct vmm_args *args)
{
	const struct declared_machine machine = { .memory = args->memory,
						  .vcpus = args->n_vcpus,
						  .channels = 1 + (args->registers_fd >= 0) +
							      (args->flash_fd >= 0) +
							      (args->tpm_fd >= 0) +
							      (unsigned int)args->n_virtio,
						  .soft = args->soft };
	const struct control_msg ready = { .type = CTL_READY };
	struct sandbox_policy policy = vmm_policy;
	const char *what = NULL;
	int r;

	policy.limits.as = declared_address_space(&vmm_declared, &machine);
	policy.limits.nofile = declared_descriptors(&vmm_declared, machine.channels);
	r = sandbox_enter(&policy, FD_CONTROL, &what);
	if (r < 0)
		return control_fail(FD_CONTROL, "cannot be confined: %s: %s", what ? what : "?",
				    strerrordesc_np(-r));
	return control_send(FD_CONTROL, &ready, -1) < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	static struct machine m;
	static struct vmm_args args;
	int control = FD_CONTROL;

	log_set_sink(control_log_sink, &control);
	if (parse(argc, argv, &args)) /* 1 words only */
		return 1;
	if (adopt(&args)) /* 2 close others */
		return 1;
	if (vmm_prepare(&m, &args)) /* 3 no hostile byte */
		return 1;
	if (confine(&args)) /* 4 no way back */
		return 1;
	return vmm_serve(&m, &args, FD_CONTROL); /* 5 hostile from here */
}
