/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev-flash: serves the flash memory of a firmware's variables over vfio-user. It has neither guest RAM nor DMA.
 * Trust: commands HOSTILE, vmm HOSTILE, the file HOSTILE, argv trusted.
 * Holds: 3 control, 4 vfio-user socket, 5 the page that keeps its state and 6 the memory that the guest reads, which a
 *	predecessor left HOSTILE, 7 the file.
 */
#include "cmd/dev-flash/flash.h"
#include "cmd/dev-flash/policy.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/devkit/args.h"
#include "lib/devkit/process.h"

#include <errno.h>
#include <signal.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#define NAME "dev-flash"

static struct process process;
static struct flash flash;
static struct store store;

/* ---- the file ---- */

static ssize_t read_file(void *owner, void *to, size_t len, uint64_t at)
{
	const ssize_t n = pread(FLASH_FD_FILE, to, len, (off_t)at);

	(void)owner;
	return n < 0 ? -errno : n;
}

static ssize_t write_file(void *owner, const void *from, size_t len, uint64_t at)
{
	const struct iovec iov = { (void *)(uintptr_t)from, len };
	const ssize_t n = pwritev(FLASH_FD_FILE, &iov, 1, (off_t)at);

	(void)owner;
	return n < 0 ? -errno : n;
}

static int sync_file(void *owner)
{
	(void)owner;
	return fdatasync(FLASH_FD_FILE) < 0 ? -errno : 0;
}

static int truncate_file(void *owner, uint64_t size)
{
	(void)owner;
	return ftruncate(FLASH_FD_FILE, (off_t)size) < 0 ? -errno : 0;
}

static const struct store_io io = { .read = read_file,
				    .write = write_file,
				    .sync = sync_file,
				    .truncate = truncate_file };

/* ---- stages ---- */

static int open_store(const char **ret_what)
{
	struct stat st = { 0 };
	int r;

	*ret_what = "file";
	/* a file that would grow too far is an error, not the end */
	if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
		return -errno;
	r = fd_stat(FLASH_FD_FILE, &st);
	return r < 0 ? r : store_alloc(&store, &io, (uint64_t)st.st_size);
}

static int prepare(const char **ret_what)
{
	void *state = NULL, *view = NULL;
	int timer, r = open_store(ret_what);

	if (r < 0)
		return r;
	*ret_what = "state page";
	r = fd_map_shared(FLASH_FD_STATE, sizeof(struct kept), &state);
	if (r < 0)
		return r;
	*ret_what = "view";
	r = fd_map_shared(FLASH_FD_VIEW, store.size, &view);
	if (r < 0)
		return r;
	*ret_what = "timer";
	timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (timer < 0)
		return -errno;
	*ret_what = "vfio-user";
	return flash_open(&flash, &store, view, state, timer, &process.loop, FLASH_FD_VFIO_USER);
}

static int confine(const char **ret_what)
{
	struct sandbox_policy policy = flash_policy;

	policy.limits.fsize = store.size + FLASH_LOG_LEN(store.size);
	return process_confine(&process, &policy, ret_what);
}

static int begin(const char **ret_what)
{
	int r = store_read(&store);

	*ret_what = "file";
	if (r < 0)
		return r;
	flash_begin(&flash);
	return process_ready(&process, ret_what);
}

int main(int argc, char **argv)
{
	struct flash_options options;
	const char *what = "argument";
	int r;

	r = args_parse(&flash_kind, argc, argv, &options, &what); /* 1 words only */
	if (r == 0)
		r = process_open(&process, &flash_declared, &what); /* 2 close others */
	if (r == 0)
		r = prepare(&what); /* 3 no hostile byte */
	if (r == 0)
		r = confine(&what); /* 4 no way back */
	if (r == 0)
		r = begin(&what); /* 5 the file: hostile from here */
	if (r < 0)
		return process_fail(NAME, what, r);
	flash.vfu.ret_why = &process.why;
	r = process_serve(&process); /* 6 the guest */
	flash_finish(&flash);
	return r;
}
