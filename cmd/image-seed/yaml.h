/* SPDX-License-Identifier: Apache-2.0 */
/* YAML, as far as cloud-init's files need it: what comes from outside is quoted, whatever it is. Pure. */
#ifndef BULKHEAD_IMAGE_SEED_YAML_H
#define BULKHEAD_IMAGE_SEED_YAML_H

#include "lib/base/bytes.h"

/* As it stands. */
void yaml_put(struct bytes_writer *w, const char *text);
/*
 * One scalar in double quotes (YAML 1.2, 7.3.1) of nothing but printable ASCII, whose value is that text; what is no UTF-8
 * of it becomes U+FFFD.
 */
void yaml_put_quoted(struct bytes_writer *w, const void *text, size_t len);

#endif
