/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine as it is declared passes; each thing that is weaker, one at a time, is found, once, at the
 * process that has it.
 */
#include "tests/unit/unit.h"

#include "cmd/bulkhead/audit/judge.h"
#include "lib/base/cleanup.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define RAM (UINT64_C(256) << 20)
#define CPUS 2
#define CHANNELS 4 /* three devices, one of them with two */
#define BASE_ID 0x62000010U

enum { RELAY, SUPERVISOR, VMM, BLK, RNG, CONSOLE, N_PROCESSES };

static struct subject s;
static struct facts_thread threads[N_PROCESSES][4];
static struct facts_fd fds[N_PROCESSES][128];
static struct proc_map maps[N_PROCESSES][8];

static void set_fd(struct facts *f, int fd, mode_t type, const char *link)
{
	struct facts_fd *slot = &f->fds[f->n_fds++];

	*slot = (struct facts_fd){ .fd = fd, .type = type };
	slot->family = type == S_IFSOCK ? "unix" : NULL;
	snprintf(slot->link, sizeof(slot->link), "%s", link);
}

static void set_map(struct facts *f, const char *perms, const char *name)
{
	struct proc_map *m = &f->maps[f->n_maps++];

	*m = (struct proc_map){ .read = perms[0] == 'r',
				.write = perms[1] == 'w',
				.execute = perms[2] == 'x',
				.shared = perms[3] == 's' };
	snprintf(m->name, sizeof(m->name), "%s", name);
}

static void set_threads(struct facts *f, size_t n, uint32_t id, bool jailed)
{
	f->n_threads = n;
	for (size_t i = 0; i < n; i++) {
		struct proc_status st = { .uid = { id, id, id, id },
					  .gid = { id, id, id, id },
					  .no_new_privs = 1,
					  .seccomp = 2,
					  .n_filters = 1,
					  .pid_depth = jailed ? 2 : 1 };

		st.inner_pid = jailed ? 1 + (pid_t)i : f->pid;
		f->threads[i] = (struct facts_thread){ .tid = f->pid + (pid_t)i, .status = st };
	}
}

static void set_limits(struct facts *f, const struct declared_process *d)
{
	const struct sandbox_limits *l = &d->policy->limits;
	const struct declared_machine m = {
		.memory = RAM, .vcpus = CPUS, .channels = CHANNELS, .soft = true
	};
	const uint64_t as = declared_address_space(d, &m);

	for (int i = 0; i < RLIM_NLIMITS; i++)
		f->limits[i] = (struct proc_limit){ UINT64_MAX, UINT64_MAX };
	f->limits[RLIMIT_CORE] = (struct proc_limit){ 0, 0 };
	f->limits[RLIMIT_NOFILE] = (struct proc_limit){ l->nofile, l->nofile };
	f->limits[RLIMIT_NPROC] = (struct proc_limit){ l->nproc, l->nproc };
	f->limits[RLIMIT_MEMLOCK] = (struct proc_limit){ l->memlock, l->memlock };
	f->limits[RLIMIT_FSIZE] = (struct proc_limit){ l->fsize, l->fsize };
	f->limits[RLIMIT_AS] = (struct proc_limit){ as, as };
}

static void set_namespaces(struct facts *f, size_t i, enum declared_place place)
{
	for (int ns = 0; ns < N_NAMESPACES; ns++) {
		bool own = place == DECLARED_JAIL ? ns != NS_TIME :
			   place == DECLARED_SUPERVISOR ?
						    ns != NS_TIME && ns != NS_PID && ns != NS_NET :
						    false;

		f->ns[ns] = own ? 1000 + 100 * i + (size_t)ns : s.own_ns[ns];
	}
}

static void set_fds(struct facts *f, const struct declared_process *d)
{
	for (int fd = 0; fd < 3; fd++)
		set_fd(f, fd, S_IFCHR, "/dev/null");
	for (size_t i = 0; i < d->n_fds; i++)
		set_fd(f, d->fds[i].fd,
		       d->fds[i].kind == FD_SOCKET || d->fds[i].kind == FD_LINK ? S_IFSOCK :
		       d->fds[i].kind == FD_CHAR				? S_IFCHR :
										  S_IFREG,
		       "/some/where");
	set_fd(f, 60, 0, "anon_inode:[eventpoll]");
}

