/* SPDX-License-Identifier: Apache-2.0 */
/* The vfio-user client and the UART's ports, against a server that can misbehave. */
#include "cmd/vmm/platform/peer.h"
#include "cmd/vmm/platform/serial.h"
#include "cmd/vmm/platform/vfio_client.h"
#include "lib/base/fd.h"
#include "tests/unit/testvmm.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <string.h>
#include <sys/mman.h>

enum vice {
	GOOD,
	CLOSE,
	SHORT,
	WRONG_ID,
	WRONG_COMMAND,
	NOT_REPLY,
	ERROR,
	OVERSIZE,
	UNDERSIZE,
	WITH_FD,
	VALUE,
	N_VICES,
};

#define SCRATCH 7
#define LSR 5

struct server {
	int sock;
	pthread_t thread;
	enum vice vice;
	uint16_t vice_at;
	int page_fd;   /* sent with the region; -1: none */
	uint8_t *page; /* of page_fd as we see it */
	bool two_fds;
	struct vfu_msg region;
	struct vfu_msg version;
	uint8_t regs[8];
	unsigned int n_reads, n_writes, n_posted, n_resets;
	int irq_fd;
};

static void server_init(struct server *s)
{
	*s = (struct server){ .page_fd = -1, .irq_fd = -1 };
	s->version.version.minor = 1;
	strcpy(s->version.version.json, "{}");
	s->region.region_info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	s->region.region_info.size = 4096;
}

static void share_page(struct server *s, size_t size, unsigned int seals)
{
	s->page_fd = memfd_create("page", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(s->page_fd, (off_t)size), 0);
	s->page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, s->page_fd, 0);
	assert_true(s->page != MAP_FAILED);
	assert_int_equal(fcntl(s->page_fd, F_ADD_SEALS, seals), 0);
	s->region.region_info.flags |= VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS;
	s->region.region_info.n_sparse = 1;
	s->region.region_info.sparse[0] = (struct vfu_sparse){ LSR, 1 };
}

static void fill(struct server *s, const struct vfu_msg *m, struct vfu_msg *reply)
{
	switch (m->command) {
	case VFIO_USER_VERSION:
		reply->version = s->version.version;
		break;
	case VFIO_USER_DEVICE_GET_INFO:
		reply->device_info.num_regions = reply->device_info.num_irqs = 1;
		break;
	case VFIO_USER_DEVICE_GET_REGION_INFO:
		reply->region_info = s->region.region_info;
		break;
	case VFIO_USER_DEVICE_GET_IRQ_INFO:
		reply->irq_info.flags = VFIO_IRQ_INFO_EVENTFD;
		reply->irq_info.count = 1;
		break;
	case VFIO_USER_REGION_READ:
		reply->access = m->access;
		reply->access.data[0] = s->regs[m->access.offset % 8];
		s->n_reads++;
		break;
	case VFIO_USER_REGION_WRITE:
		reply->access = m->access;
		s->regs[m->access.offset % 8] = m->access.data[0];
		s->n_writes++;
		s->n_posted += m->no_reply;
		break;
	case VFIO_USER_DEVICE_RESET:
		s->n_resets++;
		break;
	default:
		break;
	}
}

static void spoil_values(struct vfu_msg *reply)
{
	switch (reply->command) {
	case VFIO_USER_VERSION:
		reply->version.major = 1;
		break;
	case VFIO_USER_DEVICE_GET_INFO:
		reply->device_info.num_regions = 0;
		break;
	case VFIO_USER_DEVICE_GET_REGION_INFO:
		reply->region_info.size = 7;
		break;
	case VFIO_USER_DEVICE_GET_IRQ_INFO:
		reply->irq_info.count = UINT32_MAX;
		break;
	default:
		reply->access.offset ^= 1;
	}
}

static void put(uint8_t *at, uint32_t v)
{
	memcpy(at, &v, sizeof(v));
}

