/* SPDX-License-Identifier: Apache-2.0 */
/* Split virtqueues: the available and used rings; see virtqueue.h. */
#include "lib/virtio/ring.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

/* Offsets into the rings of a layout; 2.7.6 and 2.7.8. */
static gpa_t avail_flags(const struct virtq *vq)
{
	return vq->layout.avail;
}

static gpa_t avail_idx(const struct virtq *vq)
{
	return GPA(vq->layout.avail.v + 2);
}

static gpa_t avail_entry(const struct virtq *vq, uint16_t index)
{
	return GPA(vq->layout.avail.v + 4 + 2ULL * (index & (vq->layout.size - 1U)));
}

static gpa_t used_event(const struct virtq *vq)
{
	return GPA(vq->layout.avail.v + 4 + 2ULL * vq->layout.size);
}

static gpa_t used_flags(const struct virtq *vq)
{
	return vq->layout.used;
}

static gpa_t used_idx(const struct virtq *vq)
{
	return GPA(vq->layout.used.v + 2);
}

static gpa_t used_entry(const struct virtq *vq, uint16_t index)
{
	return GPA(vq->layout.used.v + 4 + 8ULL * (index & (vq->layout.size - 1U)));
}

static gpa_t avail_event(const struct virtq *vq)
{
	return GPA(vq->layout.used.v + 4 + 8ULL * vq->layout.size);
}

static bool head_in_flight(const struct virtq *vq, uint16_t head)
{
	return vq->in_flight[head / 64] & (1ULL << (head % 64));
}

static bool usable(const struct virtq *vq)
{
	return vq->started && !vq->broken;
}

static bool is_ram(const struct guestmem *mem, gpa_t gpa, uint64_t len)
{
	struct iovec iov[GUESTMEM_MAX_REGIONS];
	size_t n = 0;

	return guest_iov(mem, gpa, len, iov, &n, GUESTMEM_MAX_REGIONS) == 0;
}

static int check_layout(const struct guestmem *mem, const struct virtq_layout *l)
{
	uint64_t size = l->size;

	if (!size || size > VIRTQ_SIZE_MAX || (size & (size - 1)))
		return -EINVAL;
	if (l->desc.v % 16 || l->avail.v % 2 || l->used.v % 4)
		return -EINVAL;
	if (!is_ram(mem, l->desc, size * 16) || !is_ram(mem, l->avail, 6 + size * 2) ||
	    !is_ram(mem, l->used, 6 + size * 8))
		return -EFAULT;
	return 0;
}

void virtq_init(struct virtq *vq, const struct guestmem *mem)
{
	*vq = (struct virtq){ .mem = mem };
}

int virtq_start(struct virtq *vq, const struct virtq_layout *layout, uint16_t base)
{
	uint16_t used;
	int r;

	if (vq->started)
		return -EBUSY;
	r = check_layout(vq->mem, layout);
	if (r < 0)
		return r;
	r = guest_load16(vq->mem, GPA(layout->used.v + 2), &used);
	if (r < 0)
		return r;
	*vq = (struct virtq){ .mem = vq->mem,
			      .layout = *layout,
			      .started = true,
			      .next_avail = base,
			      .known_avail = base,
			      .used_idx = used };
	return 0;
}

uint16_t virtq_stop(struct virtq *vq)
{
	vq->started = false;
	vq->broken = NULL;
	vq->n_in_flight = 0;
	memset(vq->in_flight, 0, sizeof(vq->in_flight));
	return vq->next_avail;
}

int virtq_resume(struct virtq *vq, uint16_t base)
{
	const struct virtq_layout layout = vq->layout;
	const char *broken = vq->broken;
	int r;

	vq->started = false;
	r = virtq_start(vq, &layout, base);
	vq->broken = broken;
	return r;
}

int virtq_break(struct virtq *vq, const char *why)
{
	if (!vq->broken)
		vq->broken = why;
	return -EBADMSG;
}

