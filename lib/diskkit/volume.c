/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk of a format with metadata, on one file or a chain of them; see disk.h. The front's worker opens it,
 * with both threads in their filters already: whatever is wrong with a header or a table meets a parser that
 * can do no more than what is served here. While it opens it may also take memory, and limit how far files
 * can grow; then it gives that up.
 */
#include "lib/diskkit/disk.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/image/front.h"
#include "lib/image/qcow2/qcow2.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

static struct {
	const struct disk_options *options;
	struct store_fd image, backing[DISK_BACKING_MAX], data;
	struct volume_raw raw[DISK_BACKING_MAX]; /* of those that are */
	unsigned int n_backing;
	bool has_data, has_bound, has_redo; /* were handed over */
	void *redo;
	struct front front;
	struct sandbox_filter opening, serving; /* filters of the worker */
} disk;

/* ---- the worker ---- */

static int confine(void *arg)
{
	(void)arg;
	return sandbox_enter_thread(&disk.opening);
}

/*
 * How far the files may grow by this process is what its first start found, whatever a header says later: the
 * note is made then, and can be changed by nobody afterwards.
 */
static int note_bound(uint64_t *bound, uint64_t size)
{
	struct disk_note first;
	struct iovec iov = { &first, sizeof(first) };
	int seals;

	if (!disk.has_bound)
		return 0; /* who started this keeps none */
	seals = fcntl(DISK_FD_BOUND, F_GET_SEALS, 0);
	if (seals < 0)
		return -errno;
	if (seals & F_SEAL_WRITE) {
		if (preadv(DISK_FD_BOUND, &iov, 1, 0) != sizeof(first))
			return -EIO;
		*bound = first.bound < *bound ? first.bound : *bound;
		return 0;
	}
	first = (struct disk_note){ .bound = *bound, .size = size };
	if (pwritev(DISK_FD_BOUND, &iov, 1, 0) != sizeof(first))
		return -EIO;
	return fcntl(DISK_FD_BOUND, F_ADD_SEALS, DISK_BOUND_SEALS) < 0 ? -errno : 0;
}

static int limit_growth(const struct volume *v, struct volume_error *e)
{
	uint64_t bound;
	struct rlimit limit;
	int r;

	if (v->readonly)
		return 0; /* the sandbox's limit is 0 */
	bound = qcow2_growth_bound(v);
	/* the guest's bytes may be in a file of their own */
	if (disk.has_data && bound < disk.data.store.size)
		bound = disk.data.store.size;
	r = note_bound(&bound, v->size);
	limit = (struct rlimit){ bound, bound };
	if (r == 0 && setrlimit(RLIMIT_FSIZE, &limit) < 0)
		r = -errno;
	return r < 0 ? volume_fail(e, r, "a limit of the image's growth") : 0;
}

static int prefix(struct volume_error *e, int r, const char *what, unsigned int n)
{
	const struct volume_error inner = *e;

	return volume_fail(e, r, "%s %u: %.200s", what, n, inner.text);
}

/* i: from 0 up, towards the end of the chain. */
static int open_backing(unsigned int i, struct volume *below, struct volume **ret,
			struct volume_error *e)
{
	const struct qcow2_options options = { .readonly = true, .backing = below };
	struct store *store = &disk.backing[i].store;
	int r;

	if (disk.options->backing[i] == DISK_QCOW2 + 1)
		return qcow2_open(store, &options, ret, e);
	r = volume_raw_open(&disk.raw[i], store);
	if (r < 0)
		return volume_fail(e, r, "it has no sector");
	*ret = &disk.raw[i].volume;
	return 0;
}

static int open_chain(struct volume **ret, struct volume_error *e)
{
	struct qcow2_options options = { .readonly = disk.options->readonly,
					 .data = disk.has_data ? &disk.data.store : NULL,
					 .redo = disk.redo,
					 .redo_bytes = DISK_REDO_BYTES };
	struct volume *below = NULL;
	int r = 0;

	for (unsigned int i = disk.n_backing; i > 0 && r == 0; i--) {
		r = open_backing(i - 1, below, &below, e);
		if (r < 0)
			return prefix(e, r, "backing file", i);
	}
	options.backing = below;
	return qcow2_open(&disk.image.store, &options, ret, e);
}

