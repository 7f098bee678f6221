/* SPDX-License-Identifier: Apache-2.0 */
/* A soft vCPU's run loop, sleep and wake-ups; see vcpu.h. */
#include "cmd/vmm/accel/soft/vcpu.h"

#include "cmd/vmm/accel/soft/alone.h"
#include "cmd/vmm/accel/soft/fp_state.h"
#include "cmd/vmm/accel/soft/lapic.h"
#include "cmd/vmm/accel/soft/seg.h"
#include "cmd/vmm/accel/soft/sys.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

uint64_t soft_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

void soft_vcpu_wake(struct soft_cpu *c, unsigned int bits)
{
	atomic_fetch_or(&c->wake, bits);
	if (atomic_load(&c->sleeping))
		syscall(SYS_futex, &c->wake, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void soft_vcpu_arm(struct soft_cpu *c, uint64_t due)
{
	struct itimerspec at = { 0 };

	if (due != UINT64_MAX) {
		at.it_value.tv_sec = (time_t)(due / 1000000000U);
		at.it_value.tv_nsec = (long)(due % 1000000000U);
		if (!at.it_value.tv_sec && !at.it_value.tv_nsec)
			at.it_value.tv_nsec = 1;
	} else if (!c->armed) {
		return;
	}
	c->armed = due != UINT64_MAX;
	if (c->has_alarm)
		timer_settime(c->alarm, TIMER_ABSTIME, &at, NULL);
}

/* Sleeps until something sets c->wake; the alarm's signal ends it too. */
static void sleep_until_woken(struct soft_cpu *c)
{
	soft_ram_leave(c);
	atomic_store(&c->sleeping, 1);
	while (!atomic_load(&c->wake))
		syscall(SYS_futex, &c->wake, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	atomic_store(&c->sleeping, 0);
	soft_ram_enter(c);
}

/* The kernel makes it some 50 us (timer slack), which is about what a lock is held for. */
void soft_vcpu_rest(struct soft_cpu *c)
{
	const struct timespec moment = { .tv_nsec = 1 };

	syscall(SYS_futex, &c->wake, FUTEX_WAIT_PRIVATE, 0, &moment, NULL, 0);
}

static void start_by_sipi(struct soft_cpu *c, uint8_t vector)
{
	c->wait_sipi = false;
	soft_load_real_segment(c, S_CS, (uint16_t)(vector << 8));
	c->rip = 0;
}

/* INIT, SIPI and NMI; true when one of them changed where the CPU is. */
static void take_signals(struct soft_cpu *c)
{
	struct soft_signals s = soft_lapic_signals(c);

	if (s.init)
		soft_cpu_reset(c, NULL, true);
	if (s.init && c->index == 0)
		c->wait_sipi = false;
	if (s.sipi && c->wait_sipi)
		start_by_sipi(c, s.sipi_vector);
	if (s.nmi)
		c->nmi_pending = true;
}

/* Delivers through the IDT, with an exception on the way handled as its own. False: triple fault. */
static bool deliver_external(struct soft_cpu *c, uint8_t vector)
{
	c->halted = false;
	if (setjmp(c->escape) == 0) {
		soft_interrupt(c, vector, false, false, 0, c->rip);
		return true;
	}
	return soft_deliver_fault(c);
}

/* The NMI or the interrupt that comes first, if one is allowed. False: triple fault. */
static bool take_interrupt(struct soft_cpu *c)
{
	int vector;

	if (c->nmi_pending && !c->nmi_blocked) {
		c->nmi_pending = false;
		c->nmi_blocked = true;
		return deliver_external(c, EX_NMI);
	}
	vector = c->rflags & FL_IF ? soft_lapic_take(c) : -1;
	return vector < 0 || deliver_external(c, (uint8_t)vector);
}

/* What is left waits for whoever lets it in: soft_gate_opened. Where nothing keeps it out (a trap gate
 * leaves IF as it is) it comes behind the next instruction. */
static void note_held(struct soft_cpu *c)
{
	bool interrupt = soft_lapic_pending(c);

	c->held = c->nmi_pending || interrupt;
	if ((c->nmi_pending && !c->nmi_blocked) || (interrupt && (c->rflags & FL_IF)))
		atomic_fetch_or(&c->wake, WAKE_INTERRUPT);
}

/* At a block boundary: whatever waits and is allowed. False: triple fault. */
static bool take_events(struct soft_cpu *c)
{
	take_signals(c);
	if (c->wait_sipi)
		return true;
	if (c->dma_seen != atomic_load(&c->vm->dma_told)) {
		c->dma_seen = atomic_load(&c->vm->dma_told);
		soft_code_recheck(c);
	}
	soft_lapic_run_timer(c);
	if (c->inhibit) {
		/* one instruction first; then look again */
		c->shadow = c->inhibit;
		c->inhibit = 0;
		c->single_step = true;
		atomic_fetch_or(&c->wake, WAKE_INTERRUPT);
		return true;
	}
	if (!take_interrupt(c))
		return false;
	note_held(c);
	return true;
}

static bool asleep(struct soft_cpu *c)
{
	return c->wait_sipi || c->halted;
}

/* What another thread has asked for. False: a kick; the rest waits for the next run. */
static bool obey(struct soft_cpu *c, unsigned int wake)
{
	if (wake & WAKE_KICK) {
		atomic_fetch_or(&c->wake, wake & ~WAKE_KICK);
		return false;
	}
	if (wake & WAKE_LEAVE) {
		soft_ram_leave(c);
		soft_ram_enter(c);
	}
	if (wake & WAKE_CODE)
		soft_tlb_drop_code(c);
	return true;
}

/* Delivers on where a kick or the like came between faults; interrupts wait. False: triple fault. */
static bool go_on_delivering(struct soft_cpu *c, unsigned int wake)
{
	atomic_fetch_or(&c->wake, wake & WAKE_INTERRUPT);
	c->redeliver = false;
	return soft_deliver_fault(c);
}

static bool run_instructions(struct soft_cpu *c)
{
	bool going = !soft_execute(c) || soft_deliver_fault(c);

	if (c->single_step) {
		c->single_step = false;
		c->shadow = 0;
		atomic_fetch_or(&c->wake, WAKE_INTERRUPT);
	}
	/* an instruction that turned interrupts on has asked for a look by itself */
	return going;
}

/* Until a kick (true) or a triple fault (false). */
static bool run(struct soft_cpu *c)
{
	bool going = true;

	while (going) {
		unsigned int wake = atomic_exchange(&c->wake, 0);

		if (!obey(c, wake))
			return true;
		if (c->redeliver) {
			going = go_on_delivering(c, wake);
			continue;
		}
		if (wake & WAKE_INTERRUPT)
			going = take_events(c);
		if (!going || c->redeliver)
			continue;
		if (asleep(c))
			sleep_until_woken(c);
		else
			going = run_instructions(c);
	}
	return false;
}

bool soft_vcpu_loop(struct soft_cpu *c)
{
	bool going;

	soft_ram_enter(c);
	going = run(c);
	soft_fp_sync(c); /* whoever looks at it then is another thread */
	soft_ram_leave(c);
	return going;
}
