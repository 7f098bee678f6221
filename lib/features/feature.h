/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every feature, how far it is, where it lives and which security claims it keeps: the one list that
 * `bulkhead features`, the refusals of `bulkhead run`, README.md, docs/features.md and the manual
 * page are made from (tools/features writes the last three).
 */
#ifndef BULKHEAD_FEATURES_FEATURE_H
#define BULKHEAD_FEATURES_FEATURE_H

#include <stdbool.h>
#include <stddef.h>

/* What is promised: SECURITY.md. A machine has a claim unless a feature that it uses gives it up. */
enum claim_id {
	CLAIM_CONTAINMENT,
	CLAIM_NEIGHBOURS,
	CLAIM_TERMINAL,
	CLAIM_GUEST_WALLS,
	CLAIM_HOST_KERNEL,
	N_CLAIMS,
};

struct claim {
	const char *name;
	const char *means;
};

enum feature_status {
	FEATURE_SUPPORTED,    /* all of SECURITY.md, save what it gives up */
	FEATURE_EXPERIMENTAL, /* works, no promise yet; only where it is allowed by name */
	FEATURE_NO_CLAIM,     /* gives up what it says, which is said where it is used */
};

enum feature_id {
	FEATURE_KVM,
	FEATURE_HYPERV,
	FEATURE_SOFT,
	FEATURE_SOFT_MANY_CPUS,
	FEATURE_ACCEL_AUTO,
	FEATURE_RAM,
	FEATURE_BZIMAGE,
	FEATURE_PVH,
	FEATURE_FIRMWARE,
	FEATURE_ACPI,
	FEATURE_SMBIOS,
	FEATURE_PVPANIC,
	FEATURE_PCI,
	FEATURE_VIRTIO_PCI,
	FEATURE_VHOST_USER,
	FEATURE_VFIO_USER,
	FEATURE_BLK,
	FEATURE_QCOW2,
	FEATURE_FOREIGN_DISK,
	FEATURE_FOREIGN_NET,
	FEATURE_STORAGE_FILE,
	FEATURE_STORAGE_NBD,
	FEATURE_STORAGE_ISCSI,
	FEATURE_RATES,
	FEATURE_NET,
	FEATURE_VHOST_NET,
	FEATURE_NET_RELAY,
	FEATURE_NET_SWITCH,
	FEATURE_RNG,
	FEATURE_SCSI,
	FEATURE_SCSI_DISK,
	FEATURE_VSOCK,
	FEATURE_TPM,
	FEATURE_UART,
	FEATURE_CONSOLE,
	FEATURE_SAFE_TERMINAL,
	FEATURE_RAW_TERMINAL,
	FEATURE_LANDLOCK,
	FEATURE_SELINUX,
	FEATURE_LIMITS,
	FEATURE_LIMITS_MORE,
	FEATURE_RESTART,
	FEATURE_PAUSE,
	FEATURE_DEVICE_STATE,
	FEATURE_HOTPLUG,
	FEATURE_RESIZE,
	FEATURE_STRICT,
	FEATURE_ROOT,
	FEATURE_ROOTLESS,
	FEATURE_AUDIT,
	FEATURE_CLOUD_INIT,
	FEATURE_IMAGE,
	FEATURE_IMPORT,
	FEATURE_FETCH,
	FEATURE_LAB,
	N_FEATURES,
};

struct feature {
	const char *name; /* a word: for --allow, and for machines */
	const char *what; /* for people */
	enum feature_status status;
	const char *process;   /* where it lives */
	const char *surface;   /* what an attacker can touch of it */
	unsigned int gives_up; /* claims, 1U << claim_id each */
	const char *note;      /* why it is no more than that; NULL where there is nothing to say */
	const char *shown_by;  /* files below tests/ */
};

extern const struct claim claims[N_CLAIMS];
extern const struct feature features[N_FEATURES];

/* The feature of that name, which is len bytes long, or NULL. */
const struct feature *feature_find(const char *name, size_t len);
bool feature_gives_up(const struct feature *f, enum claim_id claim);
/* "supported", "experimental" or "no security claim". */
const char *feature_status_name(enum feature_status status);

#endif
