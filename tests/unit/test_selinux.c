/* SPDX-License-Identifier: Apache-2.0 */
/* Pairs of categories, and what a label is made of; tests/selinux has a kernel that enforces them. */
#include "tests/unit/unit.h"

#include "lib/base/cleanup.h"
#include "lib/sandbox/selinux.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/xattr.h>
#include <unistd.h>

static const uint16_t (*draws)[2];
static char given[SELINUX_LABEL_MAX];
static int refusal;

ssize_t __wrap_getrandom(void *buf, size_t len, unsigned int flags);
ssize_t __wrap_getrandom(void *buf, size_t len, unsigned int flags)
{
	(void)flags;
	assert_int_equal(len, sizeof(*draws));
	memcpy(buf, *draws++, len);
	return (ssize_t)len;
}

int __wrap_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags);
int __wrap_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
	(void)fd;
	(void)flags;
	assert_string_equal(name, "security.selinux");
	assert_int_equal(size, strlen(value) + 1);
	strcpy(given, value);
	errno = refusal;
	return refusal ? -1 : 0;
}

/* What is taken is drawn again, in whichever order; what is given back can be had. */
static void test_pairs(void **state)
{
	static const uint16_t drawn[][2] = { { 9, 5 }, { 5, 9 },       { 9, 5 },
					     { 7, 7 }, { 1023, 1024 }, { 5, 9 } };
	struct selinux_vm a = SELINUX_VM_NONE, b = SELINUX_VM_NONE, c = SELINUX_VM_NONE;

	(void)state;
	draws = drawn;
	assert_int_equal(selinux_draw_pair(&a), 0);
	assert_string_equal(a.level, "s0:c5,c9");
	assert_int_equal(selinux_draw_pair(&b), 0);
	assert_string_equal(b.level, "s0:c0,c1023");
	selinux_vm_close(&a);
	assert_int_equal(selinux_draw_pair(&c), 0);
	assert_string_equal(c.level, "s0:c5,c9");
	selinux_vm_close(&b);
	selinux_vm_close(&c);
}

/* Not for ever: all may be taken. */
static void test_no_pair_is_left(void **state)
{
	static uint16_t same[100][2];
	struct selinux_vm a = SELINUX_VM_NONE, b = SELINUX_VM_NONE;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(same); i++)
		same[i][1] = 1;
	draws = same;
	assert_int_equal(selinux_draw_pair(&a), 0);
	assert_int_equal(selinux_draw_pair(&b), -EADDRINUSE);
	assert_int_equal(b.pair, -1);
	selinux_vm_close(&a);
}

static void test_labels(void **state)
{
	const struct selinux_vm s = { .on = true, .who = "user_u:user_r", .level = "s0:c1,c2" };
	char label[SELINUX_LABEL_MAX];
	_cleanup_(closep) int fd = memfd_create("disk", MFD_CLOEXEC);

	(void)state;
	selinux_label(&s, "bulkhead_blk_t", label);
	assert_string_equal(label, "user_u:user_r:bulkhead_blk_t:s0:c1,c2");
	assert_int_equal(selinux_label_disk(&s, fd, false), 0);
	assert_string_equal(given, "user_u:object_r:bulkhead_image_t:s0:c1,c2");
	assert_int_equal(selinux_label_disk(&s, fd, true), 0);
	assert_string_equal(given, "user_u:object_r:bulkhead_shared_t:s0");
	refusal = EPERM;
	assert_int_equal(selinux_label_disk(&s, fd, false), -EPERM);
	refusal = 0;
}

static void test_off(void **state)
{
	const struct selinux_vm s = SELINUX_VM_NONE;

	(void)state;
	*given = '\0';
	assert_int_equal(selinux_label_disk(&s, -1, false), 0);
	assert_int_equal(selinux_become(&s, -1, SELINUX_START), 0);
	assert_string_equal(given, "");
}

static void test_own_label(void **state)
{
	_cleanup_(closep) int proc = open("/proc", O_PATH | O_CLOEXEC);
	char label[SELINUX_LABEL_MAX];

	(void)state;
	assert_int_equal(selinux_check(proc, getpid(), "u:r:no_such_t:s0") < 0, 1);
	assert_int_equal(selinux_read(proc, 0, label), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),	  cmocka_unit_test(test_no_pair_is_left),
		cmocka_unit_test(test_labels),	  cmocka_unit_test(test_off),
		cmocka_unit_test(test_own_label),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
