/* SPDX-License-Identifier: Apache-2.0 */
/* What storage-file is: its options, and what it may still ask of the kernel once it is spoken to. */
#ifndef BULKHEAD_STORAGE_FILE_POLICY_H
#define BULKHEAD_STORAGE_FILE_POLICY_H

#include "lib/kinds/kind.h"
#include "lib/storagekit/throttle.h"

enum { STORAGE_FILE_FD_CHANNEL = 4, STORAGE_FILE_FD_IMAGE };

struct storage_file_options {
	uint32_t format; /* raw */
	bool readonly;
	uint32_t cache;	  /* 0: the host's; 1: none */
	uint32_t logical; /* 0: blocks of 512 bytes; 1: of 4096 */
	struct throttle_rates rates;
};

extern const struct sandbox_policy storage_file_policy;
/* of the thread that punches holes */
extern const struct sandbox_policy storage_file_puncher_policy;
extern const struct declared_process storage_file_declared;
extern const struct device_kind storage_file_kind; /* kind.c */

#endif
