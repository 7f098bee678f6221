/* SPDX-License-Identifier: Apache-2.0 */
/* dev-console's state page as a hostile predecessor may leave it: refused, or a legal console. */
#include "tests/unit/unit.h"

#include "cmd/dev-console/page.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#define HEAD offsetof(struct console_page, stream.in)

static struct console_page page;
static struct stream stream;

static const struct console_image good = {
	.uart = { .ier = 5, .fcr = 0x81, .lcr = 3, .mcr = 0x0b, .rx_used = 3, .rx = "abc" },
	.virtio = { .sending = 1, .tx_head = 7, .tx_used = 9, .sent = 100 },
	.done = 0x1410007,
	.out_tail = 300000,
	.in_head = 5000,
	.peer = 1,
};

static void nothing(void *owner)
{
	(void)owner;
}

static void make_good(void)
{
	memset(&page, 0, sizeof(page));
	console_page_begin(&page);
	console_page_keep(&page, &good);
	page.stream.out_head = 300000 - 2 * STREAM_SEND_MAX;
	page.stream.in_tail = 5000 + 17;
}

/* 1, 0 or a negative errno, as a console at its start finds it. */
static int load(struct console_image *image, const char **ret_why)
{
	static char text[STATE_WHY_MAX];
	int r;

	*text = 0;
	*ret_why = text;
	stream_init(&stream, &page.stream, NULL, 1, nothing, NULL);
	r = console_page_load(&page, image, text);
	if (r > 0 &&
	    stream_resume(&stream, image->out_tail, image->in_head, image->peer, ret_why) < 0)
		return -EBADMSG;
	return r;
}

/* What it then is: within every bound, and at work. */
static void use(const struct console_image *image)
{
	static uint8_t in[STREAM_IN_CAP + 1];
	struct uart16550 u;
	uint8_t lsr;

	assert_in_range(fifo_used(&stream.out), 0, STREAM_OUT_CAP);
	assert_in_range(fifo_used(&stream.in), 0, STREAM_IN_CAP);
	uart_init(&u, NULL, NULL, NULL);
	uart_load(&u, &image->uart);
	assert_in_range(fifo_used(&u.rx), 0, uart_rx_capacity(&u));
	lsr = (uint8_t)uart_read(&u, UART_LSR, 1);
	assert_int_equal(lsr & UART_LSR_DR, fifo_used(&u.rx) > 0);
	for (unsigned int reg = 1; reg < UART_REGS; reg++)
		(void)!uart_read(&u, reg, 1);
	(void)!stream_put(&stream, in, sizeof(in));
	assert_in_range(stream_get(&stream, in, sizeof(in)), 0, STREAM_IN_CAP);
}

static void test_round_trip(void **state)
{
	struct console_image image;
	const char *why;

	(void)state;
	assert_in_range(state_wire_len(&console_schema), 1, KEPT_SLOT_LEN);
	memset(&page, 0, sizeof(page));
	assert_int_equal(load(&image, &why), 0);
	make_good();
	for (int i = 0; i < 5; i++) {
		assert_int_equal(load(&image, &why), 1);
		assert_memory_equal(&image.uart, &good.uart, sizeof(good.uart));
		assert_int_equal(image.done, good.done);
		assert_int_equal(image.virtio.sent, 100);
		assert_int_equal(fifo_used(&stream.out), 2 * STREAM_SEND_MAX);
		assert_int_equal(fifo_used(&stream.in), 17);
		assert_true(stream_has_peer(&stream));
		console_page_keep(&page, &image);
	}
}

/* A call that moved bytes and a process that never came to say so. */
static void test_moves_that_were_not_noted(void **state)
{
	struct console_image image;
	const char *why;

	(void)state;
	make_good();
	page.stream.sent.from = page.stream.out_head;
	page.stream.sent.msg.msg_len = 1000;
	page.stream.received.from = page.stream.in_tail;
	page.stream.received.msg.msg_len = 5;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(load(&image, &why), 1);
		assert_int_equal(fifo_used(&stream.out), 2 * STREAM_SEND_MAX - 1000);
		assert_int_equal(fifo_used(&stream.in), 22);
	}
}

static void refused(const char *expected)
{
	struct console_image image;
	const char *why;

	assert_true(load(&image, &why) < 0);
	assert_non_null(strstr(why, expected));
	assert_int_equal(fifo_used(&stream.out), 0);
	assert_int_equal(fifo_used(&stream.in), 0);
}

