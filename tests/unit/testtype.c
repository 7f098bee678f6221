/* SPDX-License-Identifier: Apache-2.0 */
/* See testtype.h. */
#include "tests/unit/testtype.h"

#include "lib/kinds/kind.h"

#include <assert.h>

const struct virtio_type *test_virtio_type(unsigned int id)
{
	static struct virtio_type types[64];

	assert(id < 64);
	for (size_t i = 0; i < n_kinds_all; i++) {
		const struct kind_virtio *v = &kinds_all[i]->virtio;

		if (v->id == id)
			types[id] = (struct virtio_type){ v->id,       v->name,	      v->class_code,
							  v->n_queues, v->queues_min, v->config_len,
							  v->features };
	}
	assert(types[id].type == id);
	return &types[id];
}
