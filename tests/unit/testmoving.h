/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A volume for tests whose clusters move: a write, a zeroing or a discard may put any of its clusters to
 * another place of the file, and what a cluster leaves behind is poisoned. What it says of its map is
 * sometimes not in its cache. Operations can be held up and can fail.
 */
#ifndef BULKHEAD_TESTS_UNIT_TESTMOVING_H
#define BULKHEAD_TESTS_UNIT_TESTMOVING_H

#include "lib/image/volume.h"

#include <pthread.h>
#include <semaphore.h>

#define MOVING_CLUSTER 4096U
#define MOVING_CLUSTERS 128U
#define MOVING_SIZE ((uint64_t)MOVING_CLUSTER * MOVING_CLUSTERS)
#define MOVING_PLACES (2 * MOVING_CLUSTERS + 1)
#define MOVING_HOLE UINT32_MAX
#define MOVING_POISON 0xee

struct moving {
	struct volume volume;
	struct store *store; /* of MOVING_PLACES clusters */
	struct volume_raw backing;
	pthread_mutex_t lock; /* of place */
	uint32_t place[MOVING_CLUSTERS];
	bool used[MOVING_PLACES];
	uint64_t random;
	unsigned int cold; /* of 16 questions, how many the cache cannot answer */
	_Atomic unsigned int n_ops, n_flushes, n_settled; /* so far */
	_Atomic unsigned int unsettled;			  /* mutations since the last settle */
	int fail, fail_settle;				  /* what operations give; 0: they work */
	bool held;					  /* each operation waits for go */
	sem_t at, go;
};

/* On a store of that many places; backing_store: what holes show, or NULL. */
void moving_open(struct moving *m, struct store *store, struct store *backing_store);

#endif
