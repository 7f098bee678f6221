/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors and mappings; see judge.h. */
#include "cmd/bulkhead/audit/judge.h"

#include "lib/base/cleanup.h"

#include <string.h>
#include <sys/stat.h>

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* No process of a machine has any other. */
static bool is_unix(const struct facts_fd *fd)
{
	return fd->type == S_IFSOCK && fd->family && strcmp(fd->family, "unix") == 0;
}

static bool is_kind(const struct facts_fd *fd, enum fd_kind kind)
{
	switch (kind) {
	case FD_ANY:
		return true;
	case FD_SOCKET:
		return is_unix(fd);
	case FD_FILE:
		return fd->type == S_IFREG || fd->type == S_IFBLK;
	case FD_STORE:
		return is_unix(fd) || is_kind(fd, FD_FILE);
	case FD_CHAR:
		return fd->type == S_IFCHR;
	case FD_LINK:
		return is_unix(fd) || fd->type == S_IFCHR;
	case FD_EVENT:
		return begins(fd->link, "anon_inode:[eventfd");
	}
	return false;
}

/* The command opens what its standard descriptors are once more, not to change those of others. */
static bool is_standard_again(const struct subject_process *p, const struct facts_fd *fd)
{
	for (size_t i = 0; i < p->facts.n_fds; i++) {
		const struct facts_fd *s = &p->facts.fds[i];

		if (s->fd <= 2 && s->inode == fd->inode && strcmp(s->link, fd->link) == 0)
			return p->declared->place == DECLARED_USER;
	}
	return false;
}

/* 0, 1 and 2 are /dev/null, or, outside a jail, its user's. */
static bool is_standard(const struct subject_process *p, const struct facts_fd *fd)
{
	const char *slash = strrchr(fd->link, '/');

	if (fd->fd > 2)
		return is_standard_again(p, fd);
	return p->declared->place != DECLARED_JAIL ||
	       (fd->type == S_IFCHR && slash && strcmp(slash, "/null") == 0);
}

static bool is_in_table(const struct subject_process *p, const struct facts_fd *fd)
{
	const struct declared_process *d = p->declared;

	for (size_t i = 0; i < d->n_fds; i++)
		if (d->fds[i].fd == fd->fd && is_kind(fd, d->fds[i].kind))
			return true;
	return false;
}

/* How many there were so far: of each row that it holds, too. */
struct counts {
	unsigned int channels, dialers, held[16];
};

/* One to a device that was started again, or attached, has any number. */
static bool is_channel(const struct subject *s, const struct subject_process *p,
		       const struct facts_fd *fd, struct counts *n)
{
	if (!p->declared->channels_from || !is_unix(fd) || n->channels == s->channels)
		return false;
	n->channels++;
	return true;
}

/* Executables, images, memory, channels to a dialer: what the machine's other processes are checked to hold. */
static bool is_given(const struct subject *s, const struct subject_process *p,
		     const struct facts_fd *fd, struct counts *n)
{
	if (!p->declared->given_from || fd->fd < p->declared->given_from)
		return false;
	if (is_kind(fd, FD_FILE))
		return true;
	if (!is_unix(fd) || n->dialers == s->dialers)
		return false;
	n->dialers++;
	return true;
}

static bool is_named(const struct facts_fd *fd, const char *link)
{
	const char *slash = strrchr(fd->link, '/');

	if (strcmp(link, "server:") == 0) /* of another network namespace: its family is not seen */
		return fd->type == S_IFSOCK && !is_unix(fd);
	if (begins(link, "cgroup:"))
		return fd->in_cgroup && slash && strcmp(slash + 1, link + strlen("cgroup:")) == 0;
	return begins(fd->link, link) && (fd->type != S_IFSOCK || is_unix(fd));
}

static bool is_held(const struct declared_process *d, const struct facts_fd *fd, struct counts *n)
{
	for (size_t i = 0; i < d->n_held; i++)
		if (is_named(fd, d->held[i].link) &&
		    (d->held[i].most == 0 || n->held[i] < d->held[i].most)) {
			n->held[i]++;
			return true;
		}
	return false;
}

