/* SPDX-License-Identifier: Apache-2.0 */
/* What comes into a spare part of the launcher's when a device is attached; see launcher.h. */
#include "cmd/supervisor/launcher.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <sys/socket.h>
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
	if (runs == config_server(d))
		words_say_options(&w, d, runs, f->ask->number);
	else
		words_say_same_options(&w, d, runs);
	if (runs->dials)
		words_say_server(&w, f->config, d);
	return !w.failed;
}

/* ---- its files ---- */

static bool has_none_beside(const struct launcher_filling *f)
{
	bool none = true;

	for (unsigned int i = 1; i < KIND_FILES_MAX; i++)
		none &= f->beside[i - 1] < 0;
	return none;
}

static bool has_none(const struct launcher_filling *f)
{
	return *f->fd < 0 && has_none_beside(f);
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

static bool has_link(const struct launcher_filling *f, const struct config_device *d)
{
	return *f->fd >= 0 && launcher_can_link(*f->fd, kind_way(d->kind, d->options)) &&
	       has_none_beside(f);
}

/* A card's link goes to its relay, which comes first and leaves one end of the stream between the two. */
static bool has_right(const struct launcher_filling *f, const struct config_device *d,
		      const struct device_kind *runs)
{
	const bool outer = runs != config_server(d) || !config_behind(d);

	if (config_is_linked(d))
		return outer ? has_link(f, d) : has_none(f) && *f->inner >= 0;
	return outer && runs->file.fd ? has_all(f, d) : has_none(f);
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

/* Both ends outlive the processes. */
static int make_stream(struct launcher_part *relay, const struct launcher_filling *f, int to)
{
	int pair[2];

	closep(f->inner);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	*f->inner = pair[0];
	give(relay, &pair[1], to);
	return 0;
}

static int give_link(struct launcher_part *part, const struct launcher_filling *f,
		     const struct config_device *d, const struct device_kind *runs)
{
	const int own = kind_way(d->kind, d->options)->fd;
	int r = 0;

	if (runs != d->kind) {
		give(part, f->fd, runs->link_fd);
		r = make_stream(part, f, runs->storage_fd);
	} else {
		give(part, config_behind(d) ? f->inner : f->fd, own);
	}
	return r < 0 ? r : launcher_give_state(part, runs, d, false, true);
}

/* All of it is there. 0 or a negative errno. */
static int give_right(struct launcher_part *part, const struct launcher_filling *f,
		      const struct config_device *d, const struct device_kind *runs)
{
	if (config_is_linked(d))
		return give_link(part, f, d, runs);
	if (runs != config_server(d)) {
		give_files(part, f, runs->file.fd);
		return launcher_give_state(part, d->kind, d, true, false);
	}
	if (runs->file.fd && !config_behind(d))
		give_files(part, f, runs->file.fd);
	return launcher_give_state(part, runs, d, !config_behind(d), true);
}

/* ---- the whole ---- */

/* A disk with a storage process behind it has a channel to that where the file would be. */
static void give_channels(struct launcher_part *part, const struct config_device *d,
			  const struct device_kind *runs)
{
	const struct device_kind *behind = config_behind(d);

	part->n_channels = 0;
	if (runs == config_server(d))
		part->channels[part->n_channels++] = runs->virtio.fd;
	if (!behind || behind->link_fd)
		return;
	part->channels[part->n_channels++] = runs == behind ? runs->storage_fd : d->kind->file.fd;
}

/* What the text says, and what is not said of it as it is in this VM. */
static int understand(const struct launcher_filling *f, const struct device_kind *kind,
		      struct config_device *ret)
{
	char why[200] = "";
	int r = config_device_options(kind, f->ask->text, ret, why, sizeof(why));

	if (r == 0 && kind->link.settle)
		kind->link.settle(ret->options, f->config->name, f->ask->number);
	return r;
}

enum bounds_refusal launcher_fill(struct launcher_part *part, const struct launcher_filling *f)
{
	const struct ask *a = f->ask;
	const struct device_kind *kind = a->kind < n_kinds_all ? kinds_all[a->kind] : NULL, *runs;
	struct config_device d;

	if (!kind || !kind->attachable || understand(f, kind, &d) < 0 ||
	    !config_server(&d)->attachable)
		return BOUNDS_UNKNOWN;
	runs = a->what == ASK_BEHIND ? config_behind(&d) : config_server(&d);
	if (!runs || f->programs[kind_index(runs)] < 0 || !make_words(f, &d, runs))
		return BOUNDS_UNKNOWN;
	if (!has_right(f, &d, runs))
		return BOUNDS_NO_FILE;
	if (give_right(part, f, &d, runs) < 0)
		_exit(EXIT_FAILED);
	part->exe_fd = f->programs[kind_index(runs)];
	part->argv = f->spare->argv;
	give_channels(part, &d, runs);
	if (f->labels->on)
		selinux_label(f->labels, runs->declared->domain, part->label);
	return BOUNDS_FINE;
}
