/* SPDX-License-Identifier: Apache-2.0 */
/* Split virtqueues against drivers that are right, and against every way of being wrong. */
#include "tests/unit/testring.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define N 64U

static struct testring t;
static struct virtq vq;
static struct virtq_chain chain;
static const struct virtq_budget plenty = { .descriptors = 1 << 20, .bytes = 1ULL << 40 };
static struct virtq_budget budget;

static void start(bool event_idx, bool indirect)
{
	testring_open(&t, N, event_idx, indirect);
	virtq_init(&vq, &t.mem);
	budget = plenty;
	assert_int_equal(virtq_start(&vq, &t.layout, 0), 0);
}

static int setup(void **state)
{
	(void)state;
	start(false, true);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	testring_close(&t);
	return 0;
}

static void expect_broken(const char *why)
{
	assert_int_equal(virtq_pop(&vq, &budget, &chain), -EBADMSG);
	assert_string_equal(vq.broken, why);
	/* and it stays so */
	assert_int_equal(virtq_pop(&vq, &budget, &chain), -EBADMSG);
	assert_int_equal(virtq_kicks_on(&vq), -EBADMSG);
	assert_false(virtq_should_signal(&vq));
	assert_int_equal(vq.n_in_flight, 0);
}

static void test_chain_comes_out_flat(void **state)
{
	(void)state;
	testring_desc(&t, 5, TR_DATA, 16, D_NEXT, 9);
	testring_desc(&t, 9, TR_DATA + 100, 7, D_NEXT | D_WRITE, 1);
	testring_desc(&t, 1, TR_DATA + 200, 1, D_WRITE, 77);
	testring_avail(&t, 5);
	assert_int_equal(virtq_pop(&vq, &budget, &chain), 1);
	assert_int_equal(chain.head, 5);
	assert_int_equal(chain.n_readable, 1);
	assert_int_equal(chain.n_writable, 2);
	assert_int_equal(chain.readable_len, 16);
	assert_int_equal(chain.writable_len, 8);
	assert_int_equal(chain.piece[2].gpa.v, TR_DATA + 200);
	assert_int_equal(virtq_pop(&vq, &budget, &chain), 0);
	assert_int_equal(virtq_push(&vq, 5, 8), 0);
	assert_int_equal(testring_load32(&t, TR_USED + 4), 5);
	assert_int_equal(testring_load32(&t, TR_USED + 8), 8);
	assert_int_equal(testring_load16(&t, TR_USED + 2), 1);
}

static void test_indices_wrap(void **state)
{
	(void)state;
	virtq_stop(&vq);
	testring_store16(&t, TR_USED + 2, 0xfffe);
	testring_set_avail_idx(&t, 0xfffe);
	assert_int_equal(virtq_start(&vq, &t.layout, 0xfffe), 0);
	for (unsigned int i = 0; i < 6; i++) {
		testring_desc(&t, i, TR_DATA, 1, D_WRITE, 0);
		testring_avail(&t, (uint16_t)i);
		assert_int_equal(virtq_pop(&vq, &budget, &chain), 1);
		assert_int_equal(virtq_push(&vq, (uint16_t)i, 1), 0);
	}
	assert_int_equal(testring_load16(&t, TR_USED + 2), 4);
	assert_int_equal(virtq_stop(&vq), 4);
}

