/* SPDX-License-Identifier: Apache-2.0 */
/* The vhost-user front end against a good back end and against each vice at each answer. */
#include "cmd/vmm/pci/vhost_front.h"
#include "cmd/vmm/platform/peer.h"
#include "tests/unit/testvmm.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>

#define N_RINGS 3

struct session {
	struct vhost_memory mem;
	struct vhost_ring rings[N_RINGS];
	struct vhost_log log;
};

static const struct vhost_log no_log = { .fd = -1 };

static void prepare(struct session *s)
{
	*s = (struct session){ .mem = { .n = 2 } };
	s->mem.fd = memfd_create("ram", MFD_CLOEXEC);
	s->log = (struct vhost_log){ memfd_create("log", MFD_CLOEXEC), 0x5000 };
	s->mem.regions[0] = (struct vu_region){ 0, 0x10000, 0, 0 };
	s->mem.regions[1] = (struct vu_region){ 0x100000000, 0x20000, 0x100000000, 0x10000 };
	for (unsigned int i = 0; i < N_RINGS; i++)
		s->rings[i] = (struct vhost_ring){ .used = i != 1,
						   .size = (uint16_t)(16 << i),
						   .desc = 0x1000 * (i + 1),
						   .avail = 0x1000 * (i + 1) + 0x800,
						   .used_ring = 0x1000 * (i + 1) + 0xc00,
						   .kick_fd = make_event(),
						   .call_fd = make_event(),
						   .err_fd = make_event() };
}

static void release(struct session *s)
{
	closep(&s->mem.fd);
	closep(&s->log.fd);
	for (unsigned int i = 0; i < N_RINGS; i++) {
		closep(&s->rings[i].kick_fd);
		closep(&s->rings[i].call_fd);
		closep(&s->rings[i].err_fd);
	}
}

/* Everything that a front end does, until the first error. */
static int whole_life(struct vhost_front *f, int sock, const struct session *s)
{
	struct vhost_inflight inflight = { .fd = -1, .n_queues = N_RINGS, .queue_size = 64 };
	uint8_t config[60], status;
	int r = vhost_front_open(f, sock, 1, &s->log);

	if (r < 0)
		return r;
	r = vhost_front_get_config(f, 0, config, sizeof(config));
	if (r == -EOPNOTSUPP)
		r = 0;
	if (r == 0)
		r = vhost_front_set_features(f, f->features);
	if (r == 0)
		r = vhost_front_set_config(f, 32, "\1", 1);
	if (r == 0)
		r = vhost_front_start(f, &s->mem, s->rings, N_RINGS, &inflight);
	if (r == 0)
		r = vhost_front_get_status(f, &status);
	if (r == 0)
		r = vhost_front_stop(f, s->rings, N_RINGS);
	if (r == 0) /* and once more */
		r = vhost_front_set_features(f, f->features);
	if (r == 0)
		r = vhost_front_start(f, &s->mem, s->rings, N_RINGS, &inflight);
	if (r == 0)
		r = vhost_front_stop(f, s->rings, N_RINGS);
	closep(&inflight.fd);
	return r;
}

static void a_good_back_end_gets_all_of_it(void **state)
{
	struct back_end b;
	struct vhost_front f;
	struct session s;
	int fds = open_fds();

	(void)state;
	back_end_init(&b);
	b.n_queues = N_RINGS;
	prepare(&s);
	assert_int_equal(whole_life(&f, back_end_start(&b), &s), 0);
	assert_int_equal(f.n_queues, N_RINGS);
	vhost_front_close(&f);
	back_end_join(&b);
	assert_int_equal(b.n_misuse, 0);
	assert_int_equal(b.mem.mem.n, 2);
	assert_true(b.mem.mem.region[1].mmap_offset == 0x10000);
	assert_int_equal(b.num[0], 16);
	assert_int_equal(b.num[2], 64);
	assert_true(b.addr[2].addr.used == s.rings[2].used_ring);
	assert_int_equal(back_end_count(&b, VHOST_USER_SET_VRING_KICK), 4); /* not ring 1 */
	assert_int_equal(back_end_count(&b, VHOST_USER_SET_VRING_ENABLE), 4);
	assert_int_equal(back_end_count(&b, VHOST_USER_GET_VRING_BASE), 4);
	assert_int_equal(b.config[32], 1);
	release(&s);
	assert_int_equal(open_fds(), fds);
}

