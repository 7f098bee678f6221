/* SPDX-License-Identifier: Apache-2.0 */
/* The list of all declared processes; see declared.h. */
#include "lib/declared/declared.h"

#include "lib/base/cleanup.h"

#include <string.h>

const struct declared_process *const declared_all[] = {
	&relay_declared, &supervisor_declared, &vmm_declared,	 &blk_declared,
	&rng_declared,	 &console_declared,	&keeper_declared,
};

const size_t n_declared_all = ARRAY_SIZE(declared_all);

const struct declared_process *declared_find(const char *name)
{
	for (size_t i = 0; i < n_declared_all; i++)
		if (strcmp(declared_all[i]->name, name) == 0)
			return declared_all[i];
	return NULL;
}
