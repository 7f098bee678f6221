/* SPDX-License-Identifier: Apache-2.0 */
/* A volume whose clusters move; see testmoving.h. */
#include "tests/unit/testmoving.h"

#include "lib/image/iov.h"
#include "tests/unit/unit.h"

#include <string.h>

static struct moving *moving_of(struct volume *v)
{
	return (struct moving *)v;
}

static void begin(struct moving *m)
{
	if (m->held) {
		sem_post(&m->at);
		sem_wait(&m->go);
	}
	m->n_ops++;
}

static uint64_t offset_of(uint32_t place)
{
	return (uint64_t)place * MOVING_CLUSTER;
}

static uint32_t take_place(struct moving *m)
{
	uint32_t p;

	do
		p = next_random(&m->random) % MOVING_PLACES;
	while (m->used[p]);
	m->used[p] = true;
	return p;
}

static void set_place(struct moving *m, uint32_t cluster, uint32_t place)
{
	uint32_t old = m->place[cluster];
	uint8_t poison[MOVING_CLUSTER];

	pthread_mutex_lock(&m->lock);
	m->place[cluster] = place;
	pthread_mutex_unlock(&m->lock);
	if (old == MOVING_HOLE)
		return;
	memset(poison, MOVING_POISON, sizeof(poison));
	assert_int_equal(store_write(m->store, poison, sizeof(poison), offset_of(old)), 0);
	m->used[old] = false;
}

static void read_cluster(struct moving *m, uint32_t cluster, uint8_t *bytes)
{
	uint32_t place = m->place[cluster];

	if (place != MOVING_HOLE)
		assert_true(store_read(m->store, bytes, MOVING_CLUSTER, offset_of(place)) >= 0);
	else if (m->volume.backing)
		assert_int_equal(volume_read(m->volume.backing, bytes, MOVING_CLUSTER,
					     offset_of(cluster)),
				 0);
	else
		memset(bytes, 0, MOVING_CLUSTER);
}

/* Where it is, or somewhere else. */
static void write_cluster(struct moving *m, uint32_t cluster, const uint8_t *bytes)
{
	uint32_t place = m->place[cluster];

	if (place == MOVING_HOLE || next_random(&m->random) % 2)
		place = take_place(m);
	assert_int_equal(store_write(m->store, bytes, MOVING_CLUSTER, offset_of(place)), 0);
	if (place != m->place[cluster])
		set_place(m, cluster, place);
}

struct range {
	uint32_t cluster, from, len; /* bytes within it */
	uint64_t at;		     /* of the request */
};

static bool next_range(struct range *r, uint64_t offset, uint64_t len)
{
	r->at += r->len;
	if (r->at == len)
		return false;
	r->cluster = (uint32_t)((offset + r->at) / MOVING_CLUSTER);
	r->from = (uint32_t)((offset + r->at) % MOVING_CLUSTER);
	r->len = MOVING_CLUSTER - r->from;
	if (r->len > len - r->at)
		r->len = (uint32_t)(len - r->at);
	return true;
}

static int moving_readv(struct volume *v, const struct iovec *iov, size_t n_iov, uint64_t offset)
{
	struct moving *m = moving_of(v);
	uint8_t bytes[MOVING_CLUSTER];
	struct range r = { 0 };

	begin(m);
	while (next_range(&r, offset, iov_bytes(iov, n_iov))) {
		read_cluster(m, r.cluster, bytes);
		iov_fill(iov, n_iov, r.at, bytes + r.from, r.len);
	}
	return m->fail;
}

static int moving_writev(struct volume *v, const struct iovec *iov, size_t n_iov, uint64_t offset)
{
	struct moving *m = moving_of(v);
	uint8_t bytes[MOVING_CLUSTER];
	struct range r = { 0 };

	begin(m);
	m->unsettled++;
	while (next_range(&r, offset, iov_bytes(iov, n_iov))) {
		read_cluster(m, r.cluster, bytes);
		iov_take(iov, n_iov, r.at, bytes + r.from, r.len);
		write_cluster(m, r.cluster, bytes);
	}
	return m->fail;
}

static int clear(struct moving *m, uint64_t offset, uint64_t len)
{
	uint8_t bytes[MOVING_CLUSTER];
	struct range r = { 0 };

	begin(m);
	m->unsettled++;
	while (next_range(&r, offset, len)) {
		read_cluster(m, r.cluster, bytes);
		memset(bytes + r.from, 0, r.len);
		if (r.len == MOVING_CLUSTER && !m->volume.backing)
			set_place(m, r.cluster, MOVING_HOLE);
		else
			write_cluster(m, r.cluster, bytes);
	}
	return m->fail;
}

static int moving_zero(struct volume *v, uint64_t offset, uint64_t len, bool may_unmap)
{
	(void)may_unmap;
	return clear(moving_of(v), offset, len);
}

static int moving_discard(struct volume *v, uint64_t offset, uint64_t len)
{
	return clear(moving_of(v), offset, len);
}

static int moving_flush(struct volume *v)
{
	begin(moving_of(v));
	moving_of(v)->n_flushes++;
	return moving_of(v)->fail;
}

static int moving_settle(struct volume *v)
{
	moving_of(v)->n_settled++;
	moving_of(v)->unsettled = 0;
	return moving_of(v)->fail_settle;
}

static int moving_map_cached(struct volume *v, uint64_t offset, uint64_t len, struct extent *ret)
{
	struct moving *m = moving_of(v);
	uint32_t cluster = (uint32_t)(offset / MOVING_CLUSTER), from = offset % MOVING_CLUSTER;
	uint32_t place;

	pthread_mutex_lock(&m->lock);
	place = m->place[cluster];
	pthread_mutex_unlock(&m->lock);
	if ((offset >> 9) % 16 < m->cold)
		return -EAGAIN;
	*ret = (struct extent){ .kind = place == MOVING_HOLE ? EXTENT_HOLE : EXTENT_DATA,
				.writable = true,
				.store = place == MOVING_HOLE ? NULL : m->store,
				.offset = offset_of(place) + from,
				.len = MOVING_CLUSTER - from };
	if (ret->len > len)
		ret->len = len;
	return 0;
}

static void moving_close(struct volume *v)
{
	struct moving *m = moving_of(v);

	volume_close(v->backing);
	v->backing = NULL;
	pthread_mutex_destroy(&m->lock);
	sem_destroy(&m->at);
	sem_destroy(&m->go);
}

static const struct volume_ops moving_ops = {
	.readv = moving_readv,
	.writev = moving_writev,
	.zero = moving_zero,
	.discard = moving_discard,
	.flush = moving_flush,
	.settle = moving_settle,
	.map = moving_map_cached,
	.map_cached = moving_map_cached,
	.close = moving_close,
};

void moving_open(struct moving *m, struct store *store, struct store *backing_store)
{
	*m = (struct moving){
		.volume = { .ops = &moving_ops, .size = MOVING_SIZE, .cluster = MOVING_CLUSTER },
		.store = store,
		.random = 7,
		.lock = PTHREAD_MUTEX_INITIALIZER
	};
	sem_init(&m->at, 0, 0);
	sem_init(&m->go, 0, 0);
	for (unsigned int i = 0; i < MOVING_CLUSTERS; i++)
		m->place[i] = MOVING_HOLE;
	if (!backing_store)
		return;
	assert_int_equal(volume_raw_open(&m->backing, backing_store), 0);
	m->volume.backing = &m->backing.volume;
}
