/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead attach: gives a running VM one more device. Its file is opened here, with the rights of who asks,
 * locked and labelled; the VM's supervisor gets its descriptor. A server's disk gets a dialer of its own, which is started
 * here, too, so that no address comes from anybody but the user. What a network card is joined to is opened, or started,
 * as `run` does.
 */
#include "cmd/bulkhead/dial.h"
#include "cmd/bulkhead/links.h"
#include "cmd/bulkhead/verbs.h"
#include "cmd/bulkhead/vmlink.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/files/files.h"
#include "lib/sandbox/cgroup.h"
#include "lib/sandbox/selinux.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define USAGE                                                                                  \
	"say NAME KIND [FILE][,OPTION=VALUE]..., for example vm1 disk data.raw,format=raw or " \
	"vm1 net user"
#define SECRET "--secret"
#define PATIENCE_MS 60000 /* for the device's process, and the guest's bus */

struct attachment {
	const char *name; /* of the VM */
	struct config_device device;
	const char *options;	   /* as they were said */
	int files[KIND_FILES_MAX]; /* as config_device_file counts; or -1 */
	struct vm_config said;	   /* its secrets alone */
};

/* ---- words ---- */

static const struct device_kind *find_kind(const char *word)
{
	for (size_t i = 0; i < n_kinds_all; i++)
		if (kinds_all[i]->attachable && strcmp(kinds_all[i]->word, word) == 0)
			return kinds_all[i];
	return NULL;
}

static int complain_kind(const char *word)
{
	char list[200];

	kinds_attachable(", ", list, sizeof(list));
	return complain(EXIT_WORDS,
			"attach: '%.60s' is no device that can be attached: there are %s", word,
			list);
}

/* Takes what says secrets, wherever it stands; the others are what is left. 0, or the exit status. */
static int take_secrets(struct attachment *a, int *argc, char **argv)
{
	struct config_error e;
	int left = 0;

	config_init(&a->said);
	for (int i = 0; i < *argc; i++) {
		bool own = strncmp(argv[i], SECRET "=", sizeof(SECRET)) == 0;
		int n = own ? 1 : strcmp(argv[i], SECRET) == 0 ? 2 : 0;

		if (n == 0)
			argv[left++] = argv[i];
		else if (config_parse_words(&a->said, i + n > *argc ? *argc - i : n, argv + i, &e) <
			 0)
			return complain(EXIT_WORDS, "attach: %s", e.text);
		i += n == 2;
	}
	*argc = left;
	return 0;
}

/* 0, or the exit status. */
static int parse(struct attachment *a, int argc, char **argv)
{
	const char *value = argc > 2 ? argv[2] : "";
	const struct device_kind *kind;
	char why[300] = "";

	for (int i = 0; i < argc; i++)
		if (i > 2 || argv[i][0] == '-')
			return complain(EXIT_WORDS, "attach: '%.60s' will not do: " USAGE, argv[i]);
	if (argc < 2)
		return complain(EXIT_WORDS, "attach: %s is missing: " USAGE,
				argc ? "the kind of device" : "which VM");
	kind = find_kind(argv[1]);
	if (!kind)
		return complain_kind(argv[1]);
	if (kind->file.fd && argc < 3)
		return complain(EXIT_WORDS, "attach: the %s's %s is missing: " USAGE, kind->word,
				kind->file.noun);
	if (config_device_parse(kind, value, &a->device, why, sizeof(why)) < 0)
		return complain(EXIT_WORDS, "attach: %s: '%.100s' will not do: %s", kind->word,
				value, why);
	a->name = argv[0];
	a->options = kind->file.fd && !a->device.remote ? value + a->device.path_len : value;
	return 0;
}

/* ---- the file ---- */

