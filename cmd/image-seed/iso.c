/* SPDX-License-Identifier: Apache-2.0 */
/* The disk; see iso.h. */
#include "cmd/image-seed/iso.h"

#include "lib/base/cleanup.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <iconv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define BLOCK 2048 /* of the disk */

/* Where libarchive keeps files' bytes until it knows all of them. */
static int scratch = -1;

struct sink {
	int (*put)(void *owner, const void *bytes, size_t len);
	void *owner;
	int error; /* its first */
};

/*
 * In the place of libarchive's own, which makes a file in a directory (the linker's --wrap): the one call by which this
 * format would take a path. Were it called otherwise in another release, the sandbox would end the process.
 */
int __wrap___archive_mktemp(const char *dir); /* NOLINT(bugprone-reserved-identifier) */

int __wrap___archive_mktemp(const char *dir) /* NOLINT(bugprone-reserved-identifier) */
{
	(void)dir;
	return take_fd(&scratch);
}

/* Nor the C library's conversions, which are code that it would load by a path: libarchive has those of ASCII itself. */
iconv_t __wrap_iconv_open(const char *to,
			  const char *from); /* NOLINT(bugprone-reserved-identifier) */

iconv_t __wrap_iconv_open(const char *to,
			  const char *from) /* NOLINT(bugprone-reserved-identifier) */
{
	(void)to;
	(void)from;
	errno = EINVAL;
	return (iconv_t)-1; /* NOLINT(performance-no-int-to-ptr) */
}

int iso_prepare(void)
{
	if (setenv("TZ", "UTC0", 1) < 0)
		return -errno;
	tzset();
	closep(&scratch);
	scratch = memfd_create("seed", MFD_CLOEXEC);
	return scratch < 0 ? -errno : 0;
}

/* The library forgets its memory where it is told of an error, so that it is told of none. */
static la_ssize_t put(struct archive *a, void *owner, const void *bytes, size_t len)
{
	struct sink *s = owner;

	(void)a;
	if (s->error == 0)
		s->error = s->put(s->owner, bytes, len);
	return (la_ssize_t)len;
}

/* The 300 KiB of padding behind the last file stay: guests' tools look for file systems beyond the first 64 KiB. */
static int open_disk(struct archive *a, struct sink *s)
{
	int r = archive_write_set_format_iso9660(a);

	if (r == ARCHIVE_OK)
		r = archive_write_set_format_option(a, "iso9660", "volume-id", "cidata");
	if (r == ARCHIVE_OK)
		r = archive_write_set_bytes_per_block(a, 16 * BLOCK);
	if (r == ARCHIVE_OK)
		r = archive_write_set_bytes_in_last_block(a, BLOCK);
	return r == ARCHIVE_OK ? archive_write_open(a, s, NULL, put, NULL) : r;
}

/* Its times say nothing of the host. */
static int add_file(struct archive *a, const char *name, const struct seed_bytes *bytes)
{
	struct archive_entry *e = archive_entry_new();
	int r = ARCHIVE_FATAL;

	if (!e)
		return r;
	archive_entry_set_pathname(e, name);
	archive_entry_set_size(e, (la_int64_t)bytes->len);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0400);
	archive_entry_set_atime(e, 0, 0);
	archive_entry_set_mtime(e, 0, 0);
	archive_entry_set_ctime(e, 0, 0);
	r = archive_write_header(a, e);
	if (r == ARCHIVE_OK &&
	    archive_write_data(a, bytes->at, bytes->len) != (la_ssize_t)bytes->len)
		r = ARCHIVE_FATAL;
	archive_entry_free(e);
	return r;
}

static const char *why_not(struct archive *a, int r, const struct sink *s)
{
	const char *said = r != ARCHIVE_OK && a ? archive_error_string(a) : NULL;

	if (r == ARCHIVE_OK)
		return strerrordesc_np(-s->error);
	if (scratch < 0 && !a)
		return "its scratch memory was used before";
	return said ? said : "memory ran out";
}

int iso_write(const struct seed_files *files,
	      int (*put_bytes)(void *owner, const void *bytes, size_t len), void *owner,
	      const char **ret_why)
{
	static char why[160];
	struct sink s = { .put = put_bytes, .owner = owner };
	struct archive *a = scratch < 0 ? NULL : archive_write_new();
	int r = a ? open_disk(a, &s) : ARCHIVE_FATAL;

	for (int i = 0; i < SEED_FILES && r == ARCHIVE_OK; i++)
		if (files->of[i].at)
			r = add_file(a, seed_file_names[i], &files->of[i]);
	if (r == ARCHIVE_OK)
		r = archive_write_close(a);
	if (r == ARCHIVE_OK && s.error == 0) {
		archive_write_free(a);
		return 0;
	}
	snprintf(why, sizeof(why), "%s", why_not(a, r, &s));
	*ret_why = why;
	archive_write_free(a);
	return -EIO;
}