/* Rings and all, before the first ring has its descriptor; each time anew. */
static void the_log_is_handed_over(void **state)
{
	struct back_end b;
	struct vhost_front f;
	struct session s;

	(void)state;
	back_end_init(&b);
	b.n_queues = N_RINGS;
	prepare(&s);
	assert_int_equal(whole_life(&f, back_end_start(&b), &s), 0);
	assert_true(f.logs);
	vhost_front_close(&f);
	back_end_join(&b);
	assert_true(b.got_features & 1ULL << VHOST_F_LOG_ALL);
	assert_int_equal(back_end_count(&b, VHOST_USER_SET_LOG_BASE), 2);
	assert_int_equal(b.n_misuse, 0);
	assert_int_equal(b.log_as.log.size, 0x5000);
	assert_int_equal(b.log_as.log.offset, 0);
	assert_int_equal(b.addr[2].addr.flags, VU_VRING_LOG);
	assert_true(b.addr[2].addr.log == s.rings[2].used_ring);
	release(&s);
}

/* Nobody asks, or the back end lacks one half of it. */
static void no_log_where_one_side_has_none(void **state)
{
	(void)state;
	for (int k = 0; k < 3; k++) {
		struct back_end b;
		struct vhost_front f;
		struct session s;

		back_end_init(&b);
		b.n_queues = N_RINGS;
		if (k == 0)
			b.features &= ~(1ULL << VHOST_F_LOG_ALL);
		if (k == 1)
			b.protocol &= ~(1ULL << VHOST_USER_PROTOCOL_F_LOG_SHMFD);
		prepare(&s);
		if (k == 2)
			s.log.len = 0;
		assert_int_equal(whole_life(&f, back_end_start(&b), &s), 0);
		assert_false(f.logs);
		vhost_front_close(&f);
		back_end_join(&b);
		assert_false(b.got_features & 1ULL << VHOST_F_LOG_ALL);
		assert_int_equal(back_end_count(&b, VHOST_USER_SET_LOG_BASE), 0);
		assert_int_equal(b.addr[2].addr.flags, 0);
		release(&s);
	}
}

/* Back ends in use answer with a number, with nothing (DPDK), or with what they were sent. */
static void any_answer_to_the_log_will_do(void **state)
{
	static const uint32_t sizes[] = { 0, 1, 8, 16, VU_PAYLOAD_MAX };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct back_end b;
		struct vhost_front f;
		struct session s;

		back_end_init(&b);
		b.n_queues = N_RINGS;
		b.log_answer = sizes[i];
		prepare(&s);
		assert_int_equal(whole_life(&f, back_end_start(&b), &s), 0);
		assert_true(f.logs);
		vhost_front_close(&f);
		back_end_join(&b);
		release(&s);
	}
}

/* Each protocol feature alone, and none. */
static void any_subset_of_features_will_do(void **state)
{
	(void)state;
	for (unsigned int bit = 0; bit <= 17; bit++) {
		struct back_end b;
		struct vhost_front f;
		struct session s;

		back_end_init(&b);
		b.n_queues = N_RINGS;
		b.protocol = 1ULL << bit;
		if (bit == 17)
			b.features &= ~(1ULL << VHOST_USER_F_PROTOCOL_FEATURES);
		prepare(&s);
		assert_int_equal(whole_life(&f, back_end_start(&b), &s), 0);
		vhost_front_close(&f);
		back_end_join(&b);
		assert_int_equal(b.n_misuse, 0);
		assert_true((b.got_protocol & ~b.protocol) == 0);
		release(&s);
	}
}

/* A wait without a clock: the limit is over whenever there is nothing yet and it is its turn. */
struct patience {
	unsigned int n_over;
	unsigned int most; /* how often in all */
};

