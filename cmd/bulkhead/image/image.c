/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead image: makes, reads and changes disk images. Their bytes, which a guest may have written, are read
 * by processes of their own in jails (image-tool, image-import), which hold descriptors and no more; here
 * files are opened with their user's rights, and what is made gets its name.
 */
#include "cmd/bulkhead/image/image.h"

#include "cmd/bulkhead/image/files.h"
#include "cmd/bulkhead/image/import.h"
#include "cmd/bulkhead/image/policy.h"
#include "cmd/bulkhead/image/relay.h"
#include "cmd/bulkhead/verbs.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

int image_signals_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* Root may need to rename what is another user's; it may do so in one directory. */
int image_confine(struct image_target *t, const char **ret_what)
{
	struct sandbox_policy policy = image_relay_policy;
	int dir = t && t->dir >= 0 ? dup3(t->dir, IMAGE_RELAY_FD_DIR, O_CLOEXEC) : -1;

	*ret_what = "its directory";
	if (dir < 0 && t && t->dir >= 0)
		return -errno;
	if (dir < 0 || !t)
		policy.beneath.rights = 0;
	else
		t->dir = dir;
	if (geteuid() == 0 && dir >= 0)
		policy.capabilities = 1U << CAP_DAC_OVERRIDE | 1U << CAP_FOWNER;
	return sandbox_confine_self(&policy, ret_what);
}

static int say_end(const struct image_words *w, const struct image_target *t, enum image_end end)
{
	const bool interrupted = end == IMAGE_INTERRUPTED;
	const int status = interrupted ? IMAGE_EXIT_INTERRUPTED : EXIT_OUTPUT;
	const char *why = interrupted ? "interrupted" : "its output cannot be written any more";

	if (!t->path)
		return complain(status, "image %s: %s", w->verb, why);
	if (t->dir < 0)
		return complain(status, "image %s: %s: %.300s was written in part", w->verb, why,
				t->path);
	return complain(status, "image %s: %s: %.300s %s", w->verb, why, t->path,
			t->old >= 0 ? "is what it was before" : "was not made");
}

static int finish(const struct image_words *w, struct image_target *t, enum image_end end,
		  int status)
{
	int r;

	if (end != IMAGE_ENDED || status != IMAGE_EXIT_OK)
		image_target_drop(t);
	if (end != IMAGE_ENDED)
		return say_end(w, t, end);
	if (status != IMAGE_EXIT_OK || !t->path)
		return status;
	r = image_target_keep(t);
	if (r == 0)
		return 0;
	image_target_drop(t);
	return complain(EXIT_START, "image %s: %.300s: it cannot get its name: %s", w->verb,
			t->path, strerrordesc_np(-r));
}

static int run(struct image_words *w, struct image_target *t)
{
	struct image_run run = IMAGE_RUN_NONE;
	const char *what = "signals";
	enum image_end end;
	int status = 0;
	int signals = image_signals_open();
	int r = signals < 0 ? signals : image_run_start(&w->job, &run, &what);

	if (r == 0)
		r = image_confine(t, &what);
	if (r < 0) {
		image_target_drop(t);
		return complain(EXIT_START, "image %s: %s: %s", w->verb, what, strerror(-r));
	}
	end = image_relay(w, &run, signals, &status);
	return finish(w, t, end, status);
}

int image_carry_out(struct image_words *w)
{
	struct image_target t = IMAGE_TARGET_NONE;
	int r;

	w->show = !w->quiet && w->job.verb != IMAGE_RESIZE && isatty(STDERR_FILENO);
	w->job.progress = w->show || w->alive >= 0;
	r = image_files_open(w, &t);
	return r ? r : run(w, &t);
}

int verb_image(int argc, char **argv)
{
	static struct image_words w;
	int r = image_words_parse(argc, argv, &w);

	if (r)
		return r;
	if (w.help) {
		image_words_help();
		return 0;
	}
	return w.job.verb == IMAGE_IMPORT ? image_import(&w) : image_carry_out(&w);
}