static void set_process(size_t i, const struct declared_process *d)
{
	struct subject_process *p = &s.process[i];
	struct facts *f = &p->facts;
	bool jailed = d->place == DECLARED_JAIL;

	*p = (struct subject_process){ .declared = d };
	f->pid = 100 * (int)(i + 1);
	snprintf(f->name, sizeof(f->name), "%s", d->name);
	f->threads = threads[i];
	f->fds = fds[i];
	f->maps = maps[i];
	set_threads(f, d == &vmm_declared ? 3 : 1, BASE_ID + (uint32_t)i, jailed);
	set_limits(f, d);
	set_namespaces(f, i, d->place);
	set_fds(f, d);
	f->cgroup = (struct facts_cgroup){ 0 };
	f->root = d->place == DECLARED_USER ?
			  (struct facts_root){ .mine = true } :
			  (struct facts_root){ .empty = true, .read_only = true, .n_mounts = 1 };
	set_map(f, "r-xp", d->name);
	snprintf(f->maps[0].name, sizeof(f->maps[0].name), "/usr/libexec/%s", d->name);
	set_map(f, "r-xp", "[vdso]");
	set_map(f, "rw-p", "[heap]");
	if (d->n_maps)
		set_map(f, "rw-s", "/memfd:guest-ram (deleted)");
}

static int set_up(void **state)
{
	(void)state;
	s = (struct subject){
		.name = "test", .cpus = CPUS, .memory = RAM, .n_processes = N_PROCESSES
	};
	for (size_t i = 0; i < N_NAMESPACES; i++)
		s.own_ns[i] = 1 + i;
	for (size_t i = 0; i < N_PROCESSES; i++)
		set_process(i, declared_all[i]);
	s.process[BLK].facts.limits[RLIMIT_FSIZE].hard = 1 << 20;
	s.process[BLK].facts.limits[RLIMIT_FSIZE].soft = 1 << 20;
	return 0;
}

/* Exactly one finding, of that aspect, at that process. */
static void expect(size_t process, const char *aspect)
{
	struct findings f;

	judge(&s, &f);
	assert_false(f.failed);
	for (size_t i = 0; i < f.n; i++)
		if (f.list[i].grade == GRADE_WEAK && strcmp(f.list[i].aspect, aspect) != 0)
			fail_msg("%s: %s", f.list[i].aspect, f.list[i].is);
	assert_int_equal(f.n_weak, 1);
	assert_int_equal(s.process[process].n_weak, 1);
	findings_free(&f);
	set_up(NULL);
}

static void expect_none(void)
{
	struct findings f;

	judge(&s, &f);
	for (size_t i = 0; i < f.n; i++)
		if (f.list[i].grade == GRADE_WEAK)
			fail_msg("%s: %s: %s", f.list[i].process->facts.name, f.list[i].aspect,
				 f.list[i].is);
	findings_free(&f);
	set_up(NULL);
}

static struct facts *of(size_t i)
{
	return &s.process[i].facts;
}

static void test_as_declared(void **state)
{
	(void)state;
	expect_none();
}

static void test_ids(void **state)
{
	(void)state;
	of(RNG)->threads[0].status.uid[2] = 0;
	expect(RNG, "user id");
	memset(of(VMM)->threads[0].status.uid, 0, 16);
	expect(VMM, "user id");
	of(BLK)->threads[0].status.gid[0] = 0;
	expect(BLK, "group id");
	of(CONSOLE)->threads[0].status.n_groups = 1;
	expect(CONSOLE, "groups");
}

static void test_two_processes_with_one_id(void **state)
{
	struct findings f;

	(void)state;
	for (int i = 0; i < 4; i++)
		of(RNG)->threads[0].status.uid[i] = BASE_ID + BLK;
	judge(&s, &f);
	assert_int_equal(f.n_weak, 2);
	assert_string_equal(f.list[0].aspect, "user id");
	findings_free(&f);
	set_up(NULL);
}

