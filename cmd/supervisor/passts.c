/* SPDX-License-Identifier: Apache-2.0 */
/* A passt for each card on the user's network, with the rights of the user; see bringup.h. */
#include "cmd/supervisor/bringup.h"

#include "lib/base/cleanup.h"
#include "lib/passt/passt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* It was to be there only if it can be had. */
static void go_without(const struct vm *vm, struct config_device *d, const char *why)
{
	char line[400];

	d->off = true;
	snprintf(line, sizeof(line), "no network: %s (--%s none says that none is wanted)", why,
		 d->kind->word);
	tell(vm, NULL, LOG_LEVEL_WARNING, line);
}

static int start(const struct vm *vm, struct config_device *d, const struct passt_birth *birth,
		 int *ret, struct open_error *e)
{
	const struct kind_way *w = kind_way(d->kind, d->options);
	const char *why = "";
	int fd = passt_open(w, d->options, birth, &why);

	if (fd >= 0)
		*ret = fd;
	else if (w->optional)
		go_without(vm, d, why);
	else
		return open_complain(e, fd, "--%s: %s: %s", d->kind->word, w->word, why);
	return 0;
}

int bringup_passts(struct bringup *b, const struct vm *vm, struct open_error *e)
{
	struct vm_config *c = b->config;
	_cleanup_(closep) int proc = -1;
	struct passt_birth birth = { .group = b->group.network, .labels = &vm->labels };
	int r = 0;

	if (config_count_opened(c, KIND_OPENS_PASST) == 0)
		return 0;
	proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (proc < 0)
		return open_complain(e, -errno, "/proc: %s", strerror(errno));
	birth.proc_fd = proc;
	for (size_t i = 0; i < c->n_devices && r == 0; i++)
		if (config_is_on(&c->devices[i], KIND_OPENS_PASST))
			r = start(vm, &c->devices[i], &birth, &b->o.links[i][0], e);
	return r;
}