/* The file keeps the label, as those of a VM's start do. */
static int label(const struct attachment *a, const char *path, int fd, bool readonly,
		 pid_t supervisor)
{
	_cleanup_(closep) int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct selinux_vm s;
	int r = proc < 0 ? -errno : selinux_vm_of(proc, supervisor, &s);

	if (r == 0)
		r = selinux_label_disk(&s, fd, readonly);
	return r < 0 ? complain(EXIT_START, "%s: %s cannot be given the VM's SELinux label: %s",
				a->device.kind->word, path, strerror(-r)) :
		       0;
}

/* As those of the VM's start are, where it has a group and something is limited. */
static int limit(const struct attachment *a, const char *path, int fd, pid_t supervisor)
{
	int r = cgroup_limit_file_of(supervisor, fd);

	if (r == -ENODEV)
		return complain(EXIT_START,
				"%s: %s is not on a disk that can be limited, as the VM's are "
				"(--limit-io)",
				a->device.kind->word, path);
	return r < 0 && r != -ENOENT ? complain(EXIT_START,
						"%s: the disk that %s is on cannot be limited, as "
						"the VM's are (--limit-io): %s",
						a->device.kind->word, path, strerror(-r)) :
				       0;
}

static int start_dialer(struct attachment *a, pid_t supervisor)
{
	const struct config_device *d = &a->device;
	char address[CONFIG_PATH_MAX + 1], why[400] = "";

	snprintf(address, sizeof(address), "%.*s", (int)d->path_len, d->path);
	a->files[0] = dial_start(supervisor, d->kind->word, address, why, sizeof(why));
	return a->files[0] < 0 ? complain(EXIT_START, "%s", why) : 0;
}

static bool is_secret(const struct config_device *d, unsigned int i)
{
	unsigned int nth;

	return i && kind_files_of(d->kind, i - 1, &nth)->secret;
}

static int complain_secret(const struct config_device *d, unsigned int i)
{
	const struct config_file f = config_device_file(d, i);
	unsigned int nth;

	return complain(EXIT_WORDS,
			"attach: %s: %s=%.*s: there is no secret of that name: say " SECRET
			" %.*s=FILE",
			d->kind->word, kind_files_of(d->kind, i - 1, &nth)->word,
			(int)(f.path_len < 64 ? f.path_len : 64), f.path,
			(int)(f.path_len < 64 ? f.path_len : 64), f.path);
}

/* 0, or the exit status. */
static int open_file(struct attachment *a, unsigned int i, pid_t supervisor)
{
	const struct config_device *d = &a->device;
	const struct config_file file = config_file_of(&a->said, d, i);
	const bool readonly = config_file_readonly(d, i);
	char path[CONFIG_PATH_MAX + 1], why[400];
	_cleanup_(closep) int fd = -1;
	struct stat st = { 0 };
	int r;

	if (i == 0 && d->remote)
		return start_dialer(a, supervisor);
	if (!file.path)
		return complain_secret(d, i);
	snprintf(path, sizeof(path), "%.*s", (int)file.path_len, file.path);
	fd = file_open_served(d, i, d->kind->word, path, &st, why, sizeof(why));
	if (fd < 0)
		return complain(EXIT_START, "%s", why);
	r = file_lock(fd, readonly, d->kind->word, path, why, sizeof(why));
	if (r == -EBUSY)
		return complain(EXIT_START,
				"%s: %s is in use, by this VM or another: several may have it with "
				"readonly=on each",
				d->kind->word, path);
	if (r < 0)
		return complain(EXIT_START, "%s", why);
	r = label(a, path, fd, readonly, supervisor);
	if (r == 0 && !is_secret(d, i))
		r = limit(a, path, fd, supervisor);
	if (r == 0)
		a->files[i] = take_fd(&fd);
	return r;
}

static int open_files(struct attachment *a, pid_t supervisor)
{
	int r = 0;

	for (unsigned int i = 0; i < KIND_FILES_MAX && r == 0; i++)
		if (config_device_file(&a->device, i).path)
			r = open_file(a, i, supervisor);
	return r;
}

