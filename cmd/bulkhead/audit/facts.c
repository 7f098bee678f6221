/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel says of a process; see facts.h. */
#include "cmd/bulkhead/audit/facts.h"

#include "cmd/bulkhead/audit/cgroup.h"
#include "cmd/bulkhead/audit/procdir.h"
#include "cmd/bulkhead/audit/sockets.h"
#include "lib/base/cleanup.h"
#include "lib/sandbox/peer.h"
#include "lib/sandbox/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#define PF_IO_WORKER 0x10
#define PF_USER_WORKER 0x4000
#define PF_KTHREAD 0x200000
#define MAX_ITEMS 65536 /* descriptors, mappings, threads: more than a process can have here */

const char *const facts_ns_names[N_NAMESPACES] = {
	[NS_USER] = "user", [NS_MNT] = "mnt", [NS_PID] = "pid",	      [NS_NET] = "net",
	[NS_IPC] = "ipc",   [NS_UTS] = "uts", [NS_CGROUP] = "cgroup", [NS_TIME] = "time",
};

/* Where it is read from. */
struct reading {
	int dir;
	struct facts *f;
};

/* One more element of an array, zeroed; NULL when there are too many. */
static void *append(void **array, size_t *n, size_t size)
{
	void *more;

	if (*n >= MAX_ITEMS)
		return NULL;
	if ((*n & (*n - 1)) == 0) { /* full at powers of two */
		more = realloc(*array, size * (*n ? 2 * *n : 1));
		if (!more)
			return NULL;
		*array = more;
	}
	more = (char *)*array + size * (*n)++;
	memset(more, 0, size);
	return more;
}

/* ---- threads ---- */

