/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process in its sandbox counts on: nothing is allocated after opening, the file stays below the
 * bound, and another thread may ask what lies where at any time.
 */
#include "lib/base/cleanup.h"
#include "lib/image/qcow2/internal.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include <cmocka.h>

static struct volume_error why;
static struct store_fd file;
static _Atomic unsigned int n_allocations;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_malloc(size_t n)
{
	atomic_fetch_add(&n_allocations, 1);
	return __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	atomic_fetch_add(&n_allocations, 1);
	return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	atomic_fetch_add(&n_allocations, 1);
	return __real_realloc(p, n);
}

/* What happens in the middle of a look at an entry. */
static struct volume *changes;

int __real_entry_decode(const struct qcow2 *q, const uint8_t *page, uint32_t index, uint64_t guest,
			struct entry *ret);
int __wrap_entry_decode(const struct qcow2 *q, const uint8_t *page, uint32_t index, uint64_t guest,
			struct entry *ret);

int __wrap_entry_decode(const struct qcow2 *q, const uint8_t *page, uint32_t index, uint64_t guest,
			struct entry *ret)
{
	struct volume *v = changes;

	changes = NULL;
	if (v)
		assert_int_equal(volume_discard(v, guest + 512, 512), 0);
	return __real_entry_decode(q, page, index, guest, ret);
}

static struct store *make(const struct qcow2_create_options *o)
{
	int fd = memfd_create("test-qcow2", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(store_fd_open(&file, fd, 0), 0);
	assert_int_equal(qcow2_create(&file.store, o, &why), 0);
	return &file.store;
}

static struct volume *open_disk(size_t cache_bytes, uint64_t max_size)
{
	const struct qcow2_options o = { .cache_bytes = cache_bytes, .max_size = max_size };
	struct volume *v;
	int r = qcow2_open(&file.store, &o, &v, &why);

