/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image-seed: makes the disk from which cloud-init sets a guest up, of files that the user gave, or of a name, keys
 * and a password's hash.
 * Trust: the inputs HOSTILE, argv trusted.
 * Holds: 3 control, 4 the disk, 5 and up the inputs; a memfd of its own.
 */
#include "cmd/image-seed/iso.h"
#include "cmd/image-seed/policy.h"
#include "cmd/image-seed/seed.h"
#include "lib/base/fd.h"
#include "lib/imagefile/job.h"
#include "lib/imagekit/process.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int open_inputs(int argc, char **argv, struct seed_job *job)
{
	struct fd_row rows[2 + SEED_INPUTS] = {
		{ FD_CONTROL, FD_SOCKET, false, "control channel" },
		{ SEED_FD_DISK, FD_FILE, false, "disk" },
	};
	const char *bad = "?";
	size_t n = 2;

	if (seed_job_parse(argc - 1, argv + 1, job, &bad) < 0)
		return image_fail(NULL, "the word %.200s is wrong", bad);
	for (int i = 0; i < SEED_INPUTS; i++)
		if (job->inputs[i])
			rows[n++] = (struct fd_row){ SEED_FD_INPUTS + i, FD_FILE, false, "input" };
	if (fds_adopt(rows, n, NULL) < 0)
		return image_fail(NULL, "a descriptor is missing, or of another kind");
	return 0;
}

static int prepare(void)
{
	int r = sandbox_trap_install(FD_CONTROL);

	if (r == 0)
		r = iso_prepare();
	return r < 0 ? image_fail_errno(NULL, "cloud-init's disk", r) : 0;
}

/* ---- inputs ---- */

/* All of it: how many bytes, of at most max, or more than that; or a negative errno. */
static ssize_t read_whole(int fd, uint8_t *buf, size_t max)
{
	size_t at = 0;
	ssize_t n = 1;

	while (at <= max && n != 0) {
		n = pread(fd, buf + at, max + 1 - at, (off_t)at);
		if (n < 0 && errno != EINTR)
			return -errno;
		at += n > 0 ? (size_t)n : 0;
	}
	return (ssize_t)at;
}

static int read_inputs(const struct seed_job *job, struct seed_inputs *ret)
{
	static uint8_t room[SEED_USER_DATA_MAX + SEED_META_DATA_MAX + SEED_NETWORK_CONFIG_MAX +
			    SEED_PASSWORD_HASH_MAX + SEED_KEYS_MAX * SEED_KEY_MAX + SEED_INPUTS];
	uint8_t *at = room;

	for (enum seed_input i = SEED_USER_DATA; i < SEED_INPUTS; i++) {
		const size_t max = seed_input_max(i);
		ssize_t n;

		if (!job->inputs[i])
			continue;
		n = read_whole(SEED_FD_INPUTS + (int)i, at, max);
		if (n < 0)
			return image_fail_errno(job->inputs[i], "reading", (int)n);
		if ((size_t)n > max)
			return image_fail(NULL,
					  "%s%.150s: it is longer than the %zu bytes that "
					  "it may have",
					  seed_input_word(i), job->inputs[i], max);
		ret->of[i] = (struct seed_bytes){ at, (size_t)n };
		at += (size_t)n + 1;
	}
	return 0;
}

/* ---- the disk ---- */

static int put(void *owner, const void *bytes, size_t len)
{
	off_t *at = owner;

	for (size_t done = 0; done < len;) {
		ssize_t n = pwrite(SEED_FD_DISK, (const char *)bytes + done, len - done, *at);

		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
		*at += n > 0 ? n : 0;
	}
	return 0;
}

static int make(const struct seed_job *job)
{
	static struct seed_inputs in;
	static struct seed_files files;
	char why[400] = "";
	const char *failed = "";
	off_t at = 0;

	if (read_inputs(job, &in))
		return IMAGE_EXIT_FAILED;
	if (seed_make(job, &in, &files, why, sizeof(why)) < 0)
		return image_fail(NULL, "%s", why);
	if (iso_write(&files, put, &at, &failed) < 0)
		return image_fail(NULL, "cloud-init's disk: %s", failed);
	return IMAGE_EXIT_OK;
}

int main(int argc, char **argv)
{
	static struct seed_job job;

	if (open_inputs(argc, argv, &job)) /* 1 words, close others */
		return IMAGE_EXIT_FAILED;
	if (prepare()) /* 2 no hostile byte */
		return IMAGE_EXIT_FAILED;
	if (image_process_enter(&image_seed_policy) < 0) /* 3 no way back */
		return IMAGE_EXIT_FAILED;
	return make(&job); /* 4 hostile from here */
}