/* The bytes of the answer; how many of them to send, 0: close. */
static size_t spoil(const struct server *s, uint8_t *wire, size_t len)
{
	switch (s->vice) {
	case CLOSE:
		return 0;
	case SHORT:
		return len / 2;
	case WRONG_ID:
		wire[0] ^= 0x80;
		return len;
	case WRONG_COMMAND:
		wire[2] = wire[2] == 13 ? 8 : 13;
		return len;
	case NOT_REPLY:
		put(wire + 8, 0);
		return len;
	case ERROR:
		put(wire + 8, VFU_FLAG_TYPE_REPLY | VFU_FLAG_ERROR);
		put(wire + 4, VFU_HEADER_LEN);
		put(wire + 12, EINVAL);
		return VFU_HEADER_LEN;
	case OVERSIZE:
		put(wire + 4, UINT32_MAX);
		return len;
	case UNDERSIZE:
		put(wire + 4, VFU_HEADER_LEN - 1);
		return len;
	default:
		return len;
	}
}

static bool answer(struct server *s, const struct vfu_msg *m)
{
	struct vfu_msg reply = { .id = m->id, .command = m->command, .reply = true };
	uint8_t wire[VFU_HEADER_LEN + VFU_PAYLOAD_MAX];
	int fds[2] = { s->page_fd, s->page_fd };
	bool bad = s->vice != GOOD && s->vice_at == m->command;
	bool region = m->command == VFIO_USER_DEVICE_GET_REGION_INFO;
	size_t n_fds = region && s->page_fd >= 0 ? 1 + s->two_fds : 0;
	struct iovec iov = { wire, 0 };
	int len;

	fill(s, m, &reply);
	if (m->no_reply)
		return true;
	if (bad && s->vice == VALUE)
		spoil_values(&reply);
	len = vfu_encode(&reply, wire, sizeof(wire));
	if (len < 0)
		return false;
	iov.iov_len = bad ? spoil(s, wire, (size_t)len) : (size_t)len;
	if (bad && s->vice == WITH_FD) {
		fds[0] = fds[1] = s->sock;
		n_fds = 2;
	}
	if (iov.iov_len)
		(void)!msg_send(s->sock, &iov, 1, fds, n_fds);
	return !bad || (s->vice != CLOSE && s->vice != SHORT);
}

static void *run(void *arg)
{
	struct server *s = arg;
	bool on = true;

	while (on) {
		int fds[MSG_MAX_FDS];
		size_t n_fds = 0;
		struct vfu_msg m;

		if (vfu_recv(s->sock, &m, fds, &n_fds) != 1)
			break;
		if (n_fds && m.command == VFIO_USER_DEVICE_SET_IRQS)
			s->irq_fd = take_fd(&fds[0]);
		fds_close(fds, n_fds);
		on = answer(s, &m);
	}
	closep(&s->sock);
	return NULL;
}

static int start(struct server *s)
{
	int pair[2];

	make_pair(SOCK_STREAM, pair);
	s->sock = pair[1];
	assert_int_equal(pthread_create(&s->thread, NULL, run, s), 0);
	return pair[0];
}

static void join(struct server *s)
{
	pthread_join(s->thread, NULL);
	closep(&s->page_fd);
	closep(&s->irq_fd);
	if (s->page)
		munmap(s->page, 4096);
}

static int read8(struct vfio_client *c, uint64_t offset, uint8_t *ret)
{
	struct vfio_access a = vfio_access_read8(offset);
	int r = vfio_client_access(c, &a);

	*ret = a.value;
	return r;
}

static int write8(struct vfio_client *c, uint64_t offset, uint8_t value)
{
	struct vfio_access a = vfio_access_write8(offset, value);

	return vfio_client_access(c, &a);
}

/* Everything that a client does, until the first error. */
static int whole_life(struct vfio_client *c, int sock, int irq_fd)
{
	const char *why = NULL;
	uint8_t value = 0;
	int r = vfio_client_open(c, sock, 8, true, &why);

	if (r < 0) {
		assert_non_null(why);
		return r;
	}
	r = vfio_client_set_irq(c, irq_fd);
	if (r == 0)
		r = write8(c, SCRATCH, 0x5a);
	if (r == 0)
		r = vfio_client_post8(c, SCRATCH, 0xa5);
	if (r == 0)
		r = read8(c, SCRATCH, &value);
	if (r == 0)
		assert_int_equal(value, 0xa5);
	return r < 0 ? r : vfio_client_reset(c);
}

static void a_good_server_gets_all_of_it(void **state)
{
	_cleanup_(closep) int irq = make_event();
	struct vfio_client c;
	struct server s;
	int fds = open_fds();

	(void)state;
	server_init(&s);
	assert_int_equal(whole_life(&c, start(&s), irq), 0);
	vfio_client_close(&c);
	assert_true(s.irq_fd >= 0);
	join(&s);
	assert_int_equal(s.n_writes, 2);
	assert_int_equal(s.n_posted, 1);
	assert_int_equal(s.n_resets, 1);
	assert_int_equal(open_fds(), fds);
}

