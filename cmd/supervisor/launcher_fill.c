/* SPDX-License-Identifier: Apache-2.0 */
/* What comes into a spare part of the launcher's when a device is attached; see launcher.h. */
#include "cmd/supervisor/launcher.h"

#include "lib/base/cleanup.h"

#include <unistd.h>

#define EXIT_FAILED 1

void launcher_empty(struct launcher_part *part)
{
	for (size_t i = 0; i < part->n_given; i++)
		closep(&part->given[i].from);
	closep(&part->pidfd);
	part->n_given = 0;
	part->argv = NULL;
}

static bool make_words(const struct launcher_filling *f, const struct config_device *d,
		       const struct device_kind *runs)
{
	struct launcher_spare *s = f->spare;
	struct words w = { .text = s->text, .cap = sizeof(s->text), .argv = s->argv };

	words_say(&w, "%s", runs->declared->name);
	if (runs == d->kind)
		words_say_options(&w, d, f->ask->number);
	else
		words_say_same_options(&w, d, runs);
	if (runs->dials)
		words_say_server(&w, f->config, d);
	return !w.failed;
}

/* ---- its files ---- */

static bool has_none(const struct launcher_filling *f)
{
	bool none = *f->fd < 0;

	for (unsigned int i = 1; i < KIND_FILES_MAX; i++)
		none &= f->beside[i - 1] < 0;
	return none;
}

/* Those that were sent are those that are said. */
static bool has_all(const struct launcher_filling *f, const struct config_device *d)
{
	if (*f->fd < 0 || !(d->remote ? launcher_can_dial(*f->fd) :
					launcher_can_serve(*f->fd, config_readonly(d))))
		return false;
	for (unsigned int i = 1; i < KIND_FILES_MAX; i++) {
		const int fd = f->beside[i - 1];

		if ((config_device_file(d, i).path != NULL) != (fd >= 0) ||
		    (fd >= 0 && !launcher_can_serve(fd, config_file_readonly(d, i))))
			return false;
	}
	return true;
}

static void give(struct launcher_part *part, int *from, int to)
{
	if (*from >= 0)
		part->given[part->n_given++] = (struct jail_fd){ take_fd(from), to };
}

static void give_files(struct launcher_part *part, const struct launcher_filling *f, int first)
{
	give(part, f->fd, first);
	for (int i = 1; i < KIND_FILES_MAX; i++)
		give(part, &f->beside[i - 1], first + i);
}

/* ---- the whole ---- */

/* A device with a storage process behind it has a channel to that where the file would be. */
static void give_channels(struct launcher_part *part, const struct config_device *d,
			  const struct device_kind *runs)
{
	part->n_channels = 0;
	if (runs != d->kind)
		part->channels[part->n_channels++] = runs->storage_fd;
	else
		part->channels[part->n_channels++] = d->kind->virtio.fd;
	if (runs == d->kind && config_behind(d))
		part->channels[part->n_channels++] = d->kind->file.fd;
}

enum bounds_refusal launcher_fill(struct launcher_part *part, const struct launcher_filling *f)
{
	const struct ask *a = f->ask;
	const struct device_kind *kind = a->kind < n_kinds_all ? kinds_all[a->kind] : NULL, *runs;
	struct config_device d;
	char why[200] = "";
	bool own, files;

	if (!kind || !kind->attachable ||
	    config_device_options(kind, a->text, &d, why, sizeof(why)) < 0)
		return BOUNDS_UNKNOWN;
	runs = a->what == ASK_BEHIND ? config_behind(&d) : kind;
	if (!runs || f->programs[kind_index(runs)] < 0 || !make_words(f, &d, runs))
		return BOUNDS_UNKNOWN;
	own = runs != kind || !config_behind(&d); /* files and state */
	files = own && runs->file.fd;
	if (files ? !has_all(f, &d) : !has_none(f))
		return BOUNDS_NO_FILE;
	if (files)
		give_files(part, f, runs->file.fd);
	if (own && launcher_give_state(part, &d) < 0)
		_exit(EXIT_FAILED);
	part->exe_fd = f->programs[kind_index(runs)];
	part->argv = f->spare->argv;
	give_channels(part, &d, runs);
	if (f->labels->on)
		selinux_label(f->labels, runs->declared->domain, part->label);
	return BOUNDS_FINE;
}
