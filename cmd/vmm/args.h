/* SPDX-License-Identifier: Apache-2.0 */
/* The vmm's words, from the supervisor; trusted, but checked all the same. */
#ifndef BULKHEAD_VMM_ARGS_H
#define BULKHEAD_VMM_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMM_MAX_VIRTIO 24

enum vmm_action { VMM_RESTART, VMM_STOP, VMM_CONTINUE };

struct vmm_virtio {
	unsigned int type; /* VIRTIO 1.2, section 5: 2 block, 3 console, 4 entropy */
	const char *name;
	int fd;
};

struct vmm_args {
	unsigned int n_vcpus;
	bool soft;            /* the software CPU instead of KVM */
	uint64_t memory;      /* bytes */
	const char *cmdline;
	enum vmm_action on_reboot; /* VMM_RESTART or VMM_STOP */
	enum vmm_action on_panic;  /* VMM_STOP or VMM_CONTINUE */
	int serial_fd;        /* -1: none */
	struct vmm_virtio virtio[VMM_MAX_VIRTIO];
	size_t n_virtio;
};

/* 0, or -EINVAL with *ret_bad the word that is wrong. */
[[nodiscard]] int vmm_args_parse(int argc, char **argv, struct vmm_args *ret,
				 const char **ret_bad);

#endif
