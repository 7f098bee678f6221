/* SPDX-License-Identifier: Apache-2.0 */
/* The UART's ports in front of a vfio-user server; see serial.h. */
#include "cmd/vmm/platform/serial.h"

#include "cmd/vmm/event.h"
#include "cmd/vmm/platform/peer.h"
#include "cmd/vmm/platform/remote.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#define UART_PORTS 8
#define UART_THR 0
#define UART_MCR 4
#define MCR_LOOP 0x10

/*
 * A byte for the transmitter is posted, so the shared line status may still call it empty. After
 * this many the next look goes by message, behind all of them: what can be on its way when the
 * transmitter is full stays small, whatever the guest's speed.
 */
#define POSTED_MAX 16

/*
 * Posted bytes go to the server together: when POSTED_MAX wait, before any message, or this long
 * after the first of them.
 */
#define POST_DELAY_NS 1000000

struct serial {
	struct machine *m;
	struct remote remote;
	unsigned int posted;
	bool loopback; /* what is transmitted shows in the shared registers: nothing is posted */
	int irq_fd;
	int flush_fd; /* timer: bytes have waited long enough */
	struct loop_source flush;
	struct loop_source irq;
};

static void set_timer(const struct serial *s, time_t seconds, long ns)
{
	const struct itimerspec t = { .it_value = { seconds, ns } };

	(void)timerfd_settime(s->flush_fd, 0, &t, NULL);
}

/* ---- the guest's accesses, which wait while the process is away ---- */

static bool carry_out(struct serial *s, struct vfio_access *a)
{
	if (!remote_carry_out(&s->remote, a))
		return false;
	s->posted = 0;
	return true;
}

static uint64_t serial_read(void *owner, uint64_t offset, unsigned int width)
{
	struct serial *s = owner;
	struct vfio_access a = vfio_access_read8(offset);
	uint8_t value;

	if (width != 1 || !remote_is_there(&s->remote))
		return UINT64_MAX;
	if (s->posted < POSTED_MAX && vfio_client_peek8(&s->remote.client, offset, &value))
		return value;
	return carry_out(s, &a) ? a.value : UINT64_MAX;
}

/* Only the transmitter's bytes are posted: after any other write the shared registers must already
 * show what it did. */
static int post(struct serial *s, uint8_t byte)
{
	int r = vfio_client_post8(&s->remote.client, UART_THR, byte);

	if (r == 0 && vfio_client_waiting(&s->remote.client) == 1)
		set_timer(s, 0, POST_DELAY_NS);
	if (s->posted < POSTED_MAX)
		s->posted++;
	return r;
}

static void serial_write(void *owner, uint64_t offset, unsigned int width, uint64_t value)
{
	struct serial *s = owner;
	struct vfio_access a = vfio_access_write8(offset, (uint8_t)value);
	int r = -ENOSPC;

	if (width != 1 || !remote_is_there(&s->remote))
		return;
	if (offset == UART_MCR)
		s->loopback = value & MCR_LOOP;
	if (offset == UART_THR && !s->loopback)
		r = post(s, (uint8_t)value);
	if (r == -ENOSPC)
		(void)!carry_out(s, &a);
	else
		(void)!remote_outcome(&s->remote, r);
}

void serial_flush(struct serial *s)
{
	(void)!remote_outcome(&s->remote, vfio_client_flush(&s->remote.client));
}

static int on_flush(struct loop_source *src, uint32_t events)
{
	struct serial *s = src->owner;

	(void)events;
	if (!event_clear(s->flush_fd)) /* it was set anew */
		return 0;
	if (!s->remote.away)
		serial_flush(s);
	return 0;
}

static const struct bus_ops serial_bus_ops = { .read = serial_read, .write = serial_write };

/* Edge-triggered in the loop and never read: the server shares the eventfd, and could make a read
 * of it wait. */
static int on_irq(struct loop_source *src, uint32_t events)
{
	struct serial *s = src->owner;

	if (events & EPOLLIN)
		ioapic_pulse(&s->m->ioapic, GSI_SERIAL);
	return 0;
}

/* ---- state: what is on its way; the registers are the server's ---- */

struct image {
	uint8_t posted;
	uint8_t loopback;
};

static const struct state_field fields[] = {
	STATE_RANGE(struct image, posted, 0, POSTED_MAX),
	STATE_BOOL(struct image, loopback),
};

static const struct state_schema schema = {
	.name = "serial",
	.version = 1,
	.size = sizeof(struct image),
	.fields = fields,
	.n_fields = ARRAY_SIZE(fields),
};

static int serial_reset(void *object)
{
	struct serial *s = object;
	s->posted = 0;
	s->loopback = false;
	return remote_reset(&s->remote);
}

/* What was posted is the server's from then on. */
static int serial_quiesce(void *object)
{
	struct serial *s = object;
	int r = remote_outcome(&s->remote, vfio_client_flush(&s->remote.client));

	return s->remote.away ? -EAGAIN : r;
}

static void serial_save(const void *object, void *image)
{
	const struct serial *s = object;

	*(struct image *)image = (struct image){ (uint8_t)s->posted, s->loopback };
}

static int serial_load(void *object, const void *image, const char **ret_why)
{
	struct serial *s = object;
	const struct image *i = image;

	(void)ret_why;
	s->posted = i->posted;
	s->loopback = i->loopback;
	return 0;
}

static const struct state_ops serial_state = { "serial",       &schema,	    serial_reset,
					       serial_quiesce, serial_save, serial_load };

static int join(struct serial *s)
{
	const struct bus_range ports = { PORT_SERIAL, UART_PORTS, &serial_bus_ops, s };
	int r;

	s->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->irq_fd < 0)
		return -errno;
	s->flush_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (s->flush_fd < 0)
		return -errno;
	r = vfio_client_set_irq(&s->remote.client, s->irq_fd);
	if (r == 0)
		r = loop_add(&s->m->loop, &s->flush, s->flush_fd, EPOLLIN, on_flush, s);
	if (r == 0)
		r = loop_add(&s->m->loop, &s->irq, s->irq_fd, EPOLLIN | EPOLLET, on_irq, s);
	if (r == 0)
		r = remote_watch(&s->remote);
	if (r == 0)
		r = bus_add(&s->m->pio, &ports);
	return r < 0 ? r : machine_add_object(s->m, &serial_state, s);
}

void serial_close(struct serial *s)
{
	loop_remove(&s->m->loop, &s->irq);
	loop_remove(&s->m->loop, &s->flush);
	closep(&s->irq_fd);
	closep(&s->flush_fd);
	remote_close(&s->remote);
	free(s);
}

int serial_open(struct machine *m, int sock, struct serial **ret, const char **ret_why)
{
	struct serial *s = calloc(1, sizeof(*s));
	int r;

	if (!s) {
		close(sock);
		return -ENOMEM;
	}
	s->m = m;
	s->irq_fd = s->flush_fd = s->irq.fd = s->flush.fd = -1;
	s->remote.channel = m->serial_channel;
	r = remote_open(&s->remote, m, "serial console", sock, UART_PORTS, true, ret_why);
	if (r == 0) {
		r = join(s);
		if (r < 0)
			*ret_why = peer_strerror(r);
	}
	if (r < 0) {
		serial_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

int serial_reconnect(struct serial *s, int sock, const char **ret_why)
{
	int r = remote_reconnect(&s->remote, sock, ret_why);

	if (r == 0 && !s->remote.away)
		set_timer(s, 0, 0); /* all that waited has gone */
	return r;
}
