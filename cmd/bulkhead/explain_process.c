/* SPDX-License-Identifier: Apache-2.0 */
/* One process of a VM, from what it is declared to be; see explain.h. */
#include "cmd/bulkhead/explain.h"

#include "cmd/bulkhead/paragraph.h"
#include "lib/base/units.h"

#include <stdio.h>
#include <string.h>

static const char *place_of(const struct declared_process *d)
{
	switch (d->place) {
	case DECLARED_USER:
		return "its user's root and namespaces";
	case DECLARED_SUPERVISOR:
		return "an empty root, namespaces of its own but pid and network";
	case DECLARED_LAUNCHER:
		return "the supervisor's empty root and namespaces";
	case DECLARED_JAIL:
		break;
	}
	return "an empty root, namespaces of its own";
}

static const char *landlock_of(const struct sandbox_policy *p)
{
	if (p->inherited)
		return "Landlock without network ports, signals and abstract sockets";
	return p->beneath.rights ? "Landlock with one right below one directory" :
				   "Landlock that allows nothing";
}

static void explain_place(const struct explained *x, const struct declared_process *d)
{
	bool landlock = !x->missing.missing[GUARANTEE_PATHS];
	struct list l = { .len = 0 };

	list_add(&l, "%s", place_of(d));
	if (landlock)
		list_add(&l, "%s", landlock_of(d->policy));
	list_add(&l, "%s, a filter",
		 d == &net_keeper_declared ? "the capability to change the host's network" :
		 d->policy->capabilities   ? "the capabilities to give ids of the VM" :
					     "no capability");
	if (!x->missing.missing[GUARANTEE_LABELS] && d->domain)
		list_add(&l, "SELinux's domain %s with the VM's categories", d->domain);
	if (x->grouped && d->place == DECLARED_JAIL)
		list_add(&l, "the VM's control group");
	paragraph("kept in", "%s", l.text);
}

static const char *uid_of(const struct explained *x, const struct declared_process *d)
{
	if (x->missing.missing[GUARANTEE_IDS])
		return "its user's, as every process of this VM";
	if (!x->root)
		return d->place == DECLARED_USER     ? "its user's" :
		       d->place == DECLARED_LAUNCHER ? "the supervisor's" :
						       "its own, one of its user's subordinate ids";
	if (d->place == DECLARED_LAUNCHER)
		return "the supervisor's";
	return d == &keeper_declared ? "one that only keepers have" :
	       d == &dialer_declared ? "one that only dialers have" :
				       "its own, which no other process has";
}

/* ---- system calls ---- */

static bool is_soft(const struct declared_thread *t)
{
	return strcmp(t->accel, "soft") == 0;
}

static bool has_thread(const struct explained *x, const struct declared_thread *t)
{
	if (!t->accel || x->config->accel == ACCEL_AUTO)
		return true;
	return is_soft(t) == (x->config->accel == ACCEL_SOFT);
}

static void add_thread(struct list *l, const struct declared_thread *t)
{
	list_add(l, "%zu for %s %s%s", sandbox_count_calls(t->policy),
		 t->each_vcpu ? "each" : "the", t->name,
		 t->no_ring ? " where there is no io_uring" :
		 !t->accel  ? "" :
		 is_soft(t) ? " in software" :
			      " on KVM");
}

static void explain_calls(const struct explained *x, const struct declared_process *d)
{
	struct list l = { .len = 0 };

	list_add(&l, d->n_threads ? "%zu for its main thread" : "%zu",
		 sandbox_count_calls(d->policy));
	for (size_t i = 0; i < d->n_threads; i++)
		if (has_thread(x, &d->threads[i]))
			add_thread(&l, &d->threads[i]);
	paragraph("system calls", "%s%s", l.text,
		  d->guest_facing ? "; none takes a path, a process id or a socket address" : "");
}

/* ---- limits ---- */

static void add_bytes(struct list *l, uint64_t bytes, const char *of)
{
	if (bytes == SB_UNSET)
		return;
	if (bytes == 0)
		list_add(l, "no %s", of);
	else if (bytes < MIB(1))
		list_add(l, "%llu bytes of %s", (unsigned long long)bytes, of);
	else
		list_add(l, "%llu MiB of %s", (unsigned long long)(bytes / MIB(1)), of);
}

