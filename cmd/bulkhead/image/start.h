/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts the jailed processes of a job of `bulkhead image`: image-tool, and one image-import for each file
 * of a format that it reads. A child of the command, the starter, makes their namespaces, since whoever
 * does that can reach no path any more; the command can, and puts the target into its place at the end.
 */
#ifndef BULKHEAD_CMD_BULKHEAD_IMAGE_START_H
#define BULKHEAD_CMD_BULKHEAD_IMAGE_START_H

#include "lib/imagefile/job.h"

#include <sys/types.h>

#define IMAGE_PROCESSES_MAX 3

struct image_run {
	pid_t starter;
	int life; /* closed: the starter and all of its processes end */
	int controls[IMAGE_PROCESSES_MAX + 1]; /* of the processes; the last is the starter's */
	const char *programs[IMAGE_PROCESSES_MAX + 1]; /* at the other ends */
	int output;				       /* what the user is to read */
	int said; /* where that goes, a pipe; -1: to standard output */
	int progress;
};

#define IMAGE_RUN_NONE \
	((struct image_run){ .starter = -1, .life = -1, .output = -1, .said = -1, .progress = -1 })

/*
 * Takes the job's descriptors, which are closed here. 0, or a negative errno with *ret_what what failed.
 * What fails later is said over the starter's channel.
 */
[[nodiscard]] int image_run_start(struct image_job *job, struct image_run *ret,
				  const char **ret_what);

#endif