	if (r < 0)
		fail_msg("open: %s", why.text);
	return v;
}

static void expect_sound(struct volume *v)
{
	struct qcow2_check_result c;

	assert_int_equal(qcow2_check(v, QCOW2_REPAIR_NOTHING, NULL, NULL, &c, &why), 0);
	assert_int_equal(c.corruptions, 0);
	assert_int_equal(c.leaks, 0);
}

/* The clusters of a disk in an order that jumps. */
static uint64_t jump(uint64_t i, uint64_t n)
{
	return i * 0x9e3779b1U % n;
}

static void write_all(struct volume *v)
{
	const uint8_t bytes[512] = { 7 };
	uint64_t n = v->size / v->cluster;

	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(volume_write(v, bytes, sizeof(bytes), jump(i, n) * v->cluster), 0);
}

static void work(struct volume *v)
{
	uint64_t n = v->size / v->cluster;

	write_all(v);
	for (uint64_t i = 0; i < n; i += 3)
		assert_int_equal(volume_discard(v, jump(i, n) * v->cluster, v->cluster), 0);
	for (uint64_t i = 0; i < n; i += 2)
		assert_int_equal(volume_zero(v, jump(i, n) * v->cluster, v->cluster, i & 4), 0);
	write_all(v);
	assert_int_equal(volume_flush(v), 0);
}

static void test_nothing_is_allocated(void **state)
{
	struct volume *v;
	unsigned int before;

	(void)state;
	make(&(struct qcow2_create_options){
		.size = 4 << 20, .cluster_size = 512, .refcount_bits = 64 });
	v = open_disk(16 << 10, 8 << 20);
	before = atomic_load(&n_allocations);
	work(v);
	assert_int_equal(volume_settle(v), 0); /* and from here on with clusters reserved */
	work(v);
	assert_int_equal(qcow2_resize(v, 8 << 20, false, NULL, &why), 0);
	work(v);
	assert_int_equal(atomic_load(&n_allocations), before);
	assert_int_equal(qcow2_resize(v, 9 << 20, false, NULL, &why), -EINVAL);
	expect_sound(v);
	volume_close(v);
}

static size_t deflate_cluster(uint8_t *out, size_t max, uint8_t value)
{
	uint8_t cluster[4096];
	z_stream z = { 0 };

	memset(cluster, value, sizeof(cluster));
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -12, 9, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = cluster;
	z.avail_in = sizeof(cluster);
	z.next_out = out;
	z.avail_out = (unsigned int)max;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return max - z.avail_out;
}

static void test_nothing_is_allocated_for_compressed_clusters(void **state)
{
	uint8_t packed[512] = { 0 }, bytes[4096], entry[8];
	struct volume *v;
	unsigned int before;
	int other;

	(void)state;
	(void)deflate_cluster(packed, sizeof(packed), 0x77);
	make(&(struct qcow2_create_options){ .size = 1 << 20, .cluster_size = 4096 });
	v = open_disk(0, 0);
	assert_int_equal(volume_write(v, bytes, 4096, 0), 0); /* L2 at cluster 4, data at 5 */
	assert_int_equal(volume_flush(v), 0);
	put_be64(entry, ENTRY_COMPRESSED | (5 * 4096));
	assert_int_equal(store_write(&file.store, packed, sizeof(packed), UINT64_C(5) * 4096), 0);
	assert_int_equal(store_write(&file.store, entry, sizeof(entry), UINT64_C(4) * 4096), 0);
	other = dup(file.fd);
	volume_close(v); /* what it knows is old; it is clean, so it writes nothing */
	file.fd = other;
	v = open_disk(0, 0);
	before = atomic_load(&n_allocations);
	assert_int_equal(volume_read(v, bytes, sizeof(bytes), 0), 0);
	assert_int_equal(bytes[0], 0x77);
	assert_int_equal(bytes[4095], 0x77);
	assert_int_equal(volume_write(v, bytes, 512, 1024), 0); /* now it is an ordinary one */
	assert_int_equal(volume_read(v, bytes, sizeof(bytes), 0), 0);
	assert_int_equal(bytes[4095], 0x77);
	assert_int_equal(volume_flush(v), 0);
	assert_int_equal(atomic_load(&n_allocations), before);
	expect_sound(v);
	volume_close(v);
}

static void stays_below(const struct qcow2_create_options *o, bool snapshot)
{
	uint64_t bound;
	struct volume *v;

	make(o);
	v = open_disk(8 << 10, 0);
	work(v);
	if (snapshot) {
		assert_int_equal(qcow2_snapshot_create(v, "s", 0, 0, &why), 0);
		work(v);
	}
	bound = qcow2_growth_bound(v);
	for (int i = 0; i < 3; i++)
		work(v);
	assert_true(file.store.size <= bound);
	assert_true(bound <= 3 * v->size + (4U << 20)); /* it says something */
	expect_sound(v);
	volume_close(v);
}

static void test_growth_bound(void **state)
{
	(void)state;
	stays_below(&(struct qcow2_create_options){ .size = 2 << 20, .cluster_size = 512 }, false);
	stays_below(&(struct qcow2_create_options){ .size = 2 << 20,
						    .cluster_size = 512,
						    .refcount_bits = 64 },
		    true);
	stays_below(&(struct qcow2_create_options){ .size = 8 << 20,
						    .cluster_size = 16384,
						    .extended_l2 = true },
		    true);
	stays_below(&(struct qcow2_create_options){ .size = 32 << 20, .cluster_size = 2 << 20 },
		    false);
}

static void fill(struct volume *v, uint8_t value)
{
	uint8_t bytes[4096];

	memset(bytes, value, sizeof(bytes));
	for (uint64_t at = 0; at < v->size; at += sizeof(bytes))
		assert_int_equal(volume_write(v, bytes, sizeof(bytes), at), 0);
}

/* What the disk gives up of it is no hole, and nobody's. */
static void test_a_snapshot_keeps_its_clusters(void **state)
{
	uint8_t bytes[4096], expected[4096];
	struct volume *v;

	(void)state;
	make(&(struct qcow2_create_options){ .size = 1 << 20, .cluster_size = 4096 });
	v = open_disk(0, 0);
	memset(expected, 0x11, sizeof(expected));
	fill(v, 0x11);
	assert_int_equal(qcow2_snapshot_create(v, "s", 0, 0, &why), 0);
	fill(v, 0x22);
	assert_int_equal(volume_flush(v), 0);
	assert_int_equal(volume_discard(v, 0, v->size), 0);
	assert_int_equal(volume_flush(v), 0);
	fill(v, 0x33);
	assert_int_equal(volume_zero(v, 0, v->size / 2, true), 0);
	assert_int_equal(volume_flush(v), 0);
	assert_int_equal(qcow2_snapshot_apply(v, "s", &why), 0);
	for (uint64_t at = 0; at < v->size; at += sizeof(bytes)) {
		assert_int_equal(volume_read(v, bytes, sizeof(bytes), at), 0);
		assert_memory_equal(bytes, expected, sizeof(bytes));
	}
	expect_sound(v);
	volume_close(v);
}

/* What it may come to was said at its opening: no request makes more of it. */
static void test_a_bounded_disk(void **state)
{
	struct volume *v;

	(void)state;
	make(&(struct qcow2_create_options){ .size = 1 << 20 });
	v = open_disk(0, 4 << 20);
	assert_int_equal(qcow2_resize(v, 4 << 20, false, NULL, &why), 0);
	assert_int_equal(qcow2_resize(v, (4 << 20) + 512, false, NULL, &why), -EINVAL);
	assert_non_null(strstr(why.text, "4194304 bytes at most"));
	assert_int_equal(v->size, 4 << 20);
	write_all(v);
	expect_sound(v);
	volume_close(v);
}

/* A file that cannot grow: what was given up is used again, and then there is an error. */
static void test_a_full_image(void **state)
{
	const uint8_t bytes[512] = { 1 };
	struct qcow2_check_result c;
	struct volume *v;
	uint64_t at = 0, cluster = 4096;
	int r = 0;

	(void)state;
	make(&(struct qcow2_create_options){ .size = 8 << 20, .cluster_size = 4096 });
	file.store.size = 1 << 20;
	assert_int_equal(ftruncate(file.fd, 1 << 20), 0);
	file.store.fixed = true; /* as a block device of 1 MiB */
	v = open_disk(0, 0);
	assert_int_equal(qcow2_growth_bound(v), 1 << 20);
	for (; r == 0; at += cluster)
		r = volume_write(v, bytes, sizeof(bytes), at);
	assert_int_equal(r, -ENOSPC);
	assert_true(at > (1 << 20) - 20 * cluster);
	assert_int_equal(volume_discard(v, 0, 4 * cluster), 0);
	for (int i = 0; i < 4; i++, at += cluster)
		assert_int_equal(volume_write(v, bytes, sizeof(bytes), at), 0);
	assert_int_equal(volume_write(v, bytes, sizeof(bytes), at), -ENOSPC);
	assert_int_equal(volume_flush(v), 0);
	assert_int_equal(qcow2_check(v, QCOW2_REPAIR_NOTHING, NULL, NULL, &c, &why), 0);
	assert_int_equal(c.corruptions, 0);
	volume_close(v);
}

struct asker {
	struct volume *v;
	_Atomic bool stop;
	_Atomic uint64_t n_known, n_wrong;
	uint64_t place; /* of cluster 0, which nobody changes */
};

static void *ask(void *arg)
{
	struct asker *a = arg;

	for (uint64_t i = 0; !atomic_load(&a->stop); i++) {
		struct extent x;

		(void)!volume_map_cached(a->v, jump(i, a->v->size / 512) * 512, 512, &x);
		if (volume_map_cached(a->v, 0, 512, &x) < 0)
			continue;
		atomic_fetch_add(&a->n_known, 1);
		if (x.kind != EXTENT_DATA || x.offset != a->place || !x.writable)
			atomic_fetch_add(&a->n_wrong, 1);
	}
	return NULL;
}

static void test_another_thread_asks(void **state)
{
	const uint8_t bytes[512] = { 1 };
	struct asker a = { 0 };
	struct extent x;
	pthread_t thread;

	(void)state;
	make(&(struct qcow2_create_options){ .size = 2 << 20, .cluster_size = 512 });
	a.v = open_disk(4 << 10, 0); /* so small that pages come and go */
	assert_int_equal(volume_write(a.v, bytes, sizeof(bytes), 0), 0);
	assert_int_equal(volume_map(a.v, 0, 512, &x), 0);
	a.place = x.offset;
	assert_int_equal(pthread_create(&thread, NULL, ask, &a), 0);
	for (int i = 0; i < 4; i++)
		for (uint64_t at = 512; at < a.v->size; at += 512) {
			assert_int_equal(i & 1 ? volume_discard(a.v, at, 512) :
						 volume_write(a.v, bytes, sizeof(bytes), at),
					 0);
			if (at % 8192 == 0) /* so that it is in memory now and then */
				assert_int_equal(volume_map(a.v, 0, 512, &x), 0);
		}
	while (!atomic_load(&a.n_known))
		assert_int_equal(volume_map(a.v, 0, 512, &x), 0);
	atomic_store(&a.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(a.n_wrong, 0);
	volume_close(a.v);
}

/* The same, but with the change where it does the most harm. */
static void test_a_change_while_asking(void **state)
{
	const uint8_t bytes[1024] = { 1 };
	struct extent x = { .len = 7 };
	struct volume *v;

	(void)state;
	make(&(struct qcow2_create_options){ .size = 2 << 20, .cluster_size = 512 });
	v = open_disk(0, 0);
	assert_int_equal(volume_write(v, bytes, sizeof(bytes), 0), 0);
	changes = v;
	assert_int_equal(volume_map_cached(v, 0, 512, &x), -EAGAIN);
	assert_int_equal(x.len, 7);
	assert_null(changes);
	assert_int_equal(volume_map_cached(v, 0, 512, &x), 0);
	assert_int_equal(x.len, 512);
	volume_close(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_allocated),
		cmocka_unit_test(test_nothing_is_allocated_for_compressed_clusters),
		cmocka_unit_test(test_growth_bound),
		cmocka_unit_test(test_a_snapshot_keeps_its_clusters),
		cmocka_unit_test(test_a_bounded_disk),
		cmocka_unit_test(test_a_full_image),
		cmocka_unit_test(test_another_thread_asks),
		cmocka_unit_test(test_a_change_while_asking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