/* ---- the VM ---- */

static int ask_pid(int sock, const char *name, pid_t *ret)
{
	const struct control_msg query = { .type = CTL_QUERY };
	_cleanup_(closep) int fd = -1;
	struct control_msg m;
	int r = vmlink_ask(sock, &query, CTL_INFO, &m, &fd);

	if (r < 0)
		return complain(EXIT_FAILED, "%.64s does not answer: %s", name, strerror(-r));
	*ret = (pid_t)m.info.pid;
	return 0;
}

static bool names_file(const struct device_kind *kind, const char *word)
{
	for (size_t i = 0; i < kind->file.n_more; i++) {
		const size_t len = strlen(kind->file.more[i].word);

		if (strncmp(word, kind->file.more[i].word, len) == 0 && word[len] == '=')
			return true;
	}
	return false;
}

/* The kind and its options, where files beside its own have no name. False: too long. */
static bool say(const struct attachment *a, struct control_msg *m)
{
	size_t at = (size_t)snprintf(m->text, sizeof(m->text), "%s", a->device.kind->word);

	for (const char *word = a->options; *word && at < sizeof(m->text);) {
		const char *own = word + (*word == ',');
		const size_t len = strcspn(own, ",");

		word = own + len;
		if (names_file(a->device.kind, own))
			at += (size_t)snprintf(m->text + at, sizeof(m->text) - at, ",%.*s=+",
					       (int)strcspn(own, "="), own);
		else
			at += (size_t)snprintf(m->text + at, sizeof(m->text) - at, ",%.*s",
					       (int)len, own);
	}
	m->text_len = at;
	return at <= CTL_TEXT_MAX;
}

static int send_beside(int sock, const struct attachment *a)
{
	int r = 0;

	for (unsigned int i = 1; i < KIND_FILES_MAX && r == 0; i++) {
		const struct control_msg m = { .type = CTL_ADD_BESIDE, .number = i };

		if (a->files[i] >= 0)
			r = control_send(sock, &m, a->files[i]);
	}
	return r;
}

static int ask(int sock, const struct attachment *a)
{
	const char *word = a->device.kind->word;
	struct control_msg m = { .type = a->files[0] < 0 ? CTL_ADD : CTL_ADD_FILE };
	int r;

	if (!say(a, &m))
		return complain(EXIT_WORDS, "attach: %s: its options are too long", word);
	r = send_beside(sock, a);
	if (r == 0)
		r = control_send(sock, &m, a->files[0]);
	if (r == 0)
		r = vmlink_await(sock, CTL_ADDED, PATIENCE_MS, &m);
	if (r < 0)
		return complain(EXIT_FAILED, "%.64s does not answer: %s", a->name, strerror(-r));
	if (m.type != CTL_ADDED)
		return complain(EXIT_START, "%.64s: %s: %s", a->name, word, m.text);
	printf("%s at 0000:00:%02x.0\n", m.text, m.number & 0x1f);
	return 0;
}

int verb_attach(int argc, char **argv)
{
	_cleanup_(closep) int sock = -1;
	pid_t supervisor = 0;
	static struct attachment a;
	int status = take_secrets(&a, &argc, argv);

	if (status == 0)
		status = parse(&a, argc, argv);

	memset(a.files, -1, sizeof(a.files));
	if (status == 0 && a.name)
		status = links_take_one(&a.device, &a.files[0]);
	if (status || !a.name)
		return status;
	sock = vmlink_open(a.name);
	if (sock < 0)
		return vmlink_complain(a.name, sock);
	status = ask_pid(sock, a.name, &supervisor);
	if (status == 0)
		status = open_files(&a, supervisor);
	if (status == 0)
		status = links_open_one(&a.device, supervisor, &a.files[0]);
	if (status == 0)
		status = ask(sock, &a);
	fds_close(a.files, KIND_FILES_MAX);
	return status;
}
