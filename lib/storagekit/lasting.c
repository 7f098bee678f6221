/* SPDX-License-Identifier: Apache-2.0 */
/* What outlasts a server's loss; see lasting.h. */
#include "lib/storagekit/lasting.h"

#include <errno.h>

#define OF_AGAIN (1ULL << 62) /* handles below: a record, */
#define OF_FLUSH (1ULL << 63) /* a flush of its own, else a slot */

static struct lasting *lasting_of(struct image *image)
{
	return (struct lasting *)image; /* its first member */
}
_Static_assert(offsetof(struct lasting, image) == 0, "lasting_of");

static bool changes(const struct image_io *io)
{
	return io->op != IMAGE_READ && io->op != IMAGE_FLUSH;
}

static bool overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a < b + b_len && b < a + a_len;
}

/* ---- requests ---- */

static struct lasting_slot *first_held(struct lasting *l)
{
	struct lasting_slot *first = NULL;

	for (unsigned int i = 0; i < LASTING_SLOTS; i++) {
		struct lasting_slot *s = &l->slot[i];

		if (s->state == LASTING_HELD && (!first || s->number < first->number))
			first = s;
	}
	return first;
}

/* Whether a change of the same bytes is under way. */
static bool is_being_changed(const struct lasting *l, const struct image_io *io)
{
	for (unsigned int i = 0; i < LASTING_SLOTS; i++) {
		const struct lasting_slot *s = &l->slot[i];

		if (s->state == LASTING_RUNNING && changes(&s->io) &&
		    overlap(s->io.offset, s->io.len, io->offset, io->len))
			return true;
	}
	return false;
}

static void end(struct lasting *l, struct lasting_slot *s, int result)
{
	s->state = LASTING_FREE;
	l->image.done(l->image.owner, s->io.handle, result);
}

/* A flush of its own, so that there is room. */
static void make_room(struct lasting *l)
{
	const struct image_io io = { .op = IMAGE_FLUSH, .handle = OF_FLUSH };

	if (l->flushing || journal_is_empty(&l->journal))
		return;
	l->flush_mark = l->journal.next;
	l->flushing = image_queue(l->below, &io) == 0;
}

/* Whether it can be started now, and then what it takes is its. */
static bool may_start(struct lasting *l, const struct image_io *io)
{
	if (!changes(io))
		return true;
	if (is_being_changed(l, io))
		return false;
	if (journal_promise(&l->journal, io))
		return true;
	make_room(l);
	return false;
}

static int start(struct lasting *l, struct lasting_slot *s)
{
	struct image_io io = s->io;
	int r;

	io.handle = (uint64_t)(s - l->slot);
	s->mark = l->journal.next;
	r = image_queue(l->below, &io);
	if (r == 0)
		s->state = LASTING_RUNNING;
	else if (changes(&io))
		journal_give_up(&l->journal, &io);
	return r;
}

/* What waits, as far as it can be started. */
static void start_held(struct lasting *l)
{
	struct lasting_slot *s;

	while (l->state == LASTING_UP && (s = first_held(l)) && may_start(l, &s->io)) {
		int r = start(l, s);

		if (r < 0)
			end(l, s, r);
	}
}

static void keep(struct lasting *l, const struct image_io *io)
{
	/* what is stable, or has no cache to be lost from, needs no record unless something older is there */
	if ((l->below->cached && !io->sync) || !journal_is_empty(&l->journal))
		journal_add(&l->journal, io);
	else
		journal_give_up(&l->journal, io);
	if (journal_is_half_full(&l->journal))
		make_room(l);
}

static void slot_done(struct lasting *l, struct lasting_slot *s, int result)
{
	if (l->state == LASTING_AWAY) {
		if (changes(&s->io))
			journal_give_up(&l->journal, &s->io);
		s->state = LASTING_HELD;
		return;
	}
	if (s->io.op == IMAGE_FLUSH && result == 0)
		journal_drop(&l->journal, s->mark);
	if (changes(&s->io) && result == 0)
		keep(l, &s->io);
	else if (changes(&s->io))
		journal_give_up(&l->journal, &s->io);
	end(l, s, result);
}

static bool waits_for_room(struct lasting *l, const struct image_io *io)
{
	bool fits;

	if (!changes(io) || is_being_changed(l, io))
		return false;
	fits = journal_promise(&l->journal, io);
	if (fits)
		journal_give_up(&l->journal, io);
	return !fits;
}

/* Who waits for room gets the error of a flush that failed: there is none. */
static void flush_done(struct lasting *l, int result)
{
	struct lasting_slot *s = first_held(l);

	l->flushing = false;
	if (l->state != LASTING_UP)
		return;
	if (result == 0)
		journal_drop(&l->journal, l->flush_mark);
	else if (s && waits_for_room(l, &s->io))
		end(l, s, result);
}

/* ---- once more ---- */

static bool overlaps_again(struct lasting *l, const struct journal_record *r)
{
	for (uint64_t i = l->again; i < l->again_next; i++) {
		const struct journal_record *other = journal_at(i);

		if (!other->done && overlap(r->offset, r->len, other->offset, other->len))
			return true;
	}
	return false;
}

