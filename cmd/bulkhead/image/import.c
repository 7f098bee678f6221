/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead image import: image-fetch downloads, image-digest says the checksum, and only then the file gets its name,
 * or is converted under it. The command does what takes rights: it opens the files, looks up names, makes each
 * connection, and decides about redirects. All that it hears is a line of at most 2 KiB for each (stage.h).
 */
#include "cmd/bulkhead/image/import.h"

#include "cmd/bulkhead/image/connect.h"
#include "cmd/bulkhead/image/expect.h"
#include "cmd/bulkhead/image/image.h"
#include "cmd/bulkhead/image/partial.h"
#include "cmd/bulkhead/image/stage.h"
#include "cmd/bulkhead/programs.h"
#include "cmd/bulkhead/verbs.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REDIRECTS_MAX 5

static const char *const ca_files[] = { "/etc/ssl/certs/ca-certificates.crt",
					"/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem" };

struct import {
	struct image_words *w;
	struct image_job asked; /* as its user said it */
	struct digest expected;
	struct digest found;
	struct partial part;
	struct connect_bound bound;
	int signals;
	int ca;
	bool again;	      /* the server has another file than the one that was begun */
	char to[URL_MAX + 1]; /* where the server redirects; or "" */
	char url[URL_MAX + 1];
};

static struct import import;

static int fail(const struct import *i, const char *what, const char *why)
{
	return complain(EXIT_START, "image %s: %.300s: %s", i->w->verb, what, why);
}

/* ---- what the processes say ---- */

static bool hear_fetch(void *owner, const struct said *said)
{
	struct import *i = owner;

	switch (said->kind) {
	case SAID_VALIDATOR:
		return partial_note(&i->part, said->text) == 0;
	case SAID_REDIRECT:
		snprintf(i->to, sizeof(i->to), "%s", said->text);
		return true;
	case SAID_AGAIN:
		i->again = true;
		return true;
	default:
		return false;
	}
}

static bool hear_digest(void *owner, const struct said *said)
{
	struct import *i = owner;

	return said->kind == SAID_DIGEST &&
	       digest_parse(i->expected.kind, said->text, strlen(said->text), &i->found) == 0;
}

/* ---- jobs ---- */

static struct image_job *new_job(struct import *i, enum image_verb verb)
{
	struct image_job *job = &i->w->job;

	image_job_init(job, verb);
	job->progress = i->w->show = !i->w->quiet;
	i->w->as_lines = !isatty(STDERR_FILENO);
	job->most = i->asked.most;
	job->patience_s = i->asked.patience_s;
	job->room = partial_room(&i->part);
	return job;
}

static void add_node(struct image_job *job, enum image_role role, int fd, int data_fd,
		     const char *name)
{
	job->nodes[job->n_nodes++] = (struct image_node){
		.role = role, .format = FORMAT_RAW, .fd = fd, .data_fd = data_fd, .name = name
	};
}

static int fetch(struct import *i, int sock, int source)
{
	struct image_job *job = new_job(i, IMAGE_FETCH);
	const int keep[] = { i->part.target.dir, i->signals, i->part.target.old, -1 };

	add_node(job, ROLE_TARGET, i->part.target.fd, sock, i->part.target.part);
	if (source >= 0)
		add_node(job, ROLE_SOURCE, source, -1, i->w->source.file[0].path);
	else if (i->ca >= 0)
		add_node(job, ROLE_OTHER, i->ca, -1, "certificates");
	if (source < 0) {
		job->url = i->url;
		job->offset = partial_begun(&i->part);
		job->validator = job->offset ? i->part.origin.validator : NULL;
	}
	i->again = false;
	i->to[0] = '\0';
	return stage_run(i->w, i->signals, keep, hear_fetch, i);
}

static int interrupted(struct import *i)
{
	unsigned long long begun = partial_begun(&i->part);

	if (!begun)
		return complain(IMAGE_EXIT_INTERRUPTED,
				"image import: interrupted: nothing is kept");
	return complain(
		IMAGE_EXIT_INTERRUPTED,
		"image import: interrupted: %llu bytes are kept in %.250s: the same command "
		"goes on from there",
		begun, i->part.target.part);
}

