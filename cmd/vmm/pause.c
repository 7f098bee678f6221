/* SPDX-License-Identifier: Apache-2.0 */
/* Pausing and going on; see pause.h. */
#include "cmd/vmm/pause.h"

#include "cmd/vmm/vcpu.h"

#include <errno.h>

int machine_pause(struct machine *m, bool all)
{
	int r = 0;

	if (m->held)
		return -EBADMSG;
	m->held = true;
	m->emptied = all;
	vcpus_pause(m);
	for (size_t i = 0; all && i < m->n_objects && (r == 0 || r == -EAGAIN); i++)
		r = m->objects[i].ops->quiesce ? m->objects[i].ops->quiesce(m->objects[i].object) :
						 0;
	return r == -EAGAIN ? 0 : r; /* that one is away */
}

int machine_continue(struct machine *m)
{
	int r;

	if (!m->held)
		return -EBADMSG;
	r = m->emptied ? state_resume_all(m->objects, m->n_objects) : 0;
	if (r < 0)
		return r;
	m->held = false;
	if (m->request == MACHINE_RUN)
		vcpus_resume(m, false);
	return 0;
}
