/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that looks around and tries what it may not, for tests/device/test_sandbox.py:
 *
 *	sandbox-probe report            says what it sees in CTL_LOG lines, KEY VALUE
 *	sandbox-probe call NR [ARG…]    enters, says READY, makes the call; "survived RESULT" if so
 *	sandbox-probe i386 | x32        the same with getpid of another architecture
 *	sandbox-probe bare_i386         the same with neither: whether this kernel has calls of i386
 *	sandbox-probe thread NR [ARG…]  the call from a thread with a filter of its own
 *	sandbox-probe reach             what Landlock leaves of a directory (descriptor 9) and of TCP
 *	sandbox-probe reach_thread      the same from a thread with a filter of its own
 *	sandbox-probe wait_call NR      the call, once its channel has ended
 *	sandbox-probe wait              enters, says READY, waits for the end of its channel
 *
 * Outside a jail, each says why sandbox_enter refused (CTL_FAILED).
 */
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/control/control.h"
#include "lib/sandbox/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

static const struct sandbox_rule rules[] = {
	SB_CALL(sendmsg),     SB_CALL(recvmsg),
	SB_CALL(exit_group),  SB_CALL(exit),
	SB_CALL(futex),	      { .nr = __NR_mmap, .args = { { SB_NO_BITS, 2, PROT_EXEC, 0 } } },
	SB_CALL(munmap),      SB_IOCTL(0x1234),
	SB_IOCTL(0x80045678), SB_CALL_EQ(fcntl, 1, F_GETFD),
};

static const struct sandbox_policy policy = {
	.name = "sandbox-probe",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = { .nofile = 64, .nproc = 0, .as = 512 << 20, .fsize = 4096, .memlock = 0 },
};

static const struct sandbox_rule thread_rules[] = {
	SB_CALL(sendmsg),
	SB_CALL(exit),
	SB_CALL(futex),
};

static const struct sandbox_policy thread_policy = {
	.name = "sandbox-probe:thread",
	.rules = thread_rules,
	.n_rules = ARRAY_SIZE(thread_rules),
};

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *fmt, ...)
{
	struct control_msg m = { .type = CTL_LOG, .number = LOG_LEVEL_INFO };
	va_list ap;

	va_start(ap, fmt);
	m.text_len = (size_t)vsnprintf(m.text, sizeof(m.text), fmt, ap);
	va_end(ap);
	if (control_send(FD_CONTROL, &m, -1) < 0)
		_exit(9);
}

