/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's shared state: RAM, requests, interrupt slots; see machine.h. */
#include "cmd/vmm/machine.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/control/control.h"
#include "lib/declared/declared.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint64_t low_ram(const struct machine *m)
{
	return m->ram_size < LOW_RAM_MAX ? m->ram_size : LOW_RAM_MAX;
}

static int open_ram(struct machine *m)
{
	uint64_t low = low_ram(m);
	int r;

	guestmem_init(&m->mem);
	r = guestmem_add(&m->mem, GPA(0), low, 0, m->ram_fd, 0);
	if (r < 0 || m->ram_size == low)
		return r;
	return guestmem_add(&m->mem, GPA(HIGH_RAM_START), m->ram_size - low, HIGH_RAM_START,
			    m->ram_fd, low);
}

static int on_request(struct loop_source *src, uint32_t events)
{
	struct machine *m = src->owner;

	(void)events;
	loop_stop(&m->loop, 0);
	return 0;
}

static int open_requests(struct machine *m)
{
	m->request_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->request_fd < 0)
		return -errno;
	return loop_add(&m->loop, &m->request_source, m->request_fd, 1 /* EPOLLIN */, on_request,
			m);
}

int machine_open(struct machine *m, const struct accel_ops *ops, int ram_fd, uint64_t ram_size,
		 unsigned int n_vcpus)
{
	int r;

	*m = (struct machine){ .ops = ops,
			       .ram_fd = ram_fd,
			       .request_fd = -1,
			       .control_fd = -1,
			       .ram_size = ram_size,
			       .n_vcpus = n_vcpus };
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->parked, NULL);
	pthread_cond_init(&m->resumed, NULL);
	r = loop_open(&m->loop);
	if (r == 0)
		r = open_requests(m);
	return r < 0 ? r : open_ram(m);
}

/* One pass over the RAM as the host maps it; there are at most two pieces. */
static int ram_pieces(const struct machine *m, struct iovec iov[2], size_t *ret_n)
{
	uint64_t low = low_ram(m);
	size_t n = 0;
	int r = guest_iov(&m->mem, GPA(0), low, iov, &n, 1);

	if (r == 0 && m->ram_size > low)
		r = guest_iov(&m->mem, GPA(HIGH_RAM_START), m->ram_size - low, iov, &n, 2);
	*ret_n = n;
	return r;
}

int machine_add_ram(struct machine *m)
{
	struct iovec iov[2];
	size_t n = 0;
	int r = ram_pieces(m, iov, &n);

	for (size_t i = 0; i < n && r == 0; i++) {
		if (madvise(iov[i].iov_base, iov[i].iov_len, MADV_DONTDUMP) < 0)
			r = -errno;
		else
			r = m->ops->add_ram(m->accel, i ? HIGH_RAM_START : 0, iov[i].iov_base,
					    iov[i].iov_len);
	}
	return r;
}

static_assert(HIGH_RAM_START - LOW_RAM_MAX == GIB(1), "what declared_log_len reckons with");

int machine_keep_log(struct machine *m, int fd)
{
	const uint64_t len = declared_log_len(m->ram_size);
	void *bits;
	int r;

	if (!m->ops->use_log)
		return 0;
	r = fd_map_shared(fd, len, &bits);
	if (r < 0)
		return r;
	m->log = (struct vhost_log){ .fd = fd, .len = len };
	guestmem_set_log(&m->mem, bits, len);
	m->ops->use_log(m->accel, bits, len);
	return 0;
}

void machine_unlogged(struct machine *m, bool from_now_on)
{
	if (m->log.len)
		m->ops->unlogged(m->accel, from_now_on);
}

int machine_clear_ram(struct machine *m)
{
	struct iovec iov[2];
	size_t n = 0;
	int r = ram_pieces(m, iov, &n);

	for (size_t i = 0; i < n && r == 0; i++)
		if (madvise(iov[i].iov_base, iov[i].iov_len, MADV_REMOVE) < 0)
			r = -errno;
	return r;
}

/* The call itself, not the C library's: it takes what was waited off the limit. */
int machine_wait(struct machine *m, int fd, struct timespec *left)
{
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN }, { .fd = m->control_fd } };
	long r;
	int error;

	pthread_mutex_unlock(&m->lock);
	do
		r = syscall(SYS_ppoll, p, 2UL, left, NULL, 0UL);
	while (r < 0 && errno == EINTR);
	error = errno;
	pthread_mutex_lock(&m->lock);
	if (r < 0)
		return -error;
	if (p[1].revents)
		return -EPIPE;
	return r ? 0 : -ETIMEDOUT;
}

