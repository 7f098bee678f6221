/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory: ranges that straddle, wrap and miss, and files that are not what they claim. */
#include "tests/unit/unit.h"

#include "lib/guestmem/guestmem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define P 4096ULL

/*
 * Two regions that touch at 3P, then a hole, then one at HIGH. In the front end's addresses the
 * first two are far apart and in the other order. The file's pages are used out of order.
 */
#define HIGH (1ULL << 32)
#define UA 0x7f0000100000ULL
#define UB 0x7f0000000000ULL
#define UH 0x7f0000800000ULL

struct world {
	struct guestmem mem;
	int fd;
};

static struct world w;

static int start(void **state)
{
	(void)state;
	guestmem_init(&w.mem);
	w.fd = memfd_create("ram", MFD_CLOEXEC);
	assert_int_equal(ftruncate(w.fd, 8 * P), 0);
	assert_int_equal(guestmem_add(&w.mem, GPA(P), 2 * P, UA, w.fd, 4 * P), 0);
	assert_int_equal(guestmem_add(&w.mem, GPA(3 * P), P, UB, w.fd, 0), 0);
	assert_int_equal(guestmem_add(&w.mem, GPA(HIGH), P, UH, w.fd, 7 * P), 0);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	guestmem_clear(&w.mem);
	assert_int_equal(w.mem.n_regions, 0);
	closep(&w.fd);
	return 0;
}

/* ---- which regions may be ---- */

static int add(uint64_t gpa, uint64_t size, uint64_t uaddr, uint64_t offset)
{
	size_t before = w.mem.n_regions;
	int r = guestmem_add(&w.mem, GPA(gpa), size, uaddr, w.fd, offset);

	assert_int_equal(w.mem.n_regions, before + (r == 0));
	return r;
}

static void bad_regions_are_refused(void **state)
{
	(void)state;
	assert_int_equal(add(64 * P, 0, 64 * P, 0), -EINVAL);
	assert_int_equal(add(64 * P + 1, P, 64 * P, 0), -EINVAL);
	assert_int_equal(add(64 * P, P - 1, 64 * P, 0), -EINVAL);
	assert_int_equal(add(64 * P, P + 512, 64 * P, 0), -EINVAL);
	assert_int_equal(add(64 * P, P, 64 * P + 8, 0), -EINVAL);
	assert_int_equal(add(64 * P, P, 64 * P, 8), -EINVAL);
	assert_int_equal(add(-P, P, 64 * P, 0), -EINVAL);
	assert_int_equal(add(-P, 2 * P, 64 * P, 0), -EINVAL);
	assert_int_equal(add(64 * P, P, -P, 0), -EINVAL);
	assert_int_equal(add(64 * P, -P, 64 * P, 0), -EINVAL);
	assert_int_equal(add(64 * P, 2 * P, 64 * P, -P), -EINVAL);
	assert_int_equal(add(64 * P, P, 64 * P, INT64_MAX - P + 1), -EINVAL);
}

static void overlaps_are_refused(void **state)
{
	(void)state;
	assert_int_equal(add(P, 2 * P, 64 * P, 0), -EEXIST);
	assert_int_equal(add(0, 2 * P, 64 * P, 0), -EEXIST);
	assert_int_equal(add(2 * P, P, 64 * P, 0), -EEXIST);
	assert_int_equal(add(0, 8 * P, 64 * P, 0), -EEXIST);
	assert_int_equal(add(64 * P, P, UA + P, 0), -EEXIST);
	assert_int_equal(add(64 * P, 2 * P, UA - P, 0), -EEXIST);
	assert_int_equal(add(64 * P, P, UB, 0), -EEXIST);
	/* right beside them is no overlap */
	assert_int_equal(add(0, P, UA - P, 0), 0);
	assert_int_equal(add(4 * P, P, UA + 2 * P, 0), 0);
}

static void a_file_shorter_than_claimed(void **state)
{
	(void)state;
	assert_int_equal(add(64 * P, 8 * P, 64 * P, 0), 0);
	assert_int_equal(add(128 * P, 9 * P, 128 * P, 0), -EBADF);
	assert_int_equal(add(128 * P, P, 128 * P, 8 * P), -EBADF);
	assert_int_equal(add(128 * P, 8 * P, 128 * P, P), -EBADF);
	assert_int_equal(ftruncate(w.fd, 8 * P - 1), 0);
	assert_int_equal(add(128 * P, P, 128 * P, 7 * P), -EBADF);
}