static int wait_by(void *owner, int sock, struct timespec *left)
{
	struct patience *p = owner;
	struct pollfd fd = { .fd = sock, .events = POLLIN };
	bool asking = left->tv_sec < PEER_PATIENCE_S;

	/* who was asked answers: only a question may find nothing */
	if (poll(&fd, 1, asking ? 0 : 60000) == 1)
		return 0;
	if (p->n_over == p->most)
		return -EIO;
	p->n_over++;
	return -ETIMEDOUT;
}

/* What is in flight takes any time, as long as the back end lives: answers come out of turn or in it. */
static void a_back_end_may_take_its_time(void **state)
{
	struct vhost_inflight inflight = { .fd = -1, .n_queues = N_RINGS, .queue_size = 64 };

	(void)state;
	for (unsigned int n = 1; n <= 50; n += 7) {
		for (int in_turn = 0; in_turn <= 1; in_turn++) {
			struct patience p = { .most = 1000 };
			struct back_end b;
			struct vhost_front f;
			struct session s;

			back_end_init(&b);
			b.n_queues = N_RINGS;
			b.drain_for = n;
			b.in_turn = in_turn;
			prepare(&s);
			assert_int_equal(vhost_front_open(&f, back_end_start(&b), 1, &s.log), 0);
			vhost_front_wait_by(&f, wait_by, NULL, &p);
			assert_int_equal(vhost_front_set_features(&f, f.features), 0);
			assert_int_equal(vhost_front_start(&f, &s.mem, s.rings, N_RINGS, &inflight),
					 0);
			closep(&inflight.fd);
			assert_int_equal(vhost_front_stop(&f, s.rings, N_RINGS), 0);
			assert_true(p.n_over >= 2 * n); /* both rings */
			vhost_front_close(&f);
			back_end_join(&b);
			assert_int_equal(b.n_misuse, 0);
			release(&s);
		}
	}
}

struct silence {
	unsigned int n_over, n_served; /* how often it gives something back */
};

static int nothing_comes(void *owner, int sock, struct timespec *left)
{
	struct silence *s = owner;

	(void)sock, (void)left;
	s->n_over++;
	return -ETIMEDOUT;
}

static bool something_is_served(void *owner)
{
	struct silence *s = owner;

	return s->n_served && s->n_served--;
}

/* One that says nothing when it is asked is dead, and so is one that cannot be asked; but not as long as
 * it gives back what is in flight. */
static void silence_is_an_end(void **state)
{
	struct vhost_inflight inflight = { .fd = -1, .n_queues = N_RINGS, .queue_size = 64 };

	(void)state;
	for (int k = 0; k < 4; k++) {
		bool can = k & 1;
		const unsigned int served = k & 2 ? 30 : 0;
		struct silence n = { .n_served = served };
		struct back_end b;
		struct vhost_front f;
		struct session s;

		back_end_init(&b);
		b.n_queues = N_RINGS;
		b.drain_for = 100;
		if (!can)
			b.protocol &= ~(1ULL << VHOST_USER_PROTOCOL_F_STATUS);
		prepare(&s);
		assert_int_equal(vhost_front_open(&f, back_end_start(&b), 1, &s.log), 0);
		vhost_front_wait_by(&f, nothing_comes, something_is_served, &n);
		assert_int_equal(vhost_front_set_features(&f, f.features), 0);
		assert_int_equal(vhost_front_start(&f, &s.mem, s.rings, N_RINGS, &inflight), 0);
		closep(&inflight.fd);
		assert_int_equal(vhost_front_stop(&f, s.rings, N_RINGS), -ETIMEDOUT);
		assert_int_equal(n.n_over, served + (can ? 2 : 1));
		assert_true(f.dead);
		vhost_front_close(&f);
		back_end_join(&b);
		release(&s);
	}
}

