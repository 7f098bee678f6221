/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image-fetch: downloads one file for `bulkhead image import`, over one connection that the command has made; or copies a
 * file of the host. It opens nothing, connects to nobody, and what it writes is checked by another process once
 * this one has ended.
 * Trust: the server HOSTILE, argv trusted (addresses in it were said by servers, too, and were checked).
 * Holds: 3 control, 4 what it says, 5 progress, 6 the file, 7 the connection, 8 certificates, or the file that is copied.
 */
#include "cmd/image-fetch/fetch.h"
#include "cmd/image-fetch/policy.h"
#include "lib/base/fd.h"
#include "lib/imagekit/process.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_PIECE 65536U

static struct image_job job;
static struct fetch_file file;

static const struct image_node *find_node(enum image_role role)
{
	for (size_t i = 0; i < job.n_nodes; i++)
		if (job.nodes[i].role == role)
			return &job.nodes[i];
	return NULL;
}

static int copy_prepare(const struct image_node *source)
{
	struct stat st;

	if (fstat(source->fd, &st) < 0)
		return image_fail_errno(source->name, "reading", -errno);
	return file_expect(&file, (uint64_t)st.st_size);
}

static int copy(const struct image_node *source)
{
	static uint8_t piece[COPY_PIECE];
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = pread(source->fd, piece, sizeof(piece), (off_t)file.at)) != 0) {
		if (n > 0)
			r = file_add(&file, piece, (size_t)n);
		else if (errno != EINTR)
			r = image_fail_errno(source->name, "reading", -errno);
	}
	return r ? r : file_end(&file);
}

/* What its user allows, and what is free. */
static int enter(void)
{
	struct sandbox_policy policy = image_fetch_policy;

	policy.limits.fsize = job.most < job.room ? job.most : job.room;
	signal(SIGXFSZ, SIG_IGN);     /* writing says it, too */
	(void)mallopt(M_MMAP_MAX, 0); /* nor does memory move */
	return image_process_enter(&policy);
}

int main(int argc, char **argv)
{
	const struct image_node *target, *source, *ca;
	struct transfer *t = NULL;
	int status = 0;

	if (image_process_open(argc, argv, &job) < 0) /* 1 words, close others */
		return IMAGE_EXIT_FAILED;
	target = find_node(ROLE_TARGET);
	source = find_node(ROLE_SOURCE);
	ca = find_node(ROLE_OTHER);
	if (job.verb != IMAGE_FETCH || !target || (!source && (!job.url || target->data_fd < 0)))
		return image_fail(NULL, "the job is not for image-fetch");
	file_begin(&file, &job, target, source ? source->name : job.url);
	if (source) /* 2 no hostile byte */
		status = copy_prepare(source);
	else
		status = transfer_prepare(&job, &file, target->data_fd, ca ? ca->fd : -1, &t);
	if (status)
		return status;
	if (enter() < 0) /* 3 no way back */
		return IMAGE_EXIT_FAILED;
	status = source ? copy(source) : transfer_run(t); /* 4 hostile from here */
	return image_print_end() ? status : IMAGE_EXIT_FAILED;
}