static void files_that_are_no_memory(void **state)
{
	char path[] = "/var/tmp/bulkhead-unit-XXXXXX";
	_cleanup_(closep) int disk = mkstemp(path);
	_cleanup_(closep) int event = make_event();
	int s[2];

	(void)state;
	assert_true(disk >= 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(ftruncate(disk, 4 * P), 0);
	make_pair(SOCK_STREAM, s);
	/* where /var/tmp is itself in memory, its files are */
	if (fcntl(disk, F_GET_SEALS) < 0)
		assert_int_equal(guestmem_add(&w.mem, GPA(64 * P), P, 64 * P, disk, 0), -EBADF);
	assert_int_equal(guestmem_add(&w.mem, GPA(64 * P), P, 64 * P, event, 0), -EBADF);
	assert_int_equal(guestmem_add(&w.mem, GPA(64 * P), P, 64 * P, s[0], 0), -EBADF);
	assert_int_equal(guestmem_add(&w.mem, GPA(64 * P), P, 64 * P, -1, 0), -EBADF);
	assert_int_equal(w.mem.n_regions, 3);
	close_pair(s);
}

static void read_only_memory_is_refused(void **state)
{
	_cleanup_(closep) int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)state;
	assert_int_equal(ftruncate(fd, P), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	assert_true(guestmem_add(&w.mem, GPA(64 * P), P, 64 * P, fd, 0) < 0);
	assert_int_equal(w.mem.n_regions, 3);
}

static void slots_run_out(void **state)
{
	(void)state;
	for (size_t i = 3; i < GUESTMEM_MAX_REGIONS; i++)
		assert_int_equal(add((64 + i) * P, P, (64 + i) * P, 0), 0);
	assert_int_equal(add(512 * P, P, 512 * P, 0), -ENOSPC);
	assert_int_equal(guestmem_remove(&w.mem, GPA(70 * P), P, 70 * P), 0);
	assert_int_equal(add(512 * P, P, 512 * P, 0), 0);
}

static void remove_wants_an_exact_match(void **state)
{
	uint8_t c;

	(void)state;
	assert_int_equal(guestmem_remove(&w.mem, GPA(2 * P), P, UA + P), -ENOENT);
	assert_int_equal(guestmem_remove(&w.mem, GPA(P), P, UA), -ENOENT);
	assert_int_equal(guestmem_remove(&w.mem, GPA(P), 2 * P, UA + 1), -ENOENT);
	assert_int_equal(guestmem_remove(&w.mem, GPA(P + 1), 2 * P, UA), -ENOENT);
	assert_int_equal(guest_read(&w.mem, GPA(P), &c, 1), 0);
	assert_int_equal(guestmem_remove(&w.mem, GPA(P), 2 * P, UA), 0);
	assert_int_equal(guest_read(&w.mem, GPA(P), &c, 1), -EFAULT);
	assert_int_equal(guest_read(&w.mem, GPA(3 * P), &c, 1), 0);
	assert_int_equal(guest_read(&w.mem, GPA(HIGH), &c, 1), 0);
	assert_int_equal(guestmem_remove(&w.mem, GPA(P), 2 * P, UA), -ENOENT);
}

/* ---- accesses ---- */

static const struct {
	uint64_t gpa, len;
} outside[] = {
	/* clang-format off */
	{ 0, 1 },           { P - 1, 1 },          { P - 1, 2 },       { P - 1, 4 * P },
	{ 4 * P - 1, 2 },   { 4 * P, 1 },          { P, 3 * P + 1 },   { P, HIGH },
	{ HIGH - 1, 1 },    { HIGH - 1, 2 },       { HIGH, P + 1 },    { HIGH + P, 1 },
	{ HIGH + P - 1, 2 }, { UINT64_MAX, 1 },    { UINT64_MAX, 2 },  { P, UINT64_MAX },
	{ P, -P },          { 2 * P, UINT64_MAX - P }, { HIGH, -HIGH }, { 1ULL << 63, 1ULL << 63 },
	/* clang-format on */
};

static void nothing_outside_is_reached(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(outside); i++) {
		gpa_t at = GPA(outside[i].gpa);
		uint64_t len = outside[i].len;
		struct iovec iov[4];
		size_t n = 1;

		/* no byte may move before the whole range is known, so no buffer is needed */
		assert_int_equal(guest_read(&w.mem, at, NULL, len), -EFAULT);
		assert_int_equal(guest_write(&w.mem, at, NULL, len), -EFAULT);
		assert_int_equal(guest_zero(&w.mem, at, len), -EFAULT);
		assert_int_equal(guest_iov(&w.mem, at, len, iov, &n, 4), -EFAULT);
		assert_int_equal(n, 1);
	}
}