static void test_layouts_that_cannot_be(void **state)
{
	static const uint16_t sizes[] = { 0, 3, 65, 1023, 1025, 2048, 0x8000, 0xffff };
	struct virtq_layout l = t.layout;

	(void)state;
	assert_int_equal(virtq_start(&vq, &l, 0), -EBUSY); /* CVE-2026-5747: frozen */
	virtq_stop(&vq);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		l.size = sizes[i];
		assert_int_equal(virtq_start(&vq, &l, 0), -EINVAL);
	}
	l = t.layout;
	l.desc.v += 8;
	assert_int_equal(virtq_start(&vq, &l, 0), -EINVAL);
	l = t.layout;
	l.avail.v += 1;
	assert_int_equal(virtq_start(&vq, &l, 0), -EINVAL);
	l = t.layout;
	l.used.v += 2;
	assert_int_equal(virtq_start(&vq, &l, 0), -EINVAL);
	l = t.layout;
	l.desc.v = TR_RAM - 16 * (N - 1);
	assert_int_equal(virtq_start(&vq, &l, 0), -EFAULT);
	l = t.layout;
	l.used.v = TR_RAM - 4;
	assert_int_equal(virtq_start(&vq, &l, 0), -EFAULT);
	l = t.layout;
	l.avail.v = UINT64_MAX - 1;
	assert_int_equal(virtq_start(&vq, &l, 0), -EFAULT);
	assert_false(vq.started);
}

static void test_available_index_jumps(void **state)
{
	(void)state;
	testring_set_avail_idx(&t, N + 1);
	expect_broken("available index jumps");
	virtq_stop(&vq);
	assert_int_equal(virtq_start(&vq, &t.layout, 0), 0);
	testring_set_avail_idx(&t, N); /* a full ring */
	testring_desc(&t, 0, TR_DATA, 1, D_WRITE, 0);
	assert_int_equal(virtq_pop(&vq, &budget, &chain), 1);
}

static void test_available_index_goes_back(void **state)
{
	(void)state;
	testring_set_avail_idx(&t, 0xffff);
	expect_broken("available index jumps");
}

static void test_heads_out_of_range(void **state)
{
	(void)state;
	testring_avail(&t, N);
	expect_broken("head index out of range");
}

static void test_head_in_flight(void **state)
{
	(void)state;
	testring_desc(&t, 3, TR_DATA, 1, D_WRITE, 0);
	testring_avail(&t, 3);
	testring_avail(&t, 3); /* CVE-2026-45782 */
	assert_int_equal(virtq_pop(&vq, &budget, &chain), 1);
	assert_int_equal(virtq_pop(&vq, &budget, &chain), -EBADMSG);
	assert_string_equal(vq.broken, "head index in flight already");
	assert_int_equal(virtq_push(&vq, 3, 1), -EBADMSG);
	assert_int_equal(testring_load16(&t, TR_USED + 2), 0);
}

static void test_head_again_after_it_came_back(void **state)
{
	(void)state;
	testring_desc(&t, 3, TR_DATA, 1, D_WRITE, 0);
	for (int i = 0; i < 200; i++) {
		testring_avail(&t, 3);
		assert_int_equal(virtq_pop(&vq, &budget, &chain), 1);
		assert_int_equal(virtq_push(&vq, 3, 1), 0);
	}
	assert_int_equal(virtq_push(&vq, 3, 1), -EINVAL);
	assert_int_equal(virtq_push(&vq, N, 1), -EINVAL);
}

static void test_loops_end(void **state)
{
	(void)state;
	testring_desc(&t, 0, TR_DATA, 1, D_NEXT, 1);
	testring_desc(&t, 1, TR_DATA, 1, D_NEXT, 0);
	testring_avail(&t, 0);
	expect_broken("descriptor chain loops");
}

static void test_longest_chain(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < N; i++)
		testring_desc(&t, i, TR_DATA, 1, i + 1U < N ? D_NEXT : 0, (uint16_t)(i + 1));
	testring_avail(&t, 0);
	assert_int_equal(virtq_pop(&vq, &budget, &chain), 1);
	assert_int_equal(chain.n_readable, N);
}

static void test_next_out_of_range(void **state)
{
	(void)state;
	testring_desc(&t, 0, TR_DATA, 1, D_NEXT, N);
	testring_avail(&t, 0);
	expect_broken("descriptor index out of range");
}

