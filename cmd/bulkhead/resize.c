/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead resize: makes a disk of a running VM larger. The file is opened here, with the rights of who asks; the
 * VM finds out whose disk it is and lets go of it, `bulkhead image resize` works on it as ever, and the VM takes it
 * back. What the VM says never names a file.
 *
 * The VM waits as long as it hears that the work goes on, and a process that stands still could go on when the VM
 * has the disk back. So all is done in a child with a dead man's handle, and its file is locked for the change: until
 * nobody has it open any more, no process of a disk is started on it.
 */
#include "cmd/bulkhead/deadman.h"
#include "cmd/bulkhead/image/image.h"
#include "cmd/bulkhead/verbs.h"
#include "cmd/bulkhead/vmlink.h"
#include "lib/base/cleanup.h"
#include "lib/files/files.h"
#include "lib/kinds/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define USAGE \
	"say NAME FILE [+]SIZE, the FILE that the disk is served from, for example vm1 data.raw 20G"
#define PATIENCE_MS 60000 /* for what is in flight, and for the device's process */
#define PIECE_MS 1000	  /* of that: this process lives, as far as the handle is concerned */
#define EXIT_INTERRUPTED 6

struct resizing {
	const char *name; /* of the VM */
	const char *path;
	struct image_words words;
	struct stat st;
	int sock;
};

static int refuse(const struct resizing *z, const char *why)
{
	return complain(EXIT_START, "resize: %.64s: %.300s: %s", z->name, z->path, why);
}

/* 0, or the exit status. */
static int parse(struct resizing *z, int argc, char **argv)
{
	static char verb[] = "resize";
	char *name = argc > 0 ? argv[0] : NULL;
	int r;

	if (argc < 3 || *name == '-')
		return complain(EXIT_WORDS, "resize: " USAGE);
	argv[0] = verb;
	r = image_words_parse(argc, argv, &z->words);
	if (r)
		return r;
	z->name = name;
	z->path = z->words.source.file[0].path;
	if (z->words.help || !z->path || z->words.source.file[0].format_said)
		return complain(EXIT_WORDS, "resize: " USAGE "; the VM knows its format");
	if (z->words.job.size_how == SIZE_SUB || z->words.job.shrink)
		return complain(EXIT_WORDS,
				"resize: a running VM's disk is not made smaller, as its guest may "
				"use what would be lost: stop the VM, then bulkhead image resize "
				"--shrink");
	return 0;
}

/* The VM has it locked. */
static int open_one(const char *path, struct stat *st, int *ret)
{
	char why[400];

	*ret = file_open("resize", path, O_RDWR, true, st, why, sizeof(why));
	return *ret < 0 ? complain(EXIT_START, "%s", why) : 0;
}

static int open_files(struct resizing *z)
{
	const char *data = z->words.source.file[0].data_file;
	struct stat st;
	int r = open_one(z->path, &z->st, &z->words.image_fd);

	return r || !data ? r : open_one(data, &st, &z->words.data_fd);
}

static int refuse_changing(const struct resizing *z)
{
	const pid_t who = image_changer(z->words.image_fd);
	char why[96] = "another process changes it: try again once that has ended";

	if (who)
		snprintf(
			why, sizeof(why),
			"process %d changes it, or stands still there: try again once it has ended",
			who);
	return refuse(z, why);
}

/* From here on the kernel ends this process if it stands still. */
static int lock_file(const struct resizing *z)
{
	int r = deadman_renew();

	if (r == 0)
		r = image_change_lock(z->words.image_fd);
	if (r == -EAGAIN)
		return refuse_changing(z);
	return r < 0 ? refuse(z, strerror(-r)) : 0;
}

/* ---- the VM ---- */

static int await(const struct resizing *z, enum control_type wanted, struct control_msg *ret)
{
	const bool holds = z->words.image_fd >= 0;
	int r = -ETIMEDOUT;

	for (int ms = 0; ms < PATIENCE_MS && r == -ETIMEDOUT; ms += PIECE_MS) {
		r = holds ? deadman_renew() : 0;
		if (r == 0)
			r = vmlink_await(z->sock, wanted, PIECE_MS, ret);
	}
	return r;
}

static int ask(const struct resizing *z, const struct control_msg *q, int fd,
	       enum control_type wanted, struct control_msg *ret)
{
	int r = control_send(z->sock, q, fd);

	*ret = (struct control_msg){ 0 };
	if (r == 0)
		r = await(z, wanted, ret);
	if (r < 0)
		return complain(EXIT_FAILED, "%.64s does not answer: %s", z->name, strerror(-r));
	return ret->type == wanted ? 0 : refuse(z, ret->text);
}

/* ---- the file ---- */

/* What its host says of a block device is not ours to change. */
static int check_device(const struct resizing *z)
{
	uint64_t size = 0;

	if (ioctl(z->words.image_fd, BLKGETSIZE64, &size) < 0)
		return refuse(z, strerror(errno));
	if (z->words.job.size_how == SIZE_SET && z->words.job.size == size)
		return 0;
	return complain(EXIT_START,
			"resize: %.64s: %.300s: this device has %llu bytes: make it larger on the "
			"host first, then say its new size here",
			z->name, z->path, (unsigned long long)size);
}

