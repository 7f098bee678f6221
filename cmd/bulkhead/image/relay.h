/* SPDX-License-Identifier: Apache-2.0 */
/* What the processes of a job say: shown, all of it HOSTILE. */
#ifndef BULKHEAD_CMD_BULKHEAD_IMAGE_RELAY_H
#define BULKHEAD_CMD_BULKHEAD_IMAGE_RELAY_H

#include "cmd/bulkhead/image/start.h"
#include "cmd/bulkhead/image/words.h"

#include <stdbool.h>

enum image_end {
	IMAGE_ENDED,	   /* *ret_status is image-tool's; IMAGE_EXIT_FAILED has had its line */
	IMAGE_INTERRUPTED, /* by a signal */
	IMAGE_OUTPUT_LOST, /* nobody can read it any more */
};

/* Until the job's end. signals: a signalfd. */
enum image_end image_relay(const struct image_words *w, struct image_run *run, int signals,
			   int *ret_status);

#endif
