/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of `bulkhead explain`. */
#ifndef BULKHEAD_CMD_BULKHEAD_EXPLAIN_H
#define BULKHEAD_CMD_BULKHEAD_EXPLAIN_H

#include "lib/config/config.h"
#include "lib/kinds/kind.h"
#include "lib/sandbox/guarantee.h"

struct explained {
	const struct vm_config *config;
	bool root;    /* who would start it */
	bool grouped; /* this host has a place for the VM's control group */
	struct guarantee_report missing;
};

/* explain_process.c: what a process of the VM faces and is kept in, and what its taker holds. */
void explain_process(const struct explained *x, const struct declared_process *d);
/* explain_choices.c: what of the configuration and of this host weakens the VM. */
void explain_choices(const struct explained *x);

#endif