static bool is_noted(const char *aspect)
{
	struct findings f;
	bool noted = false;

	judge(&s, &f);
	for (size_t i = 0; i < f.n; i++)
		noted = noted ||
			(f.list[i].grade == GRADE_NOTE && strcmp(f.list[i].aspect, aspect) == 0);
	findings_free(&f);
	return noted;
}

static void set_uid(size_t i, uint32_t uid)
{
	for (int n = 0; n < 4; n++)
		of(i)->threads[0].status.uid[n] = uid;
}

/* A user's processes have ids of their own, but for the command, or none has. */
static void set_user_with_ids(void)
{
	s.uid = 1000;
	set_uid(RELAY, 1000);
	of(RELAY)->threads[0].status.n_groups = 4;
	for (size_t i = SUPERVISOR; i < N_PROCESSES; i++)
		set_uid(i, 100000 + (uint32_t)i);
}

static void test_ordinary_user_with_subordinate_ids(void **state)
{
	(void)state;
	set_user_with_ids();
	assert_false(is_noted("user id"));
	expect_none();
	set_user_with_ids();
	set_uid(BLK, 1000);
	expect(BLK, "user id");
	set_user_with_ids();
	set_uid(SUPERVISOR, 1000);
	expect(SUPERVISOR, "user id");
	set_user_with_ids();
	of(RNG)->threads[0].status.n_groups = 1;
	expect(RNG, "groups");
	set_uid(CONSOLE, 0x23ffffffU); /* of root's machine: outside of its range */
	expect(CONSOLE, "user id");
}

/* Without them there is one id for all, and groups that cannot be given up. */
static void test_ordinary_user(void **state)
{
	(void)state;
	s.uid = 1000;
	for (size_t i = 0; i < N_PROCESSES; i++)
		for (int k = 0; k < 3; k++)
			for (int n = 0; n < 4; n++) {
				of(i)->threads[k].status.uid[n] = 1000;
				of(i)->threads[k].status.gid[n] = 1000;
				of(i)->threads[k].status.n_groups = 4;
			}
	of(RELAY)->threads[0].status.caps[CAPS_BOUNDING] = UINT64_C(0x1ffffffffff);
	assert_true(is_noted("user id"));
	expect_none();
}

static void test_capabilities(void **state)
{
	(void)state;
	for (int i = 0; i < N_CAPS; i++) {
		of(BLK)->threads[0].status.caps[i] = 1U << 21;
		expect(BLK, "capabilities");
		of(VMM)->threads[2].status.caps[i] = 1;
		expect(VMM, "capabilities");
	}
	of(RELAY)->threads[0].status.caps[CAPS_PERMITTED] = 1;
	expect(RELAY, "capabilities");
}

static void test_filters(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_PROCESSES; i++) {
		of(i)->threads[0].status.seccomp = 0;
		expect(i, "filter");
		of(i)->threads[0].status.no_new_privs = 0;
		expect(i, "no_new_privs");
		of(i)->threads[0].status.n_filters = 0;
		expect(i, "filter");
	}
	of(VMM)->threads[1].status.seccomp = 0;
	expect(VMM, "filter");
	of(VMM)->threads[1].worker = true; /* the kernel's: it runs no code of the process */
	of(VMM)->threads[1].status.seccomp = 0;
	expect_none();
}

static void test_threads(void **state)
{
	(void)state;
	of(VMM)->n_threads = 4;
	of(VMM)->threads[3] = of(VMM)->threads[2];
	expect(VMM, "threads");
	of(RNG)->n_threads = 2;
	of(RNG)->threads[1] = of(RNG)->threads[0];
	expect(RNG, "threads");
	of(RNG)->threads[0].status.pid_depth = 1;
	expect(RNG, "process id");
}

static void test_namespaces(void **state)
{
	(void)state;
	for (int ns = 0; ns < NS_TIME; ns++) {
		of(BLK)->ns[ns] = s.own_ns[ns];
		expect(BLK, "namespace");
	}
	of(SUPERVISOR)->ns[NS_MNT] = s.own_ns[NS_MNT];
	expect(SUPERVISOR, "namespace");
}

