/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a disk is served from. It comes about in steps around the sandbox: before it, what takes calls that
 * are not allowed there, and no byte of the files is read; in it, all that reads them or hears who has them.
 */
#ifndef BULKHEAD_DISKKIT_DISK_H
#define BULKHEAD_DISKKIT_DISK_H

#include "lib/devkit/process.h"
#include "lib/diskkit/policy.h"
#include "lib/image/volume.h"

struct disk {
	struct image *image;
	uint64_t fsize; /* the sandbox's limit of file size; SB_UNSET: begin sets it */
	/*
	 * In the sandbox, before a guest is faced: what the image is shows. 0; -ECANCELED: the VM has ended
	 * meanwhile; or an error with the reason in *e. NULL: it has shown.
	 */
	int (*begin)(struct process *c, void *owner, struct volume_error *e);
	/* At the end: nothing that a guest was told is lost. 0 or an error. NULL: nothing is kept. */
	int (*finish)(void);
};

/* Which files were handed over: before any number can be another descriptor's. */
void disk_look(void);
/* Before the sandbox, with the trap handler there, by the format that is said. 0, or an error with *ret_what
 * what failed. */
[[nodiscard]] int disk_open(struct disk *ret, const struct disk_options *o, const char **ret_what);
/* Enters the policy with the disk's limit of file size; as process_confine. */
[[nodiscard]] int disk_confine(const struct disk *disk, struct process *c,
			       const struct sandbox_policy *policy, const char **ret_what);
/* The last of a process of that name that would end with that status: the status to end with. */
[[nodiscard]] int disk_end(const struct disk *disk, const char *process, int status);

/* raw.c and volume.c: what disk_open calls. */
[[nodiscard]] int disk_raw(struct disk *ret, const struct disk_options *o, const char **ret_what);
[[nodiscard]] int disk_volume(struct disk *ret, const struct disk_options *o,
			      const char **ret_what);
#endif
