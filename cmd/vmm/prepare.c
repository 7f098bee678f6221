/* SPDX-License-Identifier: Apache-2.0 */
/* What the vmm makes before its filters; see prepare.h. */
#include "cmd/vmm/prepare.h"

#include "cmd/vmm/boot/firmware.h"
#include "cmd/vmm/boot/identity.h"
#include "cmd/vmm/boot/items.h"
#include "cmd/vmm/pci/hotplug.h"
#include "cmd/vmm/pci/pci.h"
#include "cmd/vmm/policy.h"
#include "cmd/vmm/vcpu.h"
#include "lib/control/control.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <string.h>

static int write_items(const struct machine *m, const struct vmm_args *args)
{
	struct items_place boot[VMM_MAX_VIRTIO];
	const struct items_source src = { .ram_size = args->memory,
					  .n_vcpus = args->n_vcpus,
					  .serial = args->serial_fd >= 0,
					  .tpm = args->tpm_fd >= 0,
					  .boot = boot,
					  .n_boot = args->n_boot,
					  .smbios = &m->smbios };

	for (unsigned int i = 0; i < args->n_boot; i++) {
		const unsigned int which = args->boot[i];

		boot[i].scsi = which < args->n_virtio &&
			       args->virtio[which].type.type == VIRTIO_ID_SCSI;
		pci_firmware_place((unsigned int)args->n_virtio, which, &boot[i].slot,
				   &boot[i].function);
	}

	return items_write(&src, VMM_FD_ITEMS);
}

static int make_guest(struct machine *m, const struct vmm_args *args)
{
	const struct accel_machine machine = {
		.n_vcpus = args->n_vcpus,
		.hyperv = args->hyperv,
		.io = { .access = vcpu_access, .ctx = m, .loop = &m->loop }
	};
	const char *why = NULL;
	int r = machine_open(m, args->soft ? &accel_soft : &accel_kvm, VMM_FD_RAM, args->memory,
			     args->n_vcpus);

	if (r < 0)
		return control_fail(FD_CONTROL, "%llu MiB of guest RAM: %s",
				    (unsigned long long)(args->memory >> 20), strerrordesc_np(-r));
	r = m->ops->open(args->soft ? -1 : VMM_FD_KVM, &machine, &m->accel, &why);
	if (r < 0)
		return control_fail(FD_CONTROL, "%s: %s", why ? why : m->ops->name,
				    strerrordesc_np(-r));
	r = machine_add_ram(m);
	if (r < 0)
		return control_fail(FD_CONTROL, "the accelerator does not take the guest's RAM: %s",
				    strerrordesc_np(-r));
	r = machine_keep_log(m, VMM_FD_LOG);
	if (r < 0)
		return control_fail(FD_CONTROL,
				    "the log of what devices write cannot be mapped: %s",
				    strerrordesc_np(-r));
	r = firmware_add(m, args->firmware);
	if (r < 0)
		return control_fail(FD_CONTROL, "the accelerator does not take firmware: %s",
				    strerrordesc_np(-r));
	r = firmware_add_flash(m, args->flash, VMM_FD_FLASH);
	if (r < 0)
		return control_fail(FD_CONTROL, "the accelerator does not take a flash: %s",
				    strerrordesc_np(-r));
	r = identity_take(VMM_FD_IDENTITY, args->memory, args->n_vcpus, args->firmware, &m->smbios);
	if (r < 0)
		return control_fail(FD_CONTROL, "the guest's identity cannot be read: %s",
				    strerrordesc_np(-r));
	r = args->firmware ? write_items(m, args) : 0;
	if (r < 0)
		return control_fail(FD_CONTROL, "what firmware is told cannot be written: %s",
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

int vmm_prepare(struct machine *m, const struct vmm_args *args)
{
	if (sandbox_trap_install(FD_CONTROL) < 0)
		return 1;
	return make_guest(m, args) || claim_ranges(m);
}
