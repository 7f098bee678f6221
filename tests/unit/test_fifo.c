/* SPDX-License-Identifier: Apache-2.0 */
/* The bounded FIFO: at, below and far above its capacity, and against a model. */
#include "tests/unit/unit.h"

#include "lib/base/fifo.h"

#include <string.h>

#define CAP 13
#define GUARD 0xee

struct boxed {
	uint8_t before[8];
	uint8_t data[CAP];
	uint8_t after[8];
	struct fifo f;
};

static void box_init(struct boxed *b)
{
	memset(b, GUARD, sizeof(*b));
	fifo_init(&b->f, b->data, CAP);
}

static void box_check(const struct boxed *b)
{
	for (size_t i = 0; i < sizeof(b->before); i++) {
		assert_int_equal(b->before[i], GUARD);
		assert_int_equal(b->after[i], GUARD);
	}
	assert_true(fifo_used(&b->f) + fifo_space(&b->f) == CAP);
}

static void put_takes_what_fits(void **state)
{
	static const size_t sizes[] = { 0, 1, CAP - 1, CAP, CAP + 1, CAP * 10 };
	uint8_t data[CAP * 10];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t want = sizes[i] < CAP ? sizes[i] : CAP;
		uint8_t out[CAP * 10] = { 0 };
		struct boxed b;

		box_init(&b);
		assert_int_equal(fifo_put(&b.f, data, sizes[i]), want);
		assert_int_equal(fifo_used(&b.f), want);
		box_check(&b);
		assert_int_equal(fifo_get(&b.f, out, sizeof(out)), want);
		assert_memory_equal(out, data, want);
		assert_int_equal(fifo_get(&b.f, out, sizeof(out)), 0);
	}
}

static void full_takes_nothing_at_every_head(void **state)
{
	(void)state;
	for (size_t head = 0; head < CAP; head++) {
		uint8_t fill[CAP], out[CAP];
		struct boxed b;

		box_init(&b);
		memset(fill, 0x11, sizeof(fill));
		assert_int_equal(fifo_put(&b.f, fill, head), head);
		assert_int_equal(fifo_drop(&b.f, CAP), head);
		for (size_t i = 0; i < CAP; i++)
			fill[i] = (uint8_t)i;
		assert_int_equal(fifo_put(&b.f, fill, CAP), CAP);
		assert_int_equal(fifo_put(&b.f, fill, 1), 0);
		box_check(&b);
		assert_int_equal(fifo_get(&b.f, out, CAP), CAP);
		assert_memory_equal(out, fill, CAP);
	}
}

static void peek_gives_all_in_order(void **state)
{
	(void)state;
	for (size_t head = 0; head < CAP; head++)
		for (size_t used = 0; used <= CAP; used++) {
			uint8_t fill[CAP], out[CAP];
			struct iovec iov[2];
			struct boxed b;
			size_t n = 0;
			int pieces;

			box_init(&b);
			for (size_t i = 0; i < CAP; i++)
				fill[i] = (uint8_t)(i + 1);
			assert_int_equal(fifo_put(&b.f, fill, head), head);
			assert_int_equal(fifo_drop(&b.f, head), head);
			assert_int_equal(fifo_put(&b.f, fill, used), used);
			pieces = fifo_peek(&b.f, iov);
			assert_in_range(pieces, 0, 2);
			for (int i = 0; i < pieces; i++) {
				assert_true(iov[i].iov_len > 0);
				assert_true(n + iov[i].iov_len <= CAP);
				memcpy(out + n, iov[i].iov_base, iov[i].iov_len);
				n += iov[i].iov_len;
			}
			assert_int_equal(n, used);
			assert_memory_equal(out, fill, used);
			assert_int_equal(fifo_used(&b.f), used);
		}
}

static void clear_forgets(void **state)
{
	struct boxed b;
	uint8_t out;

	(void)state;
	box_init(&b);
	assert_int_equal(fifo_put(&b.f, "abc", 3), 3);
	fifo_clear(&b.f);
	assert_int_equal(fifo_space(&b.f), CAP);
	assert_int_equal(fifo_get(&b.f, &out, 1), 0);
}

/* Counters of bytes ever put and got are the model: byte i of the stream is i. */
static void random_walk(void **state)
{
	uint64_t seed = 1, in = 0, out = 0;
	struct boxed b;

	(void)state;
	box_init(&b);
	for (int step = 0; step < 20000; step++) {
		uint8_t data[CAP * 2];
		size_t len = next_random(&seed) % sizeof(data), n;

		switch (next_random(&seed) % 3) {
		case 0:
			for (size_t i = 0; i < len; i++)
				data[i] = (uint8_t)(in + i);
			n = fifo_put(&b.f, data, len);
			assert_int_equal(n, len < CAP - (in - out) ? len : CAP - (in - out));
			in += n;
			break;
		case 1:
			n = fifo_get(&b.f, data, len);
			assert_int_equal(n, len < in - out ? len : in - out);
			for (size_t i = 0; i < n; i++)
				assert_int_equal(data[i], (uint8_t)(out + i));
			out += n;
			break;
		default:
			n = fifo_drop(&b.f, len % 4);
			assert_int_equal(n, len % 4 < in - out ? len % 4 : in - out);
			out += n;
		}
		assert_int_equal(fifo_used(&b.f), in - out);
		box_check(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(put_takes_what_fits),
		cmocka_unit_test(full_takes_nothing_at_every_head),
		cmocka_unit_test(peek_gives_all_in_order),
		cmocka_unit_test(clear_forgets),
		cmocka_unit_test(random_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
