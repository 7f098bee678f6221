/* SPDX-License-Identifier: Apache-2.0 */
/* The connection to the server; see link.h. */
#include "lib/storagekit/link.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/storagekit/dial.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

_Static_assert(STORAGE_SLOTS <= LASTING_SLOTS, "none has to wait for one");
_Static_assert(STORAGE_DATA_MAX <= JOURNAL_BYTES, "each fits");

static bool is_in(const struct link *l, enum link_state state)
{
	return l->of->state(l->client) == state;
}

/* ---- the first one ---- */

static int ask(const struct link *l)
{
	struct iovec iov = { (char[]){ "c" }, 1 };

	return msg_send(l->dialer_fd, &iov, 1, NULL, 0);
}

/* Its answer: a socket, or what the dialer was told. */
static int take_answer(const struct link *l, struct dial_answer *ret, int flags)
{
	uint8_t wire[DIAL_ANSWER_LEN];
	int fds[MSG_MAX_FDS];
	size_t n = 0;
	ssize_t got = msg_recv(l->dialer_fd, wire, sizeof(wire), fds, &n, flags);

	if (got < 0)
		return (int)got;
	if (got == 0)
		return -ENOTCONN;
	if (dial_decode(wire, (size_t)got, n, ret) < 0) {
		fds_close(fds, n);
		return -EBADMSG;
	}
	return ret->error ? ret->error : fds[0];
}

/* One address. 0, or a negative errno; *ret_addresses how many there are. */
static int try_one(struct link *l, int control_fd, unsigned int *ret_addresses)
{
	struct dial_answer a = { .addresses = 1 };
	struct pollfd p[] = { { .fd = l->dialer_fd, .events = POLLIN },
			      { .fd = control_fd, .events = POLLIN } };
	int r = ask(l);

	if (r == 0 && ppoll(p, ARRAY_SIZE(p), NULL, NULL) < 0)
		r = -errno;
	if (r == 0 && p[1].revents)
		return -ECANCELED;
	if (r == 0)
		r = take_answer(l, &a, 0);
	*ret_addresses = a.addresses;
	if (r < 0)
		return r;
	r = l->of->connect(l->client, r);
	return r < 0 ? r : l->of->await(l->client, control_fd, LINK_PATIENCE_MS);
}

int link_connect(struct link *l, int control_fd, struct link_error *e)
{
	unsigned int n = 1;
	int r = -ENOTCONN;

	for (unsigned int i = 0; i < n && r < 0 && r != -ECANCELED; i++)
		r = try_one(l, control_fd, &n);
	if (r < 0)
		l->of->explain(l->client, r, e);
	return r;
}

/* ---- another one ---- */

static int set_timer(struct link *l, unsigned int ms)
{
	const struct itimerspec t = {
		.it_value = { ms / 1000, (long)(ms % 1000) * 1000000L },
	};

	l->armed_ms = ms;
	return timerfd_settime(l->timer_fd, 0, &t, NULL) < 0 ? -errno : 0;
}

/* What waits for it. */
static void report(struct link *l)
{
	lasting_fail(&l->lasting, -EIO);
	storage_completed(l->storage);
}

/* What waits for it does so until the VM's user wants it to go on. */
static void stop(struct link *l)
{
	struct link_error e = { "" };

	if (l->stopped)
		return;
	l->stopped = true;
	l->of->explain(l->client, l->last, &e);
	l->tell(&e);
}

static void look_at_bound(struct link *l)
{
	if (l->on_away == LINK_RETRY || l->away_ms < l->bound_ms)
		return;
	l->pause_ms = LINK_NOTICE_MS; /* who waits then is not to do so for longer than it takes */
	if (l->on_away == LINK_REPORT)
		report(l);
	else
		stop(l);
}

void link_found(struct link *l)
{
	lasting_found(&l->lasting);
}

/* What it had acknowledged is there. */
static void on_whole(void *owner)
{
	struct link *l = owner;

	if (l->stopped)
		l->tell(NULL);
	l->stopped = false;
}

/* Sooner or later, as often as it failed. */
static int pause_and_retry(struct link *l)
{
	unsigned int ms = l->pause_ms;

	l->pause_ms = ms * 2 < LINK_PAUSE_MAX_MS ? ms * 2 : LINK_PAUSE_MAX_MS;
	return set_timer(l, ms);
}

/* The client's is gone. What was under way waits, and the client knows nothing of it any more. */
static void put_aside(struct link *l)
{
	storage_forget_image(l->storage);
	lasting_lost(&l->lasting);
	l->of->fail(l->client, -ENOTCONN);
}