/* ---- from a server ---- */

/* Where the next connection goes. */
static int follow(struct import *i, unsigned int hops, struct url *u)
{
	const char *why = NULL;
	const bool tls = u->tls;

	if (hops >= REDIRECTS_MAX)
		return fail(i, i->to, "this is the 6th redirect, and 5 are followed");
	if (url_parse(i->to, strlen(i->to), u, &why) < 0)
		return fail(i, i->to, why);
	if (tls && !u->tls)
		return fail(i, i->to, "a redirect from https to http is not followed");
	if (!i->w->quiet)
		complain(0, "image import: redirected to %s", i->to);
	snprintf(i->url, sizeof(i->url), "%s", i->to);
	return 0;
}

/* Until now a part of another file. */
static int start_again(struct import *i)
{
	if (!partial_begun(&i->part))
		return fail(i, i->url, "the server sends parts that do not go together");
	if (!i->w->quiet)
		complain(0, "image import: %.300s: it has changed: once more from its beginning",
			 i->url);
	return partial_note(&i->part, "") < 0 || ftruncate(i->part.target.fd, 0) < 0 ?
		       fail(i, i->part.target.path, strerror(errno)) :
		       0;
}

static int download(struct import *i, struct url *u)
{
	unsigned int hops = 0;
	int r;

	do {
		_cleanup_(closep) int sock = -1;

		r = image_connect(i->url, u, &i->bound, i->signals, &sock);
		if (r == 0)
			r = fetch(i, sock, -1);
		if (r == 0 && *i->to)
			r = follow(i, hops++, u);
		else if (r == 0 && i->again)
			r = start_again(i);
	} while (r == 0 && (*i->to || i->again));
	return r == -EINTR ? IMAGE_EXIT_INTERRUPTED : r;
}

static int open_ca(struct import *i)
{
	if (i->w->import.ca)
		return image_file_open(i->w, i->w->import.ca, true, &i->ca);
	for (size_t n = 0; n < ARRAY_SIZE(ca_files) && i->ca < 0; n++)
		i->ca = open(ca_files[n], O_RDONLY | O_CLOEXEC);
	return 0;
}

/* A redirect may be to https. */
static int from_server(struct import *i, struct url *u)
{
	int r = open_ca(i);

	if (r == 0 && u->tls && i->ca < 0)
		r = fail(i, i->url,
			 "there are no certificates that are trusted: install "
			 "ca-certificates, or say --ca FILE");
	return r ? r : download(i, u);
}

static int from_file(struct import *i)
{
	_cleanup_(closep) int source = -1;
	int r = image_file_open(i->w, i->w->source.file[0].path, true, &source);

	return r ? r : fetch(i, -1, source);
}

/* ---- checked ---- */

static bool is_as_it_was(const struct stat *a, int fd)
{
	struct stat b;

	return fstat(fd, &b) == 0 && a->st_size == b.st_size &&
	       a->st_ctim.tv_sec == b.st_ctim.tv_sec && a->st_ctim.tv_nsec == b.st_ctim.tv_nsec;
}

