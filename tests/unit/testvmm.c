/* SPDX-License-Identifier: Apache-2.0 */
/* A machine and a back end for tests; see testvmm.h. */
#include "tests/unit/testvmm.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/base/units.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the accelerator ---- */

static int send_msi(struct accel *a, const struct msi *msi)
{
	(void)msi;
	a->n_sent++;
	return 0;
}

static int bind_irq(struct accel *a, unsigned int slot, int fd, const struct msi *msi)
{
	if (slot >= ACCEL_IRQ_SLOTS)
		return -EINVAL;
	if (a->irq[slot].bound && a->irq[slot].fd != fd)
		a->n_faults++;
	a->n_irqs += !a->irq[slot].bound;
	a->irq[slot].bound = true;
	a->irq[slot].fd = fd;
	a->irq[slot].msi = *msi;
	return 0;
}

static int unbind_irq(struct accel *a, unsigned int slot, int fd)
{
	if (!a->irq[slot].bound || a->irq[slot].fd != fd) {
		a->n_faults++;
		return -ENOENT;
	}
	a->irq[slot].bound = false;
	a->n_irqs--;
	return 0;
}

static void settle(struct accel *a)
{
	(void)a;
}

static int bind_notifier(struct accel *a, uint64_t gpa, int fd)
{
	for (unsigned int i = 0; i < TEST_NOTIFIERS; i++)
		if (a->notifier[i].gpa == gpa) {
			a->n_faults++;
			return -EEXIST;
		}
	for (unsigned int i = 0; i < TEST_NOTIFIERS; i++) {
		if (a->notifier[i].gpa)
			continue;
		a->notifier[i].gpa = gpa;
		a->notifier[i].fd = fd;
		a->n_notifiers++;
		return 0;
	}
	return -ENOSPC;
}

static int unbind_notifier(struct accel *a, uint64_t gpa, int fd)
{
	for (unsigned int i = 0; i < TEST_NOTIFIERS; i++)
		if (a->notifier[i].gpa == gpa && a->notifier[i].fd == fd) {
			a->notifier[i].gpa = 0;
			a->n_notifiers--;
			return 0;
		}
	a->n_faults++;
	return -ENOENT;
}

static int set_pin(struct accel *a, unsigned int pin, const struct msi *msi)
{
	(void)a, (void)pin, (void)msi;
	return 0;
}

static void must(bool ok)
{
	if (!ok)
		abort();
}

static struct machine *latest;

static void count_event(int eventfd)
{
	const uint64_t one = 1;

	must(pthread_mutex_trylock(&latest->lock) == 0); /* nobody waits with the lock */
	pthread_mutex_unlock(&latest->lock);
	(void)!write(eventfd, &one, sizeof(one));
}

static int add_rom(struct accel *a, uint64_t gpa, void *host, uint64_t size)
{
	a->rom_gpa = gpa;
	a->rom = host;
	a->rom_size = size;
	return 0;
}

static const struct accel_ops fake_ops = {
	.name = "fake",
	.add_rom = add_rom,
	.msi_send = send_msi,
	.irqfd_bind = bind_irq,
	.irqfd_unbind = unbind_irq,
	.irqfd_settle = settle,
	.ioeventfd_bind = bind_notifier,
	.ioeventfd_unbind = unbind_notifier,
	.set_ioapic_pin = set_pin,
	.count_event = count_event,
};

void test_machine_open(struct machine *m, struct accel *a)
{
	int ram_fd = memfd_create("guest-ram", MFD_CLOEXEC);

	must(ram_fd >= 0 && ftruncate(ram_fd, TEST_RAM) == 0);
	memset(a, 0, sizeof(*a));
	must(machine_open(m, &fake_ops, ram_fd, TEST_RAM, 1) == 0);
	m->accel = a;
	latest = m;
	pthread_mutex_lock(&m->lock); /* as the vmm holds it while it serves */
	ioapic_init(&m->ioapic, m->ops, a);
}

void test_machine_close(struct machine *m)
{
	loop_close(&m->loop);
	guestmem_clear(&m->mem);
	closep(&m->ram_fd);
	closep(&m->request_fd);
	free(m->pci);
	free(m->hotplug);
	pthread_mutex_unlock(&m->lock);
}

/* ---- the back end ---- */

void back_end_init(struct back_end *b)
{
	*b = (struct back_end){
		.sock = -1,
		.features = BIT(32) | BIT(28) | BIT(29) | BIT(VHOST_F_LOG_ALL) |
			    BIT(VHOST_USER_F_PROTOCOL_FEATURES),
		.protocol = BIT(VHOST_USER_PROTOCOL_F_MQ) | BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |
			    BIT(VHOST_USER_PROTOCOL_F_CONFIG) |
			    BIT(VHOST_USER_PROTOCOL_F_RESET_DEVICE) |
			    BIT(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS) |
			    BIT(VHOST_USER_PROTOCOL_F_STATUS) |
			    BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD) |
			    BIT(VHOST_USER_PROTOCOL_F_LOG_SHMFD),
		.log_answer = sizeof(uint64_t),
		.inflight = -1,
		.n_queues = 1,
		.config_len = VU_MAX_CONFIG,
	};
	for (unsigned int i = 0; i < 256; i++)
		b->call_fd[i] = b->kick_fd[i] = b->err_fd[i] = -1;
}

