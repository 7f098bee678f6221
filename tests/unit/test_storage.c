/* SPDX-License-Identifier: Apache-2.0 */
/* A storage process's server: hostile clients first, then clients that come and go, and our own client. */
#include "tests/unit/unit.h"

#include "lib/image/nbd_client.h"
#include "lib/storagekit/server.h"
#include "tests/unit/testimage.h"

#include <errno.h>
#include <string.h>

static struct testimage t;
static struct storage s;
static struct loop loop;
static int peer;
static uint8_t data[STORAGE_DATA_MAX + 512];

static void turn(void)
{
	for (int i = 0; i < 50; i++)
		assert_int_equal(loop_run_once(&loop, 0), 0);
}

static void connect_peer(void)
{
	int pair[2];

	make_pair(SOCK_STREAM, pair);
	peer = pair[1];
	assert_int_equal(storage_connect(&s, pair[0]), 0);
}

/* The shortest handshake: by EXPORT_NAME. */
static void shake(void)
{
	uint8_t wire[NBD_HELLO_LEN], option[NBD_OPTION_LEN];
	const struct nbd_option o = { NBD_OPT_EXPORT_NAME, 0 };

	turn();
	assert_int_equal(recv(peer, wire, sizeof(wire), MSG_DONTWAIT), sizeof(wire));
	assert_int_equal(nbd_client_flags_encode(3, wire, 4), 4);
	assert_int_equal(send(peer, wire, 4, 0), 4);
	assert_int_equal(nbd_option_encode(&o, option, sizeof(option)), sizeof(option));
	assert_int_equal(send(peer, option, sizeof(option), 0), sizeof(option));
	turn();
	assert_int_equal(recv(peer, wire, sizeof(wire), MSG_DONTWAIT), 10);
}

static void open_with(bool readonly, const struct throttle_rates *rates)
{
	testimage_open(&t, readonly);
	assert_int_equal(loop_open(&loop), 0);
	assert_int_equal(storage_open(&s, &t.image, &loop, rates), 0);
	connect_peer();
}

static int begin(void **state)
{
	static const struct throttle_rates none;

	(void)state;
	open_with(false, &none);
	shake();
	return 0;
}

static int end(void **state)
{
	(void)state;
	assert_int_equal(t.n_bad, 0);
	if (s.channel.fd >= 0)
		close(s.channel.fd);
	closep(&s.tick_fd);
	closep(&s.next_sock);
	closep(&peer);
	testimage_close(&t);
	loop_close(&loop);
	return 0;
}

static void ask(uint16_t command, uint16_t flags, uint64_t cookie, uint64_t offset, uint32_t len)
{
	const struct nbd_request q = { flags, command, cookie, offset, len };
	uint8_t wire[NBD_REQUEST_LEN];

	assert_int_equal(nbd_request_encode(&q, wire, sizeof(wire)), sizeof(wire));
	assert_int_equal(send(peer, wire, sizeof(wire), MSG_NOSIGNAL), sizeof(wire));
	if (command == NBD_CMD_WRITE && len <= sizeof(data))
		for (uint32_t at = 0; at < len;) {
			ssize_t n = send(peer, data + at, len - at, MSG_DONTWAIT | MSG_NOSIGNAL);

			at += n > 0 ? (uint32_t)n : 0;
			turn();
		}
}

/* -EAGAIN: there is none; -EPIPE: it has hung up. */
static int hear(struct nbd_reply *ret)
{
	uint8_t wire[NBD_REPLY_LEN];
	ssize_t n;

	turn();
	n = recv(peer, wire, sizeof(wire), MSG_DONTWAIT);
	if (n <= 0)
		return n < 0 && errno == EAGAIN ? -EAGAIN : -EPIPE;
	assert_int_equal(n, sizeof(wire));
	assert_int_equal(nbd_reply_decode(wire, sizeof(wire), ret), 0);
	return 0;
}

static uint32_t error_of(uint64_t cookie)
{
	struct nbd_reply r = { 0 };

	assert_int_equal(hear(&r), 0);
	assert_int_equal(r.cookie, cookie);
	return r.error;
}

static bool hung_up(void)
{
	struct nbd_reply r;

	return hear(&r) == -EPIPE;
}

/* ---- hostile clients ---- */

static void what_is_no_request_ends_it(void **state)
{
	(void)state;
	assert_int_equal(send(peer, data, NBD_REQUEST_LEN, 0), NBD_REQUEST_LEN);
	assert_true(hung_up());
	assert_int_equal(t.n_ops, 0);
}

