/* SPDX-License-Identifier: Apache-2.0 */
/* The relay between the user's terminal and the console's stream; see terminal.h. */
#include "cmd/bulkhead/terminal.h"

#include "cmd/bulkhead/termmode.h"
#include "cmd/bulkhead/termout.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLOSE_IDLE_MS 1000
/* What a blocking standard output surely takes once it is writable. */
#define BLOCKING_CHUNK 256
#define MOVES_PER_EVENT 8
/* After raw output: no attributes, and the cursor shown. */
#define RAW_RESET "\033[0m\033[?25h"

static int on_in(struct loop_source *src, uint32_t events);
static int on_out(struct loop_source *src, uint32_t events);
static int on_stream(struct loop_source *src, uint32_t events);

/* ---- moving bytes ---- */

/* Standard output that could not be opened once more, and may block: ask before every write. */
static bool out_would_block(const struct terminal *t)
{
	struct pollfd p = { .fd = t->out_fd, .events = POLLOUT };

	if (t->out_is_ours || t->out_always || t->out_is_socket)
		return false;
	return poll(&p, 1, 0) == 0;
}

static ssize_t write_some(struct terminal *t, const struct iovec *iov)
{
	size_t len = iov->iov_len;

	if (t->out_is_socket)
		return send(t->out_fd, iov->iov_base, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (!t->out_is_ours && !t->out_always && len > BLOCKING_CHUNK)
		len = BLOCKING_CHUNK;
	return write(t->out_fd, iov->iov_base, len);
}

static bool move_out(struct terminal *t)
{
	struct iovec iov[2];
	bool moved = false;

	while (!t->out_status && fifo_peek(&t->out, iov) > 0 && !out_would_block(t)) {
		ssize_t n = write_some(t, &iov[0]);

		if (n > 0) {
			fifo_drop(&t->out, (size_t)n);
			moved = true;
		} else if (n < 0 && errno == EINTR) {
			continue;
		} else {
			if (n == 0 || errno != EAGAIN)
				t->out_status = n ? -errno : -EIO;
			break;
		}
	}
	return moved;
}

static bool out_has_room(const struct terminal *t)
{
	size_t cap = t->take_all ? TERMINAL_LAST_CAP : TERMINAL_OUT_CAP;

	return fifo_used(&t->out) + TERMINAL_CHUNK + TERMFILTER_PENDING_MAX <= cap;
}

static void queue_output(struct terminal *t, const uint8_t *data, size_t len)
{
	uint8_t filtered[TERMINAL_CHUNK + TERMFILTER_PENDING_MAX];

	if (t->filter == TERMINAL_SAFE) {
		len = termfilter_feed(&t->termfilter, data, len, filtered);
		data = filtered;
	}
	(void)!fifo_put(&t->out, data, len); /* fits: out_has_room */
}

static bool move_stream(struct terminal *t)
{
	uint8_t chunk[TERMINAL_CHUNK];
	bool moved = false;

	while (!t->stream_eof && out_has_room(t)) {
		ssize_t n = recv(t->stream, chunk, sizeof(chunk), MSG_DONTWAIT);

		if (n > 0) {
			queue_output(t, chunk, (size_t)n);
			moved = true;
		} else if (n < 0 && errno == EINTR) {
			continue;
		} else if (n < 0 && errno == EAGAIN) {
			break;
		} else {
			t->stream_eof = true;
			t->stream_status = n < 0 && errno != ECONNRESET ? -errno : 0;
		}
	}
	return moved;
}

/* Typed bytes to the stream. A stream that takes no more may still have output to give. */
static void move_in(struct terminal *t)
{
	struct iovec iov[2];

	while (t->stream >= 0 && fifo_peek(&t->in, iov) > 0) {
		ssize_t n = send(t->stream, iov[0].iov_base, iov[0].iov_len,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0)
			fifo_drop(&t->in, (size_t)n);
		else if (errno == EAGAIN)
			break;
		else if (errno != EINTR)
			fifo_clear(&t->in);
	}
}

/* ---- what to wait for ---- */

/* Waiting for nothing must be no registration at all, or a hang-up would spin the loop. Standard
 * output is different: its hang-up is its end, so that it is waited for at all times. */
static int want(struct terminal *t, struct loop_source *src, int fd, uint32_t events, loop_fn fn)
{
	if (!events) {
		loop_remove(t->loop, src);
		return 0;
	}
	return src->fd >= 0 ? loop_set(t->loop, src, events) :
			      loop_add(t->loop, src, fd, events, fn, t);
}

static int want_output(struct terminal *t)
{
	uint32_t events = fifo_used(&t->out) ? EPOLLOUT : 0;

	if (t->out_status || t->out_always)
		return want(t, &t->out_src, t->out_fd, 0, on_out);
	if (t->out_src.fd >= 0)
		return loop_set(t->loop, &t->out_src, events);
	return loop_add(t->loop, &t->out_src, t->out_fd, events, on_out, t);
}

static bool in_has_room(const struct terminal *t)
{
	return t->in_is_tty || fifo_space(&t->in) > 0;
}

static int want_stream(struct terminal *t)
{
	uint32_t events = 0;

	if (t->stream < 0)
		return 0;
	if (!t->stream_eof && out_has_room(t))
		events |= EPOLLIN;
	if (fifo_used(&t->in) || (t->in_always && !t->in_eof))
		events |= EPOLLOUT;
	return want(t, &t->stream_src, t->stream, events, on_stream);
}

static int end_stream(struct terminal *t, int status)
{
	loop_remove(t->loop, &t->stream_src);
	closep(&t->stream);
	t->stream_eof = false;
	fifo_clear(&t->in);
	return t->ops->on_end ? t->ops->on_end(t, status) : 0;
}

static int read_input(struct terminal *t);

/* Moves what can move, within bounds, so that a guest that never stops talking leaves the loop time
 * for the escape key and the caller's sources. */
static int move_all(struct terminal *t)
{
	for (int i = 0; i < MOVES_PER_EVENT; i++) {
		move_out(t);
		if (t->in_always && !t->in_eof && in_has_room(t)) {
			int r = read_input(t);

			if (r < 0)
				return r;
		}
		move_in(t);
		if (t->stream < 0 || !move_stream(t))
			break;
	}
	move_out(t);
	return 0;
}

static int want_all(struct terminal *t)
{
	int r = want_output(t);

	if (r == 0 && !t->in_always)
		r = want(t, &t->in_src, t->in_fd, !t->in_eof && in_has_room(t) ? EPOLLIN : 0,
			 on_in);
	if (r == 0)
		r = want_stream(t);
	return r;
}

/* After any event: moves what can, waits for the rest, and says when it is over. */
static int settle(struct terminal *t)
{
	int r = move_all(t);

	if (r == 0)
		r = want_all(t);
	if (r < 0 || t->stream < 0)
		return r;
	if (t->out_status)
		return end_stream(t, t->out_status);
	if (t->stream_eof && !fifo_used(&t->out))
		return end_stream(t, t->stream_status);
	return 0;
}

/* ---- sources ---- */

static int do_key(struct terminal *t, enum escape_key key)
{
	if (key == ESCAPE_HELP && t->help)
		(void)!fifo_put(&t->out, t->help, strlen(t->help));
	if (key == ESCAPE_QUIT && t->ops->on_quit)
		return t->ops->on_quit(t, ++t->quits);
	return 0;
}

static int take_typed(struct terminal *t, const uint8_t *data, size_t len)
{
	uint8_t bytes[TERMINAL_IN_CAP];

	while (len && t->loop) {
		enum escape_key key;
		size_t n;
		size_t took = escape_feed(&t->escape, data, len, bytes, &n, &key);
		int r;

		if (t->stream >= 0)
			(void)!fifo_put(&t->in, bytes, n);
		data += took;
		len -= took;
		r = do_key(t, key);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Reads standard input once. */
static int read_input(struct terminal *t)
{
	uint8_t chunk[TERMINAL_IN_CAP];
	size_t room = t->in_is_tty ? sizeof(chunk) : fifo_space(&t->in);
	ssize_t n = read(t->in_fd, chunk, room);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0) {
		t->in_eof = true;
		return 0;
	}
	if (t->in_is_tty)
		return take_typed(t, chunk, (size_t)n);
	(void)!fifo_put(&t->in, chunk, (size_t)n);
	return 0;
}

static int on_in(struct loop_source *src, uint32_t events)
{
	struct terminal *t = src->owner;
	int r = read_input(t);

	(void)events;
	return r < 0 || !t->loop ? r : settle(t);
}

static int on_out(struct loop_source *src, uint32_t events)
{
	struct terminal *t = src->owner;

	if (events & (EPOLLERR | EPOLLHUP) && !move_out(t) && !t->out_status)
		t->out_status = -EPIPE;
	return settle(t);
}

static int on_stream(struct loop_source *src, uint32_t events)
{
	(void)events;
	return settle(src->owner);
}

/* ---- start and end ---- */

/* Whether epoll can wait for fd: *ret says false for a file that is always ready. */
static int probe(struct terminal *t, int fd, uint32_t events, loop_fn fn, bool *ret_always)
{
	struct loop_source src = { .fd = -1 };
	int r = loop_add(t->loop, &src, fd, events, fn, t);

	if (r < 0 && r != -EPERM)
		return r;
	*ret_always = r == -EPERM;
	loop_remove(t->loop, &src);
	return 0;
}

static void prepare(struct terminal *t, struct loop *l, const struct terminal_config *config)
{
	t->owner = config->owner;
	t->loop = l;
	t->ops = config->ops;
	t->help = config->help;
	t->filter = config->filter;
	t->in_is_tty = isatty(STDIN_FILENO);
	t->out_is_tty = isatty(STDOUT_FILENO);
	t->in_eof = t->take_all = false;
	t->in_always = t->out_always = t->out_is_ours = t->out_is_socket = false;
	t->out_status = 0;
	t->in_fd = STDIN_FILENO;
	t->stream = -1;
	t->stream_eof = false;
	t->stream_status = 0;
	t->quits = 0;
	t->in_src.fd = t->out_src.fd = t->stream_src.fd = -1;
	escape_init(&t->escape);
	termfilter_init(&t->termfilter, termout_is_utf8());
	fifo_init(&t->in, t->in_buf, sizeof(t->in_buf));
	fifo_init(&t->out, t->out_buf, sizeof(t->out_buf));
}

static int start(struct terminal *t, int stream)
{
	int r = probe(t, t->in_fd, EPOLLIN, on_in, &t->in_always);

	if (r == 0)
		r = probe(t, t->out_fd, EPOLLOUT, on_out, &t->out_always);
	if (r == 0 && t->in_is_tty)
		r = termmode_raw(t->in_fd);
	if (r < 0)
		return r;
	t->stream = stream;
	if (stream >= 0)
		r = want(t, &t->stream_src, stream, EPOLLIN | EPOLLOUT, on_stream);
	if (r == 0 && !t->in_always)
		r = want(t, &t->in_src, t->in_fd, EPOLLIN, on_in);
	return r < 0 ? r : want_output(t);
}

int terminal_init(struct terminal *t, struct loop *l, const struct terminal_config *config)
{
	int r;

	prepare(t, l, config);
	termout_open(t);
	r = start(t, config->stream);
	if (r < 0) {
		loop_remove(l, &t->in_src);
		loop_remove(l, &t->out_src);
		loop_remove(l, &t->stream_src);
		termmode_restore();
		termout_close(t);
		t->stream = -1;
		t->loop = NULL;
	}
	return r;
}

int terminal_attach(struct terminal *t, int stream)
{
	struct loop_source src = { .fd = -1 };
	int r = loop_add(t->loop, &src, stream, EPOLLIN, on_stream, t);

	if (r < 0)
		return r;
	loop_remove(t->loop, &src);
	loop_remove(t->loop, &t->stream_src);
	closep(&t->stream);
	t->stream = stream;
	t->stream_eof = false;
	return want(t, &t->stream_src, stream, EPOLLIN | EPOLLOUT, on_stream);
}

/* Outside of the loop: until all is moved, a failure, idle_ms without progress, or stop_fd. */
static int pump(struct terminal *t, int idle_ms, int stop_fd)
{
	for (;;) {
		struct pollfd p[3] = { { .fd = -1 }, { .fd = -1 }, { stop_fd, POLLIN, 0 } };
		int r;

		while (move_out(t) || (t->stream >= 0 && move_stream(t)))
			;
		if (t->out_status)
			return t->out_status;
		if (fifo_used(&t->out))
			p[0] = (struct pollfd){ .fd = t->out_fd, .events = POLLOUT };
		if (t->stream >= 0 && !t->stream_eof && out_has_room(t))
			p[1] = (struct pollfd){ .fd = t->stream, .events = POLLIN };
		if (p[0].fd < 0 && p[1].fd < 0)
			return t->stream >= 0 ? t->stream_status : 0;
		r = poll(p, 3, idle_ms);
		if (r == 0)
			return -ETIMEDOUT;
		if (r > 0 && p[2].revents)
			return -EINTR;
		if (r < 0 && errno != EINTR)
			return -errno;
		if (p[0].revents & (POLLERR | POLLHUP) && !move_out(t))
			return t->out_status ? t->out_status : -EPIPE;
	}
}

void terminal_take_all(struct terminal *t)
{
	t->take_all = true;
	if (t->loop)
		(void)!want_stream(t); /* one that cannot be waited for is drained at the end */
}

int terminal_drain(struct terminal *t, int idle_ms, int stop_fd)
{
	t->take_all = true;
	termmode_restore(); /* what is typed now is for the terminal: Ctrl-C is a signal, Ctrl-Q goes on */
	return pump(t, idle_ms, stop_fd);
}

size_t terminal_drop(struct terminal *t)
{
	size_t n = fifo_used(&t->out);

	fifo_clear(&t->out);
	return n;
}

static void reset_attributes(struct terminal *t)
{
	const char *reset = t->filter == TERMINAL_SAFE ? TERMFILTER_RESET : RAW_RESET;

	if (t->out_is_tty)
		(void)!fifo_put(&t->out, reset, strlen(reset));
}

void terminal_close(struct terminal *t)
{
	int r;

	if (!t->loop)
		return;
	loop_remove(t->loop, &t->stream_src);
	loop_remove(t->loop, &t->in_src);
	loop_remove(t->loop, &t->out_src);
	closep(&t->stream);
	r = pump(t, CLOSE_IDLE_MS, -1);
	reset_attributes(t);
	(void)!pump(t, r == 0 ? CLOSE_IDLE_MS : 0, -1);
	termmode_restore();
	termout_close(t);
	t->loop = NULL;
}
