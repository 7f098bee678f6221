/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A redo log: entries of L2 tables and of the L1 table that are settled, but not in the file yet. It lies in
 * memory that outlives the process and not the host. A successor of a process that was killed writes
 * what it says into the file: the bytes that the entries refer to are there, as the host's cache has them. After a
 * power cut there is no log, and the file has entries only whose bytes were on stable storage before. So
 * nothing that a guest has not asked to be flushed needs to wait for stable storage, whatever the entry
 * replaces.
 *
 *	word 0		how many records are settled; all behind them are of a group that was not
 *	each record	where in the file (bytes), and the 8 bytes that are there
 *
 * When everything was written (commit.c), or the log is full, it begins anew. A flush that failed ends it:
 * what it refers to may be lost.
 */
#include "lib/image/qcow2/internal.h"

#include "lib/base/checked.h"

#define RECORD 2U /* words */

static uint64_t *record_at(const struct redo *l, uint64_t i)
{
	return l->words + 1 + i * RECORD;
}

void redo_note(struct qcow2 *q, uint64_t offset, const void *bytes)
{
	struct redo *l = &q->redo;

	if (!l->words)
		return;
	/* who reads it takes nothing that would make the file longer */
	if (l->n == l->cap || offset + 8 > q->file->size) {
		l->full = true;
		return;
	}
	record_at(l, l->n)[0] = offset;
	memcpy(record_at(l, l->n) + 1, bytes, 8);
	l->n++;
}

bool redo_settle(struct qcow2 *q)
{
	struct redo *l = &q->redo;

	if (!l->words || l->full)
		return false;
	__atomic_store_n(l->words, l->n, __ATOMIC_RELEASE);
	return true;
}

void redo_forget(struct qcow2 *q)
{
	struct redo *l = &q->redo;

	if (l->words && l->n)
		__atomic_store_n(l->words, 0, __ATOMIC_RELEASE);
	l->n = 0;
	l->full = false;
}

/* The record at i, and the one behind it if both are one extended entry: a power cut must not part them. */
static int apply(struct qcow2 *q, uint64_t n, uint64_t *i)
{
	uint64_t record[2][RECORD] = { 0 }, words[2], len = 8;

	memcpy(record, record_at(&q->redo, *i), *i + 1 < n ? sizeof(record) : sizeof(record[0]));
	if (*i + 1 < n && record[0][0] % 16 == 0 && record[1][0] == record[0][0] + 8)
		len = 16;
	if (record[0][0] % 8 || !range_within(record[0][0], len, q->file->size))
		return -EBADMSG;
	words[0] = record[0][1];
	words[1] = record[1][1];
	*i += len / 8;
	return store_write(q->file, words, len, record[0][0]);
}

/* Who wrote it may have been taken over: it could have written the same into the file. */
static int apply_all(struct qcow2 *q, uint64_t n)
{
	int r = n > q->redo.cap ? -EBADMSG : barrier(q);

	for (uint64_t i = 0; r == 0 && i < n;)
		r = apply(q, n, &i);
	return r;
}

int redo_open(struct qcow2 *q, void *at, size_t bytes, struct volume_error *e)
{
	uint64_t n;
	int r;

	if (!at)
		return 0;
	q->redo = (struct redo){ .words = at, .cap = (bytes / 8 - 1) / RECORD };
	n = __atomic_load_n(q->redo.words, __ATOMIC_ACQUIRE);
	r = n ? apply_all(q, n) : 0;
	if (r < 0)
		return volume_fail(
			e, r, "what the process before this one left to be written cannot be: %s",
			strerror(-r));
	q->redo.n = n;
	redo_forget(q);
	return 0;
}