/* Reads the guest's index; an index that is further ahead than the ring has room is a lie. */
static int refresh_avail(struct virtq *vq)
{
	uint16_t idx;

	if (guest_load16(vq->mem, avail_idx(vq), &idx) < 0)
		return virtq_break(vq, "available ring is not RAM");
	if ((uint16_t)(idx - vq->next_avail) > vq->layout.size)
		return virtq_break(vq, "available index jumps");
	vq->known_avail = idx;
	return 0;
}

static int next_head(struct virtq *vq, uint16_t *ret)
{
	uint16_t head;

	if (guest_load16(vq->mem, avail_entry(vq, vq->next_avail), &head) < 0)
		return virtq_break(vq, "available ring is not RAM");
	if (head >= vq->layout.size)
		return virtq_break(vq, "head index out of range");
	if (head_in_flight(vq, head))
		return virtq_break(vq, "head index in flight already");
	*ret = head;
	return 0;
}

bool virtq_has_more(const struct virtq *vq)
{
	uint16_t idx = vq->known_avail;

	return usable(vq) &&
	       (idx != vq->next_avail ||
		(guest_load16(vq->mem, avail_idx(vq), &idx) == 0 && idx != vq->next_avail));
}

static void charge(struct virtq_budget *b, uint32_t descriptors, uint64_t bytes)
{
	b->descriptors -= descriptors < b->descriptors ? descriptors : b->descriptors;
	b->bytes -= bytes < b->bytes ? bytes : b->bytes;
}

int virtq_pop(struct virtq *vq, struct virtq_budget *budget, struct virtq_chain *ret)
{
	uint32_t steps;
	uint16_t head;
	int r;

	if (!usable(vq))
		return -EBADMSG;
	if (vq->next_avail == vq->known_avail) {
		r = refresh_avail(vq);
		if (r < 0)
			return r;
		if (vq->next_avail == vq->known_avail)
			return 0;
	}
	if (!budget->descriptors || !budget->bytes)
		return -EAGAIN;
	r = next_head(vq, &head);
	if (r < 0)
		return r;
	r = virtq_walk(vq, head, ret, &steps);
	if (r < 0)
		return r;
	charge(budget, steps, ret->readable_len + ret->writable_len);
	vq->in_flight[head / 64] |= 1ULL << (head % 64);
	vq->n_in_flight++;
	vq->next_avail++;
	return 1;
}

bool virtq_adopt(struct virtq *vq, const uint16_t *heads, uint16_t n)
{
	uint16_t avail, ahead;

	if (!usable(vq) || guest_load16(vq->mem, avail_idx(vq), &avail) < 0)
		return false;
	ahead = (uint16_t)(avail - vq->used_idx);
	if (ahead < n || ahead > vq->layout.size)
		return false;
	for (uint16_t i = 0; i < n; i++)
		vq->in_flight[heads[i] / 64] |= 1ULL << (heads[i] % 64);
	vq->n_in_flight = n;
	vq->next_avail = vq->known_avail = (uint16_t)(vq->used_idx + n);
	return true;
}

int virtq_retake(struct virtq *vq, uint16_t head, struct virtq_budget *budget,
		 struct virtq_chain *ret)
{
	uint32_t steps;
	int r;

	if (!usable(vq))
		return -EBADMSG;
	if (head >= vq->layout.size || !head_in_flight(vq, head))
		return -EINVAL;
	if (!budget->descriptors || !budget->bytes)
		return -EAGAIN;
	r = virtq_walk(vq, head, ret, &steps);
	if (r < 0)
		return r;
	charge(budget, steps, ret->readable_len + ret->writable_len);
	return 1;
}

void virtq_log_used(struct virtq *vq, const uint64_t *gpa)
{
	vq->log_used = gpa;
	vq->log_at = gpa ? *gpa : 0;
}

/* What was written to the used ring is dirty twice: guest memory has marked where it lies. */
static void log_used(const struct virtq *vq, gpa_t at, uint64_t len)
{
	if (vq->log_used)
		guestmem_mark(vq->mem, GPA(vq->log_at + (at.v - vq->layout.used.v)), len);
}

