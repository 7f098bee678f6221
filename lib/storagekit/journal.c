/* SPDX-License-Identifier: Apache-2.0 */
/* What may still be lost; see journal.h. */
#include "lib/storagekit/journal.h"

#include "lib/image/iov.h"

/* Rings; a page of them takes memory once it was used. */
static uint8_t ring[JOURNAL_BYTES];
static struct journal_record records[JOURNAL_RECORDS];

static uint64_t data_of(const struct image_io *io)
{
	return io->op == IMAGE_WRITE ? io->len : 0;
}

void journal_open(struct journal *j)
{
	j->first = j->next = j->data_first = j->data_next = 0;
	j->n_promised = j->promised = 0;
}

bool journal_is_half_full(const struct journal *j)
{
	return j->data_next - j->data_first >= JOURNAL_BYTES / 2 ||
	       j->next - j->first >= JOURNAL_RECORDS / 2;
}

bool journal_promise(struct journal *j, const struct image_io *io)
{
	const uint64_t used = j->data_next - j->data_first + j->promised;

	if (j->next - j->first + j->n_promised == JOURNAL_RECORDS ||
	    data_of(io) > JOURNAL_BYTES - used)
		return false;
	j->n_promised++;
	j->promised += data_of(io);
	return true;
}

void journal_give_up(struct journal *j, const struct image_io *io)
{
	j->n_promised--;
	j->promised -= data_of(io);
}

struct journal_record *journal_at(uint64_t number)
{
	return &records[number % JOURNAL_RECORDS];
}

/* Where len bytes from `at` on lie; how many pieces that is. */
static size_t lie(uint64_t at, uint64_t len, struct iovec iov[2])
{
	const uint64_t from = at % JOURNAL_BYTES, to_end = JOURNAL_BYTES - from;
	const uint64_t n = len < to_end ? len : to_end;

	iov[0] = (struct iovec){ ring + from, (size_t)n };
	iov[1] = (struct iovec){ ring, (size_t)(len - n) };
	return n < len ? 2 : 1;
}

void journal_add(struct journal *j, const struct image_io *io)
{
	struct iovec to[2];
	const uint64_t len = data_of(io);

	journal_give_up(j, io);
	(void)lie(j->data_next, len, to);
	iov_take(io->iov, io->n_iov, 0, to[0].iov_base, to[0].iov_len);
	iov_take(io->iov, io->n_iov, to[0].iov_len, to[1].iov_base, to[1].iov_len);
	*journal_at(j->next++) = (struct journal_record){ .op = io->op,
							  .may_unmap = io->may_unmap,
							  .sync = io->sync,
							  .offset = io->offset,
							  .len = io->len,
							  .at = j->data_next };
	j->data_next += len;
}

void journal_drop(struct journal *j, uint64_t before)
{
	if (before <= j->first)
		return;
	j->first = before;
	if (!journal_is_empty(j))
		j->data_first = journal_at(before)->at;
	else
		j->data_first = j->data_next = 0; /* the same pages again */
}

struct image_io journal_request(uint64_t number, struct iovec iov[2])
{
	const struct journal_record *r = journal_at(number);
	struct image_io io = { .op = r->op,
			       .may_unmap = r->may_unmap,
			       .sync = r->sync,
			       .offset = r->offset,
			       .len = r->len,
			       .iov = iov };

	if (r->op == IMAGE_WRITE)
		io.n_iov = lie(r->at, r->len, iov);
	return io;
}
