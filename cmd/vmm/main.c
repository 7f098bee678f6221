/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm: runs one guest's CPUs, and carries its register accesses and queue set-up to the devices.
 *
 * Trust: the guest's exits HOSTILE, kernel and initrd HOSTILE, every device's replies HOSTILE,
 * control and argv trusted.
 * Holds: 3 control, 4 /dev/kvm, 5 kernel, 6 initrd, 7 guest RAM, 8 and up one channel a device.
 */
#include "cmd/vmm/args.h"
#include "cmd/vmm/machine.h"
#include "cmd/vmm/pci/hotplug.h"
#include "cmd/vmm/pci/pci.h"
#include "cmd/vmm/policy.h"
#include "cmd/vmm/serve.h"
#include "cmd/vmm/vcpu.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/control/control.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define N_ROWS (8 + 1 + VMM_MAX_VIRTIO)

/* The declared table, and the devices' channels as the words say. */
static int adopt(const struct vmm_args *args)
{
	struct fd_row rows[N_ROWS];
	const struct fd_row *bad = NULL;
	size_t n = 0;
	int r;

	for (; n < vmm_declared.n_fds; n++) {
		rows[n] = vmm_declared.fds[n];
		if (rows[n].fd == VMM_FD_KVM)
			rows[n].optional = args->soft;
	}
	if (args->serial_fd >= 0)
		rows[n++] = (struct fd_row){ args->serial_fd, FD_SOCKET, false, "serial" };
	for (size_t i = 0; i < args->n_virtio; i++)
		rows[n++] = (struct fd_row){ args->virtio[i].fd, FD_SOCKET, false,
					     args->virtio[i].name };
	r = fds_adopt(rows, n, &bad);
	if (r < 0)
		return control_fail(FD_CONTROL, "descriptor %d (%s) is missing or of another kind",
				    bad ? bad->fd : -1, bad ? bad->name : "?");
	return 0;
}

/* Everything that needs more of the kernel than the filters allow; no hostile byte yet. */
static int prepare(struct machine *m, const struct vmm_args *args)
{
	const struct accel_io io = { .access = vcpu_access, .ctx = m, .loop = &m->loop };
	const char *why = NULL;
	int r = machine_open(m, args->soft ? &accel_soft : &accel_kvm, VMM_FD_RAM, args->memory,
			     args->n_vcpus);

	if (r < 0)
		return control_fail(FD_CONTROL, "%llu MiB of guest RAM: %s",
				    (unsigned long long)(args->memory >> 20), strerrordesc_np(-r));
	r = m->ops->open(args->soft ? -1 : VMM_FD_KVM, m->n_vcpus, &io, &m->accel, &why);
	if (r < 0)
		return control_fail(FD_CONTROL, "%s: %s", why ? why : m->ops->name,
				    strerrordesc_np(-r));
	r = machine_add_ram(m);
	if (r < 0)
		return control_fail(FD_CONTROL, "the accelerator does not take the guest's RAM: %s",
				    strerrordesc_np(-r));
	r = vcpus_start(m, args->soft ? &vmm_soft_vcpu_policy : &vmm_vcpu_policy);
	if (r < 0)
		return control_fail(FD_CONTROL, "%u vCPUs: %s", m->n_vcpus,
				    *m->why ? m->why : strerrordesc_np(-r));
	return 0;
}

static int claim_ranges(struct machine *m)
{
	int r;

	ioapic_init(&m->ioapic, m->ops, m->accel);
	r = machine_add_object(m, &ioapic_state, &m->ioapic);
	if (r == 0)
		r = bus_add(&m->mmio, &(struct bus_range){ IOAPIC_START, IOAPIC_SIZE,
							   &ioapic_bus_ops, &m->ioapic });
	if (r == 0)
		r = power_open(m);
	if (r == 0)
		r = pvpanic_open(m);
	if (r == 0)
		r = pci_host_open(m, &m->pci);
	if (r == 0)
		r = hotplug_open(m, &m->hotplug);
	if (r < 0)
		return control_fail(FD_CONTROL, "the machine's layout: %s", strerrordesc_np(-r));
	return 0;
}

static int confine(const struct vmm_args *args)
{
	const struct declared_machine machine = { .memory = args->memory,
						  .vcpus = args->n_vcpus,
						  .channels = 1 + (unsigned int)args->n_virtio,
						  .soft = args->soft };
	struct sandbox_policy policy = vmm_policy;
	const char *what = NULL;
	int r;

	policy.limits.as = declared_address_space(&vmm_declared, &machine);
	policy.limits.nofile = declared_descriptors(&vmm_declared, machine.channels);
	r = sandbox_enter(&policy, FD_CONTROL, &what);
	if (r < 0)
		return control_fail(FD_CONTROL, "cannot be confined: %s: %s", what ? what : "?",
				    strerrordesc_np(-r));
	return 0;
}

static int say_ready(void)
{
	const struct control_msg ready = { .type = CTL_READY };

	return control_send(FD_CONTROL, &ready, -1) < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	static struct machine m;
	static struct vmm_args args;
	const char *bad = NULL;
	int control = FD_CONTROL;
	int initrd;

	log_set_sink(control_log_sink, &control);
	if (vmm_args_parse(argc, argv, &args, &bad) < 0) /* 1 words only */
		return control_fail(FD_CONTROL, "bad word: %s", bad);
	if (adopt(&args)) /* 2 close others */
		return 1;
	initrd = fcntl(VMM_FD_INITRD, F_GETFD) < 0 ? -1 : VMM_FD_INITRD;
	if (sandbox_trap_install(FD_CONTROL) < 0 || prepare(&m, &args) ||
	    claim_ranges(&m)) /* 3 no hostile byte */
		return 1;
	if (confine(&args) || say_ready()) /* 4 no way back */
		return 1;
	return vmm_serve(&m, &args, FD_CONTROL, VMM_FD_KERNEL, initrd); /* 5 hostile from here */
}