static void add_tasks(struct list *l, uint64_t n)
{
	if (n == 0)
		list_add(l, "no new task");
	else if (n != SB_UNSET)
		list_add(l, "%llu task%s", (unsigned long long)n, n > 1 ? "s" : "");
}

static int count_channels(const struct vm_config *c)
{
	unsigned int n = 0;

	for (size_t i = 0; i < c->n_devices; i++)
		n += c->devices[i].off ? 0 : kind_channels(c->devices[i].kind);
	return (int)n;
}

/* Where the accelerator is chosen at the start: the most. */
static uint64_t address_space(const struct explained *x, const struct declared_process *d)
{
	const struct vm_config *c = x->config;
	const struct declared_machine m = { .memory = c->memory,
					    .vcpus = c->cpus,
					    .channels = (unsigned int)count_channels(c),
					    .soft = c->accel != ACCEL_KVM };

	return declared_address_space(d, &m);
}

static void explain_limits(const struct explained *x, const struct declared_process *d)
{
	const struct sandbox_limits *most = &d->policy->limits;
	struct list l = { .len = 0 };

	list_add(&l, "%llu descriptors",
		 (unsigned long long)declared_descriptors(d,
							  (unsigned int)count_channels(x->config)));
	add_tasks(&l, most->nproc);
	add_bytes(&l, address_space(x, d), "address space");
	if (d->fsize_of_image)
		list_add(&l, "no file larger than its image is, or can become");
	else
		add_bytes(&l, most->fsize, "new bytes in a file");
	add_bytes(&l, most->memlock, "locked memory");
	paragraph("limits", "%s", l.text);
}

/* ---- descriptors ---- */

static bool has_console(const struct vm_config *c)
{
	return !c->detach && c->console != CONSOLE_NONE;
}

/* The device of that kind whose guest reaches sockets of the host, or NULL. */
static const struct config_device *reaching(const struct vm_config *c,
					    const struct device_kind *kind)
{
	for (size_t i = 0; i < c->n_devices; i++)
		if (c->devices[i].kind == kind && config_reaches(&c->devices[i]))
			return &c->devices[i];
	return NULL;
}

/* Whether a row of the table is there with this configuration. */
static bool has_row(const struct explained *x, const struct declared_process *d, int fd)
{
	if (d == &vmm_declared && fd == VMM_FD_KVM)
		return x->config->accel != ACCEL_SOFT;
	if (d == &vmm_declared && fd == VMM_FD_LOG)
		return x->config->accel != ACCEL_KVM;
	if (d == &vmm_declared && fd == VMM_FD_INITRD)
		return x->config->initrd;
	if (d == &vmm_declared && fd == VMM_FD_ITEMS)
		return x->config->firmware;
	if (d == &vmm_declared && fd == VMM_FD_FLASH)
		return config_flash(x->config);
	if (kind_whose(d) && kind_whose(d)->reach_fd == fd && !kind_whose(d)->opens)
		return reaching(x->config, kind_whose(d)) != NULL;
	return d != &supervisor_declared || fd != SUPERVISOR_FD_STREAM || has_console(x->config);
}

/* The file behind a row, or NULL. */
static const char *file_of(const struct explained *x, const struct declared_process *d, int fd)
{
	if (d == &vmm_declared && fd == VMM_FD_KERNEL)
		return x->config->firmware ? x->config->firmware : x->config->kernel;
	return d == &vmm_declared && fd == VMM_FD_INITRD ? x->config->initrd : NULL;
}

static const char *name_of(const struct explained *x, const struct declared_process *d,
			   const struct fd_row *row)
{
	return x->config->firmware && d == &vmm_declared && row->fd == VMM_FD_KERNEL ? "firmware" :
										       row->name;
}

