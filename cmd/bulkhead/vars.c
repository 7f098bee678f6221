/* SPDX-License-Identifier: Apache-2.0 */
/* Variables are made of their template; see vars.h. */
#include "cmd/bulkhead/vars.h"

#include "cmd/bulkhead/verbs.h"
#include "lib/base/cleanup.h"
#include "lib/files/files.h"
#include "lib/fwcfg/flash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WHAT "--firmware-vars"
#define CODE "_CODE"
#define VARS "_VARS"

struct names {
	char own[CONFIG_PATH_MAX + 1];
	char template[CONFIG_PATH_MAX + 1];
	char part[CONFIG_PATH_MAX + 16];
};

/* OVMF_VARS_4M.fd is beside OVMF_CODE_4M.fd. */
static bool template_beside(const char *firmware, char *out, size_t cap)
{
	const char *name = strrchr(firmware, '/');
	const char *at = strstr(name ? name : firmware, CODE);
	int n = at ? snprintf(out, cap, "%.*s" VARS "%s", (int)(at - firmware), firmware,
			      at + strlen(CODE)) :
		     0;

	return n > 0 && (size_t)n < cap;
}

static int find_names(const struct vm_config *c, const struct config_device *d, struct names *n)
{
	const struct config_file from = config_device_file(d, 1);

	snprintf(n->part, sizeof(n->part), "%s.XXXXXX", n->own);
	if (from.path)
		snprintf(n->template, sizeof(n->template), "%.*s", (int)from.path_len, from.path);
	else if (!template_beside(c->firmware, n->template, sizeof(n->template)))
		return complain(EXIT_START,
				WHAT ": %s is not there, and neither is a template beside %s: say "
				     "template=FILE",
				n->own, c->firmware);
	return 0;
}

static int open_template(const struct names *n, uint64_t *ret_size)
{
	char why[400];
	struct stat st = { 0 };
	bool has_log;
	int fd = file_open(WHAT ": template", n->template, O_RDONLY, false, &st, why, sizeof(why));

	if (fd < 0) {
		(void)complain(EXIT_START, "%s", why);
		return fd;
	}
	*ret_size = flash_size((uint64_t)st.st_size, &has_log);
	if (*ret_size && !has_log)
		return fd;
	close(fd);
	(void)complain(EXIT_START,
		       WHAT ": template: %s has %lld bytes: a multiple of 4096 up to %llu is right",
		       n->template, (long long)st.st_size, (unsigned long long)FLASH_SIZE_MAX);
	return -EINVAL;
}

static int copy(int from, int to, uint64_t size)
{
	char bytes[65536];

	while (size) {
		const ssize_t n = read(from, bytes, size < sizeof(bytes) ? size : sizeof(bytes));

		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		for (ssize_t at = 0, k; at < n; at += k) {
			k = write(to, bytes + at, (size_t)(n - at));
			if (k < 0)
				return -errno;
		}
		size -= (uint64_t)n;
	}
	return fsync(to) < 0 ? -errno : 0;
}

/* Under another name first. Whoever else makes it has made it. */
static int make(struct names *n, int from, uint64_t size)
{
	_cleanup_(closep) int to = mkostemp(n->part, O_CLOEXEC);
	int r = to < 0 ? -errno : copy(from, to, size);

	if (r == 0 && link(n->part, n->own) < 0 && errno != EEXIST)
		r = -errno;
	if (to >= 0)
		(void)unlink(n->part);
	return r < 0 ? complain(EXIT_START, WHAT ": %s cannot be made: %s", n->own, strerror(-r)) :
		       0;
}

int vars_take(const struct vm_config *c)
{
	static struct names n;
	const struct config_device *d = config_flash(c);
	_cleanup_(closep) int from = -1;
	struct stat st;
	uint64_t size = 0;
	int r;

	if (!d)
		return 0;
	snprintf(n.own, sizeof(n.own), "%.*s", (int)d->path_len, d->path);
	if (lstat(n.own, &st) == 0)
		return 0;
	r = find_names(c, d, &n);
	if (r)
		return r;
	from = open_template(&n, &size);
	return from < 0 ? EXIT_START : make(&n, from, size);
}
