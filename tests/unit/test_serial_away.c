/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The UART's ports while the process behind them dies and another takes its place: each access of the
 * guest is carried out once, in order, and nothing but the guest's own accesses waits.
 */
#include "cmd/vmm/platform/serial.h"
#include "lib/base/fd.h"
#include "lib/vfio_user/vfio_user.h"
#include "tests/unit/testvmm.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/timerfd.h>

#define THR 0
#define RBR 0
#define SCR 7
#define NEVER UINT32_MAX

enum death {
	UNDONE,	    /* before the message is carried out */
	UNANSWERED, /* after it */
	HALF,	    /* after half its answer, if it has one */
	N_DEATHS,
};

enum vice {
	GOOD,
	SILENT_CLOSE,
	WRONG_ID,
	FLOOD,
	ERROR_REPLY,
	N_VICES,
};

#define OUT_MAX 4096

/* What outlives a process. */
struct state {
	uint32_t done;
	uint8_t regs[8];
	uint8_t out[OUT_MAX];
	unsigned int n_out, n_reads, n_resets;
	unsigned int out_at_reset;
};

/* One process. */
struct played {
	struct state *state;
	int sock, irq_fd;
	pthread_t thread;
	bool running;
	atomic_bool dead;
	uint32_t die_at; /* message number */
	enum death death;
	enum vice vice;
	uint32_t vice_at;
	uint32_t n_regions, n_irqs;
	uint64_t region_size, done_size;
	uint32_t region_flags;
};

static void played_init(struct played *p, struct state *state)
{
	*p = (struct played){ .state = state,
			      .sock = -1,
			      .irq_fd = -1,
			      .die_at = NEVER,
			      .vice_at = NEVER,
			      .n_regions = 2,
			      .n_irqs = 1,
			      .region_size = 4096,
			      .done_size = 4,
			      .region_flags = VFIO_REGION_INFO_FLAG_READ |
					      VFIO_REGION_INFO_FLAG_WRITE };
}

static void region_info(const struct played *p, const struct vfu_msg *m, struct vfu_msg *reply)
{
	reply->region_info.index = m->region_info.index;
	reply->region_info.flags = p->region_flags;
	reply->region_info.size = m->region_info.index == 0 ? p->region_size : p->done_size;
}

static void done(struct state *s, const struct vfu_msg *m, uint8_t value)
{
	s->done = VFU_DONE_ANY | (uint32_t)value << VFU_DONE_VALUE_SHIFT | m->id;
}

static void read_region(struct state *s, const struct vfu_msg *m, struct vfu_msg *reply)
{
	uint8_t value;

	reply->access = m->access;
	if (m->access.region == VFU_DONE_REGION) {
		memcpy(reply->access.data, &s->done, sizeof(s->done));
		return;
	}
	value = m->access.offset == RBR ? (uint8_t)++s->n_reads : s->regs[m->access.offset % 8];
	reply->access.data[0] = value;
	done(s, m, value);
}

static void write_region(struct state *s, const struct vfu_msg *m, struct vfu_msg *reply)
{
	reply->access = m->access;
	s->regs[m->access.offset % 8] = m->access.data[0];
	if (m->access.offset == THR && s->n_out < OUT_MAX)
		s->out[s->n_out++] = m->access.data[0];
	done(s, m, 0);
}

static void act(struct played *p, const struct vfu_msg *m, struct vfu_msg *reply)
{
	struct state *s = p->state;

	switch (m->command) {
	case VFIO_USER_VERSION:
		reply->version.minor = 1;
		strcpy(reply->version.json, "{}");
		break;
	case VFIO_USER_DEVICE_GET_INFO:
		reply->device_info.num_regions = p->n_regions;
		reply->device_info.num_irqs = p->n_irqs;
		break;
	case VFIO_USER_DEVICE_GET_REGION_INFO:
		region_info(p, m, reply);
		break;
	case VFIO_USER_DEVICE_GET_IRQ_INFO:
		reply->irq_info.flags = VFIO_IRQ_INFO_EVENTFD;
		reply->irq_info.count = 1;
		break;
	case VFIO_USER_REGION_READ:
		read_region(s, m, reply);
		break;
	case VFIO_USER_REGION_WRITE:
		write_region(s, m, reply);
		break;
	case VFIO_USER_DEVICE_RESET:
		s->n_resets++;
		s->out_at_reset = s->n_out;
		memset(s->regs, 0, sizeof(s->regs));
		done(s, m, 0);
		break;
	default:
		break;
	}
}