static void test_root(void **state)
{
	(void)state;
	of(BLK)->root.mine = true;
	expect(BLK, "root");
	of(SUPERVISOR)->root.empty = false;
	expect(SUPERVISOR, "root");
	of(VMM)->root.read_only = false;
	expect(VMM, "root");
	of(VMM)->root.n_mounts = 2;
	expect(VMM, "root");
}

static void test_limits(void **state)
{
	static const struct {
		size_t process;
		int limit;
		const char *aspect;
	} rows[] = {
		/* clang-format off */
		{ VMM, RLIMIT_AS, "address space limit" },   { VMM, RLIMIT_CORE, "core size limit" },
		{ BLK, RLIMIT_NOFILE, "descriptor limit" },  { BLK, RLIMIT_FSIZE, "file size limit" },
		{ RNG, RLIMIT_NPROC, "task limit" },	     { RNG, RLIMIT_FSIZE, "file size limit" },
		/* clang-format on */
		{ CONSOLE, RLIMIT_MEMLOCK, "locked memory limit" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		of(rows[i].process)->limits[rows[i].limit].hard = UINT64_MAX;
		expect(rows[i].process, rows[i].aspect);
	}
	of(RNG)->limits[RLIMIT_NOFILE].hard++;
	expect(RNG, "descriptor limit");
}

static void test_descriptors(void **state)
{
	static const struct {
		size_t process;
		int fd;
		mode_t type;
		const char *link;
	} rows[] = {
		{ BLK, 40, S_IFREG, "/etc/passwd" },
		{ BLK, 41, S_IFDIR, "/" },
		{ BLK, 5, S_IFDIR, "/" }, /* the image's number, another kind */
		{ RNG, 9, S_IFSOCK, "socket:[1]" },
		{ RNG, 2, S_IFCHR, "/dev/pts/1" },
		{ RNG, 9, 0, "anon_inode:[eventpoll]" }, /* a second one */
		{ RNG, 9, 0, "anon_inode:[userfaultfd]" },
		{ CONSOLE, 9, S_IFREG, "/memfd:guest-ram (deleted)" },
		{ VMM, 20, S_IFCHR, "/dev/mem" },
		{ SUPERVISOR, 90, S_IFREG, "/home/user/disk.raw" },
		{ RELAY, 9, S_IFIFO, "pipe:[3]" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct facts *f = of(rows[i].process);

		set_fd(f, rows[i].fd, rows[i].type, rows[i].link);
		if (rows[i].process == RNG && rows[i].fd == 2)
			f->fds[2].fd = 0;
		expect(rows[i].process, "descriptor");
	}
	/* four are the devices', by whatever number */
	for (int n = 4; n <= 5; n++) {
		for (int k = 0; k < n; k++)
			set_fd(of(VMM), VMM_FD_CHANNELS + 3 * k, S_IFSOCK, "socket:[2]");
		if (n == 4)
			expect_none();
	}
	expect(VMM, "channel");
	of(BLK)->fds[3].family = "tcp"; /* the control channel's number */
	expect(BLK, "descriptor");
	set_fd(of(CONSOLE), 9, S_IFSOCK, "socket:[4]");
	of(CONSOLE)->fds[of(CONSOLE)->n_fds - 1].family =
		NULL; /* in no list: of some other family */
	expect(CONSOLE, "descriptor");
	set_fd(of(VMM), VMM_FD_CHANNELS + 3, S_IFSOCK, "socket:[2]");
	set_fd(of(VMM), 9, 0, "anon_inode:kvm-vcpu:1");
	set_fd(of(CONSOLE), 9, S_IFSOCK, "socket:[4]");
	snprintf(of(RELAY)->fds[1].link, sizeof(of(RELAY)->fds[1].link), "pipe:[3]");
	set_fd(of(RELAY), 9, S_IFIFO, "pipe:[3]");
	expect_none();
}

/* What counts is the file system and the file's name, not where it is mounted. */
static void test_files_of_a_control_group(void **state)
{
	static const struct {
		const char *link;
		bool in_cgroup, declared;
	} rows[] = {
		{ "/sys/fs/cgroup/bulkhead/vm.1/memory.events", true, true },
		{ "/sys/fs/cgroup/unified/bulkhead/vm.1/memory.events", true, true },
		{ "/sys/fs/cgroup/bulkhead/vm.1/memory.events", false, false },
		{ "/sys/fs/cgroup/bulkhead/vm.1/cgroup.procs", true, false },
		{ "/sys/fs/cgroup/bulkhead/vm.1/memory.max", true, false },
	};
	struct facts *f = of(SUPERVISOR);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		set_fd(f, 90, S_IFREG, rows[i].link);
		f->fds[f->n_fds - 1].in_cgroup = rows[i].in_cgroup;
		if (rows[i].declared)
			expect_none();
		else
			expect(SUPERVISOR, "descriptor");
	}
	for (int fd = 90; fd < 92; fd++) {
		set_fd(f, fd, S_IFREG, rows[0].link);
		f->fds[f->n_fds - 1].in_cgroup = true;
	}
	expect(SUPERVISOR, "descriptor");
}

static void test_mappings(void **state)
{
	(void)state;
	set_map(of(VMM), "rwxp", "");
	expect(VMM, "mapping");
	set_map(of(BLK), "r-xp", "/usr/lib/libc.so.6");
	expect(BLK, "mapping");
	set_map(of(RNG), "rw-s", "/dev/shm/x");
	expect(RNG, "mapping");
	set_map(of(VMM), "rw-s", "/memfd:uart (deleted)"); /* declared read-only */
	expect(VMM, "mapping");
	set_map(of(VMM), "r--s", "/memfd:uart (deleted)");
	expect_none();
}

static void test_control_group(void **state)
{
	(void)state;
	for (size_t i = VMM; i < N_PROCESSES; i++)
		strcpy(of(i)->cgroup.v2, "/bulkhead/test.1/guest");
	strcpy(of(SUPERVISOR)->cgroup.v2, "/bulkhead/test.1/supervisor");
	strcpy(of(RNG)->cgroup.v2, "/");
	expect(RNG, "control group");
}

static void set_dialer(const char *group)
{
	for (size_t i = VMM; i < N_PROCESSES; i++)
		strcpy(of(i)->cgroup.v2, "/bulkhead/test.1/guest");
	strcpy(of(SUPERVISOR)->cgroup.v2, "/bulkhead/test.1/supervisor");
	set_process(RELAY, &dialer_declared);
	of(RELAY)->n_fds = of(RELAY)->n_maps = 0; /* none of the command's */
	strcpy(of(RELAY)->cgroup.v2, group);
}

/* That of a disk which was attached may have been started outside. */
static void test_control_group_of_a_dialer(void **state)
{
	(void)state;
	set_dialer("/bulkhead/test.1/supervisor");
	expect_none();
	set_dialer("/user.slice");
	expect(RELAY, "control group");
}

static void test_dumpable(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_PROCESSES; i++) {
		of(i)->dumpable = true;
		expect(i, "dumpable");
	}
}