static void empty_ranges_succeed_anywhere(void **state)
{
	struct iovec iov;
	size_t n = 0;

	(void)state;
	assert_int_equal(guest_read(&w.mem, GPA(0), NULL, 0), 0);
	assert_int_equal(guest_write(&w.mem, GPA(UINT64_MAX), NULL, 0), 0);
	assert_int_equal(guest_zero(&w.mem, GPA(5 * P), 0), 0);
	assert_int_equal(guest_iov(&w.mem, GPA(0), 0, &iov, &n, 0), 0);
	assert_int_equal(n, 0);
}

static void copies_cross_regions_that_touch(void **state)
{
	uint8_t out[3 * P], in[3 * P], page[P];

	(void)state;
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 31 + i / 256);
	assert_int_equal(guest_write(&w.mem, GPA(P), out, sizeof(out)), 0);
	assert_int_equal(guest_read(&w.mem, GPA(P), in, sizeof(in)), 0);
	assert_memory_equal(in, out, sizeof(in));
	/* where the file says it is */
	assert_int_equal(pread(w.fd, page, P, 0), P);
	assert_memory_equal(page, out + 2 * P, P);
	assert_int_equal(pread(w.fd, page, P, 5 * P), P);
	assert_memory_equal(page, out + P, P);
	/* every split of a short copy over the seam */
	for (uint64_t back = 0; back <= 8; back++) {
		assert_int_equal(guest_read(&w.mem, GPA(3 * P - back), in, 8), 0);
		assert_memory_equal(in, out + 2 * P - back, 8);
	}
	assert_int_equal(guest_zero(&w.mem, GPA(3 * P - 4), 8), 0);
	assert_int_equal(guest_read(&w.mem, GPA(3 * P - 5), in, 10), 0);
	assert_int_equal(in[0], out[2 * P - 5]);
	for (int i = 1; i <= 8; i++)
		assert_int_equal(in[i], 0);
	assert_int_equal(in[9], out[2 * P + 4]);
}

static void a_refused_write_leaves_no_trace(void **state)
{
	uint8_t ones[16], in[8];

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	assert_int_equal(guest_write(&w.mem, GPA(4 * P - 8), ones, 16), -EFAULT);
	assert_int_equal(guest_read(&w.mem, GPA(4 * P - 8), in, 8), 0);
	for (int i = 0; i < 8; i++)
		assert_int_equal(in[i], 0);
}

static void words_of_16_bits(void **state)
{
	uint8_t bytes[2];
	uint16_t v = 7;

	(void)state;
	assert_int_equal(guest_store16(&w.mem, GPA(4 * P - 2), 0xbeef), 0);
	assert_int_equal(guest_read(&w.mem, GPA(4 * P - 2), bytes, 2), 0);
	assert_int_equal(bytes[0], 0xef);
	assert_int_equal(bytes[1], 0xbe);
	assert_int_equal(guest_load16(&w.mem, GPA(4 * P - 2), &v), 0);
	assert_int_equal(v, 0xbeef);
	v = 7;
	assert_int_equal(guest_load16(&w.mem, GPA(P + 1), &v), -EFAULT);
	assert_int_equal(guest_load16(&w.mem, GPA(3 * P - 1), &v), -EFAULT);
	assert_int_equal(guest_load16(&w.mem, GPA(4 * P), &v), -EFAULT);
	assert_int_equal(guest_load16(&w.mem, GPA(P - 2), &v), -EFAULT);
	assert_int_equal(guest_load16(&w.mem, GPA(UINT64_MAX - 1), &v), -EFAULT);
	assert_int_equal(guest_store16(&w.mem, GPA(P + 1), 1), -EFAULT);
	assert_int_equal(guest_store16(&w.mem, GPA(4 * P), 1), -EFAULT);
	assert_int_equal(v, 7);
}

