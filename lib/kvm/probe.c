/* SPDX-License-Identifier: Apache-2.0 */
/* Measures KVM in a child process; see probe.h. */
#include "lib/kvm/probe.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMEOUT_MS 1000

struct answer {
	int status; /* 0 or a negative errno */
	struct kvm_speed speed;
	char what[KVM_PROBE_WHAT_MAX];
};

static void answer(int kvm_fd, int fd) __attribute__((noreturn));

/* The child. Its VM ends with it, after the answer. */
static void answer(int kvm_fd, int fd)
{
	struct answer a = { .what = "" };
	struct kvm_speed_vm vm;
	const char *what = "";

	a.status = kvm_speed_measure(&vm, kvm_fd, &a.speed, &what);
	snprintf(a.what, sizeof(a.what), "%s", what);
	_exit(write(fd, &a, sizeof(a)) == sizeof(a) ? 0 : 1);
}

/* A pipe takes so little at once, so that one read has all. */
static int hear(int fd, struct answer *ret)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n;

	do
		n = poll(&p, 1, TIMEOUT_MS);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : -ETIMEDOUT;
	return read(fd, ret, sizeof(*ret)) == sizeof(*ret) ? 0 : -EIO;
}

int kvm_probe_run(struct kvm_probe *p, int kvm_fd, struct kvm_speed *ret,
		  char ret_what[KVM_PROBE_WHAT_MAX])
{
	_cleanup_(closep) int in = -1, out = -1;
	struct answer a;
	int fds[2], r;

	*p = KVM_PROBE_NONE;
	snprintf(ret_what, KVM_PROBE_WHAT_MAX, "cannot be measured");
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	in = fds[0];
	out = fds[1];
	p->pid = fork();
	if (p->pid < 0) {
		r = -errno;
		p->pid = 0;
		return r;
	}
	if (p->pid == 0)
		answer(kvm_fd, out);
	closep(&out); /* so that a child that dies is heard */
	r = hear(in, &a);
	if (r < 0) {
		kill(p->pid, SIGKILL);
		return r;
	}
	snprintf(ret_what, KVM_PROBE_WHAT_MAX, "%s", a.what);
	if (a.status == 0)
		*ret = a.speed;
	return a.status;
}

void kvm_probe_end(struct kvm_probe *p)
{
	while (p->pid > 0 && waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
		;
	*p = KVM_PROBE_NONE;
}