static void send_raw(struct back_end *b, const void *bytes, size_t len, unsigned int n_fds)
{
	struct iovec iov = { (void *)(uintptr_t)bytes, len };
	int fds[MSG_MAX_FDS];

	for (unsigned int i = 0; i < n_fds; i++)
		fds[i] = b->sock;
	(void)!msg_send(b->sock, &iov, 1, fds, n_fds);
}

static void put32(uint8_t *at, uint32_t v)
{
	memcpy(at, &v, sizeof(v));
}

/* False: the connection is over. */
static bool answer_badly(struct back_end *b, struct vu_msg *reply)
{
	uint8_t wire[VU_HEADER_LEN + VU_PAYLOAD_MAX];
	int len;

	if (b->vice == BACK_END_VALUE && reply->request == VHOST_USER_GET_CONFIG)
		reply->config.offset++;
	else if (b->vice == BACK_END_VALUE)
		reply->u64 = UINT64_MAX;
	else if (b->vice == BACK_END_NACK && !vu_has_reply(reply->request))
		reply->u64 = 1;
	len = vu_encode(reply, wire, sizeof(wire));
	must(len > 0);
	switch (b->vice) {
	case BACK_END_SHORT:
		send_raw(b, wire, VU_HEADER_LEN / 2, 0);
		return false;
	case BACK_END_SHORT_BODY:
		send_raw(b, wire, VU_HEADER_LEN + ((size_t)len - VU_HEADER_LEN) / 2, 0);
		return false;
	case BACK_END_CLOSE:
		return false;
	case BACK_END_WRONG_ID:
		put32(wire, reply->request == 1 ? 15 : 1);
		break;
	case BACK_END_NOT_REPLY:
		put32(wire + 4, 1);
		break;
	case BACK_END_VERSION:
		put32(wire + 4, 2 | VU_FLAG_REPLY);
		break;
	case BACK_END_OVERSIZE:
		put32(wire + 8, UINT32_MAX);
		break;
	case BACK_END_UNDERSIZE:
		put32(wire + 8, 3);
		break;
	default:
		break;
	}
	send_raw(b, wire, (size_t)len,
		 b->vice == BACK_END_WITH_FD  ? 1 :
		 b->vice == BACK_END_WITH_FDS ? MSG_MAX_FDS :
						0);
	return true;
}

static void take(int *slot, int *fds)
{
	closep(slot);
	*slot = take_fd(&fds[0]);
}

static void note_ring(struct back_end *b, const struct vu_msg *m, int *fds)
{
	uint32_t index = m->u64 & VU_VRING_IDX_MASK;

	if (m->request == VHOST_USER_SET_VRING_CALL) {
		take(&b->call_fd[index], fds);
	} else if (m->request == VHOST_USER_SET_VRING_ERR) {
		take(&b->err_fd[index], fds);
	} else {
		take(&b->kick_fd[index], fds);
		b->n_misuse += b->running[index];
		b->running[index] = true;
	}
}

static void note(struct back_end *b, const struct vu_msg *m, int *fds)
{
	if (b->n_log < BACK_END_MAX_LOG)
		b->log[b->n_log++] = m->request;
	switch (m->request) {
	case VHOST_USER_SET_FEATURES:
		b->got_features = m->u64;
		for (unsigned int i = 0; i < 256; i++)
			b->n_misuse += b->running[i];
		break;
	case VHOST_USER_SET_PROTOCOL_FEATURES:
		b->got_protocol = m->u64;
		break;
	case VHOST_USER_SET_MEM_TABLE:
		b->mem = *m;
		break;
	case VHOST_USER_SET_VRING_NUM:
		b->n_misuse += b->running[m->state.index & 0xff];
		b->num[m->state.index & 0xff] = m->state.num;
		break;
	case VHOST_USER_SET_VRING_BASE:
		b->n_misuse += b->running[m->state.index & 0xff];
		b->base[m->state.index & 0xff] = m->state.num;
		break;
	case VHOST_USER_SET_INFLIGHT_FD:
		for (unsigned int i = 0; i < 256; i++)
			b->n_misuse += b->running[i];
		take(&b->inflight, fds);
		b->inflight_as = *m;
		break;
	case VHOST_USER_SET_LOG_BASE: /* before a ring could write without it */
		for (unsigned int i = 0; i < 256; i++)
			b->n_misuse += b->running[i];
		b->log_as = *m;
		break;
	case VHOST_USER_SET_VRING_ADDR:
		b->n_misuse += b->running[m->addr.index & 0xff];
		b->addr[m->addr.index & 0xff] = *m;
		break;
	case VHOST_USER_SET_VRING_CALL:
	case VHOST_USER_SET_VRING_ERR:
	case VHOST_USER_SET_VRING_KICK:
		note_ring(b, m, fds);
		break;
	case VHOST_USER_GET_VRING_BASE:
		b->running[m->state.index & 0xff] = false;
		break;
	case VHOST_USER_SET_CONFIG:
		if (m->config.offset + m->config.size <= b->config_len)
			memcpy(b->config + m->config.offset, m->config.data, m->config.size);
		break;
	default:
		break;
	}
}