/* It does not take again what it has lost, which it may do later. */
static void on_refused(void *owner, int error)
{
	struct link *l = owner;
	struct link_error e = { "" };

	l->of->hang_up(l->client);
	put_aside(l);
	l->last = error;
	l->of->explain(l->client, error, &e);
	if (!l->told_refused)
		log_line(
			LOG_LEVEL_WARNING,
			"%s: what it had acknowledged and lost is not taken again: the disk waits for it",
			e.text);
	l->told = l->told_refused = true;
	(void)!pause_and_retry(l);
}

void link_lost(struct link *l, int error)
{
	struct link_error e = { "" };

	if (!l->storage)
		return; /* the first one: who awaits it is told */
	put_aside(l);
	l->last = error;
	if (l->of->served && l->of->served(l->client)) { /* it does not only come and go */
		l->away_ms = 0;
		l->pause_ms = LINK_PAUSE_MIN_MS;
	}
	if (!l->told) {
		l->of->explain(l->client, error, &e);
		log_line(LOG_LEVEL_WARNING, "%s: the disk waits for it", e.text);
	}
	l->told = true;
	(void)!pause_and_retry(l);
}

/* It has stayed up for as long as a server is waited for. */
static int settle(struct link *l)
{
	l->pause_ms = LINK_PAUSE_MIN_MS;
	l->away_ms = 0;
	if (l->told)
		log_line(LOG_LEVEL_INFO, "the %s is there again", l->of->server);
	l->told = l->told_refused = false;
	return 0;
}

static int fail_alone(struct link *l)
{
	*l->ret_why = "the server is away, and so is the dialer";
	return -ENOTCONN;
}

static int watch(struct link *l)
{
	lasting_look(&l->lasting);
	return storage_watch_image(l->storage);
}

/* It has not come up in time, or is to be tried. */
static int on_timer(struct loop_source *src, uint32_t events)
{
	struct link *l = src->owner;
	uint64_t ticks;

	(void)events;
	if (read(l->timer_fd, &ticks, sizeof(ticks)) != sizeof(ticks))
		return 0;
	if (is_in(l, LINK_UP))
		return settle(l);
	if (l->asked)
		return 0; /* the dialer never waits for a server */
	if (l->alone)
		return fail_alone(l);
	if (!is_in(l, LINK_GONE)) {
		l->of->hang_up(l->client);
		put_aside(l);
		l->last = -ETIMEDOUT;
	}
	l->away_ms += l->away_ms < l->bound_ms ? l->armed_ms : 0;
	look_at_bound(l);
	l->asked = true;
	return ask(l);
}

/* The connection that there is serves on; when that is lost, too, the process ends. */
static int lose_dialer(struct link *l)
{
	if (!is_in(l, LINK_UP))
		return fail_alone(l);
	loop_remove(l->loop, &l->dialer);
	l->alone = true;
	/* the supervisor says so to its user */
	log_line(LOG_LEVEL_INFO,
		 "the dialer has ended: a connection that is lost will not be made again");
	return 0;
}

static int on_dialer(struct loop_source *src, uint32_t events)
{
	struct link *l = src->owner;
	struct dial_answer a;
	int r = take_answer(l, &a, MSG_DONTWAIT);

	(void)events;
	if (r == -EAGAIN)
		return 0;
	if (r == -ENOTCONN)
		return lose_dialer(l);
	if (r == -EBADMSG || !l->asked)
		return r < 0 ? r : -EBADMSG;
	l->asked = false;
	if (r < 0) {
		l->last = r;
		return pause_and_retry(l);
	}
	r = l->of->connect(l->client, r);
	if (r == 0)
		r = watch(l);
	/* by then it is up, or given up */
	return r < 0 ? r : set_timer(l, LINK_PATIENCE_MS);
}

int link_keep(struct link *l, struct storage *s)
{
	int r;

	l->storage = s;
	r = watch(l);
	if (r == 0)
		r = loop_add(l->loop, &l->timer, l->timer_fd, EPOLLIN, on_timer, l);
	if (r == 0)
		r = loop_add(l->loop, &l->dialer, l->dialer_fd, EPOLLIN, on_dialer, l);
	return r;
}

int link_open(struct link *l, const struct link_client *of, void *client, struct image *image,
	      int dialer_fd, struct loop *loop)
{
	*l = (struct link){ .of = of,
			    .client = client,
			    .loop = loop,
			    .dialer_fd = dialer_fd,
			    .pause_ms = LINK_PAUSE_MIN_MS };
	l->timer.fd = l->dialer.fd = -1;
	lasting_open(&l->lasting, image);
	l->lasting.whole = on_whole;
	l->lasting.refused = on_refused;
	l->lasting.owner = l;
	l->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return l->timer_fd < 0 ? -errno : 0;
}

void link_bound(struct link *l, enum link_away on_away, unsigned int seconds)
{
	l->on_away = on_away;
	l->bound_ms = seconds * 1000;
}
