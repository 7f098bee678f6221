/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an intruder in a process would try, for test_selinux.py: no filter, no namespace, root's
 * capabilities; only the SELinux domain that it was started in may be in its way.
 *
 *	intruder PID		PID: a process of another VM
 *
 * Holds: 3 its own VM's disk, 4 its RAM, 5 another VM's disk, 6 its RAM, 7 a program, 8 a queue of its tap, 9 /dev/net/tun,
 * opened and no more, 10 /dev/vhost-net, 11 a socket of its VM's, 12 one of another VM's. There is another tap, OTHER_TAP. Prints a line a try, "NAME ok" or "NAME ERROR"; those that are not there in this kernel are "absent".
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/perf_event.h>
#include <linux/vhost.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	OWN_DISK = 3,
	OWN_RAM,
	OTHER_DISK,
	OTHER_RAM,
	PROGRAM,
	OWN_TAP,
	TUN,
	VHOST,
	OWN_SOCKET,
	OTHER_SOCKET
};

#define OTHER_TAP "intruder0"
#define MISC_MAJOR 10
#define TUN_MINOR 200

static pid_t other;

static int closed(int fd)
{
	int r = fd < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return r;
}

/* What is refused at exec is /dev/null afterwards: only a file's byte is a gain. */
static int read_byte(int fd)
{
	struct stat st;
	char byte;

	if (fstat(fd, &st) < 0 || pread(fd, &byte, 1, 0) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? 0 : -EBADF;
}

static int map(int fd, int protection, int flags)
{
	void *p = mmap(NULL, 4096, protection, flags, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	munmap(p, 4096);
	return 0;
}

static int write_file(int fd)
{
	struct stat st;
	char byte = 'x';

	if (fstat(fd, &st) < 0 || pwrite(fd, &byte, 1, 0) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? 0 : -EBADF;
}

static int own_disk(void)
{
	return read_byte(OWN_DISK);
}

static int own_ram(void)
{
	return map(OWN_RAM, PROT_READ | PROT_WRITE, MAP_SHARED);
}

static int other_disk(void)
{
	return read_byte(OTHER_DISK);
}

static int other_disk_write(void)
{
	return write_file(OTHER_DISK);
}

static int other_ram(void)
{
	return read_byte(OTHER_RAM);
}

static int other_ram_map(void)
{
	return map(OTHER_RAM, PROT_READ, MAP_SHARED);
}

/* The device itself, and not what is there instead of it. */
static bool is_tun(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) &&
	       st.st_rdev == makedev(MISC_MAJOR, TUN_MINOR);
}

static int own_tap(void)
{
	char frame[2048];

	if (!is_tun(OWN_TAP))
		return -EBADF;
	/* none is there, and none is too short to be one */
	if ((read(OWN_TAP, frame, sizeof(frame)) < 0 && errno != EAGAIN) ||
	    (write(OWN_TAP, frame, 0) < 0 && errno != EINVAL))
		return -errno;
	return 0;
}

static int tap_queue(unsigned int flag)
{
	const struct ifreq r = { .ifr_flags = (short)flag };

	return ioctl(OWN_TAP, TUNSETQUEUE, &r) < 0 ? -errno : 0;
}

static int tap_let_go(void)
{
	return tap_queue(IFF_DETACH_QUEUE);
}

static int tap_join_again(void)
{
	return tap_queue(IFF_ATTACH_QUEUE);
}

static int tap_offloads(void)
{
	return ioctl(OWN_TAP, TUNSETOFFLOAD, 0UL) < 0 ? -errno : 0;
}

static int tap_persist(void)
{
	return ioctl(OWN_TAP, TUNSETPERSIST, 1UL) < 0 ? -errno : 0;
}

static int tap_filter_off(void)
{
	return ioctl(OWN_TAP, TUNDETACHFILTER, NULL) < 0 ? -errno : 0;
}

static int other_tap(void)
{
	struct ifreq r = { .ifr_name = OTHER_TAP, .ifr_flags = IFF_TAP | IFF_NO_PI };

	return ioctl(TUN, TUNSETIFF, &r) < 0 ? -errno : 0;
}

static int open_tun(void)
{
	return closed(open("/dev/net/tun", O_RDWR | O_CLOEXEC));
}

static int open_vhost(void)
{
	return closed(open("/dev/vhost-net", O_RDWR | O_CLOEXEC));
}

static int own_vhost(void)
{
	uint64_t features;

	return ioctl(VHOST, VHOST_GET_FEATURES, &features) < 0 ||
			       ioctl(VHOST, VHOST_SET_OWNER, NULL) < 0 ?
		       -errno :
		       0;
}

static int vhost_log(void)
{
	const uint64_t base = 0;

	return ioctl(VHOST, VHOST_SET_LOG_BASE, &base) < 0 ? -errno : 0;
}

/* Nobody is disturbed: what is there stays there. */
static int peek(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno != EAGAIN ? -errno : 0;
}

static int own_socket(void)
{
	return peek(OWN_SOCKET);
}

static int other_socket(void)
{
	return peek(OTHER_SOCKET);
}

static int open_kvm(void)
{
	return closed(open("/dev/kvm", O_RDWR | O_CLOEXEC));
}

static int open_file(void)
{
	return closed(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static int open_device(void)
{
	return closed(open("/dev/null", O_RDWR | O_CLOEXEC));
}

static int open_proc(void)
{
	return closed(open("/proc/self/status", O_RDONLY | O_CLOEXEC));
}

static int make_file(void)
{
	int fd = open("/tmp/intruder", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	unlink("/tmp/intruder");
	return closed(fd);
}

/* In a child, by vfork's like: exec returns only when it failed. */
static int execute(int fd, const char *path)
{
	char *argv[] = { (char *)(uintptr_t) "busybox", (char *)(uintptr_t) "true", NULL };
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		syscall(SYS_execveat, fd, path, argv, NULL, fd < 0 ? 0 : AT_EMPTY_PATH);
		_exit(errno == ENOENT ? 100 : 99);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) < 99 ? 0 : -EACCES;
}

static int exec_path(void)
{
	return execute(AT_FDCWD, "/bin/busybox");
}

static int exec_program(void)
{
	return execute(PROGRAM, "");
}

static int try_socket(int family, int type)
{
	return closed(socket(family, type, 0));
}

static int socket_unix(void)
{
	return try_socket(AF_UNIX, SOCK_STREAM);
}

static int socket_unix_datagram(void)
{
	return try_socket(AF_UNIX, SOCK_DGRAM);
}

static int socket_pair(void)
{
	int pair[2];

	return socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 ? -errno : 0;
}

static int socket_tcp(void)
{
	return try_socket(AF_INET, SOCK_STREAM);
}

static int socket_udp6(void)
{
	return try_socket(AF_INET6, SOCK_DGRAM);
}

static int socket_netlink(void)
{
	return try_socket(AF_NETLINK, SOCK_RAW);
}

static int socket_raw(void)
{
	return closed(socket(AF_INET, SOCK_RAW, 1));
}

static int signal_other(void)
{
	return kill(other, SIGCONT) < 0 ? -errno : 0;
}

static int probe_other(void)
{
	return kill(other, 0) < 0 ? -errno : 0;
}

static int trace_other(void)
{
	if (ptrace(PTRACE_SEIZE, other, NULL, NULL) < 0)
		return -errno;
	(void)ptrace(PTRACE_INTERRUPT, other, NULL, NULL);
	waitpid(other, NULL, __WALL);
	(void)ptrace(PTRACE_DETACH, other, NULL, NULL);
	return 0;
}

static int memory_of_other(void)
{
	char byte;
	struct iovec to = { &byte, 1 }, from = { NULL, 1 };

	/* an address that is not there is found out after the right to look */
	if (process_vm_readv(other, &to, 1, &from, 1, 0) < 0 && errno != EFAULT)
		return -errno;
	return 0;
}

static int map_executable(void)
{
	return map(-1, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS);
}

static int map_disk_executable(void)
{
	return map(OWN_DISK, PROT_READ | PROT_EXEC, MAP_SHARED);
}

static int make_heap_executable(void)
{
	char *page = aligned_alloc(4096, 4096);

	return page && mprotect(page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC) < 0 ? -errno : 0;
}

static int write_memfd(void)
{
	int fd = memfd_create("intruder", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : write(fd, "x", 1) < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return r;
}

static int set_hostname(void)
{
	return sethostname("intruder", 8) < 0 ? -errno : 0;
}

static int mount_tmpfs(void)
{
	if (mount("none", "/mnt", "tmpfs", 0, NULL) < 0)
		return -errno;
	umount("/mnt");
	return 0;
}

static int unshare_network(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(unshare(CLONE_NEWNET) < 0 ? 1 : 0);
	if (pid < 0)
		return -errno;
	waitpid(pid, &status, 0);
	return status ? -EPERM : 0;
}

static int add_key(void)
{
	return syscall(SYS_add_key, "user", "intruder", "x", 1UL, -3 /* session */) < 0 ? -errno :
											  0;
}

static int new_bpf_map(void)
{
	struct {
		unsigned int type, key, value, entries, flags;
		char rest[100];
	} attr = { 2 /* array */, 4, 4, 1, 0, "" };

	return closed((int)syscall(SYS_bpf, 0 /* BPF_MAP_CREATE */, &attr, sizeof(attr)));
}

static int open_perf(void)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(attr) };

	return closed((int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0UL));
}

static int become_unconfined(void)
{
	static const char label[] = "unconfined_u:unconfined_r:unconfined_t:s0";
	int fd = open("/proc/self/attr/current", O_WRONLY | O_CLOEXEC);
	int r = fd < 0 || write(fd, label, sizeof(label)) < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return r;
}

#define TRY(f)        \
	{             \
#f, f \
	}

/* The last is the last: it may have changed the domain. */
static const struct {
	const char *name;
	int (*run)(void);
} tries[] = {
	TRY(own_disk),
	TRY(own_ram),
	TRY(other_disk),
	TRY(other_disk_write),
	TRY(other_ram),
	TRY(other_ram_map),
	TRY(own_tap),
	TRY(tap_let_go),
	TRY(tap_join_again),
	TRY(tap_offloads),
	TRY(tap_persist),
	TRY(tap_filter_off),
	TRY(other_tap),
	TRY(open_tun),
	TRY(open_vhost),
	TRY(own_vhost),
	TRY(vhost_log),
	TRY(own_socket),
	TRY(other_socket),
	TRY(open_kvm),
	TRY(open_file),
	TRY(open_device),
	TRY(open_proc),
	TRY(make_file),
	TRY(exec_path),
	TRY(exec_program),
	TRY(socket_unix),
	TRY(socket_unix_datagram),
	TRY(socket_pair),
	TRY(socket_tcp),
	TRY(socket_udp6),
	TRY(socket_netlink),
	TRY(socket_raw),
	TRY(probe_other),
	TRY(signal_other),
	TRY(trace_other),
	TRY(memory_of_other),
	TRY(map_executable),
	TRY(map_disk_executable),
	TRY(make_heap_executable),
	TRY(write_memfd),
	TRY(set_hostname),
	TRY(mount_tmpfs),
	TRY(unshare_network),
	TRY(add_key),
	TRY(new_bpf_map),
	TRY(open_perf),
	TRY(become_unconfined),
};

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	other = (pid_t)atoi(argv[1]);
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		char line[80];
		int r = tries[i].run();
		int n = snprintf(line, sizeof(line), "%s %s\n", tries[i].name,
				 r == 0				    ? "ok" :
				 r == -EAFNOSUPPORT || r == -ENOSYS ? "absent" :
								      strerrorname_np(-r));

		if (write(1, line, (size_t)n) != n)
			return 3;
	}
	return 0;
}
