/* SPDX-License-Identifier: Apache-2.0 */
/* The names that flags and file share, as a table. */
#ifndef BULKHEAD_CONFIG_KEYS_H
#define BULKHEAD_CONFIG_KEYS_H

#include "lib/config/config.h"

struct config_key {
	const char *name;
	/*
	 * Takes a value. 0, or -EINVAL; then *ret_why may be set to a message that says more than
	 * `right`.
	 */
	int (*set)(struct vm_config *c, const char *value, const char **ret_why);
	const char *right; /* what would be right, for the error */
	bool is_switch;    /* `--key` alone means on */
	bool adds_up;      /* may be said more than once */
	bool words_only;   /* not in a file */
};

extern const struct config_key config_keys[];

/* limits.c */
int set_limit_memory(struct vm_config *c, const char *value, const char **ret_why);
int set_limit_tasks(struct vm_config *c, const char *value, const char **ret_why);
int set_limit_cpu(struct vm_config *c, const char *value, const char **ret_why);
int set_limit_io(struct vm_config *c, const char *value, const char **ret_why);

extern const size_t n_config_keys;

#endif