static void test_positions_that_cannot_be(void **state)
{
	static const uint64_t wild[] = { 300001, 1, UINT64_MAX, UINT64_C(1) << 62, 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wild); i++) {
		make_good();
		page.stream.out_head = wild[i];
		refused("the output's positions");
	}
	for (size_t i = 0; i < ARRAY_SIZE(wild); i++) {
		make_good();
		page.stream.in_tail = wild[i];
		refused("the input's positions");
	}
	make_good();
	page.stream.sent.from = page.stream.out_head;
	page.stream.sent.msg.msg_len = STREAM_SEND_MAX + 1;
	refused("the output's positions");
	page.stream.out_head = 300000 - 5;
	page.stream.sent.from = page.stream.out_head;
	page.stream.sent.msg.msg_len = 6;
	refused("the output's positions");
	make_good();
	page.stream.received.from = page.stream.in_tail;
	page.stream.received.msg.msg_len = STREAM_IN_CAP;
	refused("the input's positions");
}

static void keep_bad(const struct console_image *image, const char *expected)
{
	make_good();
	console_page_keep(&page, image);
	refused(expected);
}

static void test_fields_that_cannot_be(void **state)
{
	struct console_image bad;

	(void)state;
#define BAD(member, value, expected)        \
	do {                                \
		bad = good;                 \
		bad.member = (value);       \
		keep_bad(&bad, (expected)); \
	} while (0)
	BAD(uart.ier, 0x10, "uart.ier is 0x10");
	BAD(uart.fcr, 0x08, "uart.fcr is 0x8");
	BAD(uart.fcr, 0xc0, "uart.fcr has a trigger level without FIFOs");
	BAD(uart.fcr, 0, "uart.rx_used is more than the receiver holds");
	BAD(uart.mcr, 0x20, "uart.mcr is 0x20");
	BAD(uart.msr_deltas, 0x10, "uart.msr_deltas is 0x10");
	BAD(uart.thre_pending, 2, "uart.thre_pending is 0x2");
	BAD(uart.rx_used, 17, "uart.rx_used is 0x11");
	BAD(virtio.sending, 0xff, "virtio.sending is 0xff");
	BAD(virtio.given, STREAM_IN_CAP + 1, "virtio.given is 0x1001");
	BAD(virtio.sent, UINT64_MAX, "virtio.sent is 0xffffffffffffffff");
	BAD(done, 0x2000000, "done is 0x2000000");
	BAD(peer, 2, "peer is 0x2");
#undef BAD
}

/* Every value of every byte that counts. */
static void test_every_byte(void **state)
{
	static struct console_page kept;
	struct console_image image;
	size_t n_refused = 0;
	const char *why;

	(void)state;
	make_good();
	kept = page;
	for (size_t i = 0; i < HEAD; i++)
		for (unsigned int value = 0; value < 256; value++) {
			int r;

			memcpy(&page, &kept, HEAD);
			((uint8_t *)&page)[i] = (uint8_t)value;
			r = load(&image, &why);
			n_refused += r < 0;
			if (r > 0)
				use(&image);
			else if (r < 0)
				assert_true(*why);
		}
	assert_true(n_refused > 4000);
}

static void test_random_pages(void **state)
{
	struct console_image image;
	uint64_t seed = 11;
	const char *why;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		make_good();
		for (uint32_t n = next_random(&seed) % 24; n; n--)
			((uint8_t *)&page)[next_random(&seed) % HEAD] = (uint8_t)next_random(&seed);
		if (load(&image, &why) > 0)
			use(&image);
	}
}

static void test_files(void **state)
{
	static const struct {
		off_t size;
		int seals;
		int error;
	} cases[] = {
		{ sizeof(page) - 1, F_SEAL_SHRINK, -EINVAL },
		{ sizeof(page), F_SEAL_GROW, -EINVAL },
		{ sizeof(page), F_SEAL_SHRINK, 0 },
		{ 1 << 20, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, 0 },
		{ sizeof(page), F_SEAL_SHRINK | F_SEAL_WRITE, -EPERM },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int fd = memfd_create("console-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		struct console_page *p = NULL;

		assert_int_equal(ftruncate(fd, cases[i].size), 0);
		assert_int_equal(fcntl(fd, F_ADD_SEALS, cases[i].seals), 0);
		assert_int_equal(console_page_map(fd, &p), cases[i].error);
		if (p) {
			console_page_clear(p);
			munmap(p, sizeof(*p));
		}
		close(fd);
	}
	assert_true(console_page_map(STDIN_FILENO, &(struct console_page *){ NULL }) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_moves_that_were_not_noted),
		cmocka_unit_test(test_positions_that_cannot_be),
		cmocka_unit_test(test_fields_that_cannot_be),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_random_pages),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