/* Posted writes wait for company, arrive in order, and never overtake anything. */
static void posted_writes_go_together(void **state)
{
	struct vfio_client c;
	const char *why = NULL;
	struct server s;
	uint8_t value = 0;

	(void)state;
	server_init(&s);
	assert_int_equal(vfio_client_open(&c, start(&s), 8, true, &why), 0);
	for (unsigned int i = 0; i < VFIO_CLIENT_POST_MAX - 1; i++) {
		assert_int_equal(vfio_client_post8(&c, SCRATCH, (uint8_t)i), 0);
		assert_int_equal(vfio_client_waiting(&c), i + 1);
	}
	assert_int_equal(vfio_client_post8(&c, SCRATCH, 0x77), 0);
	assert_int_equal(vfio_client_waiting(&c), 0); /* full: sent */
	assert_int_equal(vfio_client_post8(&c, SCRATCH, 0x78), 0);
	assert_int_equal(read8(&c, SCRATCH, &value), 0);
	assert_int_equal(value, 0x78);
	assert_int_equal(vfio_client_post8(&c, SCRATCH, 0x79), 0);
	assert_int_equal(vfio_client_flush(&c), 0);
	assert_int_equal(vfio_client_waiting(&c), 0);
	assert_int_equal(read8(&c, SCRATCH, &value), 0);
	assert_int_equal(value, 0x79);
	vfio_client_close(&c);
	join(&s);
	assert_int_equal(s.n_posted, VFIO_CLIENT_POST_MAX + 2);
	assert_int_equal(vfio_client_post8(&c, SCRATCH, 0), -EPIPE);
}

static void each_vice_at_each_answer(void **state)
{
	static const uint16_t commands[] = {
		VFIO_USER_VERSION,
		VFIO_USER_DEVICE_GET_INFO,
		VFIO_USER_DEVICE_GET_REGION_INFO,
		VFIO_USER_DEVICE_GET_IRQ_INFO,
		VFIO_USER_DEVICE_SET_IRQS,
		VFIO_USER_REGION_WRITE,
		VFIO_USER_REGION_READ,
		VFIO_USER_DEVICE_RESET,
	};
	_cleanup_(closep) int irq = make_event();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		for (int vice = CLOSE; vice < N_VICES; vice++) {
			bool empty = commands[i] == VFIO_USER_DEVICE_SET_IRQS ||
				     commands[i] == VFIO_USER_DEVICE_RESET;
			struct vfio_client c;
			struct server s;
			int fds = open_fds(), r;

			if (vice == VALUE && empty)
				continue;
			server_init(&s);
			s.vice = (enum vice)vice;
			s.vice_at = commands[i];
			r = whole_life(&c, start(&s), irq);
			assert_true(r < 0 && r != -ETIMEDOUT);
			assert_true(c.dead);
			vfio_client_close(&c);
			join(&s);
			assert_int_equal(open_fds(), fds);
		}
}