static void send_bytes(const struct played *p, uint8_t *wire, size_t len)
{
	struct iovec iov = { wire, len };

	(void)!msg_send(p->sock, &iov, 1, NULL, 0);
}

/* False: nothing more comes. */
static bool misbehave(const struct played *p, uint8_t *wire, size_t len)
{
	static uint8_t flood[65536];

	switch (p->vice) {
	case WRONG_ID:
		wire[0] ^= 0x80;
		break;
	case FLOOD:
		memset(flood, 0x41, sizeof(flood));
		for (int i = 0; i < 2; i++)
			send_bytes(p, flood, sizeof(flood) / 2);
		break;
	case ERROR_REPLY:
		wire[8] = VFU_FLAG_TYPE_REPLY | VFU_FLAG_ERROR;
		wire[12] = EINVAL;
		memset(wire + 4, 0, 4);
		wire[4] = len = VFU_HEADER_LEN;
		break;
	default:
		return false;
	}
	send_bytes(p, wire, len);
	return true;
}

static bool answer(struct played *p, const struct vfu_msg *m, uint32_t number)
{
	struct vfu_msg reply = { .id = m->id, .command = m->command, .reply = true };
	uint8_t wire[VFU_HEADER_LEN + VFU_PAYLOAD_MAX];
	int len;

	if (number == p->die_at && p->death == UNDONE)
		return false;
	act(p, m, &reply);
	if (number == p->die_at && p->death == UNANSWERED)
		return false;
	if (m->no_reply)
		return number != p->die_at;
	len = vfu_encode(&reply, wire, sizeof(wire));
	if (len < 0)
		return false;
	if (number == p->die_at) {
		send_bytes(p, wire, (size_t)len / 2);
		return false;
	}
	if (number == p->vice_at)
		return misbehave(p, wire, (size_t)len);
	send_bytes(p, wire, (size_t)len);
	return true;
}

static void *play(void *arg)
{
	struct played *p = arg;
	bool on = true;

	for (uint32_t number = 0; on; number++) {
		int fds[MSG_MAX_FDS];
		size_t n_fds = 0;
		struct vfu_msg m;

		if (vfu_recv(p->sock, &m, fds, &n_fds) != 1)
			break;
		if (n_fds && m.command == VFIO_USER_DEVICE_SET_IRQS)
			p->irq_fd = take_fd(&fds[0]);
		fds_close(fds, n_fds);
		on = answer(p, &m, number);
	}
	closep(&p->sock);
	atomic_store(&p->dead, true);
	return NULL;
}

static int start(struct played *p)
{
	int pair[2];

	make_pair(SOCK_STREAM, pair);
	p->sock = pair[1];
	p->dead = false;
	p->running = true;
	assert_int_equal(pthread_create(&p->thread, NULL, play, p), 0);
	return pair[0];
}

static void bury(struct played *p)
{
	if (p->running && !atomic_load(&p->dead))
		shutdown(p->sock, SHUT_RDWR);
	if (p->running)
		pthread_join(p->thread, NULL);
	p->running = false;
	closep(&p->irq_fd);
}

/* ---- the machine ---- */

struct bench {
	struct machine m;
	struct accel accel;
	struct state state;
	struct played p;
	pthread_t guest;
	void (*script)(struct bench *b);
	atomic_bool guest_done;
	unsigned int n_written, n_read, n_wrong, n_void;
};

static struct bench b;

