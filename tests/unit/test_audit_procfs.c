/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of /proc: as this kernel writes them, cut off, and with names that try to be lines. */
#include "tests/unit/unit.h"

#include "cmd/bulkhead/audit/procfs.h"

#include <errno.h>
#include <string.h>

static const char status[] = "Name:\tevil\\nSeccomp:\t0\n"
			     "Umask:\t0022\nState:\tS (sleeping)\nTgid:\t25182\nNgid:\t0\n"
			     "Pid:\t25183\nPPid:\t25180\nTracerPid:\t0\n"
			     "Uid:\t1644570080\t1\t2\t3\nGid:\t4\t5\t6\t4294967295\n"
			     "FDSize:\t256\nGroups:\t4 24 27 \nNStgid:\t25182\t1\n"
			     "NSpid:\t25183\t2\t1\nThreads:\t3\nSigBlk:\t0000000000004007\n"
			     "CapInh:\t0000000000000001\nCapPrm:\t0000000000000002\n"
			     "CapEff:\t000001ffffffffff\nCapBnd:\t0000000000000008\n"
			     "CapAmb:\t0000000000000010\nNoNewPrivs:\t1\nSeccomp:\t2\n"
			     "Seccomp_filters:\t7\nSpeculation_Store_Bypass:\tvulnerable\n";

static void test_status(void **state)
{
	struct proc_status s;

	(void)state;
	assert_int_equal(procfs_status(status, &s), 0);
	assert_string_equal(s.name, "evil\\nSeccomp:?0");
	assert_int_equal(s.tgid, 25182);
	assert_int_equal(s.ppid, 25180);
	assert_int_equal(s.uid[0], 1644570080);
	assert_int_equal(s.uid[3], 3);
	assert_true(s.gid[3] == UINT32_MAX);
	assert_int_equal(s.n_groups, 3);
	assert_int_equal(s.pid_depth, 3);
	assert_int_equal(s.inner_pid, 1);
	assert_true(s.caps[CAPS_EFFECTIVE] == UINT64_C(0x1ffffffffff));
	assert_int_equal(s.caps[CAPS_AMBIENT], 16);
	assert_int_equal(s.no_new_privs, 1);
	assert_int_equal(s.seccomp, 2);
	assert_int_equal(s.n_filters, 7);
}

/* However much is there, it is an answer or an error. */
static void test_status_cut(void **state)
{
	char text[sizeof(status)];

	(void)state;
	for (size_t len = 0; len < sizeof(status) - 1; len++) {
		struct proc_status s;
		int r;

		memcpy(text, status, len);
		text[len] = '\0';
		r = procfs_status(text, &s);
		assert_true(r == 0 || r == -EBADMSG);
		if (r == 0)
			assert_non_null(strstr(text, "\nSeccomp:\t2"));
	}
}

static void test_old_kernel(void **state)
{
	char text[sizeof(status)];
	struct proc_status s;

	(void)state;
	strcpy(text, status);
	*strstr(text, "Seccomp_filters") = '\0';
	assert_int_equal(procfs_status(text, &s), 0);
	assert_int_equal(s.n_filters, -1);
}

static void test_flags(void **state)
{
	uint32_t flags = 0;

	(void)state;
	assert_int_equal(procfs_flags("7 (a) b (c) S 1 2 3 4 5 4210944 6 7", &flags), 0);
	assert_int_equal(flags, 4210944);
	assert_int_equal(procfs_flags("7 (iou-wrk-7) S 1 2 3 4", &flags), -EBADMSG);
	assert_int_equal(procfs_flags("", &flags), -EBADMSG);
}

static void test_limits(void **state)
{
	static const char text[] =
		"Limit                     Soft Limit           Hard Limit           Units     \n"
		"Max file size             0                    512                  bytes     \n"
		"Max processes             unlimited            96365                processes \n";
	struct proc_limit l[RLIM_NLIMITS];

	(void)state;
	procfs_limits(text, l);
	assert_int_equal(l[RLIMIT_FSIZE].soft, 0);
	assert_int_equal(l[RLIMIT_FSIZE].hard, 512);
	assert_true(l[RLIMIT_NPROC].soft == UINT64_MAX);
	assert_int_equal(l[RLIMIT_NPROC].hard, 96365);
	assert_true(l[RLIMIT_AS].hard == UINT64_MAX);
}

static void test_maps(void **state)
{
	static const char evil[] = "7f00-7f01 rwxs 00000000 00:01 22   /memfd:\x1b[31m x (deleted)";
	struct proc_map m;

	(void)state;
	assert_int_equal(procfs_map("00400000-00401000 r-xp 00000000 08:01 123      /bin/x", &m),
			 0);
	assert_true(m.read && !m.write && m.execute && !m.shared);
	assert_string_equal(m.name, "/bin/x");
	assert_int_equal(procfs_map("7f00-7f01 rw-p 00000000 00:00 0 ", &m), 0);
	assert_string_equal(m.name, "");
	assert_int_equal(procfs_map(evil, &m), 0);
	assert_true(m.write && m.execute && m.shared);
	assert_string_equal(m.name, "/memfd:?[31m x (deleted)");
	assert_int_equal(procfs_map("7f00-7f01 rw", &m), -EBADMSG);
	assert_int_equal(procfs_map("", &m), -EBADMSG);
}

static void test_cgroup(void **state)
{
	static const char text[] = "9:name=systemd:/\n4:memory:/a/b\n2:cpu,cpuacct:/c:d\n0::/v2\n";
	char path[32];

	(void)state;
	assert_true(procfs_cgroup(text, "memory", path, sizeof(path)));
	assert_string_equal(path, "/a/b");
	assert_true(procfs_cgroup(text, "cpuacct", path, sizeof(path)));
	assert_string_equal(path, "/c:d");
	assert_true(procfs_cgroup(text, "", path, sizeof(path)));
	assert_string_equal(path, "/v2");
	assert_false(procfs_cgroup(text, "pids", path, sizeof(path)));
	assert_false(procfs_cgroup("no\nsense", "memory", path, sizeof(path)));
	assert_true(procfs_cgroup(text, "memory", path, 3));
	assert_string_equal(path, "/a");
}

static void test_column(void **state)
{
	uint64_t n = 0;

	(void)state;
	assert_int_equal(
		procfs_column("00000000de50be17: 00000003 00000000 00000000 0005 03 1411709", 6,
			      &n),
		0);
	assert_int_equal(n, 1411709);
	assert_int_equal(procfs_column("   0: 1 2  3 4 5 6 7 8 77 x", 9, &n), 0);
	assert_int_equal(n, 77);
	assert_int_equal(procfs_column("  sl  local st inode", 3, &n), -EBADMSG);
	assert_int_equal(procfs_column("1 2", 9, &n), -EBADMSG);
	assert_int_equal(procfs_column("", 0, &n), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status),	   cmocka_unit_test(test_status_cut),
		cmocka_unit_test(test_old_kernel), cmocka_unit_test(test_flags),
		cmocka_unit_test(test_limits),	   cmocka_unit_test(test_maps),
		cmocka_unit_test(test_cgroup),	   cmocka_unit_test(test_column),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