static void fill(const struct back_end *b, const struct vu_msg *m, struct vu_msg *reply)
{
	switch (m->request) {
	case VHOST_USER_GET_FEATURES:
		reply->u64 = b->features;
		break;
	case VHOST_USER_GET_PROTOCOL_FEATURES:
		reply->u64 = b->protocol;
		break;
	case VHOST_USER_GET_QUEUE_NUM:
		reply->u64 = b->n_queues;
		break;
	case VHOST_USER_GET_STATUS:
		reply->u64 = b->status;
		break;
	case VHOST_USER_GET_VRING_BASE:
		reply->state.index = m->state.index;
		break;
	case VHOST_USER_GET_INFLIGHT_FD:
		reply->inflight = m->inflight;
		reply->inflight.size = 4096;
		break;
	case VHOST_USER_GET_CONFIG:
		if (m->config.offset + m->config.size > b->config_len)
			break;
		reply->config.offset = m->config.offset;
		reply->config.size = m->config.size;
		memcpy(reply->config.data, b->config + m->config.offset, m->config.size);
		break;
	default:
		break;
	}
}

/* Where requests in flight are noted; sealed as it ought to be. */
static bool give_memory(struct back_end *b, const struct vu_msg *reply)
{
	_cleanup_(closep) int fd = memfd_create("inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	must(fd >= 0 && ftruncate(fd, 4096) == 0);
	return vu_send(b->sock, reply, &fd, 1) == 0;
}

static bool answer_log(struct back_end *b)
{
	uint8_t wire[VU_HEADER_LEN + VU_PAYLOAD_MAX] = { VHOST_USER_SET_LOG_BASE };

	put32(wire + 4, VU_VERSION | VU_FLAG_REPLY);
	put32(wire + 8, b->log_answer);
	send_raw(b, wire, VU_HEADER_LEN + b->log_answer, 0);
	return true;
}

static bool serve_now(struct back_end *b, const struct vu_msg *m)
{
	struct vu_msg reply = { .request = m->request, .reply = true };
	bool ack = m->need_reply && (b->got_protocol & BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK));

	if (!ack && !vu_has_reply(m->request))
		return true;
	fill(b, m, &reply);
	if (b->vice != BACK_END_GOOD && b->vice_at == m->request)
		return answer_badly(b, &reply);
	if (m->request == VHOST_USER_SET_LOG_BASE)
		return answer_log(b);
	return m->request == VHOST_USER_GET_INFLIGHT_FD ? give_memory(b, &reply) :
							  vu_send(b->sock, &reply, NULL, 0) == 0;
}

/* A ring that takes its time to stop. */
static bool serve(struct back_end *b, const struct vu_msg *m)
{
	bool last;

	if (b->drain_for && m->request == VHOST_USER_GET_VRING_BASE) {
		b->waiting = *m;
		b->n_waited = 0;
		return true;
	}
	if (!b->waiting.request || m->request != VHOST_USER_GET_STATUS)
		return serve_now(b, m);
	last = ++b->n_waited == b->drain_for;
	if (!last)
		return serve_now(b, m);
	if (!serve_now(b, b->in_turn ? &b->waiting : m))
		return false;
	last = serve_now(b, b->in_turn ? m : &b->waiting);
	b->waiting.request = 0;
	return last;
}

static void *run(void *arg)
{
	struct back_end *b = arg;
	bool on = true;

	while (on) {
		int fds[MSG_MAX_FDS] = { -1, -1, -1, -1, -1, -1, -1, -1 };
		size_t n_fds = 0;
		struct vu_msg m;

		if (vu_recv(b->sock, &m, fds, &n_fds) != 1)
			break;
		note(b, &m, fds);
		fds_close(fds, n_fds);
		on = serve(b, &m);
	}
	closep(&b->sock);
	return NULL;
}

int back_end_start(struct back_end *b)
{
	int s[2];

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) == 0);
	b->sock = s[1];
	must(pthread_create(&b->thread, NULL, run, b) == 0);
	return s[0];
}

void back_end_join(struct back_end *b)
{
	pthread_join(b->thread, NULL);
	fds_close(b->call_fd, 256);
	fds_close(b->kick_fd, 256);
	fds_close(b->err_fd, 256);
	closep(&b->inflight);
}

unsigned int back_end_count(const struct back_end *b, uint32_t request)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < b->n_log; i++)
		n += b->log[i] == request;
	return n;
}
