/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to lib/image/qcow2: changes many tables in one step. Whatever differs is written to clusters
 * that neither the old state nor the new one refers to, with refcounts for the new state; then the
 * header is written, and with it the new state is there. Nothing is lost at any cut, and nothing leaks.
 */
#ifndef BULKHEAD_IMAGE_QCOW2_SHADOW_H
#define BULKHEAD_IMAGE_QCOW2_SHADOW_H

#include "lib/image/qcow2/walk.h"

struct shadow_state {
	const uint64_t *l1; /* of the active disk; flags of entries are made anew */
	uint64_t n_l1;	    /* entries */
	uint64_t size;	    /* of the disk, bytes: what lies behind is dropped */
	const struct snaptable *snapshots;
	bool repair; /* go on over errors that are not of refcounts; the corrupt bit stays then */
};

/* -EUCLEAN: the image has errors; -ENOTSUP: its refcounts are too narrow. */
[[nodiscard]] int shadow_commit(struct qcow2 *q, const struct shadow_state *to,
				struct volume_error *e);

#endif
