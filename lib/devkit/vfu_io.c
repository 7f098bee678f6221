/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vfio-user server's bytes; see vfu_server.h. Many posted writes come with one receive. On a
 * stream, descriptors arrive with the bytes that they were sent with, and the kernel ends a receive
 * there; so they belong to the last message that has started, and until that one is whole nothing
 * past its end is received.
 */
#include "lib/devkit/vfu_internal.h"

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

_Static_assert(VFU_RX_CAP >= VFU_HEADER_LEN + VFU_PAYLOAD_MAX, "a message must fit");

int vfu_blame(struct vfu_server *s, const char *why)
{
	if (!s->why)
		s->why = why;
	if (s->ret_why)
		*s->ret_why = s->why;
	return -EBADMSG;
}

/* How much may be received now; never 0, as a whole message is handled before. */
static size_t receive_room(const struct vfu_server *s)
{
	struct vfu_header h;
	int r;

	if (!s->n_fds)
		return sizeof(s->rx) - s->rx_len;
	if (s->rx_len < VFU_HEADER_LEN)
		return VFU_HEADER_LEN - s->rx_len;
	r = vfu_decode_header(s->rx, &h);
	if ((r < 0 && r != -EOPNOTSUPP) || h.size <= s->rx_len)
		return 1;
	return h.size - s->rx_len;
}

int vfu_receive(struct vfu_server *s)
{
	int fds[MSG_MAX_FDS];
	size_t n = 0;
	ssize_t got;

	got = msg_recv(s->sock, s->rx + s->rx_len, receive_room(s), fds, &n, MSG_DONTWAIT);
	if (got == -EBADMSG)
		return vfu_blame(s, "too many descriptors");
	if (got < 0)
		return (int)got;
	if (n > ARRAY_SIZE(s->fds) - s->n_fds) {
		fds_close(fds, n);
		return vfu_blame(s, "too many descriptors");
	}
	memcpy(s->fds + s->n_fds, fds, n * sizeof(fds[0]));
	s->n_fds += n;
	s->rx_len += (size_t)got;
	return got > 0;
}

int vfu_next(struct vfu_server *s, struct vfu_msg *ret, size_t *ret_size)
{
	struct vfu_header h;
	int r;

	if (s->rx_len < VFU_HEADER_LEN)
		return 0;
	r = vfu_decode_header(s->rx, &h);
	if (r < 0 && r != -EOPNOTSUPP)
		return vfu_blame(s, "a malformed header");
	if (h.size < VFU_HEADER_LEN || h.size > VFU_HEADER_LEN + VFU_PAYLOAD_MAX)
		return vfu_blame(s, "a message of a wrong size");
	if (s->rx_len < h.size)
		return 0;
	*ret_size = h.size;
	if (r < 0) {
		*ret = (struct vfu_msg){ .id = h.id,
					 .command = h.command,
					 .no_reply = h.flags & VFU_FLAG_NO_REPLY };
		return r;
	}
	if (vfu_decode(&h, s->rx + VFU_HEADER_LEN, h.size - VFU_HEADER_LEN, ret) < 0)
		return vfu_blame(s, "a malformed message");
	return 1;
}

void vfu_consume(struct vfu_server *s, size_t size)
{
	if (size == s->rx_len) {
		fds_close(s->fds, s->n_fds);
		s->n_fds = 0;
	}
	s->rx_len -= size;
	memmove(s->rx, s->rx + size, s->rx_len);
}

static void attach_fd(struct msghdr *mh, char *space, size_t space_len, int fd)
{
	struct cmsghdr *c;

	mh->msg_control = space;
	mh->msg_controllen = space_len;
	c = CMSG_FIRSTHDR(mh);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
}