static bool is_known(const struct subject *s, const struct subject_process *p,
		     const struct facts_fd *fd, struct counts *n)
{
	return is_standard(p, fd) || is_in_table(p, fd) || is_channel(s, p, fd, n) ||
	       is_given(s, p, fd, n) || is_held(p->declared, fd, n);
}

/* Of one that is not known. */
static bool is_foreign(const struct subject_process *p, const struct facts_fd *fd)
{
	return p->declared->channels_from && is_unix(fd);
}

static unsigned int foreign_of(const struct subject *s, const struct subject_process *p)
{
	struct counts counts = { 0 };
	unsigned int n = 0;

	for (size_t i = 0; i < p->facts.n_fds; i++)
		n += !is_known(s, p, &p->facts.fds[i], &counts) && is_foreign(p, &p->facts.fds[i]);
	return n;
}

/* A process whose guest reaches the host's sockets has one, where there is a dialer. */
static unsigned int dialers_of(const struct subject *s, const struct device_kind *k)
{
	for (size_t i = 0; k->reach_fd && i < s->n_processes; i++)
		if (s->process[i].declared == &dialer_declared)
			return 1;
	return k->dials;
}

void count_channels(struct subject *s)
{
	s->channels = s->dialers = s->foreign = 0;
	for (size_t i = 0; i < s->n_processes; i++) {
		const struct declared_process *d = s->process[i].declared;
		const struct device_kind *k = d ? kind_whose(d) : NULL;

		s->channels += k ? kind_channels(k) : 0;
		s->dialers += k ? dialers_of(s, k) : 0;
	}
	for (size_t i = 0; i < s->n_processes; i++)
		s->foreign += s->process[i].declared ? foreign_of(s, &s->process[i]) : 0;
}

void judge_fds(const struct subject *s, struct subject_process *p, struct findings *f)
{
	struct counts counts = { 0 };

	for (size_t i = 0; i < p->facts.n_fds; i++) {
		const struct facts_fd *fd = &p->facts.fds[i];

		if (is_known(s, p, fd, &counts))
			continue;
		if (is_foreign(p, fd)) {
			findings_add(
				f, GRADE_WEAK, p, 0, "channel", "to a process of this VM",
				"%d: to a program that nothing here confines, and that may have "
				"guest RAM",
				fd->fd);
			continue;
		}
		findings_add(f, GRADE_WEAK, p, 0, "descriptor", "none such", "%d: %s%s%s", fd->fd,
			     *fd->link ? fd->link : "?", fd->family ? " " : "",
			     fd->family ? fd->family : "");
	}
}

/* ---- mappings ---- */

static bool is_shared_as_declared(const struct declared_process *d, const struct proc_map *m)
{
	for (size_t i = 0; i < d->n_maps; i++)
		if (begins(m->name, d->maps[i].link))
			return !m->write || d->maps[i].writable;
	return false;
}

/* Its own executable is the only file whose code runs. */
static bool is_own_code(const struct subject_process *p, const struct proc_map *m)
{
	const char *slash = strrchr(m->name, '/');
	const char *program = p->declared->program ? p->declared->program : p->facts.name;

	if (strcmp(m->name, "[vdso]") == 0 || strcmp(m->name, "[vsyscall]") == 0)
		return true;
	return slash && begins(slash + 1, program);
}

static const char *name_of(const struct proc_map *m)
{
	return *m->name ? m->name : "memory of its own";
}

void judge_maps(struct subject_process *p, struct findings *f)
{
	for (size_t i = 0; i < p->facts.n_maps; i++) {
		const struct proc_map *m = &p->facts.maps[i];

		if (m->write && m->execute)
			findings_add(f, GRADE_WEAK, p, 0, "mapping", "writable or executable",
				     "both: %s", name_of(m));
		else if (m->execute && !is_own_code(p, m))
			findings_add(f, GRADE_WEAK, p, 0, "mapping", "no code but its own",
				     "executable: %s", name_of(m));
		if (m->shared && !is_shared_as_declared(p->declared, m))
			findings_add(f, GRADE_WEAK, p, 0, "mapping", "none such", "shared%s: %s",
				     m->write ? ", writable" : "", name_of(m));
	}
}
