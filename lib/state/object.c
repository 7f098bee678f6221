/* SPDX-License-Identifier: Apache-2.0 */
/* One object's state, saved and loaded by its row; see state.h. */
#include "lib/state/state.h"

#include <errno.h>
#include <stdio.h>

int state_object_save(const struct state_object *o, void *wire, size_t cap)
{
	_Alignas(16) uint8_t image[STATE_IMAGE_MAX] = { 0 };
	int r = o->ops->quiesce ? o->ops->quiesce(o->object) : 0;

	if (r < 0)
		return r;
	o->ops->save(o->object, image);
	return state_save(o->ops->schema, image, wire, cap);
}

int state_object_load(const struct state_object *o, const void *wire, size_t len,
		      char why[STATE_WHY_MAX])
{
	_Alignas(16) uint8_t image[STATE_IMAGE_MAX];
	const char *wrong = "made otherwise";
	int r = state_load(o->ops->schema, wire, len, image, why);

	if (r < 0)
		return r;
	r = o->ops->load(o->object, image, &wrong);
	if (r < 0)
		snprintf(why, STATE_WHY_MAX, "state of %s: %s", o->ops->name, wrong);
	return r;
}
