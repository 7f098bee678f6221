/* SPDX-License-Identifier: Apache-2.0 */
/* The words that a process is started with, one behind another in a text. */
#ifndef BULKHEAD_SUPERVISOR_WORDS_H
#define BULKHEAD_SUPERVISOR_WORDS_H

#include "lib/config/config.h"

#define WORDS_MAX (24 + CONFIG_DEVICES_MAX) /* the vmm has a word for each */

struct words {
	char *text; /* room for cap bytes */
	size_t cap, at;
	char **argv; /* room for WORDS_MAX and a NULL, which is there */
	size_t n;
	bool failed; /* they did not fit */
};

void words_say(struct words *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A device's options, for the process that serves it; number: among those of its kind, from 0 on. */
void words_say_options(struct words *w, const struct config_device *d,
		       const struct device_kind *server, unsigned int number);
/* Of a device's options, those that the process behind it has, too. */
void words_say_same_options(struct words *w, const struct config_device *d,
			    const struct device_kind *behind);

/* Where its server is, and what is done while that is away. */
void words_say_server(struct words *w, const struct vm_config *c, const struct config_device *d);

#endif