static void test_zero_length_descriptor(void **state)
{
	(void)state;
	testring_desc(&t, 0, TR_DATA, 0, D_WRITE | D_NEXT, 0); /* CVE-2016-6490 */
	testring_avail(&t, 0);
	expect_broken("zero-length descriptor");
}

static void test_readable_after_writable(void **state)
{
	(void)state;
	testring_desc(&t, 0, TR_DATA, 1, D_WRITE | D_NEXT, 1);
	testring_desc(&t, 1, TR_DATA, 1, 0, 0);
	testring_avail(&t, 0);
	expect_broken("readable descriptor after a writable one");
}

static void test_descriptor_that_wraps(void **state)
{
	(void)state;
	testring_desc(&t, 0, UINT64_MAX - 10, 100, D_WRITE, 0);
	testring_avail(&t, 0);
	expect_broken("descriptor wraps");
}

static void test_chain_above_4gib(void **state)
{
	(void)state;
	testring_desc(&t, 0, TR_DATA, UINT32_MAX, D_NEXT, 1);
	testring_desc(&t, 1, TR_DATA, 2, 0, 0);
	testring_avail(&t, 0);
	expect_broken("chain above 4 GiB");
}

static void test_indirect(void **state)
{
	(void)state;
	testring_desc(&t, 0, TR_DATA, 4, D_NEXT, 1); /* 2.7.5.3.2: normal ones may come first */
	testring_desc(&t, 1, TR_TABLE, 32, D_INDIRECT, 0);
	testring_put(&t, TR_TABLE, 0, TR_DATA + 8, 8, D_NEXT, 1);
	testring_put(&t, TR_TABLE, 1, TR_DATA + 16, 16, D_WRITE, 0);
	testring_avail(&t, 0);
	assert_int_equal(virtq_pop(&vq, &budget, &chain), 1);
	assert_int_equal(chain.n_readable, 2);
	assert_int_equal(chain.readable_len, 12);
	assert_int_equal(chain.writable_len, 16);
}

/* An indirect descriptor of len bytes with extra flags, whose table loops to itself. */
static void put_indirect(uint32_t len, uint16_t flags, uint16_t entry_flags)
{
	testring_desc(&t, 0, TR_TABLE, len, (uint16_t)(D_INDIRECT | flags), 1);
	testring_put(&t, TR_TABLE, 0, TR_TABLE, 16, entry_flags, 0);
	testring_avail(&t, 0);
}

static void test_indirect_empty(void **state)
{
	(void)state;
	put_indirect(0, 0, 0);
	expect_broken("indirect table of an odd size");
}

static void test_indirect_odd(void **state)
{
	(void)state;
	put_indirect(17, 0, 0);
	expect_broken("indirect table of an odd size");
}

static void test_indirect_with_next(void **state)
{
	(void)state;
	put_indirect(16, D_NEXT, 0);
	expect_broken("indirect descriptor with NEXT");
}

static void test_indirect_nested(void **state)
{
	(void)state;
	put_indirect(16, 0, D_INDIRECT);
	expect_broken("nested indirect descriptor");
}

static void test_indirect_loop(void **state)
{
	(void)state;
	put_indirect(16, 0, D_NEXT);
	expect_broken("descriptor chain loops");
}

static void test_indirect_too_large(void **state)
{
	(void)state;
	put_indirect(16 * (VIRTQ_CHAIN_MAX + 1), 0, 0);
	expect_broken("indirect table too large");
}

static void test_indirect_huge(void **state)
{
	(void)state;
	put_indirect(0xfffffff0, 0, 0);
	expect_broken("indirect table too large");
}

static void test_indirect_outside_ram(void **state)
{
	(void)state;
	testring_desc(&t, 0, UINT64_MAX - 15, 32, D_INDIRECT, 0);
	testring_avail(&t, 0);
	expect_broken("descriptor table is not RAM");
}