/* So that the first group of writes finds clusters ready for it already. */
static int settle_first(struct volume *v, struct volume_error *e)
{
	int r = volume_settle(v);

	return r < 0 ? volume_fail(e, r, "cannot write the image: %s", strerror(-r)) : 0;
}

static int open_disk(void *arg, struct volume **ret, struct volume_error *e)
{
	int r = open_chain(ret, e);

	(void)arg;
	if (r == 0)
		r = limit_growth(*ret, e);
	if (r == 0)
		r = settle_first(*ret, e);
	if (r < 0)
		return r;
	r = sandbox_narrow_thread(&disk.serving);
	return r < 0 ? volume_fail(e, r, "the filter of a thread") : 0;
}

/* ---- the main thread ---- */

void disk_look(void)
{
	disk.has_data = fcntl(DISK_FD_DATA, F_GETFD) >= 0;
	disk.has_bound = fcntl(DISK_FD_BOUND, F_GETFD) >= 0;
	disk.has_redo = fcntl(DISK_FD_REDO, F_GETFD) >= 0;
}

static int add_file(struct front_setup *setup, struct store_fd *s, int fd, bool readonly)
{
	int r = store_fd_open(s, fd, readonly ? STORE_READONLY : 0);

	if (r == 0)
		setup->files[setup->n_files++] = (struct front_file){ fd, &s->store };
	return r;
}

static int open_files(const struct disk_options *o, struct front_setup *setup)
{
	int r = add_file(setup, &disk.image, DISK_FD_IMAGE, o->readonly);

	while (r == 0 && disk.n_backing < DISK_BACKING_MAX && o->backing[disk.n_backing]) {
		r = add_file(setup, &disk.backing[disk.n_backing],
			     DISK_FD_BACKING + (int)disk.n_backing, true);
		disk.n_backing++;
	}
	if (r == 0 && disk.has_data)
		r = add_file(setup, &disk.data, DISK_FD_DATA, o->readonly);
	return r;
}

static int begin(struct process *c, void *owner, struct volume_error *e)
{
	int r = front_begin(&disk.front, e);

	(void)c, (void)owner;
	if (disk.has_bound)
		close(DISK_FD_BOUND);
	return r;
}

static int finish(void)
{
	return front_finish(&disk.front);
}

/* What it frees when it closes stays with it: there is no call to give it back. */
static void settle_heap(void)
{
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TRIM_THRESHOLD, -1);
}

int disk_volume(struct disk *ret, const struct disk_options *o, const char **ret_what)
{
	struct front_setup setup = { .readonly = o->readonly,
				     .confine = confine,
				     .open = open_disk };
	int r;

	disk.options = o;
	settle_heap();
	*ret_what = "filter of a thread";
	r = sandbox_prepare_thread(&disk_opening_policy, &disk.opening);
	if (r == 0)
		r = sandbox_prepare_thread(&disk_volume_policy, &disk.serving);
	if (r < 0)
		return r;
	*ret_what = "redo log";
	r = disk.has_redo ? fd_map_shared(DISK_FD_REDO, DISK_REDO_BYTES, &disk.redo) : 0;
	if (r < 0)
		return r;
	*ret_what = "image";
	r = open_files(o, &setup);
	if (r == 0)
		r = front_open(&disk.front, &setup);
	if (r == -ENOSYS || r == -EPERM)
		*ret_what = "image: no io_uring on this host, which format=qcow2 takes";
	if (r < 0)
		return r;
	*ret = (struct disk){ .image = &disk.front.image,
			      .fsize = o->readonly ? 0 : SB_UNSET,
			      .begin = begin,
			      .finish = finish };
	return 0;
}
