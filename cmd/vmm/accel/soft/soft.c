/* SPDX-License-Identifier: Apache-2.0 */
/* The software accelerator's operations. */
#include "cmd/vmm/accel/soft/soft.h"

#include "cmd/vmm/accel/soft/cache.h"
#include "cmd/vmm/accel/soft/decode.h"
#include "cmd/vmm/accel/soft/dma.h"
#include "cmd/vmm/accel/soft/events.h"
#include "cmd/vmm/accel/soft/fp_state.h"
#include "cmd/vmm/accel/soft/lapic.h"
#include "cmd/vmm/accel/soft/soft_mem.h"
#include "cmd/vmm/accel/soft/state.h"
#include "cmd/vmm/accel/soft/sys.h"
#include "cmd/vmm/accel/soft/vcpu.h"
#include "cmd/vmm/space.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static_assert(SPACE_THREAD + sizeof(struct soft_cpu) + SOFT_CACHE_BYTES + KIB(64) <=
	      SPACE_SOFT_VCPU);
static_assert(sizeof(struct soft_page) <= SPACE_SOFT_PAGE);

static __thread struct soft_cpu *own_cpu;

/* Before the filters: they do not allow the call. At most 256 bytes come at once for sure. */
static bool draw(void *key, size_t len)
{
	for (size_t at = 0; at < len;) {
		size_t n = len - at < 256 ? len - at : 256;

		if (getrandom((char *)key + at, n, 0) != (ssize_t)n)
			return false;
		at += n;
	}
	return true;
}

static int soft_open(int fd, const struct accel_machine *machine, struct accel **ret,
		     const char **ret_why)
{
	struct accel *vm = calloc(1, sizeof(*vm));

	(void)fd;
	if (!vm)
		return -ENOMEM;
	if (machine->hyperv) {
		*ret_why = "the software CPU has nothing of Hyper-V's interface";
		free(vm);
		return -ENOTSUP;
	}
	if (!soft_fp_host_ok()) {
		*ret_why = "the software CPU runs SSE by the host's, and this host has no SSE4.2";
		free(vm);
		return -ENODEV;
	}
	vm->n_vcpus = machine->n_vcpus;
	vm->io = machine->io;
	vm->clock_start = soft_now();
	pthread_mutex_init(&vm->alone_lock, NULL);
	if (!draw(&vm->page_key, sizeof(vm->page_key))) {
		*ret_why = "the software CPU has no random numbers for its key";
		free(vm);
		return -EIO;
	}
	soft_decode_init();
	if (soft_events_open(vm) < 0) {
		*ret_why = "the software CPU has no memory for its events";
		free(vm);
		return -ENOMEM;
	}
	*ret = vm;
	return 0;
}

static int add_memory(struct accel *vm, uint64_t gpa, void *host, uint64_t size, bool read_only)
{
	struct soft_ram *ram;

	if (vm->n_ram == SOFT_RAM_MAX)
		return -ENOSPC;
	ram = &vm->ram[vm->n_ram];
	*ram = (struct soft_ram){ .gpa = gpa, .size = size, .host = host, .read_only = read_only };
	ram->pages = calloc(size >> 12, sizeof(ram->pages[0]));
	if (!ram->pages)
		return -ENOMEM;
	vm->n_ram++;
	return 0;
}

static int soft_add_ram(struct accel *vm, uint64_t gpa, void *host, uint64_t size)
{
	return add_memory(vm, gpa, host, size, false);
}

static int soft_add_rom(struct accel *vm, uint64_t gpa, void *host, uint64_t size)
{
	return add_memory(vm, gpa, host, size, true);
}

/* For as long as the process is there. calloc leaves pages that are new, and zero, untouched. */
static struct soft_cpu *cpu_alloc(void)
{
	uint8_t *p = calloc(1, sizeof(struct soft_cpu) + 63);

	return p ? (void *)(((uintptr_t)p + 63) & ~(uintptr_t)63) : NULL;
}

