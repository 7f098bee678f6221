/* SPDX-License-Identifier: Apache-2.0 */
/* One vCPU alone with guest RAM; see alone.h. */
#include "cmd/vmm/accel/soft/alone.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPINS 200 /* a vCPU that runs is outside within about a microsecond */

static void wait_while(_Atomic uint32_t *word, uint32_t v)
{
	for (unsigned int i = 0; i < SPINS; i++) {
		if (atomic_load(word) != v)
			return;
		__builtin_ia32_pause();
	}
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, v, NULL, NULL, 0);
}

/* Each side writes its own word before it reads the other's, so one of them sees the other. */
void soft_ram_enter(struct soft_cpu *c)
{
	for (;;) {
		atomic_store(&c->inside, 1);
		if (!atomic_load(&c->vm->alone))
			return;
		soft_ram_leave(c);
		wait_while(&c->vm->alone, 1);
	}
}

void soft_ram_leave(struct soft_cpu *c)
{
	atomic_store(&c->inside, 0);
	if (atomic_load(&c->vm->alone))
		syscall(SYS_futex, &c->inside, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* While it waits for the lock it is outside: who holds the lock waits for it in turn. */
void soft_alone_begin(struct soft_cpu *c)
{
	struct accel *vm = c->vm;

	c->was_inside = atomic_load(&c->inside);
	soft_ram_leave(c);
	pthread_mutex_lock(&vm->alone_lock);
	atomic_store(&vm->alone, 1);
	for (unsigned int i = 0; i < vm->n_vcpus; i++) {
		struct soft_cpu *other = vm->cpus[i];

		while (other && atomic_load(&other->inside)) {
			atomic_fetch_or(&other->wake, WAKE_LEAVE);
			wait_while(&other->inside, 1);
		}
	}
	c->is_alone = true;
}

void soft_alone_end(struct soft_cpu *c)
{
	struct accel *vm = c->vm;

	c->is_alone = false;
	atomic_store(&c->inside, c->was_inside);
	atomic_store(&vm->alone, 0);
	syscall(SYS_futex, &vm->alone, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
	pthread_mutex_unlock(&vm->alone_lock);
}

void soft_io(struct soft_cpu *c, struct accel_exit *e)
{
	bool inside = atomic_load(&c->inside);

	if (inside)
		soft_ram_leave(c);
	c->vm->io.access(c->vm->io.ctx, e);
	if (inside)
		soft_ram_enter(c);
}
