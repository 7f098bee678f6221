/* SPDX-License-Identifier: Apache-2.0 */
/* One of the declared processes; see declared.h. */
#include "lib/declared/declared.h"

#include <string.h>

const struct declared_process *declared_find(const char *name)
{
	for (size_t i = 0; i < n_declared_all; i++)
		if (strcmp(declared_all[i]->name, name) == 0)
			return declared_all[i];
	return NULL;
}