static int read_thread(void *owner, int tid)
{
	struct reading *r = owner;
	char name[64];
	struct facts_thread t = { .tid = tid };
	_cleanup_(freep) char *status = NULL;
	_cleanup_(freep) char *stat = NULL;
	struct facts_thread *slot;
	uint32_t flags;

	snprintf(name, sizeof(name), "task/%d/status", tid);
	status = procdir_read(r->dir, name);
	snprintf(name, sizeof(name), "task/%d/stat", tid);
	stat = procdir_read(r->dir, name);
	if (!status || !stat)
		return tid == r->f->pid ? -ESRCH : 0; /* it ended in between */
	if (procfs_status(status, &t.status) < 0 || procfs_flags(stat, &flags) < 0)
		return -EBADMSG;
	if (flags & PF_KTHREAD)
		return -EOPNOTSUPP;
	t.worker = flags & (PF_IO_WORKER | PF_USER_WORKER);
	slot = append((void **)&r->f->threads, &r->f->n_threads, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	*slot = t;
	return 0;
}

/* ---- descriptors ---- */

/* The link is a way to the file itself. */
static bool in_cgroup(int dir, int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d/fd/%d", dir, fd);
	return cgroup_is_at(path);
}

static int read_fd(void *owner, int fd)
{
	struct reading *r = owner;
	struct facts_fd one = { .fd = fd };
	struct facts_fd *slot;
	struct stat st;
	char name[32];
	int e;

	snprintf(name, sizeof(name), "fd/%d", fd);
	if (fstatat(r->dir, name, &st, 0) < 0)
		return 0; /* it was closed in between */
	one.type = st.st_mode & S_IFMT;
	one.inode = st.st_ino;
	one.in_cgroup = S_ISREG(st.st_mode) && in_cgroup(r->dir, fd);
	e = procdir_link(r->dir, name, one.link, sizeof(one.link));
	if (e == -ENOMEM)
		return e;
	if (e == -ENOENT)
		return 0; /* or here */
	slot = append((void **)&r->f->fds, &r->f->n_fds, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	*slot = one;
	return 0;
}

static int read_fds(struct reading *r)
{
	int e = procdir_each(r->dir, "fd", read_fd, r);

	if (e != -EACCES && e != -EPERM)
		return e;
	r->f->unseen |= UNSEEN_FDS;
	return 0;
}

/* ---- mappings ---- */

static int read_maps(struct reading *r)
{
	_cleanup_(freep) char *text = procdir_read(r->dir, "maps");
	char *at = text, *line;

	if (!text) {
		r->f->unseen |= UNSEEN_MAPS;
		return 0;
	}
	while ((line = strsep(&at, "\n")) && *line) {
		struct proc_map *m = append((void **)&r->f->maps, &r->f->n_maps, sizeof(*m));

		if (!m)
			return -ENOMEM;
		if (procfs_map(line, m) < 0)
			return -EBADMSG;
	}
	return 0;
}

/* ---- namespaces, root ---- */

static uint64_t ns_of(int dir, const char *kind)
{
	char name[32], link[64];
	unsigned long long inode;

	snprintf(name, sizeof(name), "ns/%s", kind);
	if (procdir_link(dir, name, link, sizeof(link)) < 0 ||
	    sscanf(link, "%*[a-z]:[%20llu]", &inode) != 1)
		return 0;
	return inode;
}

static void read_namespaces(struct reading *r)
{
	for (size_t i = 0; i < N_NAMESPACES; i++)
		r->f->ns[i] = ns_of(r->dir, facts_ns_names[i]);
	if (!r->f->ns[NS_MNT])
		r->f->unseen |= UNSEEN_NAMESPACES;
}

void facts_own_namespaces(uint64_t ret[N_NAMESPACES])
{
	_cleanup_(closep) int dir = procdir_open(getpid());

	for (size_t i = 0; i < N_NAMESPACES; i++)
		ret[i] = dir < 0 ? 0 : ns_of(dir, facts_ns_names[i]);
}

/* Whether a directory holds nothing but itself and its parent. */
static bool is_empty(int dir, const char *name)
{
	_Alignas(8) char buf[256];
	_cleanup_(closep) int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ssize_t n, total = 0;

	if (fd < 0)
		return false;
	while ((n = getdents64(fd, buf, sizeof(buf))) > 0)
		total += n;
	return n == 0 && total <= 48; /* "." and ".." */
}

/* Mounts are lines; the options of the last one over "/" count. */
static void read_mounts(struct reading *r)
{
	_cleanup_(freep) char *text = procdir_read(r->dir, "mountinfo");
	char *at = text, *line;
	char where[8], options[128];

	while (text && (line = strsep(&at, "\n")) && *line) {
		r->f->root.n_mounts++;
		if (sscanf(line, "%*u %*u %*s %*s %7s %127s", where, options) == 2 &&
		    strcmp(where, "/") == 0)
			r->f->root.read_only = strncmp(options, "ro", 2) == 0;
	}
}

static void read_root(struct reading *r)
{
	struct stat theirs, mine;

	if (fstatat(r->dir, "root", &theirs, 0) < 0 || stat("/", &mine) < 0) {
		r->f->unseen |= UNSEEN_ROOT;
		return;
	}
	r->f->root.mine = theirs.st_dev == mine.st_dev && theirs.st_ino == mine.st_ino;
	r->f->root.empty = is_empty(r->dir, "root");
	read_mounts(r);
}

/* ---- the rest ---- */

/* "supervisor" of "/usr/libexec/bulkhead/supervisor (deleted)". */
static void take_base_name(const char *path, char *ret, size_t cap)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	size_t len = strcspn(base, " ");
	char raw[64];

	snprintf(raw, sizeof(raw), "%.*s", (int)(len < 63 ? len : 63), base);
	procfs_printable(raw, ret, cap);
}

static void read_name(struct reading *r)
{
	char link[512];
	_cleanup_(freep) char *words = NULL;

	if (procdir_link(r->dir, "exe", link, sizeof(link)) == 0) {
		take_base_name(link, r->f->name, sizeof(r->f->name));
		return;
	}
	r->f->unseen |= UNSEEN_EXE;
	words = procdir_read(r->dir, "cmdline");
	take_base_name(words ? words : "?", r->f->name, sizeof(r->f->name));
}

bool facts_still_true(const struct facts *f)
{
	_cleanup_(closep) int dir = procdir_open(f->pid);
	char link[512];
	int r = dir < 0 ? dir : procdir_link(dir, "exe", link, sizeof(link));

	return r == 0 || r == -EACCES || r == -EPERM;
}

static void read_label(struct reading *r)
{
	_cleanup_(freep) char *text = procdir_read(r->dir, "attr/current");

	if (!text)
		return;
	text[strcspn(text, "\n")] = '\0';
	procfs_printable(text, r->f->label, sizeof(r->f->label));
}

/* The kernel gives the files of a process that nobody may trace to root. */
static void read_dumpable(struct reading *r)
{
	const struct proc_status *s = &r->f->threads[0].status;
	struct stat st;

	if (s->uid[1] == 0 || peer_uid_is_ambiguous(s->uid[1]) ||
	    fstatat(r->dir, "status", &st, 0) < 0)
		r->f->unseen |= UNSEEN_DUMPABLE;
	else
		r->f->dumpable = st.st_uid == s->uid[1];
}

static void read_core_cookie(struct facts *f)
{
	unsigned long long cookie = 0;

	f->has_core_sched = prctl(PR_SCHED_CORE, PR_SCHED_CORE_GET, f->pid,
				  PR_SCHED_CORE_SCOPE_THREAD, &cookie) == 0;
	f->core_cookie = cookie;
}

/* The kernel lists the main thread first as long as it lives; this does not rest on it. */
static int main_first(struct facts *f)
{
	for (size_t i = 0; i < f->n_threads; i++) {
		struct facts_thread t = f->threads[i];

		if (t.tid != f->pid)
			continue;
		f->threads[i] = f->threads[0];
		f->threads[0] = t;
		return 0;
	}
	return -ESRCH;
}

static int read_all(struct reading *r)
{
	_cleanup_(freep) char *limits = NULL;
	int e = procdir_each(r->dir, "task", read_thread, r);

	if (e == 0)
		e = main_first(r->f);
	if (e == 0)
		e = read_fds(r);
	if (e == 0)
		e = read_maps(r);
	if (e < 0)
		return e;
	limits = procdir_read(r->dir, "limits");
	procfs_limits(limits ? limits : "", r->f->limits);
	read_name(r);
	read_namespaces(r);
	read_root(r);
	read_label(r);
	sockets_read(r->dir, r->f);
	read_dumpable(r);
	read_core_cookie(r->f);
	cgroup_read(r->dir, &r->f->cgroup);
	return 0;
}

int facts_read(pid_t pid, struct facts *ret)
{
	_cleanup_(closep) int dir = procdir_open(pid);
	struct reading r = { .dir = dir, .f = ret };
	int e;

	*ret = (struct facts){ .pid = pid };
	if (dir < 0)
		return dir;
	e = read_all(&r);
	if (e == -ENOENT)
		e = -ESRCH;
	if (e < 0)
		facts_free(ret);
	return e;
}

void facts_free_surface(struct facts_surface *s)
{
	for (size_t i = 0; s && i < s->filters.n; i++)
		free((void *)s->filters.program[i].code);
	if (s)
		free(s->calls);
	free(s);
}

void facts_free(struct facts *f)
{
	for (size_t i = 0; i < f->n_threads; i++)
		facts_free_surface(f->threads[i].surface);
	free(f->threads);
	free(f->fds);
	free(f->maps);
	*f = (struct facts){ 0 };
}

/* ---- children ---- */

int facts_children(pid_t pid, pid_t *ret, size_t max)
{
	_cleanup_(closep) int dir = procdir_open(pid);
	_cleanup_(freep) char *text = NULL;
	char name[48];
	const char *at;
	size_t n = 0;

	if (dir < 0)
		return dir;
	snprintf(name, sizeof(name), "task/%d/children", (int)pid);
	text = procdir_read(dir, name);
	if (!text)
		return errno == ENOENT ? -ESRCH : -errno;
	at = text;
	while (n < max) {
		char *end;
		long child = strtol(at, &end, 10);

		if (end == at)
			break;
		ret[n++] = (pid_t)child;
		at = end;
	}
	return (int)n;
}
