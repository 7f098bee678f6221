/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stores for tests: memory, which can keep a log of all that was done to it, so that it can be made again
 * as it was at any moment; and which can fail.
 */
#ifndef BULKHEAD_TESTS_UNIT_TESTSTORE_H
#define BULKHEAD_TESTS_UNIT_TESTSTORE_H

#include "lib/image/store.h"

enum deed_kind {
	DEED_WRITE,
	DEED_PUNCH,
	DEED_TRUNCATE, /* offset: the new size */
	DEED_FLUSH
};

struct deed {
	enum deed_kind kind;
	uint64_t offset, len; /* bytes */
	uint8_t *bytes;	      /* of a write */
	uint8_t *beside;      /* what was beside the store then */
	bool other;	      /* of the store that logs to this one */
};

struct memory {
	struct store store;
	uint8_t *bytes; /* of store.size, at most max */
	uint64_t max;
	bool logs;
	struct memory
		*logs_to; /* whose log has this one's deeds, too, in their order; NULL: its own */
	bool no_holes;	  /* as some file systems */
	struct deed *log;
	size_t n_log, cap_log;
	const void *beside; /* memory that is logged with each deed, as it is then */
	size_t beside_len;
	int fail;	     /* a negative errno that writes and flushes give, 0: none */
	uint64_t fail_after; /* so many of them later */
	bool fail_once;	     /* and then no more */
};

/* An empty one. */
void memory_open(struct memory *m, uint64_t max);
/* Frees all; the store's own close keeps everything. */
void memory_free(struct memory *m);
/* Makes to what from is. */
void memory_copy(struct memory *to, const struct memory *from);
/* Does it to m: all of it, or of a write the first len bytes. */
void memory_do(struct memory *m, const struct deed *d, uint64_t len);

#endif