static void more_data_than_it_was_told_end_it(void **state)
{
	(void)state;
	ask(NBD_CMD_WRITE, 0, 1, 0, STORAGE_DATA_MAX + 512 + (1U << 30));
	assert_true(hung_up());
}

static void what_cannot_be_is_refused_and_it_goes_on(void **state)
{
	static const struct {
		uint16_t command, flags;
		uint64_t offset;
		uint32_t len;
		uint32_t error;
	} cases[] = {
		{ NBD_CMD_READ, 0, TESTIMAGE_SIZE, 512, EINVAL },
		{ NBD_CMD_READ, 0, TESTIMAGE_SIZE - 512, 1024, EINVAL },
		{ NBD_CMD_READ, 0, ~0ULL - 511, 512, EINVAL },
		{ NBD_CMD_READ, 0, 0, 0, EINVAL },
		{ NBD_CMD_READ, 0, 1, 512, EINVAL },
		{ NBD_CMD_READ, 0, 0, 511, EINVAL },
		{ NBD_CMD_READ, 0, 0, STORAGE_DATA_MAX + 512, EOVERFLOW },
		{ NBD_CMD_READ, NBD_CMD_FLAG_NO_HOLE, 0, 512, EINVAL },
		{ NBD_CMD_READ, 1 << 15, 0, 512, EINVAL },
		{ NBD_CMD_WRITE, 0, TESTIMAGE_SIZE, 512, ENOSPC },
		{ NBD_CMD_WRITE, NBD_CMD_FLAG_NO_HOLE, 0, 512, EINVAL },
		{ NBD_CMD_TRIM, 0, 0, ~0U - 511, EINVAL },
		{ NBD_CMD_WRITE_ZEROES, 0, TESTIMAGE_SIZE / 2, TESTIMAGE_SIZE, EINVAL },
		{ NBD_CMD_FLUSH, 0, 512, 0, EINVAL },
		{ 5, 0, 0, 512, EINVAL },
		{ 0xffff, 0, 0, 0, EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		ask(cases[i].command, cases[i].flags, i, cases[i].offset, cases[i].len);
		assert_int_equal(error_of(i), cases[i].error);
	}
	assert_int_equal(t.n_ops, 0);
	ask(NBD_CMD_FLUSH, 0, 99, 0, 0);
	assert_int_equal(error_of(99), 0);
}

static void nothing_is_written_to_what_is_readonly(void **state)
{
	static const struct throttle_rates none;
	static const uint16_t writes[] = { NBD_CMD_WRITE, NBD_CMD_TRIM, NBD_CMD_WRITE_ZEROES };

	(void)state;
	open_with(true, &none);
	assert_true(s.hand.export.flags & NBD_FLAG_READ_ONLY);
	shake();
	for (size_t i = 0; i < ARRAY_SIZE(writes); i++) {
		ask(writes[i], 0, i, 0, 512);
		assert_int_equal(error_of(i), EPERM);
	}
	assert_int_equal(t.n_ops, 0);
	end(NULL);
}

/* Every slot is taken, and the next one has to wait for the first. */
static void more_requests_than_it_has_room_for_wait(void **state)
{
	struct nbd_reply r;
	unsigned int n = 0;

	(void)state;
	t.held = true;
	for (unsigned int i = 0; i < 3 * STORAGE_SLOTS; i++)
		ask(NBD_CMD_FLUSH, 0, i, 0, 0);
	turn();
	assert_int_equal(t.n_pending, STORAGE_SLOTS);
	t.held = false;
	assert_int_equal(image_submit(&t.image), 0);
	while (hear(&r) == 0)
		assert_int_equal(r.cookie, n++);
	assert_int_equal(n, 3 * STORAGE_SLOTS);
}

/* Who does not take replies is not read from, and holds nobody else up. */
static void a_client_that_takes_no_reply_gets_no_more(void **state)
{
	struct nbd_reply r;
	unsigned int n = 0;

	(void)state;
	for (unsigned int i = 0; i < 100; i++)
		ask(NBD_CMD_READ, 0, i, 0, 65536);
	turn();
	assert_true(t.n_ops < 100);
	while (hear(&r) == 0) {
		size_t got = 0;

		assert_int_equal(r.error, 0);
		while (got < 65536) {
			ssize_t k = recv(peer, data, 65536 - got, MSG_DONTWAIT);

			got += k > 0 ? (size_t)k : 0;
			turn();
		}
		n++;
	}
	assert_int_equal(n, 100);
}

static void it_leaves_at_any_byte(void **state)
{
	const struct nbd_request q = { .command = NBD_CMD_WRITE, .len = 512 };
	uint8_t wire[NBD_REQUEST_LEN + 512] = { 0 };

	(void)state;
	assert_int_equal(nbd_request_encode(&q, wire, NBD_REQUEST_LEN), NBD_REQUEST_LEN);
	for (size_t cut = 1; cut < sizeof(wire); cut += 13) {
		assert_int_equal(send(peer, wire, cut, 0), cut);
		turn();
		closep(&peer);
		turn();
		assert_int_equal(s.channel.fd, -1);
		connect_peer();
		shake();
	}
	assert_int_equal(t.n_ops, 0); /* half a write is none */
}

/* ---- requests ---- */

static void bytes_go_there_and_back(void **state)
{
	static uint8_t back[STORAGE_DATA_MAX];
	size_t got = 0;

	(void)state;
	memset(data, 'w', sizeof(data));
	ask(NBD_CMD_WRITE, NBD_CMD_FLAG_FUA, 1, 4096, STORAGE_DATA_MAX);
	assert_int_equal(error_of(1), 0);
	assert_int_equal(t.n_synced, 1);
	ask(NBD_CMD_READ, 0, 2, 4096, STORAGE_DATA_MAX);
	assert_int_equal(error_of(2), 0);
	while (got < sizeof(back)) {
		ssize_t n = recv(peer, back + got, sizeof(back) - got, MSG_DONTWAIT);

		got += n > 0 ? (size_t)n : 0;
		turn();
	}
	assert_memory_equal(back, data, sizeof(back));
	ask(NBD_CMD_WRITE_ZEROES, NBD_CMD_FLAG_NO_HOLE, 3, 4096, 512);
	assert_int_equal(error_of(3), 0);
	assert_int_equal(t.bytes[4096], 0);
	assert_int_equal(t.bytes[4096 + 512], 'w');
	ask(NBD_CMD_TRIM, 0, 4, 0, TESTIMAGE_SIZE);
	assert_int_equal(error_of(4), 0);
	ask(NBD_CMD_DISC, 0, 5, 0, 0);
	assert_true(hung_up());
}

static void errors_of_the_image_are_told(void **state)
{
	(void)state;
	t.fails = -ENOSPC;
	ask(NBD_CMD_WRITE, 0, 1, 0, 512);
	assert_int_equal(error_of(1), ENOSPC);
	t.fails = -ESTALE;
	ask(NBD_CMD_READ, 0, 2, 0, 512); /* no data behind it */
	assert_int_equal(error_of(2), EIO);
	t.fails = 0;
	ask(NBD_CMD_FLUSH, 0, 3, 0, 0);
	assert_int_equal(error_of(3), 0);
}

/* ---- clients that come and go ---- */

/* Else a write of the old one could end after one of the new one to the same place. */
static void the_next_one_waits_for_what_the_one_before_began(void **state)
{
	uint8_t byte;

	(void)state;
	t.held = true;
	ask(NBD_CMD_WRITE, 0, 1, 0, 512);
	turn();
	assert_int_equal(t.n_pending, 1);
	closep(&peer);
	turn();
	connect_peer();
	turn();
	assert_int_equal(recv(peer, &byte, 1, MSG_DONTWAIT), -1); /* not even a hello */
	t.held = false;
	assert_int_equal(image_submit(&t.image), 0);
	shake();
	ask(NBD_CMD_FLUSH, 0, 2, 0, 0);
	assert_int_equal(error_of(2), 0); /* and no reply to the old one's */
}

static void the_last_of_several_is_the_one(void **state)
{
	int first, second;

	(void)state;
	t.held = true;
	ask(NBD_CMD_FLUSH, 0, 1, 0, 0);
	turn();
	first = peer;
	connect_peer();
	second = peer;
	connect_peer();
	t.held = false;
	assert_int_equal(image_submit(&t.image), 0);
	shake();
	assert_int_equal(recv(first, data, 1, MSG_DONTWAIT), 0);
	assert_int_equal(recv(second, data, 1, MSG_DONTWAIT), 0);
	close(first);
	close(second);
}

static void it_ends_once_the_client_has_gone_and_all_is_done(void **state)
{
	(void)state;
	t.held = true;
	ask(NBD_CMD_WRITE, 0, 1, 0, 512);
	turn();
	storage_finish(&s);
	turn();
	assert_false(loop.stopped);
	closep(&peer);
	turn();
	assert_false(loop.stopped);
	t.held = false;
	assert_int_equal(image_submit(&t.image), 0);
	turn();
	assert_true(loop.stopped);
	assert_int_equal(t.bytes[0], data[0]);
}

/* ---- rates ---- */

static void what_is_over_its_rate_waits(void **state)
{
	struct throttle_rates rates = { .burst_s = 1 };
	struct nbd_reply r;

	(void)state;
	rates.rate[THROTTLE_OPS] = 20;
	open_with(false, &rates);
	shake();
	for (unsigned int i = 0; i < 30; i++)
		ask(NBD_CMD_READ, 0, i, 0, 512);
	turn();
	/* twenty at once; how much time has passed since is the host's */
	assert_true(t.n_ops >= 20 && t.n_ops < 30);
	for (unsigned int i = 0; i < 30; i++) {
		while (hear(&r) == -EAGAIN)
			assert_int_equal(loop_run_once(&loop, 1000), 0);
		assert_int_equal(r.error, 0);
		assert_int_equal(recv(peer, data, 512, MSG_DONTWAIT), 512);
	}
	assert_int_equal(s.ticks.fd, -1); /* nobody waits: no wake-ups */
	/* one that goes while it waits leaves none, either */
	for (unsigned int i = 0; i < 30; i++)
		ask(NBD_CMD_READ, 0, i, 0, 512);
	turn();
	closep(&peer);
	turn();
	while (s.ticks.fd >= 0)
		assert_int_equal(loop_run_once(&loop, 1000), 0);
	end(NULL);
}

/* ---- our own client ---- */

static unsigned int n_done;

static void on_done(void *owner, uint64_t handle, int result)
{
	(void)owner, (void)handle;
	assert_int_equal(result, 0);
	n_done++;
}

static void our_own_client(void **state)
{
	static const struct throttle_rates none;
	static struct nbd_client c;
	static uint8_t back[3 << 20], out[3 << 20];
	struct iovec iov[] = { { out, 1000 }, { out + 1000, sizeof(out) - 1000 } };
	struct iovec riov[] = { { back, 4097 }, { back + 4097, sizeof(back) - 4097 } };
	struct image_io io = {
		.op = IMAGE_WRITE, .offset = 512, .len = sizeof(out), .iov = iov, .n_iov = 2
	};

	(void)state;
	open_with(false, &none);
	memset(out, 'o', sizeof(out));
	nbd_client_open(&c, take_fd(&peer), false);
	c.image.done = on_done;
	for (int i = 0; i < 20 && !c.up; i++) {
		turn();
		assert_int_equal(image_reap(&c.image), 0);
	}
	assert_int_equal(c.image.capacity, TESTIMAGE_SIZE);
	assert_true(c.image.can_discard);
	assert_int_equal(image_queue(&c.image, &io), 0);
	while (n_done < 1) {
		assert_int_equal(image_reap(&c.image), 0);
		turn();
	}
	assert_memory_equal(t.bytes + 512, out, sizeof(out));
	io.op = IMAGE_READ;
	io.iov = riov;
	assert_int_equal(image_queue(&c.image, &io), 0);
	while (n_done < 2) {
		assert_int_equal(image_reap(&c.image), 0);
		turn();
	}
	assert_memory_equal(back, out, sizeof(out));
	image_close(&c.image);
	end(NULL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_no_request_ends_it),
		T(more_data_than_it_was_told_end_it),
		T(what_cannot_be_is_refused_and_it_goes_on),
		cmocka_unit_test(nothing_is_written_to_what_is_readonly),
		T(more_requests_than_it_has_room_for_wait),
		T(a_client_that_takes_no_reply_gets_no_more),
		T(it_leaves_at_any_byte),
		T(bytes_go_there_and_back),
		T(errors_of_the_image_are_told),
		T(the_next_one_waits_for_what_the_one_before_began),
		T(the_last_of_several_is_the_one),
		T(it_ends_once_the_client_has_gone_and_all_is_done),
		cmocka_unit_test(what_is_over_its_rate_waits),
		cmocka_unit_test(our_own_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