/* More than 1024 pieces by a full table behind normal descriptors (as CVE-2025-41238). */
static void test_more_pieces_than_a_chain_holds(void **state)
{
	(void)state;
	testring_desc(&t, 0, TR_DATA, 1, D_NEXT, 1);
	testring_desc(&t, 1, TR_TABLE, 16 * VIRTQ_CHAIN_MAX, D_INDIRECT, 0);
	for (uint32_t i = 0; i < VIRTQ_CHAIN_MAX; i++)
		testring_put(&t, TR_TABLE, i, TR_DATA, 1, i + 1 < VIRTQ_CHAIN_MAX ? D_NEXT : 0,
			     (uint16_t)(i + 1));
	testring_avail(&t, 0);
	expect_broken("too many descriptors in a chain");
}

static void test_indirect_not_negotiated(void **state)
{
	(void)state;
	virtq_stop(&vq);
	t.layout.indirect = false;
	assert_int_equal(virtq_start(&vq, &t.layout, 0), 0);
	put_indirect(16, 0, 0);
	expect_broken("indirect descriptor was not negotiated");
}

static void test_budget(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < 10; i++) {
		testring_desc(&t, i, TR_DATA, 100, D_WRITE, 0);
		testring_avail(&t, i);
	}
	budget = (struct virtq_budget){ .descriptors = 3, .bytes = 1 << 20 };
	for (int i = 0; i < 3; i++)
		assert_int_equal(virtq_pop(&vq, &budget, &chain), 1);
	assert_int_equal(virtq_pop(&vq, &budget, &chain), -EAGAIN);
	budget = (struct virtq_budget){ .descriptors = 100, .bytes = 150 };
	assert_int_equal(virtq_pop(&vq, &budget, &chain), 1);
	assert_int_equal(virtq_pop(&vq, &budget, &chain), 1); /* overshoots by one */
	assert_int_equal(virtq_pop(&vq, &budget, &chain), -EAGAIN);
}

static void test_signal_by_flags(void **state)
{
	(void)state;
	assert_true(virtq_should_signal(&vq));
	testring_store16(&t, TR_AVAIL, 1);
	assert_false(virtq_should_signal(&vq));
}

static void test_signal_by_event_index(void **state)
{
	(void)state;
	testring_close(&t);
	start(true, true);
	testring_store16(&t, TR_AVAIL + 4 + 2 * N, 2); /* tell me when index 2 is used */
	for (uint16_t i = 0; i < 5; i++) {
		bool expect = i == 0 || i == 2; /* the first one always, to be safe */

		testring_desc(&t, i, TR_DATA, 1, D_WRITE, 0);
		testring_avail(&t, i);
		assert_int_equal(virtq_pop(&vq, &budget, &chain), 1);
		assert_int_equal(virtq_push(&vq, i, 1), 0);
		assert_int_equal(virtq_should_signal(&vq), expect);
	}
}

static void test_kicks(void **state)
{
	(void)state;
	virtq_kicks_off(&vq);
	assert_int_equal(testring_load16(&t, TR_USED), 1);
	assert_int_equal(virtq_kicks_on(&vq), 0);
	assert_int_equal(testring_load16(&t, TR_USED), 0);
	testring_desc(&t, 0, TR_DATA, 1, D_WRITE, 0);
	testring_avail(&t, 0);
	assert_int_equal(virtq_kicks_on(&vq), 1); /* it came in between */
	assert_int_equal(virtq_pop(&vq, &budget, &chain), 1);
	virtq_stop(&vq);
	t.layout.event_idx = true;
	assert_int_equal(virtq_start(&vq, &t.layout, 1), 0);
	assert_int_equal(virtq_kicks_on(&vq), 0);
	assert_int_equal(testring_load16(&t, TR_USED + 4 + 8 * N), 1);
}