static void label(size_t i, const char *domain, const char *level)
{
	snprintf(of(i)->label, sizeof(of(i)->label), "u:r:%s:%s", domain, level);
}

/* The command is in its user's domain. */
static void set_labels(void)
{
	static const char *const domains[N_PROCESSES] = {
		"unconfined_t",	  "bulkhead_supervisor_t", "bulkhead_vmm_t",
		"bulkhead_blk_t", "bulkhead_rng_t",	   "bulkhead_console_t",
	};

	for (size_t i = 0; i < N_PROCESSES; i++)
		label(i, domains[i], "s0:c5,c700");
}

static void expect_mislabelled(size_t process, const char *type, const char *level)
{
	set_labels();
	label(process, type, level);
	expect(process, "label");
}

static void test_labels(void **state)
{
	(void)state;
	set_labels();
	expect_none();
	for (size_t i = SUPERVISOR; i < N_PROCESSES; i++) {
		expect_mislabelled(i, "unconfined_t", "s0:c5,c700");
		expect_mislabelled(i, "bulkhead_start_t", "s0:c5,c700");
	}
	expect_mislabelled(CONSOLE, "bulkhead_console_t", "s0:c5,c701");
	expect_mislabelled(CONSOLE, "bulkhead_console_t", "s0");
	set_labels();
	strcpy(of(BLK)->label, "unconfined"); /* not even one of SELinux */
	expect(BLK, "label");
}

