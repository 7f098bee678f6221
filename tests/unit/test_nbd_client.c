/* SPDX-License-Identifier: Apache-2.0 */
/* An image behind a socket: hostile servers first, then pieces, slow peers, and connections that end. */
#include "tests/unit/unit.h"

#include "lib/image/nbd_client.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define SIZE (8ULL << 20)
#define ALL_FLAGS                                                                            \
	(NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_FUA | NBD_FLAG_SEND_TRIM | \
	 NBD_FLAG_SEND_WRITE_ZEROES)

/* The client, and the test as its server. */
struct world {
	struct nbd_client c;
	int peer;
	unsigned int n_done;
	uint64_t handle;
	int result;
	uint8_t memory[1 << 20];
};

static struct world w;

static void on_done(void *owner, uint64_t handle, int result)
{
	assert_ptr_equal(owner, &w);
	w.n_done++;
	w.handle = handle;
	w.result = result;
}

static struct nbd_export export_of(uint64_t size, uint16_t flags)
{
	return (struct nbd_export){ .size = size,
				    .flags = flags,
				    .block_min = 1,
				    .block_preferred = 4096,
				    .block_max = 1 << 20 };
}

/* Plays the server of a handshake to its end. The client's last error. */
static int shake(const struct nbd_export *e)
{
	struct nbd_hand h;
	uint8_t in[64];
	size_t got = 0;
	int done = 0, r = 0;

	nbd_hand_server(&h, e);
	for (int i = 0; i < 50 && r == 0 && !w.c.up; i++) {
		ssize_t n;

		assert_int_equal(send(w.peer, h.out, h.n_out, MSG_NOSIGNAL), h.n_out);
		h.n_out = 0;
		r = image_reap(&w.c.image);
		if (done || r < 0 || h.wants > sizeof(in))
			continue;
		n = recv(w.peer, in + got, h.wants - got, MSG_DONTWAIT);
		got += n > 0 ? (size_t)n : 0;
		if (got < h.wants)
			continue;
		done = nbd_hand_take(&h, in, got);
		got = 0;
	}
	return r;
}

static void open_with(bool readonly)
{
	int pair[2];

	memset(&w, 0, sizeof(w));
	make_pair(SOCK_STREAM, pair);
	w.peer = pair[1];
	nbd_client_open(&w.c, pair[0], readonly);
	w.c.image.done = on_done;
	w.c.image.owner = &w;
}

static int begin(void **state)
{
	struct nbd_export e = export_of(SIZE, ALL_FLAGS);

	(void)state;
	open_with(false);
	assert_int_equal(shake(&e), 0);
	assert_true(w.c.up);
	return 0;
}

static int end(void **state)
{
	(void)state;
	image_close(&w.c.image);
	closep(&w.peer);
	return 0;
}

static int ask(enum image_op op, uint64_t offset, uint64_t len, struct iovec *iov, size_t n_iov)
{
	const struct image_io io = { .op = op,
				     .offset = offset,
				     .len = len,
				     .iov = iov,
				     .n_iov = n_iov,
				     .handle = 7 + offset };
	int r = image_queue(&w.c.image, &io);

	return r < 0 ? r : image_submit(&w.c.image);
}

static struct nbd_request hear(void)
{
	uint8_t wire[NBD_REQUEST_LEN];
	struct nbd_request q = { 0 };

	assert_int_equal(recv(w.peer, wire, sizeof(wire), MSG_DONTWAIT), sizeof(wire));
	assert_int_equal(nbd_request_decode(wire, sizeof(wire), &q), 0);
	return q;
}