static void test_memory_that_goes_away(void **state)
{
	(void)state;
	testring_desc(&t, 0, TR_DATA, 1, D_WRITE, 0);
	testring_avail(&t, 0);
	testring_avail(&t, 1);
	assert_int_equal(virtq_pop(&vq, &budget, &chain), 1);
	guestmem_clear(&t.mem);
	assert_int_equal(virtq_push(&vq, 0, 1), -EBADMSG);
	assert_int_equal(virtq_pop(&vq, &budget, &chain), -EBADMSG);
	assert_int_equal(virtq_stop(&vq), 1);
}

static void test_parts_of_a_chain(void **state)
{
	struct iovec iov[4];
	uint8_t buf[8];
	size_t n = 0;

	(void)state;
	memcpy(t.ram + TR_DATA, "abcd", 4);
	memcpy(t.ram + TR_DATA + 100, "efgh", 4);
	testring_desc(&t, 0, TR_DATA, 4, D_NEXT, 1);
	testring_desc(&t, 1, TR_DATA + 100, 4, D_NEXT, 2);
	testring_desc(&t, 2, TR_DATA + 200, 3, D_NEXT | D_WRITE, 3);
	testring_desc(&t, 3, TR_DATA + 300, 3, D_WRITE, 0);
	testring_avail(&t, 0);
	assert_int_equal(virtq_pop(&vq, &budget, &chain), 1);
	assert_int_equal(virtq_chain_read(&chain, 2, buf, 4), 0);
	assert_memory_equal(buf, "cdef", 4);
	assert_int_equal(virtq_chain_read(&chain, 5, buf, 4), -EMSGSIZE);
	assert_int_equal(virtq_chain_read(&chain, UINT64_MAX, buf, 4), -EMSGSIZE);
	assert_int_equal(virtq_chain_write(&chain, 1, "WXYZ", 4), 0);
	assert_memory_equal(t.ram + TR_DATA + 200, "\0WX", 3);
	assert_memory_equal(t.ram + TR_DATA + 300, "YZ\0", 3);
	assert_int_equal(virtq_chain_write(&chain, 0, "1234567", 7), -EMSGSIZE);
	assert_int_equal(virtq_chain_readable_iov(&chain, 3, 2, iov, &n, 4), 0);
	assert_int_equal(n, 2);
	assert_int_equal(iov[0].iov_len, 1);
	assert_int_equal(virtq_chain_writable_iov(&chain, 0, 6, iov, &n, 3), -ENOBUFS);
	assert_int_equal(n, 2);
	assert_int_equal(virtq_chain_writable_iov(&chain, 0, 6, iov, &n, 4), 0);
	assert_int_equal(n, 4);
}

static void offer_three(void)
{
	for (uint16_t i = 0; i < 3; i++) {
		testring_desc(&t, i, TR_DATA + 64U * i, 32, D_WRITE, 0);
		testring_avail(&t, i);
	}
}

/* The driver sees all of a batch or nothing: CVE-2021-3748 is about the first of several. */
static void test_a_batch(void **state)
{
	static const struct virtq_done done[] = { { 2, 5 }, { 0, 6 }, { 1, 7 } };
	static const struct virtq_done again[] = { { 0, 1 } }, beyond[] = { { N, 1 } };

	(void)state;
	offer_three();
	for (int i = 0; i < 3; i++)
		assert_int_equal(virtq_pop(&vq, &budget, &chain), 1);
	assert_int_equal(virtq_push_all(&vq, beyond, 1), -EINVAL);
	assert_int_equal(testring_load16(&t, TR_USED + 2), 0);
	assert_int_equal(virtq_push_all(&vq, done, 3), 0);
	assert_int_equal(testring_load16(&t, TR_USED + 2), 3);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(testring_load32(&t, TR_USED + 4 + 8 * i), done[i].head);
		assert_int_equal(testring_load32(&t, TR_USED + 8 + 8 * i), done[i].written);
	}
	assert_int_equal(vq.n_in_flight, 0);
	assert_int_equal(virtq_push_all(&vq, again, 1), -EINVAL);
	assert_int_equal(virtq_push_all(&vq, NULL, 0), 0);
	assert_int_equal(testring_load16(&t, TR_USED + 2), 3);
}