/* What a qcow2 image says of its size may be its guest's work: something is added only to what it was before the guest. */
static int check_size(struct resizing *z, enum image_format format, const char *before)
{
	struct image_job *job = &z->words.job;

	job->from = format == FORMAT_RAW || job->size_how == SIZE_SET ? 0 :
									strtoull(before, NULL, 10);
	if (format != FORMAT_RAW && job->size_how != SIZE_SET && !job->from)
		return refuse(z,
			      "its VM has not noted its size: say the whole new size, not what is "
			      "added");
	if (format == FORMAT_RAW && job->size_how == SIZE_SET &&
	    job->size < (uint64_t)z->st.st_size)
		return refuse(z,
			      "it has more bytes than the new size, and a running VM's disk is not "
			      "made smaller, as its guest may use what would be lost");
	return 0;
}

/* As long as it is further now and then, and the VM hears so. */
static void attend(const struct resizing *z, int alive)
{
	const struct control_msg m = { .type = CTL_GOES_ON };
	char steps[64];

	while (read(alive, steps, sizeof(steps)) > 0)
		if (deadman_renew() < 0 || control_send(z->sock, &m, -1) < 0)
			return;
}

/* In a child, as it gives up what the rest here needs. */
static int carry_out(struct resizing *z)
{
	_cleanup_(closep) int alive = -1;
	const pid_t own = getpid();
	int ends[2], status;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return refuse(z, strerror(errno));
	alive = ends[0];
	child = fork();
	if (child == 0) {
		z->words.alive = ends[1];
		_exit(deadman_bind(own) < 0 ? EXIT_FAILED : image_carry_out(&z->words));
	}
	close(ends[1]);
	if (child < 0)
		return refuse(z, strerror(errno));
	attend(z, alive);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_FAILED;
	return WIFEXITED(status) ? WEXITSTATUS(status) :
				   refuse(z, "the process that changes it was killed");
}

/* said: the format, and its size after a space */
static int change(struct resizing *z, char *said)
{
	char *size = strchrnul(said, ' ');
	enum image_format format;
	int r;

	if (*size)
		*size++ = '\0';
	format = image_format_find(said);

	if (format != FORMAT_RAW && format != FORMAT_QCOW2)
		return refuse(z, "its VM says no format that is known here");
	z->words.source.file[0].format = format;
	z->words.source.file[0].format_said = true;
	if (S_ISBLK(z->st.st_mode) && format == FORMAT_RAW)
		return check_device(z);
	r = check_size(z, format, size);
	return r ? r : carry_out(z);
}

/* Which of the files beside an image it is, from 1 on, as the kind of device counts them that has any; or 0. */
static unsigned int number_of_data_file(void)
{
	const struct kind_files *f;
	unsigned int nth;

	for (size_t k = 0; k < n_kinds_all; k++)
		for (unsigned int i = 0; (f = kind_files_of(kinds_all[k], i, &nth)); i++)
			if (strcmp(f->word, "data-file") == 0)
				return i + 1;
	return 0;
}

static int show_data_file(const struct resizing *z)
{
	const struct control_msg beside = { .type = CTL_ADD_BESIDE,
					    .number = number_of_data_file() };
	int r = z->words.data_fd < 0 ? 0 : control_send(z->sock, &beside, z->words.data_fd);

	return r < 0 ? complain(EXIT_FAILED, "%.64s does not answer: %s", z->name, strerror(-r)) :
		       0;
}

static void close_files(struct resizing *z)
{
	closep(&z->words.image_fd);
	closep(&z->words.data_fd);
	deadman_release();
}

/* As long as the VM waits for us, a signal is for who changes the file. */
static int resize(struct resizing *z)
{
	const struct control_msg shown = { .type = CTL_RESIZE };
	struct control_msg done = { .type = CTL_RESIZED }, m;
	sigset_t set;
	int r, status;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return refuse(z, strerror(errno));
	r = show_data_file(z);
	if (r == 0)
		r = ask(z, &shown, z->words.image_fd, CTL_RESIZING, &m);
	if (r)
		return r;
	status = change(z, m.text);
	close_files(z); /* and with them goes the lock */
	/* who does not see that it was done has it done */
	done.number = status == 0 || status == EXIT_OUTPUT;
	r = ask(z, &done, -1, CTL_DONE, &m);
	return status ? status : r;
}

static int begin(void *owner)
{
	struct resizing *z = owner;
	int r;

	z->sock = vmlink_open(z->name);
	if (z->sock < 0)
		return vmlink_complain(z->name, z->sock);
	r = open_files(z);
	if (r == 0)
		r = lock_file(z);
	return r ? r : resize(z);
}

int verb_resize(int argc, char **argv)
{
	static struct resizing z;
	int r = parse(&z, argc, argv);

	if (r)
		return r;
	r = deadman_run(begin, &z);
	if (r == -ETIMEDOUT)
		return refuse(&z,
			      "it stood still for too long, so that the VM has its disk back: look "
			      "what size it has, and try again");
	if (r == -EINTR)
		return complain(EXIT_INTERRUPTED, "resize: interrupted");
	return r < 0 ? refuse(&z, strerror(-r)) : r;
}
