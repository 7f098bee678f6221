/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptor tables and descriptor passing; see fd.h. */
#include "lib/base/fd.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int fd_stat(int fd, struct stat *ret)
{
	return syscall(SYS_fstat, fd, ret) < 0 ? -errno : 0;
}

int fd_check_size(int fd, uint64_t size)
{
	int seals = fcntl(fd, F_GET_SEALS, 0); /* all three: filters look at them */
	struct stat st;
	int r = fd_stat(fd, &st);

	if (r < 0)
		return r;
	if (seals < 0 || !(seals & F_SEAL_SHRINK) || st.st_size < 0)
		return -EINVAL;
	return (uint64_t)st.st_size < size ? -EINVAL : 0;
}

int fd_map_shared(int fd, size_t size, void **ret)
{
	int r = fd_check_size(fd, size);
	void *at;

	if (r < 0)
		return r;
	at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	*ret = at;
	return 0;
}

static bool fd_is(int fd, enum fd_kind kind)
{
	struct stat st;

	if (fd_stat(fd, &st) < 0)
		return false;
	switch (kind) {
	case FD_ANY:
		return true;
	case FD_SOCKET:
		return S_ISSOCK(st.st_mode);
	case FD_FILE:
		return S_ISREG(st.st_mode) || S_ISBLK(st.st_mode);
	case FD_STORE:
		return S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) || S_ISSOCK(st.st_mode);
	case FD_CHAR:
		return S_ISCHR(st.st_mode);
	case FD_LINK:
		return S_ISSOCK(st.st_mode) || S_ISCHR(st.st_mode);
	case FD_EVENT:
		/* an anonymous inode has no file type */
		return (st.st_mode & S_IFMT) == 0;
	}
	return false;
}

static int close_between(unsigned int first, unsigned int last)
{
	if (first > last)
		return 0;
	return close_range(first, last, 0) < 0 ? -errno : 0;
}

static const struct fd_row *row_of(const struct fd_row *rows, size_t n, unsigned int fd)
{
	for (size_t i = 0; i < n; i++)
		if (rows[i].fd == (int)fd)
			return &rows[i];
	return NULL;
}

/* Closes everything from 3 on that the table does not name. */
static int close_unlisted(const struct fd_row *rows, size_t n)
{
	unsigned int top = 2;

	for (size_t i = 0; i < n; i++)
		if ((unsigned int)rows[i].fd > top)
			top = (unsigned int)rows[i].fd;
	for (unsigned int fd = 3; fd <= top; fd++)
		if (!row_of(rows, n, fd))
			close((int)fd);
	return close_between(top + 1, ~0U);
}

int fds_adopt(const struct fd_row *rows, size_t n, const struct fd_row **ret_bad)
{
	for (size_t i = 0; i < n; i++) {
		if (fcntl(rows[i].fd, F_GETFD) < 0) {
			if (rows[i].optional)
				continue;
		} else if (fd_is(rows[i].fd, rows[i].kind) &&
			   fcntl(rows[i].fd, F_SETFD, FD_CLOEXEC) == 0) {
			continue;
		}
		if (ret_bad)
			*ret_bad = &rows[i];
		return -EBADF;
	}
	return close_unlisted(rows, n);
}

int fds_place(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, (int)n); /* out of the way of the others */
		if (fds[i] < 0)
			return -errno;
	}
	for (size_t i = 0; i < n; i++)
		if (dup2(fds[i], (int)i) < 0)
			return -errno;
	return close_between((unsigned int)n, ~0U);
}

bool fd_unshare_output(int fd)
{
	char path[32];
	struct stat st;
	int own;

	if (fstat(fd, &st) < 0 || (!S_ISFIFO(st.st_mode) && !isatty(fd)))
		return false;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (own < 0)
		return false;
	if (dup2(own, fd) < 0) {
		close(own);
		return false;
	}
	close(own);
	return true;
}

int fd_set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