static void say_fds(void)
{
	for (int fd = 0; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			say("fd %d", fd);
}

static void say_root(void)
{
	DIR *d = opendir("/");
	const struct dirent *e;

	while (d && (e = readdir(d)))
		say("root %s", e->d_name);
	if (d)
		closedir(d);
	say("create %d", open("/x", O_CREAT | O_WRONLY, 0600) < 0 ? errno : 0);
	say("mkdir %d", mkdirat(AT_FDCWD, "/d", 0700) < 0 ? errno : 0);
}

static void say_caps(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = { 0 };
	unsigned int bounding = 0;

	if (syscall(SYS_capget, &head, d) < 0)
		say("capget %d", errno);
	for (unsigned long cap = 0; cap < 64; cap++)
		bounding += prctl(PR_CAPBSET_READ, cap) > 0;
	say("caps %x %x %x %x", d[0].effective | d[1].effective, d[0].permitted | d[1].permitted,
	    d[0].inheritable | d[1].inheritable, bounding);
	say("memory_merge %d", prctl(68 /* PR_GET_MEMORY_MERGE */, 0, 0, 0, 0));
	say("no_new_privs %d", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	say("securebits %x", (unsigned int)prctl(PR_GET_SECUREBITS));
}

static void say_limits(void)
{
	static const struct {
		const char *name;
		__rlimit_resource_t what;
	} rows[] = {
		{ "core", RLIMIT_CORE }, { "nofile", RLIMIT_NOFILE }, { "nproc", RLIMIT_NPROC },
		{ "as", RLIMIT_AS },	 { "fsize", RLIMIT_FSIZE },   { "memlock", RLIMIT_MEMLOCK },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rlimit rl;

		if (getrlimit(rows[i].what, &rl) == 0)
			say("limit_%s %llu %llu", rows[i].name, (unsigned long long)rl.rlim_cur,
			    (unsigned long long)rl.rlim_max);
	}
}

static void say_self(char **envp)
{
	struct utsname u;
	size_t n = 0;

	while (envp[n])
		n++;
	say("pid %d", getpid());
	say("ppid %d", getppid());
	say("uid %u %u", getuid(), geteuid());
	say("gid %u %u", getgid(), getegid());
	say("groups %d", getgroups(0, NULL));
	say("session %d", getsid(0));
	say("environment %zu", n);
	if (uname(&u) == 0)
		say("host %s", u.nodename);
}

static int enter(void)
{
	const char *what = "?";
	int r = sandbox_enter(&policy, FD_CONTROL, &what);

	if (r < 0)
		control_fail(FD_CONTROL, "%s: %s", what, strerrordesc_np(-r));
	return r;
}

static void ready(void)
{
	if (control_send(FD_CONTROL, &(struct control_msg){ .type = CTL_READY }, -1) < 0)
		_exit(9);
}

static void say_state(void)
{
	say("dumpable %d", prctl(PR_GET_DUMPABLE));
	say_limits();
}

/* The state after sandbox_enter is seen with calls that the real policies do not have. */
static int report(char **envp)
{
	static const struct sandbox_rule more[] = {
		SB_CALL(sendmsg),
		SB_CALL(exit_group),
		SB_CALL(prctl),
		SB_CALL(prlimit64),
	};
	const struct sandbox_policy p = { .name = "report",
					  .rules = more,
					  .n_rules = ARRAY_SIZE(more),
					  .limits = policy.limits };
	const char *what = "?";
	int r;

	say_fds();
	say_root();
	say_caps();
	say_self(envp);
	r = sandbox_enter(&p, FD_CONTROL, &what);
	if (r < 0)
		return control_fail(FD_CONTROL, "%s: %s", what, strerrordesc_np(-r));
	say_state();
	ready();
	return 0;
}

/* ---- Landlock: what no filter is in the way of ---- */

#define FD_DIRECTORY 9

static const struct sandbox_rule reach_rules[] = {
	SB_CALL(sendmsg),
	SB_CALL(exit_group),
	SB_CALL(exit),
	SB_CALL(openat),
	SB_CALL(mkdirat),
	SB_CALL(unlinkat),
	SB_CALL(symlinkat),
	SB_CALL(renameat),
	SB_CALL(socket),
	SB_CALL(connect),
	SB_CALL(bind),
	SB_CALL(munmap),
	SB_CALL(madvise),
	SB_CALL(futex),
	{ .nr = __NR_mmap, .args = { { SB_NO_BITS, 2, PROT_EXEC, 0 } } },
	SB_CALL(rt_sigprocmask),
};

static const struct sandbox_policy reach_policy = {
	.name = "reach",
	.rules = reach_rules,
	.n_rules = ARRAY_SIZE(reach_rules),
	.limits = { .nofile = 64,
		    .nproc = SB_UNSET,
		    .as = SB_UNSET,
		    .fsize = SB_UNSET,
		    .memlock = SB_UNSET },
};

static void tried(const char *what, int result)
{
	say("tried %s %d", what, result < 0 ? errno : 0);
}

static void reach(void)
{
	const struct sockaddr_in here = { .sin_family = AF_INET,
					  .sin_port = htons(80),
					  .sin_addr = { htonl(INADDR_LOOPBACK) } };
	const struct sockaddr *sa = (const void *)&here;
	int sock = socket(AF_INET, SOCK_STREAM, 0);

	tried("read", openat(FD_DIRECTORY, "file", O_RDONLY));
	tried("write", openat(FD_DIRECTORY, "file", O_WRONLY));
	tried("create", openat(FD_DIRECTORY, "new", O_CREAT | O_WRONLY, 0600));
	tried("list", openat(FD_DIRECTORY, ".", O_RDONLY | O_DIRECTORY));
	tried("mkdir", mkdirat(FD_DIRECTORY, "newdir", 0700));
	tried("symlink", symlinkat("/", FD_DIRECTORY, "newlink"));
	tried("rename", renameat(FD_DIRECTORY, "file", FD_DIRECTORY, "other"));
	tried("unlink", unlinkat(FD_DIRECTORY, "file", 0));
	tried("rmdir", unlinkat(FD_DIRECTORY, "dir", AT_REMOVEDIR));
	tried("connect", connect(sock, sa, sizeof(here)));
	tried("bind", bind(sock, sa, sizeof(here)));
}

static int reach_confined(void)
{
	const char *what = "?";
	int r = sandbox_enter(&reach_policy, FD_CONTROL, &what);

	if (r < 0)
		return control_fail(FD_CONTROL, "%s: %s", what, strerrordesc_np(-r));
	reach();
	return 0;
}

static struct sandbox_filter filter; /* of the one thread beside the main one */

static void *reach_in_thread(void *arg)
{
	(void)arg;
	if (sandbox_enter_thread(&filter) < 0)
		say("no filter");
	else
		reach();
	return NULL;
}

static int reach_thread(void)
{
	pthread_t t;

	if (sandbox_trap_install(FD_CONTROL) < 0 ||
	    sandbox_prepare_thread(&reach_policy, &filter) < 0 ||
	    pthread_create(&t, NULL, reach_in_thread, NULL))
		return control_fail(FD_CONTROL, "no thread");
	pthread_join(t, NULL);
	return 0;
}

struct call {
	long nr;
	long args[6];
};

static struct call parse_call(int argc, char **argv)
{
	struct call c = { .nr = argc > 2 ? strtol(argv[2], NULL, 0) : -1 };

	for (int i = 3; i < argc && i < 9; i++)
		c.args[i - 3] = (long)strtoull(argv[i], NULL, 0);
	return c;
}

static void make(const struct call *c)
{
	long r = syscall(c->nr, c->args[0], c->args[1], c->args[2], c->args[3], c->args[4],
			 c->args[5]);

	say("survived %ld", r < 0 ? -errno : r);
}

static void *in_thread(void *arg)
{
	if (sandbox_enter_thread(&filter) < 0)
		say("no filter");
	else
		make(arg);
	return NULL;
}

static int thread(struct call *c)
{
	pthread_t t;

	if (sandbox_trap_install(FD_CONTROL) < 0 ||
	    sandbox_prepare_thread(&thread_policy, &filter) < 0 ||
	    pthread_create(&t, NULL, in_thread, c))
		return control_fail(FD_CONTROL, "no thread");
	pthread_join(t, NULL);
	return 0;
}

/* getpid of i386 is 20. */
static void call_i386(void)
{
	long r = 20;

	__asm__ volatile("int $0x80" : "+a"(r) : : "memory", "r8", "r9", "r10", "r11");
	say("survived %ld", r);
}

static int wait_for_end(void)
{
	struct control_msg m;
	int fd = -1, r;

	do
		r = control_recv(FD_CONTROL, &m, &fd);
	while (r > 0);
	return r < 0;
}

int main(int argc, char **argv, char **envp)
{
	const char *verb = argc > 1 ? argv[1] : "";
	struct call c = parse_call(argc, argv);

	if (strcmp(verb, "report") == 0)
		return report(envp);
	if (strcmp(verb, "bare_i386") == 0) {
		call_i386();
		return 0;
	}
	if (strcmp(verb, "thread") == 0)
		return thread(&c);
	if (strcmp(verb, "reach") == 0)
		return reach_confined();
	if (strcmp(verb, "reach_thread") == 0)
		return reach_thread();
	if (enter() < 0)
		return 1;
	ready();
	if (strcmp(verb, "call") == 0)
		make(&c);
	else if (strcmp(verb, "i386") == 0)
		call_i386();
	else if (strcmp(verb, "x32") == 0)
		make(&(struct call){ .nr = 0x40000000 | SYS_getpid });
	else if (strcmp(verb, "wait_call") == 0 && wait_for_end() == 0)
		make(&c);
	else if (strcmp(verb, "wait") == 0)
		return wait_for_end();
	return 0;
}
