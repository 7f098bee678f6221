/* SPDX-License-Identifier: Apache-2.0 */
/* The vmm's words, from the supervisor; trusted, but checked all the same. */
#ifndef BULKHEAD_VMM_ARGS_H
#define BULKHEAD_VMM_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMM_MAX_VIRTIO 128 /* PCI_DEVICES_MAX */
#define VMM_VIRTIO_QUEUES_MAX 64
#define VMM_VIRTIO_CONFIG_MAX 256 /* bytes */

enum vmm_action { VMM_RESTART, VMM_STOP, VMM_CONTINUE };

/* What a virtio device is on the bus. The vmm knows no kind of device: the supervisor says it. */
struct virtio_type {
	unsigned int type;     /* VIRTIO 1.2, section 5 */
	const char *name;      /* for messages */
	uint32_t class_code;   /* PCI */
	unsigned int n_queues; /* of a back end that does not say */
	unsigned int queues_min;
	uint32_t config_len; /* bytes of configuration space that the features define */
	uint64_t features;   /* the device's own bits that may be passed on */
};

struct vmm_virtio {
	char name[16];
	struct virtio_type type;
	int fd;
};

struct vmm_args {
	unsigned int n_vcpus;
	bool soft;	 /* the software CPU instead of KVM */
	bool hyperv;	 /* Hyper-V's interface instead of KVM's */
	uint64_t memory; /* bytes */
	const char *cmdline;
	uint64_t firmware; /* bytes of it, which are in the kernel's place; 0: a kernel is booted */
	unsigned int boot[VMM_MAX_VIRTIO]; /* which virtio devices firmware tries first, by index */
	unsigned int n_boot;
	enum vmm_action on_reboot; /* VMM_RESTART or VMM_STOP */
	enum vmm_action on_panic;  /* VMM_STOP or VMM_CONTINUE */
	int serial_fd;		   /* -1: none */
	int registers_fd;	   /* of what firmware needs; -1: none */
	int flash_fd;		   /* of the flash with its variables; -1: none */
	uint64_t flash;		   /* bytes of it */
	int tpm_fd;		   /* a TPM's registers; -1: none */
	int initrd_fd;		   /* -1: none; no word says it, main looks */
	struct vmm_virtio virtio[VMM_MAX_VIRTIO];
	size_t n_virtio;
};

/* "NAME:ID:CLASS:QUEUES:LEAST:CONFIG:FEATURES", as the row of the device's kind has them; fd is -1. -EINVAL. */
[[nodiscard]] int vmm_virtio_parse(struct vmm_virtio *d, const char *text);

/* 0, or -EINVAL with *ret_bad the word that is wrong. Names in *ret point into it. */
[[nodiscard]] int vmm_args_parse(int argc, char **argv, struct vmm_args *ret, const char **ret_bad);

#endif