/* A guest that panicked may go on. */
static bool goes_on(const struct machine *m, unsigned int generation)
{
	return m->generation == generation &&
	       (m->request == MACHINE_RUN || m->request == MACHINE_PANIC);
}

void machine_sleep(struct machine *m)
{
	pthread_cond_wait(&m->resumed, &m->lock);
}

/* Who is about to give its access up for a reset does not stand still yet. */
static void hold_once(struct machine *m)
{
	const bool stands = m->paused;

	m->n_parked += stands;
	if (stands)
		pthread_cond_signal(&m->parked);
	machine_sleep(m);
	m->n_parked -= stands;
}

bool machine_hold(struct machine *m)
{
	const unsigned int generation = m->generation;

	if (!goes_on(m, generation))
		return false;
	do
		hold_once(m);
	while (m->paused && goes_on(m, generation));
	return goes_on(m, generation);
}

void machine_wake(struct machine *m)
{
	pthread_cond_broadcast(&m->resumed);
}

void machine_count_event(struct machine *m, int eventfd)
{
	pthread_mutex_unlock(&m->lock);
	m->ops->count_event(eventfd);
	pthread_mutex_lock(&m->lock);
}

int machine_add_object(struct machine *m, const struct state_ops *ops, void *object)
{
	if (m->n_objects == MACHINE_OBJECTS_MAX)
		return -ENOSPC;
	m->objects[m->n_objects++] = (struct state_object){ ops, object };
	return 0;
}

void machine_remove_object(struct machine *m, const void *object)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->n_objects; i++)
		if (m->objects[i].object != object)
			m->objects[kept++] = m->objects[i];
	m->n_objects = kept;
}

int machine_reset(struct machine *m)
{
	return state_reset_all(m->objects, m->n_objects);
}

int machine_irq_slot(struct machine *m)
{
	for (unsigned int i = 0; i < ACCEL_IRQ_SLOTS; i++) {
		if (m->irq_slots[i])
			continue;
		m->irq_slots[i] = true;
		return (int)i;
	}
	return -ENOSPC;
}

void machine_irq_slot_free(struct machine *m, unsigned int slot)
{
	m->irq_slots[slot] = false;
}

void machine_request(struct machine *m, enum machine_request what)
{
	const uint64_t one = 1;

	if (m->request != MACHINE_RUN && what != MACHINE_FAIL)
		return;
	if (m->request == MACHINE_FAIL)
		return;
	m->request = what;
	m->paused = true; /* the guest does not run on past what it asked for */
	(void)!write(m->request_fd, &one, sizeof(one));
}

void machine_fail(struct machine *m, const char *fmt, ...)
{
	va_list ap;

	if (m->request == MACHINE_FAIL)
		return;
	va_start(ap, fmt);
	vsnprintf(m->why, sizeof(m->why), fmt, ap);
	va_end(ap);
	machine_request(m, MACHINE_FAIL);
}

static void tell_of(struct machine *m, enum control_type type, unsigned int channel)
{
	const struct control_msg msg = { .type = type, .number = channel };

	if (m->control_fd >= 0)
		(void)!control_send(m->control_fd, &msg, -1);
}

void machine_lost(struct machine *m, unsigned int channel)
{
	tell_of(m, CTL_LOST, channel);
}

void machine_found(struct machine *m, unsigned int channel)
{
	tell_of(m, CTL_FOUND, channel);
}

int machine_reconnect(struct machine *m, unsigned int channel, int sock)
{
	const struct machine_channel *c = channel < MACHINE_CHANNELS_MAX ? &m->channels[channel] :
									   NULL;
	const char *why = NULL;
	int r;

	if (!c || !c->reconnect) {
		close(sock);
		return -EBADMSG;
	}
	r = c->reconnect(c->owner, sock, &why);
	if (r == 0)
		return 0;
	machine_fail(m, "%s: %s", c->name, why ? why : strerrordesc_np(-r));
	return -EIO;
}

int machine_config_changed(struct machine *m, unsigned int channel)
{
	if (channel >= MACHINE_CHANNELS_MAX)
		return -EBADMSG;
	/* its guest may have let go of it meanwhile */
	if (m->channels[channel].config_changed)
		m->channels[channel].config_changed(m->channels[channel].owner);
	return 0;
}

void machine_crash(struct machine *m, const char *why)
{
	if (m->request == MACHINE_RUN)
		snprintf(m->why, sizeof(m->why), "%s", why);
	machine_request(m, MACHINE_CRASH);
}
