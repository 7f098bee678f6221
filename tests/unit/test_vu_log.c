/* SPDX-License-Identifier: Apache-2.0 */
/* Dirty logging: every page whose bytes changed has its bit, and a log that is too small is refused. */
#include "tests/unit/testfront.h"

#define LOG (TR_RAM / 4096U / 8U) /* bytes: all of guest memory */
#define LOGGING (TF_FEATURES | 1ULL << VHOST_F_LOG_ALL)

static struct front f;
static uint8_t *bits, before[TR_RAM];
static int log_fd;

static int setup(void **state)
{
	(void)state;
	memset(&f, 0, sizeof(f));
	testring_open(&f.ring, TF_SIZE, false, false);
	log_fd = tf_memfd(8192, F_SEAL_SHRINK, &bits);
	tf_open(&f);
	tf_negotiate(&f);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tf_die(&f);
	testring_close(&f.ring);
	munmap(bits, 8192);
	closep(&log_fd);
	return 0;
}

static int set_log(uint64_t size, uint64_t offset, int fd)
{
	return tf_tell(
		&f, (struct vu_msg){ .request = VHOST_USER_SET_LOG_BASE, .log = { size, offset } },
		fd);
}

static bool marked(uint64_t page)
{
	return bits[page / 8] & (1U << (page % 8));
}

static void forget(void)
{
	memset(bits, 0, 8192);
	memcpy(before, f.ring.ram, TR_RAM);
}

static unsigned int n_changed_unmarked(void)
{
	unsigned int n = 0;

	for (uint64_t page = 0; page < TR_RAM / 4096; page++)
		if (memcmp(before + page * 4096, f.ring.ram + page * 4096, 4096) != 0)
			n += !marked(page);
	return n;
}

static void start(uint64_t features)
{
	assert_int_equal(set_log(LOG, 0, log_fd), 0);
	assert_int_equal(tf_u64(&f, VHOST_USER_SET_FEATURES, features), 0);
	assert_int_equal(tf_arm(&f, TF_SIZE, 0), 0);
	tf_enable(&f);
}

static void writes_are_marked(void **state)
{
	(void)state;
	start(LOGGING);
	for (uint16_t i = 0; i < TF_SIZE; i++) {
		tf_offer(&f, i);
		forget();
		tf_kick(&f);
		assert_true(marked((TR_DATA >> 12) + i));
		assert_true(marked(TR_USED >> 12));
		assert_false(marked((TR_DATA >> 12) + i + 1U));
		assert_false(marked(TR_AVAIL >> 12));
		assert_int_equal(n_changed_unmarked(), 0);
	}
}

/* On and off while the ring runs, with the log address of the used ring elsewhere. */
static void switched_while_live(void **state)
{
	(void)state;
	start(TF_FEATURES);
	tf_offer(&f, 1);
	forget();
	tf_kick(&f);
	for (unsigned int i = 0; i < LOG; i++)
		assert_int_equal(bits[i], 0);
	assert_int_equal(tf_u64(&f, VHOST_USER_SET_FEATURES, LOGGING), 0);
	assert_int_equal(tf_addr(&f, VU_VRING_LOG, 0x5ffe), 0);
	tf_offer(&f, 2);
	forget();
	tf_kick(&f);
	assert_int_equal(n_changed_unmarked(), 0);
	assert_true(marked(5) && marked(6)); /* flags; index and entries */
	assert_int_equal(tf_addr(&f, 0, 0), 0);
	assert_int_equal(tf_u64(&f, VHOST_USER_SET_FEATURES, TF_FEATURES), 0);
	tf_offer(&f, 3);
	forget();
	tf_kick(&f);
	assert_int_equal(tf_used(&f), 3);
	for (unsigned int i = 0; i < LOG; i++)
		assert_int_equal(bits[i], 0);
}

static void nothing_else_changes_while_live(void **state)
{
	(void)state;
	start(TF_FEATURES);
	assert_int_equal(tf_u64(&f, VHOST_USER_SET_FEATURES, LOGGING | 1ULL << VIRTIO_F_EVENT_IDX),
			 -EPROTO);
	assert_non_null(strstr(f.dev.why, "ring in use"));
	teardown(state);
	setup(state);
	start(TF_FEATURES);
	assert_int_equal(tf_tell(&f,
				 (struct vu_msg){ .request = VHOST_USER_SET_VRING_ADDR,
						  .addr = { .desc = TF_UADDR + TR_DESC,
							    .used = TF_UADDR + TR_USED + 64,
							    .avail = TF_UADDR + TR_AVAIL } },
				 -1),
			 -EPROTO);
	assert_non_null(strstr(f.dev.why, "ring in use"));
}