static void land(struct virtq *vq, uint16_t head)
{
	vq->in_flight[head / 64] &= ~(1ULL << (head % 64));
	vq->n_in_flight--;
}

static int put_used(struct virtq *vq, uint16_t at, const struct virtq_done *done)
{
	struct virtq_used_elem e = { .id = done->head, .len = done->written };

	if (guest_write(vq->mem, used_entry(vq, at), &e, sizeof(e)) < 0)
		return virtq_break(vq, "used ring is not RAM");
	log_used(vq, used_entry(vq, at), sizeof(e));
	return 0;
}

int virtq_push_all(struct virtq *vq, const struct virtq_done *done, uint16_t n)
{
	if (!usable(vq))
		return -EBADMSG;
	for (uint16_t i = 0; i < n; i++) {
		if (done[i].head >= vq->layout.size || !head_in_flight(vq, done[i].head))
			return -EINVAL;
		land(vq, done[i].head);
		if (put_used(vq, (uint16_t)(vq->used_idx + i), &done[i]) < 0)
			return -EBADMSG;
	}
	if (guest_store16(vq->mem, used_idx(vq), (uint16_t)(vq->used_idx + n)) < 0)
		return virtq_break(vq, "used ring is not RAM");
	log_used(vq, used_idx(vq), sizeof(uint16_t));
	vq->used_idx = (uint16_t)(vq->used_idx + n);
	return 0;
}

int virtq_push(struct virtq *vq, uint16_t head, uint32_t written)
{
	const struct virtq_done done = { head, written };

	return virtq_push_all(vq, &done, 1);
}

int virtq_untake(struct virtq *vq, uint16_t head)
{
	if (!usable(vq))
		return -EBADMSG;
	if (head >= vq->layout.size || !head_in_flight(vq, head))
		return -EINVAL;
	land(vq, head);
	vq->next_avail--;
	return 0;
}

/* 2.7.10: the driver names the used index that it wants to hear about. */
static bool event_passed(const struct virtq *vq, uint16_t event, uint16_t old)
{
	uint16_t new = vq->used_idx;

	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

bool virtq_should_signal(struct virtq *vq)
{
	uint16_t old = vq->signalled, word;
	bool first = !vq->signalled_valid;

	if (!usable(vq))
		return false;
	/* the used index must be visible before the driver's wish is read */
	atomic_thread_fence(memory_order_seq_cst);
	if (guest_load16(vq->mem, vq->layout.event_idx ? used_event(vq) : avail_flags(vq), &word) <
	    0) {
		(void)virtq_break(vq, "available ring is not RAM");
		return false;
	}
	vq->signalled = vq->used_idx;
	vq->signalled_valid = true;
	if (!vq->layout.event_idx)
		return !(word & VIRTQ_AVAIL_F_NO_INTERRUPT);
	return first || event_passed(vq, word, old);
}

void virtq_kicks_off(struct virtq *vq)
{
	/* with event indices, not moving avail_event is enough */
	if (!usable(vq) || vq->layout.event_idx)
		return;
	if (guest_store16(vq->mem, used_flags(vq), VIRTQ_USED_F_NO_NOTIFY) < 0)
		(void)virtq_break(vq, "used ring is not RAM");
	log_used(vq, used_flags(vq), sizeof(uint16_t));
}

int virtq_kicks_on(struct virtq *vq)
{
	int r;

	if (!usable(vq))
		return -EBADMSG;
	if (vq->layout.event_idx)
		r = guest_store16(vq->mem, avail_event(vq), vq->next_avail);
	else
		r = guest_store16(vq->mem, used_flags(vq), 0);
	if (r < 0)
		return virtq_break(vq, "used ring is not RAM");
	log_used(vq, vq->layout.event_idx ? avail_event(vq) : used_flags(vq), sizeof(uint16_t));
	/* the wish must be visible before the index is read again */
	atomic_thread_fence(memory_order_seq_cst);
	r = refresh_avail(vq);
	if (r < 0)
		return r;
	return vq->known_avail != vq->next_avail;
}