static void iovecs_are_bounded(void **state)
{
	struct iovec iov[4] = { { 0 } };
	size_t n = 0;

	(void)state;
	assert_int_equal(guest_write(&w.mem, GPA(3 * P - 1), "ab", 2), 0);
	assert_int_equal(guest_iov(&w.mem, GPA(P + 16), 2 * P, iov, &n, 1), -ENOBUFS);
	assert_int_equal(n, 0);
	assert_int_equal(guest_iov(&w.mem, GPA(P + 16), 2 * P, iov, &n, 2), 0);
	assert_int_equal(n, 2);
	assert_int_equal(iov[0].iov_len, 2 * P - 16);
	assert_int_equal(iov[1].iov_len, 16);
	assert_int_equal(((uint8_t *)iov[0].iov_base)[2 * P - 17], 'a');
	assert_int_equal(((uint8_t *)iov[1].iov_base)[0], 'b');
	/* appended after what is there, and nothing past max */
	assert_int_equal(guest_iov(&w.mem, GPA(HIGH), P, iov, &n, 2), -ENOBUFS);
	assert_int_equal(n, 2);
	assert_int_equal(guest_iov(&w.mem, GPA(HIGH), P, iov, &n, 3), 0);
	assert_int_equal(n, 3);
	assert_null(iov[3].iov_base);
	assert_int_equal(guest_iov(&w.mem, GPA(HIGH), 1, iov, &n, 0), -ENOBUFS);
	assert_int_equal(n, 3);
}

static void front_end_addresses_at_their_edges(void **state)
{
	gpa_t g = GPA(77);

	(void)state;
	assert_int_equal(guestmem_from_uaddr(&w.mem, UA, 2 * P, &g), 0);
	assert_int_equal(g.v, P);
	assert_int_equal(guestmem_from_uaddr(&w.mem, UA + 2 * P - 1, 1, &g), 0);
	assert_int_equal(g.v, 3 * P - 1);
	assert_int_equal(guestmem_from_uaddr(&w.mem, UB, P, &g), 0);
	assert_int_equal(g.v, 3 * P);
	assert_int_equal(guestmem_from_uaddr(&w.mem, UH + 8, 8, &g), 0);
	assert_int_equal(g.v, HIGH + 8);
	g = GPA(77);
	assert_int_equal(guestmem_from_uaddr(&w.mem, UA - 1, 1, &g), -EFAULT);
	assert_int_equal(guestmem_from_uaddr(&w.mem, UA + 2 * P, 1, &g), -EFAULT);
	assert_int_equal(guestmem_from_uaddr(&w.mem, UA + 2 * P, 0, &g), -EFAULT);
	/* touches in gpa, but the front end's next byte is somewhere else */
	assert_int_equal(guestmem_from_uaddr(&w.mem, UA, 2 * P + 1, &g), -EFAULT);
	assert_int_equal(guestmem_from_uaddr(&w.mem, UA + P, P + 1, &g), -EFAULT);
	assert_int_equal(guestmem_from_uaddr(&w.mem, UA + 2 * P - 1, 2, &g), -EFAULT);
	assert_int_equal(guestmem_from_uaddr(&w.mem, UA + P, UINT64_MAX, &g), -EFAULT);
	assert_int_equal(guestmem_from_uaddr(&w.mem, UA + P, -(UA + P), &g), -EFAULT);
	assert_int_equal(guestmem_from_uaddr(&w.mem, 0, 1, &g), -EFAULT);
	assert_int_equal(guestmem_from_uaddr(&w.mem, P, 1, &g), -EFAULT);
	assert_int_equal(guestmem_from_uaddr(&w.mem, UINT64_MAX, 1, &g), -EFAULT);
	assert_int_equal(g.v, 77);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(bad_regions_are_refused),
		T(overlaps_are_refused),
		T(a_file_shorter_than_claimed),
		T(files_that_are_no_memory),
		T(read_only_memory_is_refused),
		T(slots_run_out),
		T(remove_wants_an_exact_match),
		T(nothing_outside_is_reached),
		T(empty_ranges_succeed_anywhere),
		T(copies_cross_regions_that_touch),
		T(a_refused_write_leaves_no_trace),
		T(words_of_16_bits),
		T(iovecs_are_bounded),
		T(front_end_addresses_at_their_edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