static void open_bench(uint32_t die_at, enum death death)
{
	const char *why = NULL;

	memset(&b, 0, sizeof(b));
	test_machine_open(&b.m, &b.accel);
	played_init(&b.p, &b.state);
	b.p.die_at = die_at;
	b.p.death = death;
	assert_int_equal(serial_open(&b.m, start(&b.p), &b.m.serial, &why), 0);
}

static void close_bench(void)
{
	bury(&b.p);
	serial_close(b.m.serial);
	test_machine_close(&b.m);
}

static uint64_t in(unsigned int reg)
{
	uint64_t v;

	pthread_mutex_lock(&b.m.lock);
	v = bus_read(&b.m.pio, PORT_SERIAL + reg, 1);
	pthread_mutex_unlock(&b.m.lock);
	return v;
}

static void out(unsigned int reg, uint8_t value)
{
	pthread_mutex_lock(&b.m.lock);
	bus_write(&b.m.pio, PORT_SERIAL + reg, 1, value);
	pthread_mutex_unlock(&b.m.lock);
}

static void transmit(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		out(THR, (uint8_t)b.n_written++);
}

static void receive(void)
{
	uint64_t v = in(RBR);

	b.n_read++;
	b.n_wrong += v != (uint8_t)b.n_read;
}

static void *run_guest(void *arg)
{
	(void)arg;
	b.script(&b);
	atomic_store(&b.guest_done, true);
	return NULL;
}

static void start_guest(void (*script)(struct bench *))
{
	b.script = script;
	b.guest_done = false;
	assert_int_equal(pthread_create(&b.guest, NULL, run_guest, NULL), 0);
}

/* One round of the main thread. */
static void turn(void)
{
	struct pollfd p = { .fd = b.m.loop.epfd, .events = POLLIN };

	pthread_mutex_unlock(&b.m.lock);
	(void)poll(&p, 1, 1);
	pthread_mutex_lock(&b.m.lock);
	assert_int_equal(loop_run_once(&b.m.loop, 0), 0);
}

/* The next process, as the supervisor starts it. */
static int replace(uint32_t die_at, enum death death, const char **ret_why)
{
	bury(&b.p);
	played_init(&b.p, &b.state);
	b.p.die_at = die_at;
	b.p.death = death;
	return serial_reconnect(b.m.serial, start(&b.p), ret_why);
}

/* Until the script is over; each process but the first lives as next says. */
static unsigned int serve_guest(uint32_t (*next)(void), enum death death)
{
	unsigned int n_replaced = 0;
	const char *why = NULL;

	while (!atomic_load(&b.guest_done)) {
		turn();
		assert_int_equal(b.m.request, MACHINE_RUN);
		if (!atomic_load(&b.p.dead))
			continue;
		assert_int_equal(replace(next(), death, &why), 0);
		n_replaced++;
	}
	pthread_join(b.guest, NULL);
	return n_replaced;
}

static uint32_t never(void)
{
	return NEVER;
}

/* ---- each access once ---- */

static void every_kind_of_access(struct bench *unused)
{
	(void)unused;
	out(SCR, 0x42);
	transmit(3);
	receive();
	transmit(20); /* some go by themselves */
	receive();
	b.n_wrong += in(SCR) != 0x42;
	transmit(80); /* more than may be owed */
	out(SCR, 0x43);
	transmit(17);
	receive();
	b.n_wrong += in(SCR) != 0x43;
}

static void check_once(void)
{
	assert_int_equal(b.n_wrong, 0);
	assert_int_equal(b.state.n_reads, b.n_read);
	assert_int_equal(b.state.n_out, b.n_written);
	for (unsigned int i = 0; i < b.state.n_out; i++)
		assert_int_equal(b.state.out[i], (uint8_t)i);
}

/* The first messages are the handshake's, in which no guest runs yet. */
#define FIRST_OF_GUEST 6

static void a_death_at_each_message(void **state)
{
	unsigned int n_deaths = 0;

	(void)state;
	for (uint32_t at = FIRST_OF_GUEST; at < FIRST_OF_GUEST + 135; at++)
		for (int death = 0; death < N_DEATHS; death++) {
			open_bench(at, (enum death)death);
			start_guest(every_kind_of_access);
			n_deaths += serve_guest(never, UNDONE);
			check_once();
			close_bench();
		}
	assert_true(n_deaths > 120 * N_DEATHS);
}

