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
		"no instruction of the guest is handled in the host's kernel",
	},
};

const struct feature features[N_FEATURES] = {
	[FEATURE_KVM] = {
		"kvm", "KVM accelerator, 1 to 16 virtual CPUs", FEATURE_SUPPORTED, "vmm",
		"the guest's exits; the host's KVM",
		GIVES_UP(CLAIM_HOST_KERNEL),
		"the host's KVM handles the guest's exits; a bug there is not covered",
	},
	[FEATURE_SOFT] = {
		"soft", "software CPU, 1 to 8 virtual CPUs", FEATURE_SUPPORTED, "vmm",
		"the guest's instructions and page tables",
		GIVES_UP(CLAIM_GUEST_WALLS),
		"contained, right or wrong; the walls inside the guest are tested, not promised",
	},
	[FEATURE_SOFT_MANY_CPUS] = {
		"soft-many-cpus", "software CPU with 9 to 16 virtual CPUs", FEATURE_EXPERIMENTAL,
		"vmm", "as the software CPU's",
		.note = "no whole system has been tested with so many",
	},
	[FEATURE_ACCEL_AUTO] = {
		"accel-auto", "choosing the accelerator by measuring /dev/kvm", FEATURE_SUPPORTED,
		"supervisor", "none: before any hostile byte is read",
	},
	[FEATURE_RAM] = {
		"ram", "guest RAM in huge pages, or in a sealed memfd", FEATURE_SUPPORTED,
		"supervisor, vmm", "none: made before the guest runs",
	},
	[FEATURE_BZIMAGE] = {
		"bzimage", "bzImage by the 64-bit boot protocol", FEATURE_SUPPORTED, "vmm",
		"kernel file, initrd",
	},
	[FEATURE_PVH] = {
		"pvh", "ELF kernel by PVH", FEATURE_SUPPORTED, "vmm", "kernel file, initrd",
	},
	[FEATURE_ACPI] = {
		"acpi", "ACPI (hardware-reduced), power button, reset", FEATURE_SUPPORTED, "vmm",
		"five I/O ports",
	},
	[FEATURE_PVPANIC] = {
		"pvpanic", "pvpanic", FEATURE_SUPPORTED, "vmm", "one I/O port",
	},
	[FEATURE_PCI] = {
		"pci", "PCI host, ECAM, MSI-X", FEATURE_SUPPORTED, "vmm",
		"configuration space, BARs",
	},
	[FEATURE_VIRTIO_PCI] = {
		"virtio-pci", "virtio-pci transport (modern)", FEATURE_SUPPORTED, "vmm",
		"common, device and notify registers",
	},
	[FEATURE_VHOST_USER] = {
		"vhost-user", "vhost-user front end", FEATURE_SUPPORTED, "vmm",
		"replies of the device's process",
	},
	[FEATURE_VFIO_USER] = {
		"vfio-user", "vfio-user client", FEATURE_SUPPORTED, "vmm",
		"replies of the device's process",
	},
	[FEATURE_BLK] = {
		"virtio-blk", "virtio-blk, raw images", FEATURE_SUPPORTED, "dev-blk",
		"virtqueues; the image's bytes pass unread",
	},
	[FEATURE_QCOW2] = {
		"qcow2", "disks of qcow2 images, with backing files (format=qcow2)",
		FEATURE_EXPERIMENTAL, "dev-blk or storage-file",
		"image metadata that its taker writes",
		.note = "its parser has not been fuzzed for long",
	},
	[FEATURE_FOREIGN_DISK] = {
		"foreign-disk", "a disk that another's program serves (vhost-user=)",
		FEATURE_NO_CLAIM, "vmm", "the program's replies; of the program, all that it has",
		GIVES_UP(CLAIM_CONTAINMENT),
		"nothing here confines that program, and it has all of the guest's RAM",
	},
	[FEATURE_STORAGE_FILE] = {
		"storage-file", "an image a process away from the rings (parser=apart)",
		FEATURE_SUPPORTED, "storage-file", "NBD requests of the disk's dev-blk",
	},
	[FEATURE_STORAGE_NBD] = {
		"storage-nbd", "a disk of an NBD server (nbd://, nbds://, nbd+unix://)",
		FEATURE_EXPERIMENTAL, "storage-nbd, dialer",
		"the server's bytes, TLS too; NBD requests",
		.note = "a server that loses what was not flushed may lose it unnoticed",
	},
	[FEATURE_RATES] = {
		"rates", "a disk's rates (iops=, bps= and more)", FEATURE_SUPPORTED, "storage-file",
		"as storage-file's; the guest never speaks with it",
	},
	[FEATURE_NET] = {
		"virtio-net", "virtio-net on a stream of frames (--net fd=)", FEATURE_EXPERIMENTAL,
		"dev-net", "two virtqueues; frames of the stream's other end",
		.note = "no offloads, and nothing bounds the frames that a guest sends",
	},
	[FEATURE_RNG] = {
		"virtio-rng", "virtio-rng", FEATURE_SUPPORTED, "dev-rng", "one virtqueue",
	},
	[FEATURE_UART] = {
		"uart", "16550 UART", FEATURE_SUPPORTED, "dev-console",
		"eight registers over vfio-user",
	},
	[FEATURE_CONSOLE] = {
		"virtio-console", "virtio-console", FEATURE_SUPPORTED, "dev-console",
		"two virtqueues, the terminal's size to read",
	},
	[FEATURE_SAFE_TERMINAL] = {
		"console-safe", "--console safe", FEATURE_SUPPORTED, "bulkhead",
		"the guest's output bytes",
	},
	[FEATURE_RAW_TERMINAL] = {
		"console-raw", "--console raw on a terminal", FEATURE_NO_CLAIM, "bulkhead",
		"the guest's output bytes, the terminal",
		GIVES_UP(CLAIM_TERMINAL),
		"the guest drives its user's terminal",
	},
	[FEATURE_LANDLOCK] = {
		"landlock", "Landlock: nothing allowed, in every thread", FEATURE_SUPPORTED,
		"every process", "none: set up before any hostile byte",
	},
	[FEATURE_SELINUX] = {
		"selinux", "SELinux: a domain per process, categories per VM",
		FEATURE_SUPPORTED, "every process", "none: set up before any hostile byte",
	},
	[FEATURE_LIMITS] = {
		"limits", "limits of memory and tasks, by default (cgroup v2)", FEATURE_SUPPORTED,
		"keeper", "none: the host kernel's, out of reach",
	},
	[FEATURE_LIMITS_MORE] = {
		"limits-more", "--limit-cpu, --limit-io", FEATURE_SUPPORTED, "keeper",
		"none: the host kernel's, out of reach",
	},
	[FEATURE_RESTART] = {
		"restart", "dead devices are started again (--on-crash)",
		FEATURE_SUPPORTED, "launcher, supervisor",
		"a part's number; what a dead device left",
		.note = "a guest can cause five, then one per minute; each has new addresses",
	},
	[FEATURE_HOTPLUG] = {
		"hotplug", "devices come and go while the guest runs (attach, detach)",
		FEATURE_SUPPORTED, "launcher, supervisor, vmm",
		"three I/O registers; an open file",
		.note = "eight at a time; a disk with a storage process counts as two",
	},
	[FEATURE_RESIZE] = {
		"resize", "disks become larger while the guest runs (resize)",
		FEATURE_SUPPORTED, "launcher, supervisor",
		"an open file; what image-tool reads",
		.note = "raw and qcow2; none with a data file",
	},
	[FEATURE_STRICT] = {
		"strict", "--strict: no VM without a guarantee", FEATURE_SUPPORTED,
		"supervisor", "none: judged before any hostile byte",
	},
	[FEATURE_ROOT] = {
		"root", "started by root", FEATURE_SUPPORTED, "every process",
		"none: a range of uids per VM, a uid per process",
	},
	[FEATURE_ROOTLESS] = {
		"rootless", "started by an ordinary user", FEATURE_SUPPORTED, "every process",
		"none: subordinate uids, or one uid for all",
	},
	[FEATURE_AUDIT] = {
		"audit", "bulkhead audit: running VMs held against their policies",
		FEATURE_SUPPORTED, "bulkhead",
		"names and filters of the processes that it looks at",
	},
	[FEATURE_IMAGE] = {
		"image", "bulkhead image: raw and qcow2", FEATURE_SUPPORTED, "image-tool",
		"images' bytes, in a jail with descriptors only",
	},
	[FEATURE_IMPORT] = {
		"image-import", "bulkhead image: import of VMDK, VHDX and VHD",
		FEATURE_SUPPORTED, "image-import",
		"images' bytes; it gives image-tool a map",
	},
	[FEATURE_LAB] = {
		"lab", "the lab (tools/lab)", FEATURE_NO_CLAIM, "no process",
		"none: for tests, never installed",
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