static void logs_that_are_refused(void **state)
{
	_cleanup_(closep) int unsealed = -1, event = eventfd(0, EFD_CLOEXEC);
	uint8_t *map;
	const struct {
		uint64_t size, offset;
		int fd;
	} rows[] = {
		{ LOG, 0, (unsealed = tf_memfd(8192, 0, &map)) },
		{ LOG, 0, event },
		{ 0, 0, log_fd },
		{ 8193, 0, log_fd },
		{ ~0ULL, 0, log_fd },
		{ LOG, 1, log_fd },
		{ LOG, 8192, log_fd },
		{ LOG, ~0ULL - 4095, log_fd },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		tf_die(&f);
		tf_open(&f);
		tf_negotiate(&f);
		assert_int_equal(set_log(rows[i].size, rows[i].offset, rows[i].fd), -EPROTO);
	}
	munmap(map, 8192);
	(void)state;
}

/* As CVE-2019-14835 and its like: what would be marked outside the log ends the session. */
static void logs_that_are_too_small(void **state)
{
	(void)state;
	assert_int_equal(set_log(LOG - 1, 0, log_fd), 0); /* nobody logs yet */
	assert_int_equal(tf_u64(&f, VHOST_USER_SET_FEATURES, LOGGING), -EPROTO);
	assert_non_null(strstr(f.dev.why, "dirty log"));
	teardown(state);
	setup(state);
	start(LOGGING);
	assert_int_equal(set_log(LOG - 1, 0, log_fd), -EPROTO);
	teardown(state);
	setup(state);
	start(LOGGING); /* the used ring's last byte */
	assert_int_equal(tf_addr(&f, VU_VRING_LOG, TR_RAM - (6 + 8 * TF_SIZE)), 0);
	assert_int_equal(tf_addr(&f, VU_VRING_LOG, TR_RAM - (5 + 8 * TF_SIZE)), -EPROTO);
	teardown(state);
	setup(state);
	start(LOGGING);
	assert_int_equal(tf_addr(&f, VU_VRING_LOG, ~0ULL), -EPROTO);
}

static void reserved_flags(void **state)
{
	(void)state;
	for (int bit = 1; bit < 32; bit++) {
		teardown(state);
		setup(state);
		assert_int_equal(tf_addr(&f, 1U << bit, 0), -EPROTO);
	}
}

static void the_front_end_is_told(void **state)
{
	_cleanup_(closep) int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint64_t n = 0;

	(void)state;
	assert_int_equal(tf_tell(&f, (struct vu_msg){ .request = VHOST_USER_SET_LOG_FD }, event),
			 0);
	start(LOGGING);
	tf_offer(&f, 1);
	tf_kick(&f);
	assert_int_equal(read(event, &n, 8), 8);
}

/* Pages and their edges, of what is written at once. */
static void every_length_at_a_page_s_edges(void **state)
{
	static const uint64_t at[] = { 0, 1, 4095, 4096, 8 * 4096 - 1, 7 * 4096 + 5 };

	(void)state;
	guestmem_set_log(&f.ring.mem, bits, LOG);
	for (size_t i = 0; i < ARRAY_SIZE(at); i++)
		for (uint64_t len = 0; len <= 20 * 4096; len += len < 3 ? 1 : 1023) {
			forget();
			assert_int_equal(guest_zero(&f.ring.mem, GPA(at[i]), len), 0);
			for (uint64_t page = 0; page < TR_RAM / 4096; page++)
				assert_int_equal(marked(page),
						 len && page >= at[i] / 4096 &&
							 page <= (at[i] + len - 1) / 4096);
		}
	guestmem_set_log(&f.ring.mem, NULL, 0);
}

static void what_the_kernel_writes(void **state)
{
	struct iovec iov[3], strange = { bits, 8192 };
	size_t n = 0;

	(void)state;
	guestmem_set_log(&f.ring.mem, bits, LOG);
	forget();
	assert_int_equal(guest_iov(&f.ring.mem, GPA(0x3ff8), 16, iov, &n, 3), 0);
	guestmem_mark_iov(&f.ring.mem, &strange, 1);
	for (unsigned int i = 0; i < LOG; i++)
		assert_int_equal(bits[i], 0);
	guestmem_mark_iov(&f.ring.mem, iov, n);
	assert_true(marked(3) && marked(4) && !marked(2) && !marked(5));
	guestmem_set_log(&f.ring.mem, NULL, 0);
}

#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(writes_are_marked),
		CASE(switched_while_live),
		CASE(nothing_else_changes_while_live),
		CASE(logs_that_are_refused),
		CASE(logs_that_are_too_small),
		CASE(reserved_flags),
		CASE(the_front_end_is_told),
		CASE(every_length_at_a_page_s_edges),
		CASE(what_the_kernel_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