static uint64_t seed;

static uint32_t soon(void)
{
	return next_random(&seed) % 24; /* also in the handshake, and in what is sent again */
}

static void many_deaths_in_a_row(void **state)
{
	unsigned int n_deaths = 0;

	(void)state;
	for (unsigned int i = 0; i < 60; i++) {
		seed = i;
		open_bench(FIRST_OF_GUEST + soon(), (enum death)(i % N_DEATHS));
		start_guest(every_kind_of_access);
		n_deaths += serve_guest(soon, (enum death)(i / 3 % N_DEATHS));
		check_once();
		close_bench();
	}
	print_message("%u deaths\n", n_deaths);
	assert_true(n_deaths > 600);
}

/* It is a successor's from the first byte: the interrupt too. */
static void the_interrupt_is_set_again(void **state)
{
	const char *why = NULL;

	(void)state;
	open_bench(FIRST_OF_GUEST, UNDONE);
	assert_int_equal(replace(NEVER, UNDONE, &why), 0); /* its end was not seen yet */
	assert_true(b.p.irq_fd >= 0);
	ioapic_bus_ops.write(&b.m.ioapic, 0, 4, 0x10 + 2 * GSI_SERIAL);
	ioapic_bus_ops.write(&b.m.ioapic, 0x10, 4, 0x24); /* unmasked, edge */
	assert_int_equal(write(b.p.irq_fd, &(uint64_t){ 1 }, 8), 8);
	for (int i = 0; i < 3; i++)
		turn();
	assert_int_equal(b.accel.n_sent, 1);
	close_bench();
}

/* ---- while it is away ---- */

static void read_once(struct bench *unused)
{
	(void)unused;
	b.n_void = in(RBR) == 0xff;
}

/* Until the guest's access waits, and its process has gone. */
static void let_it_die(void (*script)(struct bench *))
{
	start_guest(script);
	while (!atomic_load(&b.p.dead))
		turn();
	turn(); /* the guest's thread has the lock until it has found out, too */
	assert_false(atomic_load(&b.guest_done));
	assert_int_equal(b.m.request, MACHINE_RUN);
}

/* As the vmm does it: what stands still counts. */
static void pause_all(void)
{
	b.m.paused = true;
	pthread_cond_broadcast(&b.m.resumed);
	while (b.m.n_parked == 0 && !atomic_load(&b.guest_done))
		turn();
}

static void resume_all(bool reset)
{
	b.m.generation += reset;
	b.m.request = MACHINE_RUN;
	b.m.paused = false;
	pthread_cond_broadcast(&b.m.resumed);
}

static void transmit_and_read(struct bench *bench)
{
	transmit(5);
	read_once(bench);
}

static void a_reset_while_away(enum death death)
{
	const char *why = NULL;

	open_bench(FIRST_OF_GUEST + 5, death);
	let_it_die(transmit_and_read);
	machine_request(&b.m, MACHINE_RESET);
	pause_all();
	assert_true(atomic_load(&b.guest_done)); /* its access is void before the reset */
	pthread_join(b.guest, NULL);
	assert_int_equal(b.n_void, 1);
	assert_int_equal(machine_reset(&b.m), 0);
	assert_int_equal(machine_reset(&b.m), 0);
	resume_all(true);
	assert_int_equal(b.state.n_resets, 0);
	assert_int_equal(replace(NEVER, UNDONE, &why), 0);
	assert_int_equal(b.state.n_resets, 1);
	assert_int_equal(b.state.out_at_reset, 5); /* what was transmitted before is not lost */
	assert_int_equal(b.state.n_reads, death != UNDONE);
	b.n_written = 5;
	b.n_read = death != UNDONE;
	start_guest(every_kind_of_access);
	assert_int_equal(serve_guest(never, UNDONE), 0);
	check_once();
	close_bench();
}

