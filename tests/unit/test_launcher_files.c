/* SPDX-License-Identifier: Apache-2.0 */
/* The launcher's parts and their files: whose a file is that a user shows, and notes that are made anew. */
#include "cmd/supervisor/launcher.h"
#include "lib/base/cleanup.h"
#include "lib/files/files.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define DISK 5
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

static struct launcher_part parts[10];
static struct launcher_part *table[BOUNDS_MAX_PARTS]; /* a launcher's: of no part in most places */
static char *const disk_words[] = { (char *)"dev-blk", NULL };
static char *const rng_words[] = { (char *)"dev-rng", NULL };
static char *const storage_words[] = { (char *)"storage-file", NULL };
static char path[] = "/tmp/bulkhead-launcher.XXXXXX", other[] = "/tmp/bulkhead-launcher.XXXXXX";

static const struct device_kind *kind_named(const char *name)
{
	for (size_t i = 0; i < n_kinds_all; i++)
		if (strcmp(kinds_all[i]->declared->name, name) == 0)
			return kinds_all[i];
	fail();
	return NULL;
}

static int must_open(const char *name, int flags)
{
	int fd = open(name, flags | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void give(struct launcher_part *p, int fd, int to)
{
	p->given[p->n_given++] = (struct jail_fd){ fd, to };
}

static int set_up(void **state)
{
	int a = mkstemp(path), b = mkstemp(other);

	(void)state;
	assert_true(a >= 0 && b >= 0);
	assert_int_equal(kind_named("dev-blk")->file.fd, DISK);
	memset(parts, 0, sizeof(parts));
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		parts[i].number = (uint8_t)i;
	for (size_t i = 3; i < ARRAY_SIZE(parts); i++)
		table[i] = &parts[i];
	parts[3].argv = rng_words;
	give(&parts[3], must_open(path, O_RDWR), DISK); /* no file that it serves */
	parts[7].argv = disk_words;
	give(&parts[7], must_open(other, O_RDWR), DISK + 1); /* beside its image */
	give(&parts[7], a, DISK);
	give(&parts[8], must_open(other, O_RDWR), DISK); /* nothing is in it */
	close(b);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		for (size_t k = 0; k < parts[i].n_given; k++)
			close(parts[i].given[k].from);
	unlink(path);
	unlink(other);
	memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
	memcpy(other + sizeof(other) - 7, "XXXXXX", 6);
	return 0;
}

static void test_whose_file(void **state)
{
	char link[sizeof(path) + 5];
	_cleanup_(closep) int same = must_open(path, O_RDWR), it = must_open(other, O_RDWR);
	_cleanup_(closep) int linked = -1;

	(void)state;
	snprintf(link, sizeof(link), "%s.too", path);
	assert_int_equal(symlink(path, link), 0);
	linked = open(link, O_RDWR | O_CLOEXEC);
	unlink(link);
	assert_ptr_equal(launcher_find(table, same), &parts[7]);
	assert_ptr_equal(launcher_find(table, linked), &parts[7]);
	assert_null(launcher_find(table, it));
	parts[9].argv = storage_words; /* its file has a number of its own, too */
	give(&parts[9], must_open(other, O_RDWR), kind_named("storage-file")->file.fd);
	assert_ptr_equal(launcher_find(table, it), &parts[9]);
}

/* Whoever could only read it changes no disk. */
static void test_what_shows_nothing(void **state)
{
	static const int flags[] = { O_RDONLY, O_WRONLY, O_PATH };
	int pair[2];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		_cleanup_(closep) int fd = must_open(path, flags[i]);

		assert_null(launcher_find(table, fd));
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_null(launcher_find(table, pair[0]));
	close(pair[0]);
	close(pair[1]);
	assert_null(launcher_find(table, pair[0]));
	assert_null(launcher_find(table, -1));
}

static void test_a_note_is_made_anew(void **state)
{
	const uint64_t bound = 4711;
	uint64_t now = 1;
	struct launcher_part *p = &parts[7];
	struct config_device d = { .kind = kind_named("dev-blk") };
	char why[200];
	int fd, log;

	(void)state;
	assert_int_equal(launcher_renew_note(p), 0); /* there is none */
	assert_int_equal(p->n_given, 2);
	assert_int_equal(config_device_options(d.kind, "format=raw", &d, why, sizeof(why)), 0);
	assert_int_equal(launcher_give_state(p, d.kind, &d, true, true), 0);
	assert_int_equal(p->n_given, 2); /* a raw disk has none */
	assert_int_equal(config_device_options(d.kind, "format=qcow2", &d, why, sizeof(why)), 0);
	assert_int_equal(launcher_give_state(p, d.kind, &d, true, true), 0);
	assert_int_equal(p->n_given, 4);
	assert_int_equal(p->given[2].to, d.kind->state[0].fd);
	assert_int_equal(p->given[3].to, d.kind->state[1].fd);
	log = p->given[3].from;
	assert_int_equal(fcntl(log, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	fd = p->given[2].from;
	assert_int_equal(pwrite(fd, &bound, sizeof(bound), 0), sizeof(bound));
	assert_int_equal(fcntl(fd, F_ADD_SEALS, SEALS), 0);
	assert_int_equal(launcher_renew_note(p), 0);
	fd = p->given[2].from;
	assert_int_equal(fcntl(fd, F_GET_SEALS), 0);
	assert_int_equal(pread(fd, &now, sizeof(now), 0), sizeof(now));
	assert_int_equal(now, 0);
	assert_int_equal(p->n_given, 4);
	assert_int_equal(p->given[2].to, d.kind->state[0].fd);
	assert_int_equal(p->given[3].from, log); /* not that one */
}

/* Nothing is known before the first process has sealed it, and nothing of a part without a note. */
static void test_a_noted_size(void **state)
{
	const struct {
		uint64_t bound, size;
	} note = { 4711, 1048576 };
	uint64_t size = 3;
	struct launcher_part *p = &parts[7];
	struct config_device d = { .kind = kind_named("dev-blk") };
	char why[200];

	(void)state;
	assert_false(launcher_noted_size(p, &size));
	assert_false(launcher_noted_size(&parts[8], &size)); /* nothing is in it */
	assert_int_equal(config_device_options(d.kind, "format=qcow2", &d, why, sizeof(why)), 0);
	assert_int_equal(launcher_give_state(p, d.kind, &d, true, true), 0);
	assert_int_equal(d.kind->state[0].size, sizeof(note));
	assert_int_equal(pwrite(p->given[2].from, &note, sizeof(note), 0), sizeof(note));
	assert_false(launcher_noted_size(p, &size));
	assert_int_equal(size, 3);
	assert_int_equal(fcntl(p->given[2].from, F_ADD_SEALS, SEALS), 0);
	assert_true(launcher_noted_size(p, &size));
	assert_int_equal(size, note.size);
	assert_int_equal(launcher_renew_note(p), 0);
	assert_false(launcher_noted_size(p, &size));
}

#define DATA 8 /* beside the image, after its backing files */

/* A disk's user shows all that is to be changed, and nothing else. */
static void test_files_beside(void **state)
{
	_cleanup_(closep) int same = must_open(other, O_RDWR), another = must_open(path, O_RDWR);
	_cleanup_(closep) int reads = must_open(other, O_RDONLY);
	struct launcher_part *p = &parts[7];
	int shown[KIND_FILES_MAX - 1];

	(void)state;
	memset(shown, -1, sizeof(shown));
	p->given[0].from = dup2(reads, p->given[0].from); /* a backing file */
	assert_true(launcher_has_beside(p, shown));
	shown[0] = same;
	assert_false(launcher_has_beside(p, shown));
	shown[0] = -1;
	shown[DATA - 1] = same;
	assert_false(launcher_has_beside(p, shown));
	give(p, must_open(other, O_RDWR), DISK + DATA);
	assert_true(launcher_has_beside(p, shown));
	shown[DATA - 1] = another;
	assert_false(launcher_has_beside(p, shown));
	shown[DATA - 1] = reads; /* whoever could only read it */
	assert_false(launcher_has_beside(p, shown));
	shown[DATA - 1] = -1;
	assert_false(launcher_has_beside(p, shown));
	assert_false(launcher_has_beside(&parts[8], shown)); /* nothing is in it */
}

/* ---- what comes into a spare part ---- */

static struct launcher_spare spare;
static int programs[KINDS_MAX], beside[KIND_FILES_MAX - 1];
static const struct selinux_vm no_labels;

static enum bounds_refusal fill(struct launcher_part *p, enum ask_what what, const char *kind,
				const char *text, int *fd)
{
	struct ask a = { .what = what, .kind = (uint8_t)kind_index(kind_named(kind)), .number = 2 };
	const struct launcher_filling f = { .ask = &a,
					    .fd = fd,
					    .beside = beside,
					    .spare = &spare,
					    .programs = programs,
					    .labels = &no_labels };
	enum bounds_refusal r;

	strncpy(a.text, text, ASK_TEXT_MAX);
	r = launcher_fill(p, &f);
	if (r != BOUNDS_FINE) {
		assert_int_equal(p->n_given, 0);
		assert_null(p->argv);
	}
	return r;
}

static int no_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < KINDS_MAX; i++)
		programs[i] = i < n_kinds_all ? 100 + (int)i : -1;
	memset(beside, -1, sizeof(beside));
	return 0;
}

#define APART "format=raw,parser=apart"

static void test_a_storage_process_has_the_files(void **state)
{
	char name[] = "/tmp/bulkhead-launcher.XXXXXX";
	struct launcher_part dev = { .pidfd = -1 }, storage = { .pidfd = -1 };
	int none = -1, fd = mkstemp(name), file = fd;

	(void)state;
	unlink(name);
	assert_int_equal(fill(&storage, ASK_BEHIND, "dev-blk", APART, &fd), BOUNDS_FINE);
	assert_int_equal(fd, -1);
	assert_int_equal(storage.n_given, 1); /* and no note, as it is raw */
	assert_int_equal(storage.given[0].from, file);
	assert_int_equal(storage.n_channels, 1);
	assert_int_equal(storage.channels[0], kind_named("storage-file")->storage_fd);
	assert_int_equal(storage.exe_fd, programs[kind_index(kind_named("storage-file"))]);
	assert_string_equal(storage.argv[0], "storage-file");
	for (size_t i = 1; storage.argv[i]; i++)
		assert_null(strstr(storage.argv[i], "parser"));
	assert_int_equal(fill(&dev, ASK_NEW, "dev-blk", APART, &none), BOUNDS_FINE);
	assert_int_equal(dev.n_given, 0);
	assert_int_equal(dev.n_channels, 2);
	assert_int_equal(dev.channels[0], kind_named("dev-blk")->virtio.fd);
	assert_int_equal(dev.channels[1], DISK);
	assert_string_equal(dev.argv[0], "dev-blk");
	launcher_empty(&storage);
	launcher_empty(&dev);
	assert_null(storage.argv);
	assert_int_equal(fcntl(file, F_GETFD), -1);
}

static void test_what_fills_no_part(void **state)
{
	char name[] = "/tmp/bulkhead-launcher.XXXXXX";
	struct launcher_part p = { .pidfd = -1 };
	int fd = mkstemp(name), none = -1;

	(void)state;
	unlink(name);
	/* the files of a pair are the storage process's, and it has all that are said */
	assert_int_equal(fill(&p, ASK_NEW, "dev-blk", APART, &fd), BOUNDS_NO_FILE);
	assert_int_equal(fill(&p, ASK_NEW, "dev-blk", "format=raw", &none), BOUNDS_NO_FILE);
	assert_int_equal(fill(&p, ASK_BEHIND, "dev-blk", APART, &none), BOUNDS_NO_FILE);
	beside[0] = fd;
	assert_int_equal(fill(&p, ASK_NEW, "dev-blk", APART, &none), BOUNDS_NO_FILE);
	assert_int_equal(fill(&p, ASK_BEHIND, "dev-blk", APART, &fd), BOUNDS_NO_FILE);
	beside[0] = -1;
	assert_int_equal(fill(&p, ASK_BEHIND, "dev-blk", "format=raw,parser=apart,readonly=on",
			      &fd),
			 BOUNDS_NO_FILE); /* it could be written */
	/* there is no process behind it; it is none that comes by itself; there is no program */
	assert_int_equal(fill(&p, ASK_BEHIND, "dev-blk", "format=raw", &fd), BOUNDS_UNKNOWN);
	assert_int_equal(fill(&p, ASK_BEHIND, "dev-rng", "", &fd), BOUNDS_UNKNOWN);
	assert_int_equal(fill(&p, ASK_NEW, "storage-file", "format=raw", &fd), BOUNDS_UNKNOWN);
	assert_int_equal(fill(&p, ASK_BEHIND, "storage-file", "format=raw", &fd), BOUNDS_UNKNOWN);
	assert_int_equal(fill(&p, ASK_NEW, "dev-console", "", &none), BOUNDS_UNKNOWN);
	programs[kind_index(kind_named("storage-file"))] = -1;
	assert_int_equal(fill(&p, ASK_BEHIND, "dev-blk", APART, &fd), BOUNDS_UNKNOWN);
	close(fd);
}

/* What changes an image has it open itself; a lock of the VM's own counts for nothing, nor one of who only reads. */
static void test_who_changes_a_file(void **state)
{
	struct flock shared = { .l_type = F_RDLCK, .l_start = 300, .l_len = 1 };
	_cleanup_(closep) int twice = -1;
	int first = must_open(path, O_RDWR), reader = must_open(path, O_RDONLY);

	(void)state;
	assert_false(launcher_is_changing(&parts[7]));
	assert_int_equal(fcntl(reader, F_OFD_SETLK, &shared), 0);
	assert_false(launcher_is_changing(&parts[7]));
	close(reader);
	assert_int_equal(image_change_lock(first), 0);
	assert_true(launcher_is_changing(&parts[7]));
	assert_false(launcher_is_changing(&parts[3])); /* of no kind that serves one */
	assert_false(launcher_is_changing(&parts[8]));
	twice = fcntl(first, F_DUPFD_CLOEXEC, 0); /* who has it from him */
	close(first);
	assert_true(launcher_is_changing(&parts[7]));
	assert_int_equal(image_lock(parts[7].given[1].from, false), -EAGAIN);
	closep(&twice);
	assert_false(launcher_is_changing(&parts[7]));
	assert_int_equal(image_change_lock(parts[7].given[1].from), 0);
	assert_false(launcher_is_changing(&parts[7]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_whose_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_shows_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_note_is_made_anew, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_noted_size, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_files_beside, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_who_changes_a_file, set_up, tear_down),
		cmocka_unit_test_setup(test_a_storage_process_has_the_files, no_files),
		cmocka_unit_test_setup(test_what_fills_no_part, no_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