int fd_only_nonblock(int fd)
{
	return fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

int fd_event_check(int fd)
{
	struct stat st;

	if (fd_stat(fd, &st) < 0 || (st.st_mode & S_IFMT) != 0)
		return -EBADF;
	return fd_only_nonblock(fd);
}

ssize_t stream_try(int sock, struct iovec *iov, size_t n, bool send)
{
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = n };
	ssize_t r;

	do
		r = send ? sendmsg(sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT) :
			   recvmsg(sock, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

ssize_t stream_transfer(int sock, struct iovec *iov, size_t n, bool send)
{
	ssize_t r = stream_try(sock, iov, n, send);

	return r > 0 || r == -EAGAIN ? r : -EPIPE;
}

void fds_close(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		closep(&fds[i]);
}

static int wait_writable(int sock)
{
	struct pollfd p = { .fd = sock, .events = POLLOUT };

	if (ppoll(&p, 1, NULL, NULL) < 0 && errno != EINTR)
		return -errno;
	return 0;
}

/* Drops done bytes from the front of the pieces. */
static void iov_advance(struct iovec **iov, size_t *n_iov, size_t done)
{
	while (*n_iov && done >= (*iov)->iov_len) {
		done -= (*iov)->iov_len;
		(*iov)++;
		(*n_iov)--;
	}
	if (*n_iov) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + done;
		(*iov)->iov_len -= done;
	}
}

union fd_cmsg {
	struct cmsghdr align;
	char space[CMSG_SPACE(sizeof(int) * MSG_MAX_FDS)];
};

static void attach_fds(struct msghdr *mh, union fd_cmsg *u, const int *fds, size_t n_fds)
{
	struct cmsghdr *c;

	memset(u, 0, sizeof(*u));
	mh->msg_control = u->space;
	mh->msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
	c = CMSG_FIRSTHDR(mh);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
}

int msg_send(int sock, struct iovec *iov, size_t n_iov, const int *fds, size_t n_fds)
{
	union fd_cmsg u;

	if (n_fds > MSG_MAX_FDS)
		return -EINVAL;
	while (n_iov) {
		struct msghdr mh = { .msg_iov = iov, .msg_iovlen = n_iov };
		ssize_t sent;
		int r;

		if (n_fds)
			attach_fds(&mh, &u, fds, n_fds);
		sent = sendmsg(sock, &mh, MSG_NOSIGNAL);
		if (sent < 0 && errno == EAGAIN) {
			r = wait_writable(sock);
			if (r < 0)
				return r;
			continue;
		}
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return errno == ECONNRESET ? -EPIPE : -errno;
		n_fds = 0; /* they went with the first byte */
		iov_advance(&iov, &n_iov, (size_t)sent);
	}
	return 0;
}

/* Collects descriptors; the kernel caps them at what the control buffer holds. */
static size_t collect_fds(struct msghdr *mh, int fds[MSG_MAX_FDS])
{
	size_t n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		size_t k;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		k = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < k && n < MSG_MAX_FDS; i++)
			memcpy(&fds[n++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
	}
	return n;
}

/* A peer that ended with messages unread has ours fail once with ECONNRESET; packets that it sent
 * before are still there behind that. */
static ssize_t recv_past_reset(int sock, struct msghdr *mh, int flags)
{
	bool reset = false;
	ssize_t got;

	for (;;) {
		got = recvmsg(sock, mh, flags | MSG_CMSG_CLOEXEC);
		if (got >= 0 || (errno != EINTR && (errno != ECONNRESET || reset)))
			return got;
		reset = reset || errno == ECONNRESET;
	}
}

ssize_t msg_recv(int sock, void *buf, size_t len, int fds[MSG_MAX_FDS], size_t *ret_n_fds,
		 int flags)
{
	struct iovec iov = { buf, len };
	union fd_cmsg u;
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = u.space,
			     .msg_controllen = sizeof(u.space) };
	ssize_t got = recv_past_reset(sock, &mh, flags);
	size_t n;

	if (got < 0)
		return errno == ECONNRESET ? 0 : -errno;
	n = collect_fds(&mh, fds);
	if (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		fds_close(fds, n);
		return -EBADMSG;
	}
	*ret_n_fds = n;
	return got;
}

#define STREAM_TIMEOUT_S 1

/* The system call itself takes what it waited off *timeout, which the C library hides: so a sender
 * of single bytes has no more time than a silent one, and nobody asks for the time. */
static bool more_comes(int sock, struct timespec *timeout)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };
	long r;

	do
		r = syscall(SYS_ppoll, &p, 1, timeout, NULL, 0);
	while (r < 0 && errno == EINTR);
	return r > 0;
}

/* One piece, at least a byte; as msg_recv, with the descriptors appended. */
static ssize_t recv_piece(int sock, void *buf, size_t len, int *fds, size_t *n_fds, int flags)
{
	int more[MSG_MAX_FDS];
	size_t n_more = 0;
	ssize_t got = msg_recv(sock, buf, len, more, &n_more, flags);

	if (got < 0)
		return got;
	if (n_more > MSG_MAX_FDS - *n_fds) {
		fds_close(more, n_more);
		return -EBADMSG;
	}
	memcpy(fds + *n_fds, more, n_more * sizeof(more[0]));
	*n_fds += n_more;
	return got;
}

int stream_recv(int sock, void *buf, size_t len, int fds[MSG_MAX_FDS], size_t *n_fds, bool midway)
{
	struct timespec timeout = { .tv_sec = STREAM_TIMEOUT_S };
	uint8_t *to = buf;
	ssize_t got = 1;

	while (len) {
		got = recv_piece(sock, to, len, fds, n_fds, midway ? MSG_DONTWAIT : 0);
		if (got == -EAGAIN && midway && more_comes(sock, &timeout))
			continue;
		if (got <= 0)
			break;
		to += got;
		len -= (size_t)got;
		midway = true;
	}
	if (got > 0)
		return 1;
	fds_close(fds, *n_fds);
	*n_fds = 0;
	return midway && (got == 0 || got == -EAGAIN) ? -EBADMSG : (int)got;
}