static void a_reset_waits_for_the_successor(void **state)
{
	(void)state;
	for (int death = 0; death < N_DEATHS; death++)
		a_reset_while_away((enum death)death);
}

static void a_death_at_the_reset(void **state)
{
	const char *why = NULL;

	(void)state;
	for (int death = 0; death < N_DEATHS; death++) {
		open_bench(FIRST_OF_GUEST, (enum death)death);
		assert_int_equal(machine_reset(&b.m), 0);
		assert_int_equal(b.m.request, MACHINE_RUN);
		assert_int_equal(replace(NEVER, UNDONE, &why), 0);
		assert_int_equal(b.state.n_resets, 1);
		close_bench();
	}
}

static void a_pause_does_not_wait(void **state)
{
	(void)state;
	open_bench(FIRST_OF_GUEST, UNANSWERED);
	let_it_die(read_once);
	pause_all();
	assert_int_equal(b.m.n_parked, 1);
	assert_false(atomic_load(&b.guest_done));
	resume_all(false);
	assert_int_equal(serve_guest(never, UNDONE), 1);
	assert_int_equal(b.m.n_parked, 0);
	assert_int_equal(b.n_void, 0);
	assert_int_equal(b.state.n_reads, 1);
	close_bench();
}

static void the_end_does_not_wait(void **state)
{
	(void)state;
	open_bench(FIRST_OF_GUEST, UNDONE);
	let_it_die(read_once);
	machine_request(&b.m, MACHINE_POWEROFF);
	serial_flush(b.m.serial);
	machine_wake(&b.m);
	while (!atomic_load(&b.guest_done))
		turn();
	pthread_join(b.guest, NULL);
	assert_int_equal(b.n_void, 1);
	assert_int_equal(b.m.request, MACHINE_POWEROFF);
	close_bench();
}

/* The only timer that this process has. */
static int find_timer(void)
{
	for (int fd = 3; fd < 1024; fd++) {
		char path[32], name[64] = "";

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (readlink(path, name, sizeof(name) - 1) > 0 &&
		    strcmp(name, "anon_inode:[timerfd]") == 0)
			return fd;
	}
	return -1;
}

/* The supervisor, who knows of its end, decides: it may wait for its user. */
static void without_a_successor_the_guest_waits(void **state)
{
	const struct itimerspec now = { .it_value.tv_nsec = 1 };
	struct itimerspec left;
	int fd;

	(void)state;
	open_bench(FIRST_OF_GUEST, UNDONE);
	fd = find_timer();
	let_it_die(read_once);
	assert_int_equal(timerfd_gettime(fd, &left), 0);
	assert_true(left.it_value.tv_sec == 0);
	assert_int_equal(timerfd_settime(fd, 0, &now, NULL), 0);
	for (int i = 0; i < 10; i++)
		turn();
	assert_int_equal(b.m.request, MACHINE_RUN);
	assert_false(atomic_load(&b.guest_done));
	machine_fail(&b.m, "the end");
	machine_wake(&b.m);
	while (!atomic_load(&b.guest_done))
		turn();
	pthread_join(b.guest, NULL);
	close_bench();
}

/* ---- hostile successors ---- */

static void a_good_one_goes_on(void)
{
	assert_int_equal(serve_guest(never, UNDONE), 1);
	assert_int_equal(b.n_void, 0);
	assert_int_equal(b.state.n_reads, 1);
}

/* At each of its messages: handshake, interrupt, how far its predecessor came, what is sent again. */
static void a_successor_that_misbehaves(void **state)
{
	(void)state;
	for (uint32_t at = 0; at < 8; at++)
		for (int vice = SILENT_CLOSE; vice < N_VICES; vice++) {
			const char *why = NULL;
			int r;

			open_bench(FIRST_OF_GUEST, UNDONE);
			let_it_die(read_once);
			bury(&b.p);
			played_init(&b.p, &b.state);
			b.p.vice = (enum vice)vice;
			b.p.vice_at = at;
			r = serial_reconnect(b.m.serial, start(&b.p), &why);
			if (vice == SILENT_CLOSE) {
				assert_int_equal(r, 0);
				assert_int_equal(b.m.request, MACHINE_RUN);
				a_good_one_goes_on();
			} else {
				assert_true(r < 0 && r != -ETIMEDOUT);
				assert_non_null(why);
				machine_fail(&b.m, "%s", why);
				machine_wake(&b.m);
				while (!atomic_load(&b.guest_done))
					turn();
				pthread_join(b.guest, NULL);
				assert_int_equal(b.n_void, 1);
			}
			close_bench();
		}
}

