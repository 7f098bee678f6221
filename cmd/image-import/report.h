/* SPDX-License-Identifier: Apache-2.0 */
/* What an image is, for the user: the keys and words of `qemu-img info`. */
#ifndef BULKHEAD_IMAGE_IMPORT_REPORT_H
#define BULKHEAD_IMAGE_IMPORT_REPORT_H

#include "cmd/image-import/import.h"
#include "lib/imagefile/job.h"

#include <sys/stat.h>

/* Before the sandbox is entered. */
void report_prepare(const struct stat *st);
int report(const struct image_job *job, const struct import *i);

#endif