/* Nobody writes to it any more: image-fetch has ended. */
static int check(struct import *i)
{
	const struct image_target *t = &i->part.target;
	const int keep[] = { t->dir, t->fd, i->signals, t->old, -1 };
	_cleanup_(closep) int fd = openat(t->dir, t->part, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct image_job *job = new_job(i, IMAGE_DIGEST);
	struct stat st, same;
	int r;

	if (fd < 0 || fsync(t->fd) < 0 || fstat(t->fd, &st) < 0 || fstat(fd, &same) < 0)
		return fail(i, t->part, strerror(errno));
	job->digest = i->expected.kind;
	add_node(job, ROLE_SOURCE, fd, -1, t->part);
	r = stage_run(i->w, i->signals, keep, hear_digest, i);
	if (r)
		return r;
	if (st.st_ino != same.st_ino || st.st_dev != same.st_dev || !is_as_it_was(&st, t->fd))
		return fail(i, t->part, "somebody else has changed it meanwhile");
	if (strcmp(i->found.hex, i->expected.hex) == 0)
		return 0;
	partial_forget(&i->part);
	return complain(
		EXIT_START,
		"image import: %.200s: its %s is %s, and %s was to be: what was downloaded is "
		"removed",
		i->w->source.file[0].path, digest_names[i->expected.kind],
		*i->found.hex ? i->found.hex : "not known", i->expected.hex);
}

/* ---- what becomes of it ---- */

/* In a child, which is confined afterwards. */
static int convert(struct image_words *w)
{
	closep(&import.part.target.dir);
	closep(&import.signals);
	closep(&import.ca);
	return image_carry_out(w);
}

static int convert_part(struct import *i)
{
	static char path[PATH_MAX + NAME_MAX + 2];
	struct image_words *w = i->w;
	const char *slash = strrchr(w->target, '/');
	int r;

	snprintf(path, sizeof(path), "%.*s%s", slash ? (int)(slash - w->target) + 1 : 0, w->target,
		 i->part.target.part);
	w->job = i->asked;
	w->job.verb = IMAGE_CONVERT;
	w->image_fd = i->part.target.fd;
	w->source.file[0].path = path;
	closep(&i->part.target.old); /* whose lock the conversion takes */
	r = stage_fork(w, i->signals, convert);
	if (r == 0)
		partial_forget(&i->part);
	return r;
}

static int keep(struct import *i)
{
	struct image_target *t = &i->part.target;
	int r = image_target_keep(t);

	if (r < 0)
		return fail(i, t->path, strerror(-r));
	partial_forget(&i->part);
	return 0;
}

static int bring(struct import *i, struct url *u, bool is_url)
{
	int r = is_url ? from_server(i, u) : from_file(i);

	if (r == 0)
		r = check(i);
	if (r == IMAGE_EXIT_INTERRUPTED)
		r = interrupted(i);
	if (r == 0)
		return i->w->target_format_said ? convert_part(i) : keep(i);
	return r;
}

/* ---- words ---- */

static int read_source(struct import *i, struct url *u, bool *ret_is_url, char *name, size_t cap)
{
	const char *source = i->w->source.file[0].path, *slash, *why;

	if (strncmp(source, "file:///", 8) == 0)
		source = i->w->source.file[0].path = source + 7;
	*ret_is_url = url_is_meant(source);
	if (!*ret_is_url) {
		slash = strrchr(source, '/');
		snprintf(name, cap, "%s", slash ? slash + 1 : source);
		return 0;
	}
	if (url_parse(source, strlen(source), u, &why) < 0)
		return complain(EXIT_WORDS, "image import: %.300s: %s", source, why);
	snprintf(i->url, sizeof(i->url), "%s", source);
	url_file_name(source, u, name, cap);
	return 0;
}

static int check_programs(const struct import *i)
{
	char path[PATH_MAX + 128];

	return program_find("image-fetch", path, sizeof(path)) == 0 ?
		       0 :
		       fail(i, "image-fetch",
			    "this build does not have it: build Bulkhead where libcurl is installed "
			    "(tools/deps build; package libcurl4-openssl-dev)");
}

int image_import(struct image_words *w)
{
	struct import *i = &import;
	char name[NAME_MAX + 1];
	bool is_url;
	struct url u = { 0 };
	int r;

	*i = (struct import){ .w = w, .asked = w->job, .ca = -1, .signals = -1 };
	r = read_source(i, &u, &is_url, name, sizeof(name));
	if (r == 0)
		r = check_programs(i);
	if (r == 0)
		r = image_expect(w, name, &i->expected);
	if (r)
		return r;
	i->signals = image_signals_open();
	if (i->signals < 0)
		return fail(i, "signals", strerror(-i->signals));
	r = partial_open(w, is_url ? i->url : NULL, &i->part);
	if (r == 0)
		r = bring(i, &u, is_url);
	if (r)
		(void)partial_leave(&i->part);
	partial_close(&i->part);
	closep(&i->ca);
	return r;
}