static int soft_vcpu_create(struct accel *vm, unsigned int index, struct accel_vcpu **ret)
{
	struct soft_cpu *c = cpu_alloc();

	if (!c)
		return -ENOMEM;
	c->vm = vm;
	c->index = index;
	if (soft_lapic_create(c) < 0 || soft_cache_create(c) < 0)
		return -ENOMEM;
	vm->cpus[index] = c;
	*ret = (struct accel_vcpu *)c;
	return 0;
}

static struct soft_cpu *cpu_of(struct accel_vcpu *v)
{
	return (struct soft_cpu *)v;
}

static void on_watch(int sig)
{
	(void)sig;
	if (own_cpu)
		watch_expired(&own_cpu->watch);
}

/* Only sets a bit of this thread's own CPU; the sleep and the block loop see it. */
static void on_alarm(int sig)
{
	(void)sig;
	if (own_cpu)
		atomic_fetch_or(&own_cpu->wake, WAKE_INTERRUPT);
}

static int make_timer(int sig, void (*handler)(int), timer_t *ret)
{
	struct sigaction sa = { .sa_handler = handler };
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = sig };

	ev.sigev_notify_thread_id = gettid();
	if (sigaction(sig, &sa, NULL) < 0 || timer_create(CLOCK_MONOTONIC, &ev, ret) < 0)
		return -errno;
	return 0;
}

static int soft_enter_thread(struct accel_vcpu *v)
{
	struct soft_cpu *c = cpu_of(v);
	int r;

	own_cpu = c;
	r = watch_open(&c->watch, SIGUSR1, on_watch);
	if (r == 0)
		r = make_timer(SIGUSR2, on_alarm, &c->alarm);
	c->has_alarm = r == 0;
	return r;
}

static int soft_reset(struct accel_vcpu *v, const struct cpu_boot_state *boot)
{
	int r = soft_vcpu_state.reset(cpu_of(v));

	if (boot)
		soft_cpu_boot(cpu_of(v), boot);
	return r;
}

static int soft_run(struct accel_vcpu *v, struct accel_exit *ret)
{
	*ret = (struct accel_exit){ .kind = soft_vcpu_loop(cpu_of(v)) ? ACCEL_EXIT_NONE :
									ACCEL_EXIT_SHUTDOWN };
	return 0;
}

static void soft_kick(struct accel_vcpu *v)
{
	soft_vcpu_wake(cpu_of(v), WAKE_KICK);
}

static void soft_count_event(int eventfd)
{
	watch_count(&own_cpu->watch, eventfd);
}

static int soft_msi_send(struct accel *vm, const struct msi *msi)
{
	soft_lapic_msi(vm, msi);
	return 0;
}

/* The IOAPIC hears of every EOI whose interrupt was level-triggered; nothing to note. */
static int soft_set_ioapic_pin(struct accel *vm, unsigned int pin, const struct msi *msi)
{
	(void)vm;
	(void)pin;
	(void)msi;
	return 0;
}

const struct accel_ops accel_soft = {
	.name = "soft",
	.open = soft_open,
	.add_ram = soft_add_ram,
	.add_rom = soft_add_rom,
	.use_log = soft_dma_use_log,
	.vcpu_create = soft_vcpu_create,
	.msi_send = soft_msi_send,
	.unlogged = soft_dma_unlogged,
	.irqfd_bind = soft_irqfd_bind,
	.irqfd_unbind = soft_irqfd_unbind,
	.irqfd_settle = soft_irqfd_settle,
	.ioeventfd_bind = soft_ioeventfd_bind,
	.ioeventfd_unbind = soft_ioeventfd_unbind,
	.set_ioapic_pin = soft_set_ioapic_pin,
	.vcpu_enter_thread = soft_enter_thread,
	.vcpu_reset = soft_reset,
	.vcpu_run = soft_run,
	.vcpu_kick = soft_kick,
	.count_event = soft_count_event,
};
