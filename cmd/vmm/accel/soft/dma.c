/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of code and what devices write: a log where they keep one, sums where not; see dma.h. */
#include "cmd/vmm/accel/soft/dma.h"

#include "cmd/vmm/accel/soft/paging.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPINS 200 /* a bit is taken within some nanoseconds */

/* ---- sums ---- */

__extension__ typedef unsigned __int128 soft_wide;

static soft_wide fold_key(const struct soft_page_key *key, unsigned int n)
{
	return (soft_wide)key->fold[n][0] << 64 | key->fold[n][1];
}

/*
 * Two pages have the same sum by chance only, whatever a guest writes to them: it does not know the
 * key. NH (RFC 4418, 5.2) over 64-bit words, whose 128 bits are folded by a multilinear function: two
 * given pages collide for at most one of 2^63 keys.
 */
static uint64_t page_sum(const struct soft_page_key *key, const uint8_t *host)
{
	soft_wide sum = 0;

	for (size_t i = 0; i < 512; i += 2) {
		uint64_t words[2];

		memcpy(words, host + 8 * i, sizeof(words));
		sum += (soft_wide)(words[0] + key->words[i]) * (words[1] + key->words[i + 1]);
	}
	sum = fold_key(key, 0) + fold_key(key, 1) * (uint64_t)sum +
	      fold_key(key, 2) * (uint64_t)(sum >> 64);
	return (uint64_t)(sum >> 64);
}

/* A device's write from here on shows as a change. */
void soft_dma_begin(struct accel *vm, struct soft_page *page, const uint8_t *host)
{
	atomic_store(&page->epoch, atomic_load(&vm->dma_epoch));
	if (host)
		atomic_store(&page->sum, page_sum(&vm->page_key, host));
}

static void compare_sum(struct accel *vm, struct soft_page *page, const uint8_t *host,
			uint32_t epoch)
{
	uint64_t sum = page_sum(&vm->page_key, host);

	if (atomic_exchange(&page->sum, sum) != sum)
		atomic_fetch_add(&page->version, 1);
	atomic_store(&page->epoch, epoch);
}

/* ---- the log ---- */

void soft_dma_use_log(struct accel *vm, uint8_t *bits, uint64_t len)
{
	vm->log = bits;
	vm->log_len = len;
	atomic_store(&vm->all_logged, true);
}

void soft_dma_unlogged(struct accel *vm, bool from_now_on)
{
	if (from_now_on)
		atomic_store(&vm->all_logged, false);
	atomic_fetch_add(&vm->dma_epoch, 1);
}

void soft_dma_possible(struct accel *vm)
{
	if (!atomic_load_explicit(&vm->all_logged, memory_order_relaxed))
		atomic_fetch_add(&vm->dma_epoch, 1);
}

void soft_dma_told(struct accel *vm)
{
	soft_dma_possible(vm);
	atomic_fetch_add(&vm->dma_told, 1);
}

/*
 * Between the taking of a bit and the page's next version another vCPU would see neither: it waits
 * (soft_dma_settle), as `taking` rises before the bit falls. The bit falls first: a write that comes
 * meanwhile sets it again.
 */
static void take(struct accel *vm, struct soft_page *page, uint8_t *bits, uint8_t mask)
{
	atomic_fetch_add(&vm->taking, 1);
	if (__atomic_fetch_and(bits, (uint8_t)~mask, __ATOMIC_SEQ_CST) & mask)
		soft_note_write(page);
	atomic_fetch_sub(&vm->taking, 1);
}

void soft_dma_check(struct accel *vm, struct soft_page *page, const uint8_t *host, uint64_t gpa)
{
	const uint64_t index = gpa >> 15;
	const uint8_t mask = (uint8_t)(1U << (gpa >> 12 & 7));
	uint32_t epoch = atomic_load(&vm->dma_epoch);

	if (index < vm->log_len && __atomic_load_n(&vm->log[index], __ATOMIC_SEQ_CST) & mask)
		take(vm, page, &vm->log[index], mask);
	if (atomic_load_explicit(&page->epoch, memory_order_relaxed) != epoch &&
	    atomic_load_explicit(&page->is_code, memory_order_relaxed))
		compare_sum(vm, page, host, epoch);
}

void soft_dma_settle(struct accel *vm)
{
	const struct timespec moment = { .tv_nsec = 1 };
	uint32_t n;

	for (unsigned int i = 0; (n = atomic_load(&vm->taking)) != 0; i++)
		if (i < SPINS)
			__builtin_ia32_pause();
		else /* it is not running: let it */
			syscall(SYS_futex, &vm->taking, FUTEX_WAIT_PRIVATE, n, &moment, NULL, 0);
}
