/* SPDX-License-Identifier: Apache-2.0 */
/* The launcher's parts and their files: whose a file is that a user shows, and notes that are made anew. */
#include "cmd/supervisor/launcher.h"
#include "lib/base/cleanup.h"

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
#define NOTE 14
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
	assert_int_equal(kind_named("dev-blk")->state.fd, NOTE);
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
	int fd;

	(void)state;
	assert_int_equal(launcher_renew_note(p), 0); /* there is none */
	assert_int_equal(p->n_given, 2);
	assert_int_equal(config_device_options(d.kind, "format=raw", &d, why, sizeof(why)), 0);
	assert_int_equal(launcher_give_state(p, &d), 0);
	assert_int_equal(p->n_given, 2); /* a raw disk has none */
	assert_int_equal(config_device_options(d.kind, "format=qcow2", &d, why, sizeof(why)), 0);
	assert_int_equal(launcher_give_state(p, &d), 0);
	assert_int_equal(p->n_given, 3);
	assert_int_equal(p->given[2].to, NOTE);
	fd = p->given[2].from;
	assert_int_equal(pwrite(fd, &bound, sizeof(bound), 0), sizeof(bound));
	assert_int_equal(fcntl(fd, F_ADD_SEALS, SEALS), 0);
	assert_int_equal(launcher_renew_note(p), 0);
	fd = p->given[2].from;
	assert_int_equal(fcntl(fd, F_GET_SEALS), 0);
	assert_int_equal(pread(fd, &now, sizeof(now), 0), sizeof(now));
	assert_int_equal(now, 0);
	assert_int_equal(p->n_given, 3);
	assert_int_equal(p->given[2].to, NOTE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_whose_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_shows_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_note_is_made_anew, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
