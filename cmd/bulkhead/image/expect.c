/* SPDX-License-Identifier: Apache-2.0 */
/* Which checksum a file is to have; see expect.h. */
#include "cmd/bulkhead/image/expect.h"

#include "cmd/bulkhead/image/files.h"
#include "cmd/bulkhead/verbs.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static int fail(const char *list, const char *why)
{
	return complain(EXIT_START, "image import: %.300s: %s", list, why);
}

static int read_list(const struct image_words *w, char *text, size_t *ret_len)
{
	const char *list = w->import.checksums;
	_cleanup_(closep) int fd = -1;
	size_t n = 0;
	ssize_t got = 1;
	int r = image_file_open(w, list, true, &fd);

	while (r == 0 && n <= SUMS_FILE_MAX && got > 0) {
		got = pread(fd, text + n, SUMS_FILE_MAX + 1 - n, (off_t)n);
		n += got > 0 ? (size_t)got : 0;
	}
	if (r == 0 && got < 0)
		r = fail(list, strerror(errno));
	if (r == 0 && n > SUMS_FILE_MAX)
		r = fail(list, "a list of checksums has up to 1 MiB");
	*ret_len = n;
	return r;
}

int image_expect(const struct image_words *w, const char *name, struct digest *ret)
{
	static char text[SUMS_FILE_MAX + 1];
	const char *list = w->import.checksums;
	size_t len = 0;
	int r;

	if (w->import.digest_said) {
		*ret = w->import.digest;
		return 0;
	}
	r = read_list(w, text, &len);
	if (r)
		return r;
	r = *name ? sums_find(text, len, name, ret) : -ENOENT;
	if (r == -EEXIST)
		return complain(EXIT_START,
				"image import: %.300s: it has different checksums of %.200s", list,
				name);
	if (r < 0)
		return complain(
			EXIT_START,
			"image import: %.300s: it has no line \"SHA256  %.200s\", nor one of "
			"SHA512",
			list, name);
	return 0;
}