static void test_a_batch_over_the_ring_s_end(void **state)
{
	struct virtq_done done[3];

	(void)state;
	virtq_stop(&vq);
	testring_store16(&t, TR_USED + 2, 0xfffe);
	testring_set_avail_idx(&t, 0xfffe);
	assert_int_equal(virtq_start(&vq, &t.layout, 0xfffe), 0);
	offer_three();
	for (int i = 0; i < 3; i++) {
		assert_int_equal(virtq_pop(&vq, &budget, &chain), 1);
		done[i] = (struct virtq_done){ chain.head, 9 };
	}
	assert_int_equal(virtq_push_all(&vq, done, 3), 0);
	assert_int_equal(testring_load16(&t, TR_USED + 2), 1);
	assert_int_equal(testring_load32(&t, TR_USED + 4 + 8 * (N - 2)), 0);
	assert_int_equal(testring_load32(&t, TR_USED + 4 + 8 * (N - 1)), 1);
	assert_int_equal(testring_load32(&t, TR_USED + 4), 2);
}

/* What is put back comes next, as the ring then has it. */
static void test_put_back(void **state)
{
	(void)state;
	assert_int_equal(virtq_untake(&vq, 0), -EINVAL);
	offer_three();
	for (int i = 0; i < 3; i++)
		assert_int_equal(virtq_pop(&vq, &budget, &chain), 1);
	assert_int_equal(virtq_untake(&vq, N), -EINVAL);
	assert_int_equal(virtq_untake(&vq, 2), 0);
	assert_int_equal(virtq_untake(&vq, 2), -EINVAL);
	assert_int_equal(virtq_untake(&vq, 1), 0);
	assert_int_equal(vq.n_in_flight, 1);
	testring_desc(&t, 1, TR_DATA, 17, D_WRITE, 0);
	assert_int_equal(virtq_pop(&vq, &budget, &chain), 1);
	assert_int_equal(chain.head, 1);
	assert_int_equal(chain.writable_len, 17);
	assert_int_equal(virtq_pop(&vq, &budget, &chain), 1);
	assert_int_equal(chain.head, 2);
	assert_int_equal(virtq_untake(&vq, 2), 0);
	assert_int_equal(virtq_stop(&vq), 2);
	assert_int_equal(virtq_untake(&vq, 0), -EBADMSG);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_chain_comes_out_flat),
		CASE(test_indices_wrap),
		CASE(test_layouts_that_cannot_be),
		CASE(test_available_index_jumps),
		CASE(test_available_index_goes_back),
		CASE(test_heads_out_of_range),
		CASE(test_head_in_flight),
		CASE(test_head_again_after_it_came_back),
		CASE(test_loops_end),
		CASE(test_longest_chain),
		CASE(test_next_out_of_range),
		CASE(test_zero_length_descriptor),
		CASE(test_readable_after_writable),
		CASE(test_descriptor_that_wraps),
		CASE(test_chain_above_4gib),
		CASE(test_indirect),
		CASE(test_indirect_empty),
		CASE(test_indirect_odd),
		CASE(test_indirect_with_next),
		CASE(test_indirect_nested),
		CASE(test_indirect_loop),
		CASE(test_indirect_too_large),
		CASE(test_indirect_huge),
		CASE(test_indirect_outside_ram),
		CASE(test_more_pieces_than_a_chain_holds),
		CASE(test_indirect_not_negotiated),
		CASE(test_budget),
		CASE(test_signal_by_flags),
		CASE(test_signal_by_event_index),
		CASE(test_kicks),
		CASE(test_memory_that_goes_away),
		CASE(test_parts_of_a_chain),
		CASE(test_a_batch),
		CASE(test_a_batch_over_the_ring_s_end),
		CASE(test_put_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