static void become_whole(struct lasting *l)
{
	l->state = LASTING_UP;
	l->whole(l->owner);
	start_held(l);
}

static void write_again(struct lasting *l)
{
	while (!l->refusal && l->again_next < l->journal.next &&
	       l->again_next - l->again < LASTING_AGAIN) {
		struct journal_record *r = journal_at(l->again_next);
		struct image_io io =
			journal_request(l->again_next, l->iov[l->again_next % LASTING_AGAIN]);

		if (overlaps_again(l, r))
			return;
		io.handle = OF_AGAIN | l->again_next;
		r->done = r->op == IMAGE_DISCARD && !l->below->can_discard;
		if (!r->done)
			l->refusal = image_queue(l->below, &io);
		l->again_next++;
	}
}

static void go_on_again(struct lasting *l)
{
	do {
		while (l->again < l->again_next && journal_at(l->again)->done)
			l->again++;
		write_again(l);
	} while (l->again < l->again_next && journal_at(l->again)->done);
	if (!l->refusal && l->again == l->journal.next)
		become_whole(l);
}

static void again_done(struct lasting *l, uint64_t number, int result)
{
	struct journal_record *r = journal_at(number);

	if (l->state == LASTING_AWAY)
		return;
	if (result < 0 && r->op != IMAGE_DISCARD) /* which is a hint */
		l->refusal = result;
	r->done = true;
}

static void on_done(void *owner, uint64_t handle, int result)
{
	struct lasting *l = owner;

	if (handle & OF_FLUSH)
		flush_done(l, result);
	else if (handle & OF_AGAIN)
		again_done(l, handle & ~OF_AGAIN, result);
	else
		slot_done(l, &l->slot[handle], result);
}

/* ---- image_ops ---- */

static int lasting_queue(struct image *image, const struct image_io *io)
{
	struct lasting *l = lasting_of(image);
	bool waits = l->state != LASTING_UP || first_held(l);
	int r = image_check(image, io);

	for (unsigned int i = 0; i < LASTING_SLOTS && r == 0; i++) {
		struct lasting_slot *s = &l->slot[i];

		if (s->state != LASTING_FREE)
			continue;
		*s = (struct lasting_slot){ LASTING_HELD, l->next_number++, 0, *io };
		if (io->op == IMAGE_FLUSH)
			s->io.len = 0;
		if (!waits && may_start(l, &s->io))
			r = start(l, s);
		if (r < 0)
			s->state = LASTING_FREE;
		return r;
	}
	return r < 0 ? r : -EBUSY;
}

static int lasting_submit(struct image *image)
{
	return image_submit(lasting_of(image)->below);
}

static int after(struct lasting *l, int r)
{
	if (r == 0 && l->state == LASTING_AGAIN_FIRST)
		go_on_again(l);
	if (r == 0 && l->state == LASTING_AGAIN_FIRST && l->refusal)
		l->refused(l->owner, l->refusal);
	if (r == 0)
		start_held(l);
	return r;
}

static int lasting_reap(struct image *image)
{
	struct lasting *l = lasting_of(image);

	return after(l, image_reap(l->below));
}

static int lasting_wait(struct image *image)
{
	struct lasting *l = lasting_of(image);

	return after(l, image_wait(l->below));
}

static void lasting_close(struct image *image)
{
	image_close(lasting_of(image)->below);
}

static const struct image_ops lasting_ops = {
	.queue = lasting_queue,
	.submit = lasting_submit,
	.reap = lasting_reap,
	.wait = lasting_wait,
	.close = lasting_close,
};

/* ---- connections ---- */

void lasting_look(struct lasting *l)
{
	const struct image *b = l->below;

	l->image = (struct image){ .ops = &lasting_ops,
				   .capacity = b->capacity,
				   .block = b->block,
				   .readonly = b->readonly,
				   .can_discard = b->can_discard,
				   .prompt = b->prompt,
				   .fd = b->fd,
				   .other_fd = b->other_fd,
				   .events = b->events,
				   .done = l->image.done,
				   .owner = l->image.owner };
}

void lasting_open(struct lasting *l, struct image *below)
{
	*l = (struct lasting){ .below = below };
	journal_open(&l->journal);
	below->done = on_done;
	below->owner = l;
	lasting_look(l);
}

void lasting_found(struct lasting *l)
{
	lasting_look(l);
	l->state = LASTING_AGAIN_FIRST;
	l->refusal = 0;
	l->again = l->again_next = l->journal.first;
	for (uint64_t i = l->journal.first; i < l->journal.next; i++)
		journal_at(i)->done = false;
	go_on_again(l);
}

void lasting_lost(struct lasting *l)
{
	l->state = LASTING_AWAY;
}

void lasting_fail(struct lasting *l, int result)
{
	struct lasting_slot *s;

	while (l->state == LASTING_AWAY && (s = first_held(l)))
		end(l, s, result);
}