/* What may be mapped: sealed against shrinking, large enough, aligned. Else messages do it all. */
static void only_a_page_that_stays_is_mapped(void **state)
{
	static const struct {
		size_t size;
		unsigned int seals;
		uint64_t offset;
		bool ok;
	} rows[] = {
		{ 4096, F_SEAL_SHRINK, 0, true },
		{ 4096, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, 0, true },
		{ 4096, 0, 0, false },
		{ 4096, F_SEAL_GROW, 0, false },
		{ 4095, F_SEAL_SHRINK, 0, false },
		{ 0, F_SEAL_SHRINK, 0, false },
		{ 8192, F_SEAL_SHRINK, 4096, true },
		{ 8192, F_SEAL_SHRINK, 8192, false },
		{ 8192, F_SEAL_SHRINK, 1, false },
		{ 8192, F_SEAL_SHRINK, 0xfffffffffffff000ULL, false },
		{ 8192, F_SEAL_SHRINK, 0x7ffffffffffff000ULL, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int fds = open_fds();
		const char *why = NULL;
		struct vfio_client c;
		struct server s;
		uint8_t v;

		server_init(&s);
		share_page(&s, rows[i].size, rows[i].seals);
		s.region.region_info.offset = rows[i].offset;
		assert_int_equal(vfio_client_open(&c, start(&s), 8, true, &why), 0);
		assert_int_equal(vfio_client_peek8(&c, LSR, &v), rows[i].ok);
		assert_false(vfio_client_peek8(&c, LSR + 1, &v));
		assert_false(vfio_client_peek8(&c, LSR - 1, &v));
		assert_false(vfio_client_peek8(&c, 4096, &v));
		assert_false(vfio_client_peek8(&c, UINT64_MAX, &v));
		vfio_client_close(&c);
		join(&s);
		assert_int_equal(open_fds(), fds);
	}
}

static void pages_of_no_memory_file_are_not_mapped(void **state)
{
	const char *why = NULL;
	struct vfio_client c;
	struct server s;
	uint8_t v;

	(void)state;
	server_init(&s);
	share_page(&s, 4096, F_SEAL_SHRINK);
	close(s.page_fd);
	s.page_fd = make_event();
	assert_int_equal(vfio_client_open(&c, start(&s), 8, true, &why), 0);
	assert_false(vfio_client_peek8(&c, LSR, &v));
	vfio_client_close(&c);
	join(&s);
}

static void two_descriptors_are_one_too_many(void **state)
{
	int fds = open_fds();
	const char *why = NULL;
	struct vfio_client c;
	struct server s;

	(void)state;
	server_init(&s);
	share_page(&s, 4096, F_SEAL_SHRINK);
	s.two_fds = true;
	assert_int_equal(vfio_client_open(&c, start(&s), 8, true, &why), -EBADMSG);
	join(&s);
	assert_int_equal(open_fds(), fds);
}

static void sparse_areas_outside_the_region_are_refused(void **state)
{
	static const struct vfu_sparse bad[] = {
		{ 4096, 1 }, { 4095, 2 }, { UINT64_MAX, 1 }, { 1, UINT64_MAX }, { UINT64_MAX, 2 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *why = NULL;
		struct vfio_client c;
		struct server s;

		server_init(&s);
		share_page(&s, 4096, F_SEAL_SHRINK);
		s.region.region_info.sparse[0] = bad[i];
		assert_true(vfio_client_open(&c, start(&s), 8, true, &why) < 0);
		join(&s);
	}
}

static void silence_has_a_limit(void **state)
{
	struct peer_deadline d = { { .tv_nsec = 20 * 1000 * 1000 } };
	uint8_t byte[2];
	int pair[2];

	(void)state;
	make_pair(SOCK_STREAM, pair);
	assert_int_equal(write(pair[1], "x", 1), 1);
	assert_int_equal(peer_recv(pair[0], byte, 2, NULL, &d), -ETIMEDOUT);
	assert_true(d.left.tv_sec == 0 && d.left.tv_nsec == 0);
	while (peer_send(pair[0], byte, 2, NULL, 0, &(struct peer_deadline){ { 0, 1000000 } }) == 0)
		;
	close_pair(pair);
}

/* ---- the ports ---- */

struct ports {
	struct machine m;
	struct accel accel;
	struct server s;
};

static void open_ports(struct ports *p)
{
	const char *why = NULL;

	test_machine_open(&p->m, &p->accel);
	server_init(&p->s);
	share_page(&p->s, 4096, F_SEAL_SHRINK);
	assert_int_equal(serial_open(&p->m, start(&p->s), &p->m.serial, &why), 0);
}

static uint64_t in(struct ports *p, unsigned int reg, unsigned int width)
{
	return bus_read(&p->m.pio, PORT_SERIAL + reg, width);
}

static void out(struct ports *p, unsigned int reg, unsigned int width, uint64_t v)
{
	bus_write(&p->m.pio, PORT_SERIAL + reg, width, v);
}

static void ports_reach_the_registers(void **state)
{
	static struct ports p;

	(void)state;
	open_ports(&p);
	p.s.page[LSR] = 0x60;
	out(&p, SCRATCH, 1, 0x42);
	assert_int_equal(in(&p, SCRATCH, 1), 0x42);
	assert_int_equal(p.s.n_posted, 0);
	assert_int_equal(in(&p, LSR, 1), 0x60);
	assert_int_equal(p.s.n_reads, 1);
	out(&p, SCRATCH, 2, 0xffff);
	assert_int_equal(in(&p, SCRATCH, 1), 0x42);
	assert_int_equal(in(&p, 0, 2), 0xffff);
	assert_int_equal(in(&p, 0, 4), 0xffffffff);
	assert_int_equal(in(&p, 7, 2), 0xffff);
	assert_int_equal(machine_reset(&p.m), 0);
	assert_int_equal(p.s.n_resets, 1);
	assert_int_equal(write(p.s.irq_fd, &(uint64_t){ 1 }, 8), 8);
	ioapic_bus_ops.write(&p.m.ioapic, 0, 4, 0x10 + 2 * GSI_SERIAL);
	ioapic_bus_ops.write(&p.m.ioapic, 0x10, 4, 0x24); /* unmasked, edge */
	assert_int_equal(loop_run_once(&p.m.loop, 0), 0);
	assert_int_equal(loop_run_once(&p.m.loop, 0), 0);
	assert_int_equal(p.accel.n_sent, 1);
	shutdown(p.s.sock, SHUT_RDWR);
	join(&p.s);
	assert_int_equal(loop_run_once(&p.m.loop, 0), 0);
	assert_int_equal(p.m.request, MACHINE_FAIL);
	assert_int_equal(in(&p, SCRATCH, 1), 0xff);
}

/* However fast the guest transmits, the shared status is only so far behind. */
static void transmission_is_posted_within_a_window(void **state)
{
	static struct ports p;
	unsigned int n_reads;

	(void)state;
	open_ports(&p);
	p.s.regs[LSR] = 0x11;
	p.s.page[LSR] = 0x60;
	for (int i = 0; i < 15; i++)
		out(&p, 0, 1, 'x');
	n_reads = p.s.n_reads;
	assert_int_equal(in(&p, LSR, 1), 0x60);
	assert_int_equal(p.s.n_reads, n_reads);
	out(&p, 0, 1, 'x');
	assert_int_equal(in(&p, LSR, 1), 0x11); /* by message, behind all of them */
	assert_int_equal(p.s.n_posted, 16);
	assert_int_equal(in(&p, LSR, 1), 0x60);
	shutdown(p.s.sock, SHUT_RDWR);
	join(&p.s);
}

/* Quiescing hands over what waits; how far the shared status may be behind, and loopback, come back. */
static void what_is_on_its_way_outlives_a_reset(void **state)
{
	static struct ports p;
	uint8_t wire[64];
	char why[STATE_WHY_MAX] = "";
	const struct state_object *o = &p.m.objects[0];
	int len;

	(void)state;
	open_ports(&p);
	assert_string_equal(o->ops->name, "serial");
	p.s.regs[LSR] = 0x11;
	p.s.page[LSR] = 0x60;
	for (int i = 0; i < 16; i++)
		out(&p, 0, 1, 'x');
	len = state_object_save(o, wire, sizeof(wire));
	assert_true(len > 0);
	assert_int_equal(machine_reset(&p.m), 0);
	assert_int_equal(p.s.n_posted, 16);
	assert_int_equal(in(&p, LSR, 1), 0x60);
	assert_int_equal(state_object_load(o, wire, (size_t)len, why), 0);
	assert_int_equal(in(&p, LSR, 1), 0x11);
	wire[STATE_HEADER_LEN] = 17;
	assert_int_equal(state_object_load(o, wire, (size_t)len, why), -EBADMSG);
	assert_string_equal(why, "state of serial: posted is 0x11");
	wire[STATE_HEADER_LEN] = 0;
	wire[STATE_HEADER_LEN + 1] = 1; /* loopback: nothing is posted */
	assert_int_equal(state_object_load(o, wire, (size_t)len, why), 0);
	out(&p, 0, 1, 'x');
	assert_int_equal(p.s.n_posted, 16);
	assert_int_equal(p.s.regs[0], 'x');
	shutdown(p.s.sock, SHUT_RDWR);
	join(&p.s);
}

#define T cmocka_unit_test

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_good_server_gets_all_of_it),
		T(posted_writes_go_together),
		T(each_vice_at_each_answer),
		T(only_a_page_that_stays_is_mapped),
		T(pages_of_no_memory_file_are_not_mapped),
		T(two_descriptors_are_one_too_many),
		T(sparse_areas_outside_the_region_are_refused),
		T(silence_has_a_limit),
		T(ports_reach_the_registers),
		T(transmission_is_posted_within_a_window),
		T(what_is_on_its_way_outlives_a_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