static bool harmless(uint32_t request, enum back_end_vice vice)
{
	if (vice == BACK_END_VALUE)
		/* any bits are features; a refused SET_CONFIG is the guest's affair */
		return request == VHOST_USER_GET_FEATURES || request == VHOST_USER_SET_LOG_BASE ||
		       request == VHOST_USER_GET_PROTOCOL_FEATURES ||
		       request == VHOST_USER_SET_CONFIG;
	if (request == VHOST_USER_GET_INFLIGHT_FD)
		return vice == BACK_END_WITH_FD; /* as it ought to be */
	if (vice == BACK_END_NACK)
		return vu_has_reply(request) || request == VHOST_USER_SET_CONFIG;
	return false;
}

/* Every answer that is wrong ends the channel, soon, and leaves no descriptor behind. */
static void each_vice_at_each_answer(void **state)
{
	static const uint32_t requests[] = {
		VHOST_USER_GET_FEATURES,     VHOST_USER_GET_PROTOCOL_FEATURES,
		VHOST_USER_GET_QUEUE_NUM,    VHOST_USER_GET_CONFIG,
		VHOST_USER_SET_FEATURES,     VHOST_USER_SET_CONFIG,
		VHOST_USER_SET_STATUS,	     VHOST_USER_SET_MEM_TABLE,
		VHOST_USER_SET_VRING_ENABLE, VHOST_USER_GET_STATUS,
		VHOST_USER_GET_VRING_BASE,   VHOST_USER_GET_INFLIGHT_FD,
		VHOST_USER_SET_INFLIGHT_FD,  VHOST_USER_SET_LOG_BASE,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
		for (int vice = BACK_END_CLOSE; vice < BACK_END_N_VICES; vice++) {
			struct back_end b;
			struct vhost_front f;
			struct session s;
			uint8_t byte;
			int fds = open_fds(), r;

			back_end_init(&b);
			b.n_queues = N_RINGS;
			b.vice_at = requests[i];
			b.vice = (enum back_end_vice)vice;
			prepare(&s);
			r = whole_life(&f, back_end_start(&b), &s);
			if (!harmless(requests[i], b.vice)) {
				assert_true(r < 0 && r != -ETIMEDOUT);
				assert_true(f.dead);
				assert_int_equal(vhost_front_get_status(&f, &byte) < 0 ||
							 !(f.protocol & (1 << 16)),
						 1);
			}
			vhost_front_close(&f);
			back_end_join(&b);
			release(&s);
			assert_int_equal(open_fds(), fds);
		}
}

static void bad_queue_numbers(void **state)
{
	static const uint64_t bad[] = { 0, 257, 1ULL << 32, UINT64_MAX };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct back_end b;
		struct vhost_front f;

		back_end_init(&b);
		b.n_queues = bad[i];
		assert_int_equal(vhost_front_open(&f, back_end_start(&b), 1, &no_log), -EPROTO);
		back_end_join(&b);
	}
}

static void a_refused_configuration_range_is_said(void **state)
{
	struct back_end b;
	struct vhost_front f;
	uint8_t config[64];

	(void)state;
	back_end_init(&b);
	b.config_len = 60;
	assert_int_equal(vhost_front_open(&f, back_end_start(&b), 1, &no_log), 0);
	memset(config, 0xa5, sizeof(config));
	assert_int_equal(vhost_front_get_config(&f, 0, config, 64), -EOPNOTSUPP);
	assert_int_equal(config[0], 0xa5);
	assert_int_equal(vhost_front_get_config(&f, 4, config, 56), 0);
	assert_int_equal(vhost_front_get_config(&f, 0, config, 0), -EOPNOTSUPP);
	assert_int_equal(vhost_front_get_config(&f, 0, config, VU_MAX_CONFIG + 1), -EOPNOTSUPP);
	assert_false(f.dead);
	vhost_front_close(&f);
	back_end_join(&b);
}

#define T cmocka_unit_test

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* clang-format off */
		T(a_good_back_end_gets_all_of_it),
		cmocka_unit_test(the_log_is_handed_over),
		T(no_log_where_one_side_has_none),
		T(any_answer_to_the_log_will_do),
		T(any_subset_of_features_will_do),
		T(a_back_end_may_take_its_time),
		T(silence_is_an_end),
		T(each_vice_at_each_answer),
		T(bad_queue_numbers),
		T(a_refused_configuration_range_is_said),
		/* clang-format on */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
