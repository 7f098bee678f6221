/* SPDX-License-Identifier: Apache-2.0 */
/* See opened.h. */
#include "cmd/bulkhead/opened.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* Of /dev/vhost-net, which is the only one so far. */
static const char *why_not(int error)
{
	switch (error) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return "this host's kernel has none: as root, `modprobe vhost_net` loads it where there is its module";
	case EACCES:
	case EPERM:
		return "you may not open it: whom `ls -l` shows may (on Debian root, and the group kvm)";
	}
	return strerror(error);
}

int opened_check(const struct config_device *d, const char **ret_why)
{
	static char why[200];
	const char *path = config_opens(d);
	_cleanup_(closep) int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	const int error = errno;

	if (!path || fd >= 0)
		return 0;
	snprintf(why, sizeof(why), "%s: %s", path, why_not(error));
	*ret_why = why;
	return -error;
}