static bool silent(void)
{
	uint8_t byte;

	return recv(w.peer, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

static void answer(uint64_t cookie, uint32_t error, const void *data, size_t len)
{
	const struct nbd_reply reply = { error, cookie };
	uint8_t wire[NBD_REPLY_LEN];

	assert_int_equal(nbd_reply_encode(&reply, wire, sizeof(wire)), sizeof(wire));
	assert_int_equal(send(w.peer, wire, sizeof(wire), MSG_NOSIGNAL), sizeof(wire));
	if (len)
		assert_int_equal(send(w.peer, data, len, MSG_NOSIGNAL), len);
}

static uint64_t ask_read(uint64_t offset, uint64_t len)
{
	static struct iovec iov;

	iov = (struct iovec){ w.memory, len };
	assert_int_equal(ask(IMAGE_READ, offset, len, &iov, 1), 0);
	return hear().cookie;
}

/* ---- hostile servers ---- */

static void a_reply_to_nothing_breaks_it(void **state)
{
	uint64_t cookie = ask_read(0, 512);

	(void)state;
	answer(cookie + 1, 0, NULL, 0);
	assert_int_equal(image_reap(&w.c.image), -EBADMSG);
	assert_int_equal(w.n_done, 0);
}

static void a_cookie_of_another_slot_or_time_breaks_it(void **state)
{
	uint64_t cookie = ask_read(0, 512);

	(void)state;
	answer(cookie ^ 1ULL << 63, 0, NULL, 0);
	assert_int_equal(image_reap(&w.c.image), -EBADMSG);
}

static void a_second_reply_breaks_it(void **state)
{
	uint64_t cookie = ask_read(0, 512);

	(void)state;
	answer(cookie, EIO, NULL, 0);
	answer(cookie, EIO, NULL, 0);
	assert_int_equal(image_reap(&w.c.image), -EBADMSG);
	assert_int_equal(w.n_done, 1);
	assert_int_equal(w.result, -EIO);
}

static void an_answer_before_its_request_is_sent_breaks_it(void **state)
{
	static uint8_t data[1 << 20];
	struct iovec iov[4];
	uint64_t cookie;

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		iov[i] = (struct iovec){ data, sizeof(data) };
		assert_int_equal(ask(IMAGE_WRITE, i * sizeof(data), sizeof(data), &iov[i], 1), 0);
	}
	cookie = hear().cookie;
	answer(cookie + 3, 0, NULL, 0); /* its data are not in the socket yet */
	assert_int_equal(image_reap(&w.c.image), -EBADMSG);
}

static void what_is_no_reply_breaks_it(void **state)
{
	(void)state;
	(void)ask_read(0, 512);
	assert_int_equal(send(w.peer, "0123456789abcdef", 16, 0), 16);
	assert_int_equal(image_reap(&w.c.image), -EBADMSG);
}

static void errors_are_passed_on_and_unknown_ones_are_eio(void **state)
{
	static const struct {
		uint32_t error;
		int result;
	} cases[] = { { EIO, -EIO }, { ENOSPC, -ENOSPC }, { 9999, -EIO }, { ~0U, -EIO } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		answer(ask_read(0, 512), cases[i].error, NULL, 0);
		assert_int_equal(image_reap(&w.c.image), 0);
		assert_int_equal(w.n_done, i + 1);
		assert_int_equal(w.result, cases[i].result);
	}
}

static void an_export_that_cannot_be_used_is_refused(void **state)
{
	static const struct {
		struct nbd_export e;
		bool readonly;
		int r;
	} cases[] = {
		{ { 511, ALL_FLAGS, 1, 4096, 1 << 20 }, false, -ENODATA },
		{ { SIZE, ALL_FLAGS, 4096, 4096, 1 << 20 }, false, -EOPNOTSUPP },
		{ { SIZE, ALL_FLAGS, 1, 1, 256 }, false, -EOPNOTSUPP },
		{ { SIZE, ALL_FLAGS | NBD_FLAG_READ_ONLY, 1, 1, 1 << 20 }, false, -EACCES },
		{ { SIZE, ALL_FLAGS & ~NBD_FLAG_SEND_FLUSH, 1, 1, 1 << 20 }, false, -EOPNOTSUPP },
		{ { SIZE, NBD_FLAG_HAS_FLAGS | NBD_FLAG_READ_ONLY, 1, 1, 1 << 20 }, true, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		open_with(cases[i].readonly);
		assert_int_equal(shake(&cases[i].e), cases[i].r);
		end(NULL);
	}
}

static void another_export_than_before_breaks_it(void **state)
{
	struct nbd_export smaller = export_of(SIZE / 2, ALL_FLAGS);
	int pair[2];

	(void)state;
	closep(&w.peer);
	make_pair(SOCK_STREAM, pair);
	w.peer = pair[1];
	nbd_client_connect(&w.c, pair[0]);
	assert_int_equal(shake(&smaller), -EBADMSG);
}

/* ---- requests ---- */

static void a_read_arrives_where_it_belongs(void **state)
{
	uint8_t data[1024];
	struct iovec iov[] = { { w.memory, 100 }, { w.memory + 4096, 924 } };
	struct nbd_request q;

	(void)state;
	memset(data, 'd', sizeof(data));
	assert_int_equal(ask(IMAGE_READ, 4096, 1024, iov, 2), 0);
	q = hear();
	assert_int_equal(q.command, NBD_CMD_READ);
	assert_int_equal(q.offset, 4096);
	assert_int_equal(q.len, 1024);
	/* byte by byte */
	answer(q.cookie, 0, NULL, 0);
	for (size_t i = 0; i < sizeof(data); i++) {
		assert_int_equal(w.n_done, 0);
		assert_int_equal(send(w.peer, data + i, 1, 0), 1);
		assert_int_equal(image_reap(&w.c.image), 0);
	}
	assert_int_equal(w.n_done, 1);
	assert_int_equal(w.result, 0);
	assert_int_equal(w.handle, 7 + 4096);
	assert_memory_equal(w.memory, data, 100);
	assert_memory_equal(w.memory + 4096, data, 924);
	assert_int_equal(w.memory[100], 0);
	assert_int_equal(w.memory[4096 + 924], 0);
}

static void replies_in_a_burst_and_in_any_order(void **state)
{
	uint64_t a = ask_read(0, 512), b = ask_read(512, 512), c = ask_read(1024, 512);
	uint8_t data[512] = { 1 };

	(void)state;
	answer(c, 0, data, sizeof(data));
	answer(a, EIO, NULL, 0);
	answer(b, 0, data, sizeof(data));
	assert_int_equal(image_reap(&w.c.image), 0);
	assert_int_equal(w.n_done, 3);
	assert_int_equal(w.handle, 7 + 512);
}

static void a_write_comes_with_its_data_and_fua(void **state)
{
	struct iovec iov[] = { { w.memory, 512 }, { w.memory + 1000, 512 } };
	struct image_io io = {
		.op = IMAGE_WRITE, .len = 1024, .iov = iov, .n_iov = 2, .sync = true
	};
	uint8_t data[1024];
	struct nbd_request q;

	(void)state;
	w.memory[0] = 1;
	w.memory[1000] = 2;
	assert_int_equal(image_queue(&w.c.image, &io), 0);
	assert_true(silent()); /* nothing before the submission */
	assert_int_equal(image_submit(&w.c.image), 0);
	q = hear();
	assert_int_equal(q.command, NBD_CMD_WRITE);
	assert_int_equal(q.flags, NBD_CMD_FLAG_FUA);
	assert_int_equal(recv(w.peer, data, sizeof(data), MSG_DONTWAIT), sizeof(data));
	assert_int_equal(data[0], 1);
	assert_int_equal(data[512], 2);
	answer(q.cookie, 0, NULL, 0);
	assert_int_equal(image_reap(&w.c.image), 0);
	assert_int_equal(w.n_done, 1);
}

static void what_is_larger_than_the_server_takes_goes_in_pieces(void **state)
{
	static uint8_t data[3 << 20];
	struct iovec iov = { data, (2 << 20) + 512 };
	static const uint32_t lens[] = { 1 << 20, 1 << 20, 512 };
	uint64_t at = 0;

	(void)state;
	w.c.image.done = on_done;
	assert_int_equal(ask(IMAGE_READ, 0, iov.iov_len, &iov, 1), 0);
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		struct nbd_request q = hear();

		assert_int_equal(q.offset, at);
		assert_int_equal(q.len, lens[i]);
		assert_int_equal(w.n_done, 0);
		answer(q.cookie, 0, NULL, 0);
		for (uint32_t k = 0; k < lens[i]; k += 512) {
			assert_int_equal(send(w.peer, w.memory, 512, 0), 512);
			assert_int_equal(image_reap(&w.c.image), 0);
		}
		at += lens[i];
	}
	assert_int_equal(w.n_done, 1);
	assert_int_equal(w.result, 0);
}

static void flush_discard_and_zeroes(void **state)
{
	struct nbd_request q;

	(void)state;
	assert_int_equal(ask(IMAGE_FLUSH, 0, 0, NULL, 0), 0);
	q = hear();
	assert_int_equal(q.command, NBD_CMD_FLUSH);
	assert_int_equal(q.len, 0);
	answer(q.cookie, 0, NULL, 0);
	assert_int_equal(ask(IMAGE_DISCARD, 512, 1024, NULL, 0), 0);
	q = hear();
	assert_int_equal(q.command, NBD_CMD_TRIM);
	assert_int_equal(q.len, 1024);
	answer(q.cookie, 0, NULL, 0);
	assert_int_equal(ask(IMAGE_ZERO, 0, SIZE, NULL, 0), 0);
	q = hear();
	assert_int_equal(q.command, NBD_CMD_WRITE_ZEROES);
	assert_int_equal(q.flags, NBD_CMD_FLAG_NO_HOLE);
	assert_int_equal(q.len, SIZE);
	answer(q.cookie, 0, NULL, 0);
	assert_int_equal(image_reap(&w.c.image), 0);
	assert_int_equal(w.n_done, 3);
}

static void what_is_not_on_the_disk_is_refused(void **state)
{
	struct iovec iov = { w.memory, 512 };

	(void)state;
	assert_int_equal(ask(IMAGE_READ, SIZE, 512, &iov, 1), -EINVAL);
	assert_int_equal(ask(IMAGE_READ, 1, 512, &iov, 1), -EINVAL);
	assert_int_equal(ask(IMAGE_READ, ~0ULL - 511, 512, &iov, 1), -EINVAL);
	assert_true(silent());
}

static void as_many_as_may_be_and_no_more(void **state)
{
	struct iovec iov = { w.memory, 512 };

	(void)state;
	for (unsigned int i = 0; i < NBD_CLIENT_DEPTH; i++)
		assert_int_equal(ask(IMAGE_READ, 0, 512, &iov, 1), 0);
	assert_int_equal(ask(IMAGE_READ, 0, 512, &iov, 1), -EBUSY);
}

/* A server that reads nothing holds nobody up: queueing and reaping return. */
static void a_server_that_does_not_read_is_slow_and_no_more(void **state)
{
	static uint8_t data[1 << 20];
	static struct iovec iov[8];
	unsigned int heard = 0;

	(void)state;
	for (unsigned int i = 0; i < 8; i++) {
		iov[i] = (struct iovec){ data, sizeof(data) };
		assert_int_equal(ask(IMAGE_WRITE, i * sizeof(data), sizeof(data), &iov[i], 1), 0);
		assert_int_equal(image_reap(&w.c.image), 0);
	}
	while (heard < 8) {
		struct nbd_request q;
		size_t got = 0;

		assert_int_equal(image_reap(&w.c.image), 0);
		q = hear();
		assert_int_equal(q.offset, heard * sizeof(data));
		while (got < q.len) {
			ssize_t n = recv(w.peer, w.memory, q.len - got, MSG_DONTWAIT);

			got += n > 0 ? (size_t)n : 0;
			assert_int_equal(image_reap(&w.c.image), 0);
		}
		answer(q.cookie, 0, NULL, 0);
		heard++;
	}
	assert_int_equal(image_reap(&w.c.image), 0);
	assert_int_equal(w.n_done, 8);
}

/* ---- connections that end ---- */

static void reconnect(void)
{
	struct nbd_export e = export_of(SIZE, ALL_FLAGS);
	int pair[2];

	make_pair(SOCK_STREAM, pair);
	w.peer = pair[1];
	nbd_client_connect(&w.c, pair[0]);
	assert_int_equal(shake(&e), 0);
	assert_true(w.c.up);
	assert_int_equal(image_reap(&w.c.image), 0);
}

static void what_is_in_flight_is_done_again(void **state)
{
	uint64_t cookie = ask_read(4096, 1024);
	uint8_t data[1024];
	struct nbd_request q;

	(void)state;
	memset(data, 'x', sizeof(data));
	answer(cookie, 0, data, 300); /* cut in the middle */
	assert_int_equal(image_reap(&w.c.image), 0);
	closep(&w.peer);
	assert_int_equal(image_reap(&w.c.image), 0);
	assert_true(w.c.gone);
	assert_int_equal(ask(IMAGE_FLUSH, 0, 0, NULL, 0), 0); /* waits, too */
	assert_int_equal(image_reap(&w.c.image), 0);
	assert_int_equal(w.n_done, 0);
	reconnect();
	q = hear();
	assert_int_equal(q.command, NBD_CMD_READ);
	assert_int_equal(q.offset, 4096);
	assert_int_equal(q.len, 1024);
	assert_true(q.cookie != cookie); /* a reply of the old time is none */
	answer(q.cookie, 0, data, sizeof(data));
	q = hear();
	assert_int_equal(q.command, NBD_CMD_FLUSH);
	answer(q.cookie, 0, NULL, 0);
	assert_int_equal(image_reap(&w.c.image), 0);
	assert_int_equal(w.n_done, 2);
	assert_int_equal(w.result, 0);
	assert_memory_equal(w.memory, data, sizeof(data));
}

static void note_lost(struct nbd_client *c)
{
	(*(unsigned int *)c->lost_owner)++;
}

/* Each end is told of once; what waits can be given up, and nothing of it is heard of again. */
static void what_waits_for_a_server_can_be_given_up(void **state)
{
	uint64_t cookie = ask_read(4096, 1024);
	unsigned int lost = 0;
	uint8_t data[1024] = "";

	(void)state;
	w.c.lost = note_lost;
	w.c.lost_owner = &lost;
	nbd_client_fail(&w.c, -EIO); /* not while it is there */
	assert_int_equal(w.n_done, 0);
	answer(cookie, 0, data, 300);
	assert_int_equal(image_reap(&w.c.image), 0);
	closep(&w.peer);
	assert_int_equal(image_reap(&w.c.image), 0);
	assert_int_equal(image_reap(&w.c.image), 0);
	assert_int_equal(lost, 1);
	assert_int_equal(ask(IMAGE_FLUSH, 0, 0, NULL, 0), 0);
	nbd_client_fail(&w.c, -EIO);
	assert_int_equal(w.n_done, 2);
	assert_int_equal(w.result, -EIO);
	reconnect();
	assert_true(silent());
	cookie = ask_read(0, 512);
	answer(cookie, 0, data, 512);
	assert_int_equal(image_reap(&w.c.image), 0);
	assert_int_equal(w.n_done, 3);
	assert_int_equal(w.result, 0);
}

static void a_clean_end_is_told_unless_something_is_in_flight(void **state)
{
	const uint8_t zeroes[512] = { 0 };
	uint64_t cookie = ask_read(0, 512);

	(void)state;
	nbd_client_leave(&w.c);
	assert_true(silent());
	answer(cookie, 0, zeroes, sizeof(zeroes));
	assert_int_equal(image_reap(&w.c.image), 0);
	nbd_client_leave(&w.c);
	assert_int_equal(hear().command, NBD_CMD_DISC);
	assert_true(silent());
}

static void it_ends_in_the_middle_of_anything(void **state)
{
	static uint8_t data[1 << 20];
	struct iovec iov = { data, sizeof(data) };
	struct nbd_request q;
	size_t got = 0;

	(void)state;
	assert_int_equal(ask(IMAGE_WRITE, 0, sizeof(data), &iov, 1), 0);
	(void)hear(); /* and not all of its data fits into the socket */
	closep(&w.peer);
	assert_int_equal(image_reap(&w.c.image), 0);
	reconnect();
	q = hear();
	assert_int_equal(q.len, sizeof(data));
	while (got < sizeof(data)) {
		ssize_t n = recv(w.peer, w.memory, sizeof(w.memory), MSG_DONTWAIT);

		got += n > 0 ? (size_t)n : 0;
		assert_int_equal(image_reap(&w.c.image), 0);
	}
	answer(q.cookie, 0, NULL, 0);
	assert_int_equal(image_reap(&w.c.image), 0);
	assert_int_equal(w.n_done, 1);
	/* and in the middle of the handshake */
	closep(&w.peer);
	assert_int_equal(image_reap(&w.c.image), 0);
	{
		int pair[2];

		make_pair(SOCK_STREAM, pair);
		nbd_client_connect(&w.c, pair[0]);
		assert_int_equal(send(pair[1], "NBDMAGIC", 8, 0), 8);
		closep(&pair[1]);
		assert_int_equal(image_reap(&w.c.image), 0);
		assert_true(w.c.gone);
	}
	reconnect();
}

static void who_waits_is_told_of_an_end_and_of_others(void **state)
{
	int other[2];

	(void)state;
	open_with(false);
	make_pair(SOCK_SEQPACKET, other);
	closep(&other[1]);
	assert_int_equal(nbd_client_await(&w.c, other[0], -1), -ECANCELED);
	closep(&other[0]);
	closep(&w.peer);
	assert_int_equal(nbd_client_await(&w.c, -1, -1), -EPIPE);
	end(NULL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_reply_to_nothing_breaks_it),
		T(a_cookie_of_another_slot_or_time_breaks_it),
		T(a_second_reply_breaks_it),
		T(an_answer_before_its_request_is_sent_breaks_it),
		T(what_is_no_reply_breaks_it),
		T(errors_are_passed_on_and_unknown_ones_are_eio),
		cmocka_unit_test(an_export_that_cannot_be_used_is_refused),
		T(another_export_than_before_breaks_it),
		T(a_read_arrives_where_it_belongs),
		T(replies_in_a_burst_and_in_any_order),
		T(a_write_comes_with_its_data_and_fua),
		T(what_is_larger_than_the_server_takes_goes_in_pieces),
		T(flush_discard_and_zeroes),
		T(what_is_not_on_the_disk_is_refused),
		T(as_many_as_may_be_and_no_more),
		T(a_server_that_does_not_read_is_slow_and_no_more),
		T(what_is_in_flight_is_done_again),
		T(what_waits_for_a_server_can_be_given_up),
		T(it_ends_in_the_middle_of_anything),
		T(a_clean_end_is_told_unless_something_is_in_flight),
		cmocka_unit_test(who_waits_is_told_of_an_end_and_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