/* Without the module the host's own labels are nobody's weakness. */
static void test_labels_of_others(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_PROCESSES; i++)
		label(i, "unconfined_t", "s0-s0:c0.c1023");
	expect_none();
	for (size_t i = 0; i < N_PROCESSES; i++)
		strcpy(of(i)->label, "unconfined");
	expect_none();
}

static void test_label_without_a_pair(void **state)
{
	static const char *const levels[] = { "s0",	  "s0:c5",
					      "s0:c5.c9", "s0-s0:c0.c1023",
					      "s0:c9,c5", "s0:c5,c9,c11" };
	struct findings f;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		set_labels();
		label(SUPERVISOR, "bulkhead_supervisor_t", levels[i]);
		judge(&s, &f);
		assert_int_equal(s.process[SUPERVISOR].n_weak, 1);
		findings_free(&f);
		set_up(NULL);
	}
}

/* What is not seen is neither weak nor good. */
static void test_unseen(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_PROCESSES; i++) {
		of(i)->unseen = UNSEEN_FDS | UNSEEN_MAPS | UNSEEN_NAMESPACES | UNSEEN_ROOT;
		of(i)->n_fds = of(i)->n_maps = 0;
		memset(of(i)->ns, 0, sizeof(of(i)->ns));
		memset(&of(i)->root, 0, sizeof(of(i)->root));
	}
	expect_none();
}

/* ---- what is not of the machine ---- */

static struct facts_thread network_thread;

static struct facts *set_network(const char *name)
{
	struct facts *n = &s.network[0];

	network_thread = (struct facts_thread){
		.status = { .uid = { 65534, 65534, 65534, 65534 }, .no_new_privs = 1, .seccomp = 2 }
	};
	*n = (struct facts){
		.pid = 9, .threads = &network_thread, .n_threads = 1, .root = { .empty = true }
	};
	snprintf(n->name, sizeof(n->name), "%s", name);
	for (size_t i = 0; i < N_NAMESPACES; i++)
		n->ns[i] = i == NS_NET ? s.own_ns[i] : s.own_ns[i] + 1000;
	s.n_network = 1;
	return n;
}

/* How many findings there are of it, and how many of these are weak. */
static void expect_network(size_t all, size_t weak)
{
	struct findings f;
	size_t n = 0;

	judge(&s, &f);
	for (size_t i = 0; i < f.n; i++)
		n += strcmp(f.list[i].aspect, "network") == 0;
	assert_int_equal(n, all);
	assert_int_equal(f.n_weak, weak);
	findings_free(&f);
	s.n_network = 0;
	set_up(NULL);
}

static void test_network(void **state)
{
	(void)state;
	expect_network(0, 0);
	set_network("passt.avx2");
	expect_network(1, 0);
	set_network("passt");
	network_thread.status.uid[0] = 0;
	expect_network(1, 1);
	set_network("passt");
	network_thread.status.seccomp = 0;
	expect_network(1, 1);
	set_network("passt");
	network_thread.status.no_new_privs = 0;
	expect_network(1, 1);
	set_network("passt");
	network_thread.status.caps[CAPS_PERMITTED] = 1;
	expect_network(1, 1);
	set_network("passt")->ns[NS_MNT] = s.own_ns[NS_MNT];
	expect_network(1, 1);
	set_network("passt")->root.empty = false;
	expect_network(1, 1);
	/* its guard has the host's root, and no call that takes a path */
	set_network("supervisor")->root.empty = false;
	strcpy(network_thread.status.name, "passt-guard");
	expect_network(1, 0);
	set_network("bulkhead");
	strcpy(network_thread.status.name, "passt-guard");
	network_thread.status.seccomp = 0;
	expect_network(1, 1);
	set_network("qemu-system-x86_64")->root.empty = false; /* nothing is known of it */
	expect_network(1, 0);
}