static void explain_handed(const struct explained *x, const struct declared_process *d)
{
	struct list l = { .len = 0 };

	list_add(&l, d->place == DECLARED_JAIL || d->place == DECLARED_LAUNCHER ?
			     "0 to 2 /dev/null" :
			     "0 to 2 its user's");
	for (size_t i = 0; i < d->n_fds; i++) {
		const char *file = file_of(x, d, d->fds[i].fd);

		if (has_row(x, d, d->fds[i].fd))
			list_add(&l, "%d %s%s%s", d->fds[i].fd, name_of(x, d, &d->fds[i]),
				 file ? " " : "", file ? file : "");
	}
	if (d->channels_from)
		list_add(&l, "%d to %d channels to the devices", d->channels_from,
			 d->channels_from + count_channels(x->config) - 1);
	if (d->given_from)
		list_add(&l, "%d and up what the devices are started with again", d->given_from);
	paragraph("handed to it", "%s", l.text);
}

/* Rows of the same name are one thing that kernels name differently. */
static void explain_held(const struct explained *x, const struct declared_process *d)
{
	struct list l = { .len = 0 };

	for (size_t i = 0; i < d->n_held; i++) {
		bool is_kvms = strstr(d->held[i].link, "kvm");

		if (i > 0 && strcmp(d->held[i].name, d->held[i - 1].name) == 0)
			continue;
		if (!is_kvms || x->config->accel != ACCEL_SOFT)
			list_add(&l, "%s", d->held[i].name);
	}
	if (l.len)
		paragraph("makes or is sent", "%s", l.text);
}

static void add_files(struct list *l, const struct vm_config *c, const struct config_device *d)
{
	for (unsigned int i = 0, nth; i < KIND_FILES_MAX; i++) {
		const struct config_file f = config_file_of(c, d, i);
		const char *mode = config_file_readonly(d, i) ? "read-only" : "writable";

		if (i && f.path)
			list_add(l, "%.*s (its %s, %s)", (int)f.path_len, f.path,
				 kind_files_of(d->kind, i - 1, &nth)->noun, mode);
		else if (f.path)
			list_add(l, "%.*s (%s)", (int)f.path_len, f.path, mode);
	}
}

/* The kind of process that has the device's files. */
static const struct device_kind *holder_of(const struct config_device *d)
{
	const struct device_kind *behind = config_behind(d);

	return behind ? behind : config_server(d);
}

static void explain_files(const struct vm_config *c, const struct device_kind *kind)
{
	struct list l = { .len = 0 };
	char its[32];

	for (size_t i = 0; i < c->n_devices; i++)
		if (holder_of(&c->devices[i]) == kind && !c->devices[i].foreign)
			add_files(&l, c, &c->devices[i]);
	if (!l.len)
		return; /* others have them all */
	snprintf(its, sizeof(its), "its %s", kind->file.noun);
	paragraph(config_count(c, kind) > 1 ? "one each for" : its, "%s", l.text);
}

static void explain_reached(const struct vm_config *c, const struct device_kind *kind)
{
	const struct config_device *d = reaching(c, kind);
	struct list l = { .len = 0 };
	uint32_t port;

	for (unsigned int i = 0; d && kind->reaches(d->options, i, &port); i++)
		list_add(&l, "%s+%s_%u", c->name, kind->word, port);
	if (d)
		paragraph("connected to", "%s, where its user's programs listen", l.text);
}

/* ---- what a taker has ---- */

static bool is_kvms(const struct declared_gain *g)
{
	return strncmp(g->holds, "KVM", 3) == 0;
}

static void explain_gains(const struct explained *x, const struct declared_process *d)
{
	const char *label = "its taker has";

	for (size_t i = 0; i < d->n_gains; i++) {
		const struct declared_gain *g = &d->gains[i];

		if (is_kvms(g) && x->config->accel == ACCEL_SOFT)
			continue;
		if (g->guest_had)
			paragraph(label, "%s (no gain: %s)", g->holds, g->guest_had);
		else
			paragraph(label, "%s (GAIN: %s)", g->holds, g->reason);
		label = "";
	}
}

void explain_process(const struct explained *x, const struct declared_process *d)
{
	const struct device_kind *kind = kind_whose(d);

	printf("\n%s: %s\n", d->name, d->job);
	paragraph("stands against", "%s", d->hostile);
	explain_place(x, d);
	paragraph("user id", "%s", uid_of(x, d));
	explain_calls(x, d);
	explain_limits(x, d);
	explain_handed(x, d);
	explain_held(x, d);
	if (kind && kind->file.fd)
		explain_files(x->config, kind);
	if (kind && kind->reaches)
		explain_reached(x->config, kind);
	explain_gains(x, d);
}
