/* SPDX-License-Identifier: Apache-2.0 */
/* The file that is written; see fetch.h. */
#include "cmd/image-fetch/fetch.h"

#include "lib/base/units.h"
#include "lib/imagekit/process.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define TELL_EVERY MIB(1)

void file_begin(struct fetch_file *f, const struct image_job *job, const struct image_node *node,
		const char *subject)
{
	*f = (struct fetch_file){ .job = job,
				  .name = node->name,
				  .subject = subject,
				  .fd = node->fd,
				  .at = job->offset,
				  .total = PROGRESS_UNKNOWN,
				  .lasts = job->validator && job->offset };
}

int file_fail(const struct fetch_file *f, const char *fmt, ...)
{
	char why[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (!f->lasts || !f->at)
		return image_fail(f->subject, "%s", why);
	return image_fail(f->subject,
			  "%s; %llu bytes are kept in %.60s: the same command goes on from there",
			  why, (unsigned long long)f->at, f->name);
}

static int too_large(const struct fetch_file *f, uint64_t len)
{
	char size[24];

	return len <= f->job->most ? 0 :
				     image_fail(f->subject, "it has more than --max-size says (%s)",
						image_size_text(f->job->most, size, sizeof(size)));
}

int file_expect(struct fetch_file *f, uint64_t total)
{
	char size[24], room[24];

	if (too_large(f, total))
		return IMAGE_EXIT_FAILED;
	if (total > f->job->room)
		return file_fail(f, "it has %s, and %s is free where it goes",
				 image_size_text(total, size, sizeof(size)),
				 image_size_text(f->job->room, room, sizeof(room)));
	f->total = total;
	return 0;
}

int file_empty(struct fetch_file *f)
{
	if (f->at && ftruncate(f->fd, 0) < 0)
		return image_fail_errno(f->name, "writing", -errno);
	f->at = f->told = 0;
	f->lasts = false;
	return 0;
}

static int add_all(struct fetch_file *f, const uint8_t *bytes, size_t len)
{
	while (len) {
		ssize_t n = pwrite(f->fd, bytes, len, (off_t)f->at);

		if (n < 0 && errno != EINTR)
			return -errno;
		f->at += n > 0 ? (uint64_t)n : 0;
		bytes += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int file_add(struct fetch_file *f, const void *bytes, size_t len)
{
	int r;

	if (f->at + len > f->total)
		return file_fail(f, "the server sends more than it said");
	if (too_large(f, f->at + len))
		return IMAGE_EXIT_FAILED;
	r = add_all(f, bytes, len);
	if (r == -ENOSPC || r == -EDQUOT || r == -EFBIG)
		return file_fail(f, "no space is left where it goes");
	if (r < 0)
		return image_fail_errno(f->name, "writing", r);
	if (f->job->progress && f->at - f->told >= TELL_EVERY) {
		image_progress(f->at, f->total);
		f->told = f->at;
	}
	return 0;
}

int file_end(struct fetch_file *f)
{
	if (f->total != PROGRESS_UNKNOWN && f->at != f->total)
		return file_fail(f, "it ends after %llu of %llu bytes", (unsigned long long)f->at,
				 (unsigned long long)f->total);
	if (f->job->progress)
		image_progress(f->at, f->at);
	return IMAGE_EXIT_OK;
}