static int send_now(struct vfu_server *s, uint8_t *wire, size_t len, int fd)
{
	_Alignas(struct cmsghdr) char space[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { wire, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t sent;

	if (fd >= 0)
		attach_fd(&mh, space, sizeof(space), fd);
	do
		sent = sendmsg(s->sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent == (ssize_t)len)
		return 0;
	/* A client that is gone is found by the next receive. */
	if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
		return 0;
	return vfu_blame(s, "replies that are not read");
}

int vfu_answer(struct vfu_server *s, const struct vfu_msg *m, int fd)
{
	uint8_t wire[VFU_HEADER_LEN + VFU_PAYLOAD_MAX];
	int len = vfu_encode(m, wire, sizeof(wire));

	return len < 0 ? len : send_now(s, wire, (size_t)len, fd);
}

int vfu_answer_error(struct vfu_server *s, const struct vfu_msg *request, int error_no)
{
	uint8_t wire[VFU_HEADER_LEN];
	struct bytes_writer w = bytes_writer(wire, sizeof(wire));

	if (request->no_reply)
		return 0;
	bytes_put16(&w, request->id);
	bytes_put16(&w, request->command);
	bytes_put32(&w, VFU_HEADER_LEN);
	bytes_put32(&w, VFU_FLAG_TYPE_REPLY | VFU_FLAG_ERROR);
	bytes_put32(&w, (uint32_t)error_no);
	return send_now(s, wire, sizeof(wire), -1);
}

static int handle_all(struct vfu_server *s)
{
	for (;;) {
		struct vfu_msg m;
		size_t size;
		size_t n_fds;
		int r = vfu_next(s, &m, &size);

		if (r < 0 && r != -EOPNOTSUPP)
			return r;
		if (r == 0)
			return 0;
		n_fds = size == s->rx_len ? s->n_fds : 0;
		r = r < 0 ? vfu_refuse(s, &m, n_fds) : vfu_dispatch(s, &m, s->fds, n_fds);
		if (r < 0)
			return r;
		vfu_consume(s, size);
	}
}

int vfu_server_pass(struct vfu_server *s)
{
	int r, r2;

	if (s->sock < 0 || s->why) /* nothing is taken from a client that was let go */
		return 0;
	r = vfu_receive(s);
	if (r == 0 && s->rx_len)
		return vfu_blame(s, "half a message at the end");
	if (r <= 0)
		return r;
	r2 = handle_all(s);
	if (s->ops->settle)
		s->ops->settle(s->owner);
	return r2 < 0 ? r2 : r;
}

static int on_channel(struct loop_source *src, uint32_t events)
{
	struct vfu_server *s = src->owner;
	int r = vfu_server_pass(s);

	(void)events;
	if (r == -EAGAIN || r > 0)
		return 0;
	loop_remove(s->loop, src);
	if (r == 0)
		loop_stop(s->loop, 0);
	return r;
}

static bool spec_valid(const struct vfu_spec *spec)
{
	if (spec->n_irqs > VFU_MAX_IRQS)
		return false;
	for (uint32_t i = 0; i < spec->n_regions; i++) {
		const struct vfu_region *g = &spec->regions[i];

		if (g->widths & ~0xfU || g->n_sparse > VFU_MAX_SPARSE)
			return false;
		if ((g->page_fd >= 0) != (g->n_sparse > 0))
			return false;
	}
	return true;
}

int vfu_server_open(struct vfu_server *s, const struct vfu_spec *spec, const struct vfu_ops *ops,
		    void *owner, struct loop *loop, int sock)
{
	if (!spec_valid(spec))
		return -EINVAL;
	s->spec = spec;
	s->ops = ops;
	s->owner = owner;
	s->loop = loop;
	s->sock = sock;
	s->state = VFU_STATE_START;
	s->why = NULL;
	s->ret_why = NULL;
	s->n_fds = 0;
	s->rx_len = 0;
	for (size_t i = 0; i < VFU_MAX_IRQS; i++)
		s->irq_fd[i] = -1;
	return loop_add(loop, &s->channel, sock, EPOLLIN, on_channel, s);
}

void vfu_server_close(struct vfu_server *s)
{
	loop_remove(s->loop, &s->channel);
	closep(&s->sock);
	fds_close(s->fds, s->n_fds);
	s->n_fds = 0;
	fds_close(s->irq_fd, VFU_MAX_IRQS);
}

int vfu_page_create(const char *name, size_t size, int *ret_fd, uint8_t **ret_page)
{
	_cleanup_(closep) int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *page;

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		return -errno;
	page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return -errno;
	if (fcntl(fd, F_ADD_SEALS,
		  F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0) {
		int r = -errno;

		munmap(page, size);
		return r;
	}
	*ret_fd = take_fd(&fd);
	*ret_page = page;
	return 0;
}