static void another_device_is_refused(void **state)
{
	static const struct {
		uint32_t n_regions, n_irqs;
		uint64_t size, done_size;
		uint32_t flags;
	} rows[] = {
		{ 3, 1, 4096, 4, 3 }, { 1, 1, 4096, 4, 3 }, { 2, 2, 4096, 4, 3 },
		{ 2, 1, 8192, 4, 3 }, { 2, 1, 8, 4, 3 },    { 2, 1, 4096, 8, 3 },
		{ 2, 1, 4096, 0, 3 }, { 2, 1, 4096, 4, 7 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *why = NULL;
		int r;

		open_bench(FIRST_OF_GUEST, UNDONE);
		bury(&b.p);
		played_init(&b.p, &b.state);
		b.p.n_regions = rows[i].n_regions;
		b.p.n_irqs = rows[i].n_irqs;
		b.p.region_size = rows[i].size;
		b.p.done_size = rows[i].done_size;
		b.p.region_flags = rows[i].flags;
		r = serial_reconnect(b.m.serial, start(&b.p), &why);
		assert_int_equal(r, -EPROTO);
		assert_string_equal(why, "vfio-user: not the device that was there before");
		close_bench();
	}
}

/* Ids that nobody sent, and values that nobody read, lose and double nothing but by what they claim. */
static void lies_about_what_was_done_are_bounded(void **state)
{
	static const uint32_t lies[] = { 0,
					 UINT32_MAX,
					 VFU_DONE_ANY,
					 0x1000005U,
					 VFU_DONE_ANY | 0x8000,
					 VFU_DONE_ANY | 0xffff };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		const char *why = NULL;

		open_bench(FIRST_OF_GUEST + 5, UNDONE);
		let_it_die(transmit_and_read);
		b.state.done = lies[i];
		assert_int_equal(replace(NEVER, UNDONE, &why), 0);
		assert_int_equal(serve_guest(never, UNDONE), 0);
		assert_true(b.state.n_out <= 10);
		close_bench();
	}
}

static void without_state_that_outlives_it_its_end_is_the_vm_s(void **state)
{
	const char *why = NULL;
	int pair[2];
	uint8_t byte;

	(void)state;
	memset(&b, 0, sizeof(b));
	test_machine_open(&b.m, &b.accel);
	played_init(&b.p, &b.state);
	b.p.n_regions = 1;
	assert_int_equal(serial_open(&b.m, start(&b.p), &b.m.serial, &why), 0);
	bury(&b.p);
	assert_int_equal(loop_run_once(&b.m.loop, 0), 0);
	assert_int_equal(b.m.request, MACHINE_FAIL);
	make_pair(SOCK_STREAM, pair);
	assert_int_equal(serial_reconnect(b.m.serial, pair[0], &why), -EOPNOTSUPP);
	assert_string_equal(why, "its state has gone with its process");
	assert_int_equal(read(pair[1], &byte, 1), 0);
	closep(&pair[1]);
	close_bench();
}

#define T cmocka_unit_test

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_death_at_each_message),
		T(many_deaths_in_a_row),
		T(the_interrupt_is_set_again),
		T(a_reset_waits_for_the_successor),
		T(a_death_at_the_reset),
		T(a_pause_does_not_wait),
		T(the_end_does_not_wait),
		T(without_a_successor_the_guest_waits),
		T(a_successor_that_misbehaves),
		T(another_device_is_refused),
		T(lies_about_what_was_done_are_bounded),
		T(without_state_that_outlives_it_its_end_is_the_vm_s),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
