/* SPDX-License-Identifier: Apache-2.0 */
/* The list of findings; see findings.h. */
#include "cmd/bulkhead/audit/findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void findings_add(struct findings *f, enum grade grade, struct subject_process *p, pid_t tid,
		  const char *aspect, const char *declared, const char *fmt, ...)
{
	struct finding *more = f->failed ? NULL : reallocarray(f->list, f->n + 1, sizeof(*more));
	va_list ap;

	if (!more) {
		f->failed = true;
		return;
	}
	f->list = more;
	more += f->n++;
	*more = (struct finding){ .grade = grade, .process = p, .tid = tid, .aspect = aspect };
	snprintf(more->declared, sizeof(more->declared), "%s", declared);
	va_start(ap, fmt);
	vsnprintf(more->is, sizeof(more->is), fmt, ap);
	va_end(ap);
	if (grade == GRADE_WEAK) {
		f->n_weak++;
		if (p)
			p->n_weak++;
	}
}

void findings_free(struct findings *f)
{
	free(f->list);
	*f = (struct findings){ 0 };
}
