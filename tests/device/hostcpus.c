/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostcpus N COMMAND...: runs a command, and whatever that starts, on a host that seems to have N
 * CPUs (1 to 64) to whoever counts them: by sched_getaffinity, or by /sys/devices/system/cpu/online.
 * glibc does, in a process that makes many heaps. What a process's own filter refuses is refused all
 * the same. As root; ends with the command's status once all that it started has ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ONLINE "/sys/devices/system/cpu/online"

static void die(const char *what)
{
	perror(what);
	exit(125);
}

/* The descriptor on which the calls of this process, and all that it starts, are asked for. */
static int listen_for_calls(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_sched_getaffinity, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_openat, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
	};
	const struct sock_fprog prog = { sizeof(code) / sizeof(code[0]), code };

	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			    &prog);
}

static void send_fd(int sock, int fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	if (sendmsg(sock, &mh, 0) != 1)
		die("sendmsg");
}

static int recv_fd(int sock)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control) };
	int fd = -1;

	if (recvmsg(sock, &mh, MSG_CMSG_CLOEXEC) != 1 || !CMSG_FIRSTHDR(&mh))
		die("recvmsg");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&mh)), sizeof(fd));
	return fd;
}

static void run(int sock, char **argv)
{
	int fd = listen_for_calls();

	if (fd < 0)
		die("a seccomp listener");
	send_fd(sock, fd);
	close(fd);
	close(sock);
	execvp(argv[0], argv);
	die(argv[0]);
}

static int memory_of(uint32_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/mem", pid);
	return open(path, O_RDWR | O_CLOEXEC);
}

static void answer_affinity(const struct seccomp_notif *n, unsigned int cpus, int mem,
			    struct seccomp_notif_resp *ret)
{
	const uint64_t mask = cpus == 64 ? UINT64_MAX : (UINT64_C(1) << cpus) - 1;

	ret->flags = 0;
	if (n->data.args[1] < sizeof(mask))
		ret->error = -EINVAL;
	else if (pwrite(mem, &mask, sizeof(mask), (off_t)n->data.args[2]) != sizeof(mask))
		ret->error = -EFAULT;
	else
		ret->val = sizeof(mask);
}

/* True if it was the list of CPUs, and has been answered. */
static bool answer_open(int listener, const struct seccomp_notif *n, unsigned int cpus, int mem)
{
	char path[sizeof(ONLINE)] = "", text[16];
	struct seccomp_notif_addfd add = { .id = n->id,
					   .flags = SECCOMP_ADDFD_FLAG_SEND,
					   .newfd_flags = O_CLOEXEC };
	int fd, len;

	(void)!pread(mem, path, sizeof(path), (off_t)n->data.args[1]);
	if (memcmp(path, ONLINE, sizeof(path)) != 0)
		return false;
	len = snprintf(text, sizeof(text), "0-%u\n", cpus - 1);
	fd = memfd_create("online", MFD_CLOEXEC);
	if (fd < 0 || pwrite(fd, text, (size_t)len, 0) != len)
		die("memfd");
	add.srcfd = (uint32_t)fd;
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0 && errno != ENOENT)
		die("SECCOMP_IOCTL_NOTIF_ADDFD");
	close(fd);
	return true;
}

static void answer(int listener, unsigned int cpus)
{
	struct seccomp_notif n = { 0 };
	struct seccomp_notif_resp resp = { 0 };
	bool done = false;
	int mem;

	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &n) < 0)
		return; /* who asked has ended */
	resp.id = n.id;
	resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	mem = memory_of(n.pid);
	if (mem >= 0 && n.data.nr == __NR_sched_getaffinity)
		answer_affinity(&n, cpus, mem, &resp);
	else if (mem >= 0)
		done = answer_open(listener, &n, cpus, mem);
	if (mem >= 0)
		close(mem);
	if (!done && ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp) < 0 && errno != ENOENT)
		die("SECCOMP_IOCTL_NOTIF_SEND");
}

/* Until all that the child started has ended. Kernels before 6.11 count a process until it is waited
 * for, so that the child is as soon as it has ended. Returns its status. */
static int serve(int listener, pid_t pid, unsigned int cpus)
{
	struct pollfd p[2] = { { .fd = listener, .events = POLLIN }, { .events = POLLIN } };
	int status = 0;

	p[1].fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (p[1].fd < 0)
		die("pidfd_open");
	while (poll(p, 2, -1) > 0 && !(p[0].revents & POLLHUP)) {
		if (p[0].revents & POLLIN)
			answer(listener, cpus);
		if (p[1].fd >= 0 && p[1].revents) {
			p[1].fd = -1;
			if (waitpid(pid, &status, 0) != pid)
				die("waitpid");
		}
	}
	if (p[1].fd >= 0 && waitpid(pid, &status, 0) != pid)
		die("waitpid");
	return status;
}

int main(int argc, char **argv)
{
	unsigned int cpus = argc > 2 ? (unsigned int)strtoul(argv[1], NULL, 10) : 0;
	int pair[2], status;
	pid_t pid = -1;

	if (cpus < 1 || cpus > 64) {
		fprintf(stderr, "usage: hostcpus 1..64 COMMAND...\n");
		return 125;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 || (pid = fork()) < 0)
		die("fork");
	if (pid == 0) {
		close(pair[0]);
		run(pair[1], argv + 2);
	}
	close(pair[1]);
	status = serve(recv_fd(pair[0]), pid, cpus);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
