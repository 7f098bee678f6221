/* SPDX-License-Identifier: Apache-2.0 */
/* The list of features; see feature.h. After a change: tools/features. */
#include "lib/features/feature.h"

#include <string.h>

#define GIVES_UP(claim) (1U << (claim))

const struct claim claims[N_CLAIMS] = {
	[CLAIM_CONTAINMENT] = {
		"containment",
		"a process taken over gains no more than the threat model lists",
	},
	[CLAIM_NEIGHBOURS] = {
		"neighbours",
		"no process of a VM reaches anything of another VM",
	},
	[CLAIM_TERMINAL] = {
		"terminal",
		"what the guest writes to its console cannot drive its user's terminal",
	},
	[CLAIM_GUEST_WALLS] = {
		"guest-walls",
		"inside the guest, programs and kernel are apart as on the processor",
	},
	[CLAIM_HOST_KERNEL] = {
		"host-kernel",
		"no instruction or ring of the guest is handled in the host's kernel",
	},
};

const struct feature features[N_FEATURES] = {
	[FEATURE_KVM] = {
		"kvm", "KVM accelerator, 1 to 16 virtual CPUs", FEATURE_SUPPORTED, "vmm",
		"the guest's exits; the host's KVM",
		GIVES_UP(CLAIM_HOST_KERNEL),
		"the host's KVM handles the guest's exits; a bug there is not covered",
		.shown_by = "guest/test_cpu.py",
	},
	[FEATURE_HYPERV] = {
		"hyperv", "Hyper-V's clock, timers and SynIC for guests on KVM (--hyperv)",
		FEATURE_EXPERIMENTAL, "vmm", "MSRs and pages that the host's KVM handles",
		.note = "Linux takes it for Hyper-V; Windows itself has not been tried",
		.shown_by = "unit/test_kvm_hyperv.c, guest/test_hyperv.py, linux/test_debian_hyperv.py",
	},
	[FEATURE_SOFT] = {
		"soft", "software CPU, 1 to 8 virtual CPUs", FEATURE_SUPPORTED, "vmm",
		"the guest's instructions and page tables",
		GIVES_UP(CLAIM_GUEST_WALLS),
		"contained, right or wrong; the walls inside the guest are tested, not promised",
		.shown_by = "guest/test_cpu.py, unit/test_soft_diff.c",
	},
	[FEATURE_SOFT_MANY_CPUS] = {
		"soft-many-cpus", "software CPU with 9 to 16 virtual CPUs", FEATURE_EXPERIMENTAL,
		"vmm", "as the software CPU's",
		.note = "no whole system has been tested with so many",
		.shown_by = "guest/test_guests.py",
	},
	[FEATURE_ACCEL_AUTO] = {
		"accel-auto", "choosing the accelerator by measuring /dev/kvm", FEATURE_SUPPORTED,
		"supervisor", "none: before any hostile byte is read",
		.shown_by = "unit/test_kvm_speed.c, unit/test_kvm_probe.c",
	},
	[FEATURE_RAM] = {
		"ram", "guest RAM in huge pages, or in a sealed memfd", FEATURE_SUPPORTED,
		"supervisor, vmm", "none: made before the guest runs",
		.shown_by = "unit/test_ram.c",
	},
	[FEATURE_BZIMAGE] = {
		"bzimage", "bzImage by the 64-bit boot protocol", FEATURE_SUPPORTED, "vmm",
		"kernel file, initrd",
		.shown_by = "unit/test_bzimage.c, linux/test_debian.py",
	},
	[FEATURE_PVH] = {
		"pvh", "ELF kernel by PVH", FEATURE_SUPPORTED, "vmm", "kernel file, initrd",
		.shown_by = "unit/test_elf_pvh.c, guest/test_guests.py",
	},
	[FEATURE_FIRMWARE] = {
		"firmware", "UEFI (OVMF, its variables last) and BIOS (SeaBIOS) boot disks",
		FEATURE_SUPPORTED, "vmm, dev-firmware, dev-flash",
		"fw-cfg, PM, CMOS, flash commands",
		.note = "no Secure Boot: whoever is root in the guest can change the variables",
		.shown_by = "guest/test_firmware.py, unit/test_items.c, "
			    "unit/test_firmware_registers.c, unit/test_flash.c, unit/test_flash_store.c, "
			    "device/test_firmware_process.py, device/test_flash_process.py, "
			    "drills/test_firmware.py, linux/test_uefi.py, linux/test_bios.py",
	},
	[FEATURE_ACPI] = {
		"acpi", "ACPI (hardware-reduced), power button, reset", FEATURE_SUPPORTED, "vmm",
		"five I/O ports",
		.shown_by = "unit/test_acpi.c, guest/test_guests.py",
	},
	[FEATURE_SMBIOS] = {
		"smbios", "SMBIOS: UUID, serial, strings, credentials (--credential)",
		FEATURE_SUPPORTED, "vmm", "none: made before the guest runs",
		.note = "what is in them is the guest's to read",
		.shown_by = "unit/test_smbios.c, device/test_identity.py, "
			    "drills/test_credential.py, linux/test_debian_identity.py",
	},
	[FEATURE_PVPANIC] = {
		"pvpanic", "pvpanic", FEATURE_SUPPORTED, "vmm", "one I/O port",
		.shown_by = "guest/test_guests.py",
	},
	[FEATURE_PCI] = {
		"pci", "PCI host, ECAM, MSI-X", FEATURE_SUPPORTED, "vmm",
		"configuration space, BARs",
		.shown_by = "unit/test_pci_config.c, unit/test_msix.c",
	},
	[FEATURE_VIRTIO_PCI] = {
		"virtio-pci", "virtio-pci transport (modern)", FEATURE_SUPPORTED, "vmm",
		"common, device and notify registers",
		.shown_by = "unit/test_virtio_pci.c",
	},
	[FEATURE_VHOST_USER] = {
		"vhost-user", "vhost-user front end", FEATURE_SUPPORTED, "vmm",
		"replies of the device's process",
		.shown_by = "unit/test_vhost_front.c",
	},
	[FEATURE_VFIO_USER] = {
		"vfio-user", "vfio-user client", FEATURE_SUPPORTED, "vmm",
		"replies of the device's process",
		.shown_by = "unit/test_vfio_client.c",
	},
	[FEATURE_BLK] = {
		"virtio-blk", "virtio-blk, raw images", FEATURE_SUPPORTED, "dev-blk",
		"virtqueues; the image's bytes pass unread",
		.shown_by = "device/test_blk.py",
	},
	[FEATURE_QCOW2] = {
		"qcow2", "disks of qcow2 images, with backing files (format=qcow2)",
		FEATURE_EXPERIMENTAL, "dev-blk or storage-file",
		"image metadata that its taker writes",
		.note = "its parser has not been fuzzed for long",
		.shown_by = "device/test_blk_qcow2.py, linux/test_qcow2.py",
	},
	[FEATURE_FOREIGN_DISK] = {
		"foreign-disk", "a disk that another's program serves (vhost-user=)",
		FEATURE_NO_CLAIM, "vmm", "the program's replies; of the program, all that it has",
		GIVES_UP(CLAIM_CONTAINMENT),
		"nothing here confines that program, and it has all of the guest's RAM",
		.shown_by = "linux/test_foreign_disk.py, drills/test_foreign.py",
	},
	[FEATURE_FOREIGN_NET] = {
		"foreign-net", "a card that another's program serves (vhost-user=)",
		FEATURE_NO_CLAIM, "vmm", "the program's replies; of the program, all that it has",
		GIVES_UP(CLAIM_CONTAINMENT),
		"nothing here confines that program, and it has all of the guest's RAM",
		.shown_by = "linux/test_foreign_net.py, drills/test_foreign.py",
	},
	[FEATURE_STORAGE_FILE] = {
		"storage-file", "an image a process away from the rings (parser=apart)",
		FEATURE_SUPPORTED, "storage-file", "NBD requests of the disk's dev-blk",
		.shown_by = "device/test_storage.py, drills/test_behind.py",
	},
	[FEATURE_STORAGE_NBD] = {
		"storage-nbd", "a disk of an NBD server (nbd://, nbds://, nbd+unix://)",
		FEATURE_EXPERIMENTAL, "storage-nbd, dialer",
		"the server's bytes, TLS too; NBD requests",
		.note = "what was not flushed is lost if its server and its storage process die at once",
		.shown_by = "device/test_storage_nbd.py, device/test_storage_away.py, "
			    "device/test_storage_attach.py, device/test_storage_lost.py, "
			    "drills/test_server.py, linux/test_rbd.py",
	},
	[FEATURE_STORAGE_ISCSI] = {
		"storage-iscsi", "a disk of an iSCSI target (iscsi://)",
		FEATURE_EXPERIMENTAL, "storage-iscsi, dialer", "the target's bytes; NBD requests",
		.note = "its bytes cross the network in the clear, and its client is new",
		.shown_by = "device/test_storage_iscsi.py, device/test_storage_lost.py, "
			    "device/test_storage_attach.py, drills/test_server.py, linux/test_iscsi.py",
	},
	[FEATURE_RATES] = {
		"rates", "a disk's rates (iops=, bps= and more)", FEATURE_SUPPORTED, "storage-file",
		"as storage-file's; the guest never speaks with it",
		.shown_by = "unit/test_throttle.c, device/test_storage.py",
	},
	[FEATURE_NET] = {
		"virtio-net", "virtio-net: user's network, stream, tap, bridge, macvtap (--net)",
		FEATURE_SUPPORTED, "dev-net",
		"three to 17 virtqueues; frames of the stream or tap",
		.note = "on a tap or stream nothing bounds the frames of a guest without guard=on",
		.shown_by = "device/test_net.py, device/test_net_control.py, device/test_net_tap.py, "
			    "device/test_net_queues.py, device/test_net_rules.py, "
			    "device/test_default_net.py, linux/test_debian_net.py, "
			    "linux/test_debian_tap.py, linux/test_debian_user.py",
	},
	[FEATURE_VHOST_NET] = {
		"vhost-net", "a card whose frames the host's kernel moves (vhost=on)", FEATURE_NO_CLAIM,
		"dev-vhost-net, dialer", "control queue here, rings in the kernel",
		GIVES_UP(CLAIM_HOST_KERNEL),
		"defence in depth given up for speed: hostile rings reach the host kernel's vhost-net",
		.shown_by = "unit/test_vu_lend.c, unit/test_vhost_net.c, device/test_vhost_net.py, "
			    "linux/test_debian_tap.py, drills/test_vhost_net.py",
	},
	[FEATURE_NET_RELAY] = {
		"net-relay", "which frames pass, and how many (public=, allow=, bytes-out= ...)",
		FEATURE_SUPPORTED, "net-relay", "frames of dev-net and of the link's other end",
		.note = "IPv6 addresses of one network are a guest's to choose, unless ip= says it",
		.shown_by = "unit/test_guard.c, device/test_net_relay.py, drills/test_frames.py",
	},
	[FEATURE_NET_SWITCH] = {
		"net-switch", "a private segment of one user's VMs (switch=)", FEATURE_EXPERIMENTAL,
		"net-switch, switch-keeper", "frames of every VM on the segment",
		.note = "IP addresses are who uses them first's, unless ip= says them; it is new",
		.shown_by = "unit/test_net_switch.c, device/test_switch.py, "
			    "linux/test_debian_switch.py, drills/test_switch.py",
	},
	[FEATURE_RNG] = {
		"virtio-rng", "virtio-rng", FEATURE_SUPPORTED, "dev-rng", "one virtqueue",
		.shown_by = "device/test_rng.py",
	},
	[FEATURE_SCSI] = {
		"virtio-scsi", "virtio-scsi: a CD-ROM (--cdrom)", FEATURE_EXPERIMENTAL, "dev-cdrom",
		"virtqueues, SCSI commands",
		.note = "its commands have not been fuzzed for long",
		.shown_by = "unit/test_scsi.c, unit/test_vscsi.c, device/test_cdrom.py, "
			    "drills/test_cdrom.py, linux/test_cdrom.py",
	},
	[FEATURE_SCSI_DISK] = {
		"scsi-disk", "disks behind virtio-scsi (bus=scsi)", FEATURE_EXPERIMENTAL, "dev-scsi",
		"virtqueues, SCSI commands, as for virtio-blk the file",
		.note = "its commands have not been fuzzed for long",
		.shown_by = "unit/test_scsi.c, unit/test_vscsi.c, device/test_scsi.py, "
			    "drills/test_scsi.py, linux/test_scsi.py",
	},
	[FEATURE_VSOCK] = {
		"virtio-vsock", "virtio-vsock (--vsock)", FEATURE_EXPERIMENTAL, "dev-vsock, dialer",
		"three virtqueues; programs of the host",
		.note = "its packets have not been fuzzed for long",
		.shown_by = "device/test_vsock.py, linux/test_vsock.py",
	},
	[FEATURE_TPM] = {
		"tpm", "a TPM 2.0, by swtpm behind a process of its registers (--tpm)",
		FEATURE_EXPERIMENTAL, "dev-tpm",
		"CRB registers, swtpm's responses; of swtpm, commands",
		.note = "a killed swtpm leaves the guest without it; no real host with KVM has had it",
		.shown_by = "unit/test_tpm_crb.c, device/test_tpm.py, device/test_tpm_state.py, "
			    "linux/test_tpm.py, drills/test_tpm.py",
	},
	[FEATURE_UART] = {
		"uart", "16550 UART", FEATURE_SUPPORTED, "dev-console",
		"eight registers over vfio-user",
		.shown_by = "unit/test_uart16550.c",
	},
	[FEATURE_CONSOLE] = {
		"virtio-console", "virtio-console", FEATURE_SUPPORTED, "dev-console",
		"two virtqueues, the terminal's size to read",
		.shown_by = "device/test_console_process.py",
	},
	[FEATURE_SAFE_TERMINAL] = {
		"console-safe", "--console safe", FEATURE_SUPPORTED, "bulkhead",
		"the guest's output bytes",
		.shown_by = "unit/test_termfilter.c, device/test_terminal.py",
	},
	[FEATURE_RAW_TERMINAL] = {
		"console-raw", "--console raw on a terminal", FEATURE_NO_CLAIM, "bulkhead",
		"the guest's output bytes, the terminal",
		GIVES_UP(CLAIM_TERMINAL),
		"the guest drives its user's terminal",
		.shown_by = "device/test_terminal.py",
	},
	[FEATURE_LANDLOCK] = {
		"landlock", "Landlock: nothing allowed, in every thread", FEATURE_SUPPORTED,
		"every process", "none: set up before any hostile byte",
		.shown_by = "device/test_confinement.py",
	},
	[FEATURE_SELINUX] = {
		"selinux", "SELinux: a domain per process, categories per VM",
		FEATURE_SUPPORTED, "every process", "none: set up before any hostile byte",
		.shown_by = "selinux/test_selinux.py",
	},
	[FEATURE_LIMITS] = {
		"limits", "limits of memory and tasks, by default (cgroup v2)", FEATURE_SUPPORTED,
		"keeper", "none: the host kernel's, out of reach",
		.shown_by = "jail/test_limits.py",
	},
	[FEATURE_LIMITS_MORE] = {
		"limits-more", "--limit-cpu, --limit-io", FEATURE_SUPPORTED, "keeper",
		"none: the host kernel's, out of reach",
		.shown_by = "jail/test_limits.py",
	},
	[FEATURE_RESTART] = {
		"restart", "dead devices are started again (--on-crash)",
		FEATURE_SUPPORTED, "launcher, supervisor",
		"a part's number; what a dead device left",
		.note = "a guest can cause five, then one per minute; each has new addresses",
		.shown_by = "guest/test_kills.py, device/test_restart.py",
	},
	[FEATURE_PAUSE] = {
		"pause", "a VM waits for its user (--on-crash pause, resume)",
		FEATURE_SUPPORTED, "supervisor, vmm", "as a dead device's",
		.note = "a guest can cause it; its clock goes on meanwhile",
		.shown_by = "guest/test_pause.py, device/test_restart.py",
	},
	[FEATURE_DEVICE_STATE] = {
		"device-state", "a device's own state through a pipe (vhost-user)",
		FEATURE_SUPPORTED, "dev-blk, dev-rng", "a state that the front end gives",
		.note = "other front ends ask for it: the vmm, which cannot migrate, does not",
		.shown_by = "unit/test_vu_state.c, device/test_device_state.py",
	},
	[FEATURE_HOTPLUG] = {
		"hotplug", "devices come and go while the guest runs (attach, detach)",
		FEATURE_SUPPORTED, "launcher, supervisor, vmm",
		"I/O registers; a file, socket or tap",
		.note = "eight at a time; one with a process behind it counts as two",
		.shown_by = "device/test_hotplug.py, device/test_net_attach.py, "
			    "linux/test_debian_attach.py",
	},
	[FEATURE_RESIZE] = {
		"resize", "disks become larger while the guest runs (resize)",
		FEATURE_SUPPORTED, "launcher, supervisor",
		"an open file; what image-tool reads",
		.note = "raw and qcow2, a data file, too",
		.shown_by = "device/test_resize.py, linux/test_debian_resize.py",
	},
	[FEATURE_STRICT] = {
		"strict", "--strict: no VM without a guarantee", FEATURE_SUPPORTED,
		"supervisor", "none: judged before any hostile byte",
		.shown_by = "device/test_explain.py, device/test_subids.py",
	},
	[FEATURE_ROOT] = {
		"root", "started by root", FEATURE_SUPPORTED, "every process",
		"none: a range of uids per VM, a uid per process",
		.shown_by = "device/test_supervisor.py",
	},
	[FEATURE_ROOTLESS] = {
		"rootless", "started by an ordinary user", FEATURE_SUPPORTED, "every process",
		"none: subordinate uids, or one uid for all",
		.shown_by = "device/test_subids.py, device/test_no_userns.py",
	},
	[FEATURE_AUDIT] = {
		"audit", "bulkhead audit: running VMs held against their policies",
		FEATURE_SUPPORTED, "bulkhead",
		"names and filters of the processes that it looks at",
		.shown_by = "device/test_audit.py",
	},
	[FEATURE_CLOUD_INIT] = {
		"cloud-init", "a disk for cloud-init in the guest (--cloud-init, --ssh-key, ...)",
		FEATURE_SUPPORTED, "image-seed", "files that the user gave, in a jail",
		.shown_by = "unit/test_seed.c, device/test_cloud_init.py, linux/test_cloud_image.py",
	},
	[FEATURE_IMAGE] = {
		"image", "bulkhead image: raw and qcow2", FEATURE_SUPPORTED, "image-tool",
		"images' bytes, in a jail with descriptors only",
		.shown_by = "device/test_image.py, drills/test_image_jobs.py",
	},
	[FEATURE_IMPORT] = {
		"image-import", "bulkhead image: import of VMDK, VHDX and VHD",
		FEATURE_SUPPORTED, "image-import",
		"images' bytes; it gives image-tool a map",
		.shown_by = "unit/test_import.c, device/test_image.py",
	},
	[FEATURE_FETCH] = {
		"image-fetch", "bulkhead image import: downloads",
		FEATURE_EXPERIMENTAL, "image-fetch, image-digest",
		"a web server's bytes, in a jail",
		.note = "libcurl is linked in a way of our own, with one release alone",
		.shown_by = "unit/test_fetched.c, device/test_image_fetch.py, "
			    "drills/test_downloads.py",
	},
	[FEATURE_LAB] = {
		"lab", "the lab (tools/lab)", FEATURE_NO_CLAIM, "no process",
		"none: for tests, never installed",
		.shown_by = "lab/test_lab.py",
	},
};

const struct feature *feature_find(const char *name, size_t len)
{
	for (size_t i = 0; i < N_FEATURES; i++)
		if (strlen(features[i].name) == len && strncmp(features[i].name, name, len) == 0)
			return &features[i];
	return NULL;
}

bool feature_gives_up(const struct feature *f, enum claim_id claim)
{
	return f->gives_up & GIVES_UP(claim);
}

const char *feature_status_name(enum feature_status status)
{
	switch (status) {
	case FEATURE_SUPPORTED:
		return "supported";
	case FEATURE_EXPERIMENTAL:
		return "experimental";
	case FEATURE_NO_CLAIM:
		break;
	}
	return "no security claim";
}
