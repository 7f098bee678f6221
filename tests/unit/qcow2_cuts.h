/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recorded run of requests on a qcow2 image, and the image as a crash at any moment leaves it: with
 * the first so many writes, the last one torn (a process was killed); or with any choice of those since
 * the last flush, some torn (the power was cut).
 */
#ifndef BULKHEAD_TESTS_UNIT_QCOW2_CUTS_H
#define BULKHEAD_TESTS_UNIT_QCOW2_CUTS_H

#include "lib/image/qcow2/qcow2.h"
#include "teststore.h"

/* A moment at which everything was flushed, or only settled. */
struct moment {
	size_t at; /* deeds of the log so far */
	uint8_t *disk;
	uint64_t size; /* of the disk, bytes */
	bool settled;  /* only */
};

#define MAX_SAVED 64U
#define MAX_REDO 128U /* records of a log */

/* A request, from its first deed on. */
struct request {
	size_t at;
	uint64_t from, to; /* sectors of the disk that it may have changed */
	uint8_t value;	   /* what their bytes are then */
	bool any;	   /* or anything */
	bool whole;	   /* the disk is as at the last moment or as at the next */
};

struct cuts {
	struct memory file;
	struct memory data, data_then; /* of an external data file: now, and at a cut */
	struct moment *moment;
	size_t n_moments;
	struct request *request;
	size_t n_requests;
	uint8_t *log_base; /* the file before the log */
	uint64_t log_base_size;
	uint64_t state; /* of the generator */
	struct volume *v;
	uint8_t *disk; /* what the disk must read as */
	unsigned int n_snapshots;
	struct moment saved[MAX_SAVED]; /* the disk as snapshots have it; [0] is not used */
	struct qcow2_options options;
	bool lost;						      /* the power was cut */
	uint64_t redo[1 + 2 * MAX_REDO], redo_then[1 + 2 * MAX_REDO]; /* now, and at a cut */
	unsigned int n_dirty; /* images that cuts_recover made anew */
};

struct cuts_options {
	struct qcow2_create_options create;
	unsigned int n_requests;
	size_t cache_bytes;
	uint64_t seed;
	bool no_holes; /* the storage has none: what was given up keeps its bytes */
	bool tools;    /* with snapshots and resizes in between */
	bool settles;  /* after each request, as a device does */
	bool writes;   /* and flushes, nothing else */
	bool backing;  /* there is one, which is not zeroes */
	bool data;     /* the guest's bytes are in a file of their own */
	unsigned int
		kill_every; /* so many requests: the one that goes on from the file is another; 0: none */
	unsigned int reserve; /* clusters at once */
	unsigned int redo;    /* records of a log that a killed process leaves; 0: there is none */
};

/* Records. NULL, or what went wrong. */
const char *cuts_record(struct cuts *c, const struct cuts_options *o);
void cuts_free(struct cuts *c);
/*
 * Calls f with the image as each cut leaves it, `lost` or not: writes since the last flush may be
 * missing, and the redo log is gone; else it is as it was then (redo_then). f returns NULL or what is wrong, which ends it. *ret_n: calls of f.
 */
const char *cuts_for_each(struct cuts *c, bool lost,
			  const char *(*f)(struct cuts *c, struct memory *image, size_t at,
					   void *arg),
			  void *arg, size_t *ret_n);
/* Checks the image that a cut at this deed left: NULL, or what is wrong. */
const char *cuts_check(struct cuts *c, struct memory *image, size_t at, bool compare);
/*
 * Opens it for writing and checks it then: NULL, or what is wrong. leaks: there may be some, unless the image says
 * that its refcounts are to be made anew.
 */
const char *cuts_recover(struct cuts *c, struct memory *image, size_t at, bool leaks);

#endif