static void test_a_networks_label(void **state)
{
	static const struct {
		const char *name, *own_name, *label;
		size_t weak;
	} rows[] = {
		{ "passt", "passt", "u:r:bulkhead_passt_t:s0:c5,c700", 0 },
		{ "passt", "passt", "u:r:bulkhead_passt_t:s0:c5,c701", 1 },
		{ "passt", "passt", "u:r:unconfined_t:s0:c5,c700", 1 },
		{ "passt", "passt", "", 1 },
		{ "supervisor", "passt-guard", "u:r:bulkhead_passtguard_t:s0:c5,c700", 0 },
		{ "supervisor", "passt-guard", "u:r:bulkhead_passt_t:s0:c5,c700", 1 },
		{ "net-switch", "net-switch", "u:r:bulkhead_switch_t:s0:c1,c2", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		set_labels();
		strcpy(set_network(rows[i].name)->label, rows[i].label);
		strcpy(network_thread.status.name, rows[i].own_name);
		expect_network(1, rows[i].weak);
	}
}

/* Its own group is that of its VM, and of no other. */
static void test_a_networks_group(void **state)
{
	static const struct {
		const char *group;
		bool own;
	} rows[] = { { "/bulkhead/test.1/network", true },
		     { "/bulkhead/test.2/network", false },
		     { "/bulkhead/test.1/guest", false },
		     { "/", false },
		     { "", false } };
	struct findings f;

	(void)state;
	strcpy(of(VMM)->cgroup.v2, "/bulkhead/test.1/guest");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool own = false;

		strcpy(set_network("passt")->cgroup.v2, rows[i].group);
		strcpy(s.network[0].cgroup.used, "4096");
		judge(&s, &f);
		for (size_t k = 0; k < f.n; k++)
			own |= strstr(f.list[k].is, "for its network: 4096 bytes of memory now") !=
			       NULL;
		assert_int_equal(own, rows[i].own);
		findings_free(&f);
	}
	s.n_network = 0;
	set_up(NULL);
}

/* net-switch has its segment's, whatever VM asks. */
static void test_a_segments_group(void **state)
{
	static const struct {
		const char *group, *is;
	} rows[] = {
		{ "/bulkhead/segment+lab.7",
		  ", in its segment's control group: 4096 bytes of memory now, 8192 at most, tasks 4" },
		{ "/bulkhead/test.1/network", ", in no control group of its segment's" },
		{ "/bulkhead/segment+lab.7/inner", ", in no control group of its segment's" },
		{ "", ", in no control group of its segment's" }
	};
	struct findings f;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct facts_cgroup *c = &set_network("net-switch")->cgroup;
		size_t n = 0;

		strcpy(c->v2, rows[i].group);
		strcpy(c->used, "4096");
		strcpy(c->memory, "8192");
		strcpy(c->pids, "4");
		judge(&s, &f);
		for (size_t k = 0; k < f.n; k++)
			n += strstr(f.list[k].is, rows[i].is) != NULL;
		assert_int_equal(n, 1);
		findings_free(&f);
	}
	s.n_network = 0;
	set_up(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_declared),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_two_processes_with_one_id),
		cmocka_unit_test(test_ordinary_user),
		cmocka_unit_test(test_ordinary_user_with_subordinate_ids),
		cmocka_unit_test(test_capabilities),
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_namespaces),
		cmocka_unit_test(test_root),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_files_of_a_control_group),
		cmocka_unit_test(test_mappings),
		cmocka_unit_test(test_control_group),
		cmocka_unit_test(test_control_group_of_a_dialer),
		cmocka_unit_test(test_a_networks_group),
		cmocka_unit_test(test_a_segments_group),
		cmocka_unit_test(test_a_networks_label),
		cmocka_unit_test(test_dumpable),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_labels_of_others),
		cmocka_unit_test(test_network),
		cmocka_unit_test(test_label_without_a_pair),
		cmocka_unit_test(test_unseen),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
