/* SPDX-License-Identifier: Apache-2.0 */
/* A vCPU: made, run, kicked; see kvm.h. */
#include "cmd/vmm/accel/kvm/kvm.h"

#include "cmd/vmm/accel/kvm/hyperv.h"
#include "lib/base/cleanup.h"
#include "lib/kvm/host.h"

#include <errno.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static __thread struct kvm_run *own_run;
static __thread struct watch *own_watch;

static int map_run(struct accel *a, struct accel_vcpu *v)
{
	void *p = mmap(NULL, a->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	v->run = p;
	return 0;
}

/* What CPUID does not list of KVM's own interface is refused, not only unlisted. */
static int enforce_paravirtual(struct accel *a, struct accel_vcpu *v)
{
	struct kvm_enable_cap enforce = { .cap = KVM_CAP_ENFORCE_PV_FEATURE_CPUID, .args = { 1 } };

	if (kvm_host_lacks(a->kvm_fd))
		return 0; /* said by the supervisor */
	return ioctl(v->fd, KVM_ENABLE_CAP, &enforce) < 0 ? -errno : 0;
}

int kvm_vcpu_create(struct accel *a, unsigned int index, struct accel_vcpu **ret)
{
	struct accel_vcpu *v = &a->vcpus[index];
	int r;

	*v = (struct accel_vcpu){ .accel = a, .index = index };
	v->fd = ioctl(a->vm_fd, KVM_CREATE_VCPU, index);
	if (v->fd < 0)
		return -errno;
	r = map_run(a, v);
	if (r == 0)
		r = kvm_cpuid_set(a, v);
	if (r == 0)
		r = enforce_paravirtual(a, v);
	if (r == 0 && a->hyperv)
		r = kvm_hyperv_enforce(v);
	if (r == 0)
		r = kvm_state_capture(v);
	if (r == 0 && index == 0)
		r = kvm_state_capture_msrs(a);
	if (r < 0)
		return r;
	*ret = v;
	return 0;
}

/* Runs in the vCPU's thread, whether or not it is inside KVM_RUN. */
static void on_kick(int sig)
{
	(void)sig;
	if (own_run)
		own_run->immediate_exit = 1;
}

static void on_watch(int sig)
{
	(void)sig;
	if (own_watch)
		watch_expired(own_watch);
}

/*
 * A kick is a timer that expires at once and signals this thread: unlike tgkill, timer_settime
 * takes no process id, so the filter can allow it.
 */
int kvm_vcpu_enter_thread(struct accel_vcpu *v)
{
	struct sigaction sa = { .sa_handler = on_kick };
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1 };

	ev.sigev_notify_thread_id = gettid();
	own_run = v->run;
	if (sigaction(SIGUSR1, &sa, NULL) < 0)
		return -errno;
	if (timer_create(CLOCK_MONOTONIC, &ev, &v->kick_timer) < 0)
		return -errno;
	own_watch = &v->watch;
	return watch_open(&v->watch, SIGUSR2, on_watch);
}

void kvm_count_event(int eventfd)
{
	watch_count(own_watch, eventfd);
}

void kvm_vcpu_kick(struct accel_vcpu *v)
{
	const struct itimerspec now = { .it_value.tv_nsec = 1 };

	timer_settime(v->kick_timer, 0, &now, NULL);
}

static void exit_pio(struct kvm_run *run, struct accel_exit *ret)
{
	*ret = (struct accel_exit){
		.kind = ACCEL_EXIT_PIO,
		.write = run->io.direction == KVM_EXIT_IO_OUT,
		.width = run->io.size,
		.count = run->io.count,
		.address = run->io.port,
		.data = (uint8_t *)run + run->io.data_offset,
	};
}

static void exit_mmio(struct kvm_run *run, struct accel_exit *ret)
{
	*ret = (struct accel_exit){
		.kind = ACCEL_EXIT_MMIO,
		.write = run->mmio.is_write,
		.width = (uint8_t)run->mmio.len,
		.count = 1,
		.address = run->mmio.phys_addr,
		.data = run->mmio.data,
	};
}

static const struct {
	uint32_t reason;
	const char *why;
} broken_exits[] = {
	{ KVM_EXIT_FAIL_ENTRY, "the CPU refuses to enter the guest (KVM_EXIT_FAIL_ENTRY)" },
	{ KVM_EXIT_INTERNAL_ERROR,
	  "KVM cannot go on: the guest executed what it cannot emulate (KVM_EXIT_INTERNAL_ERROR)" },
	{ KVM_EXIT_EXCEPTION, "unexpected exception exit" },
	{ KVM_EXIT_UNKNOWN, "KVM does not know why the guest stopped (KVM_EXIT_UNKNOWN)" },
};

static const char *why_broken(uint32_t reason)
{
	for (size_t i = 0; i < ARRAY_SIZE(broken_exits); i++)
		if (broken_exits[i].reason == reason)
			return broken_exits[i].why;
	return "KVM left the guest for a reason that this vmm did not ask for";
}

static void decode_exit(struct kvm_run *run, struct accel_exit *ret)
{
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		exit_pio(run, ret);
		break;
	case KVM_EXIT_MMIO:
		exit_mmio(run, ret);
		break;
	case KVM_EXIT_IOAPIC_EOI:
		*ret = (struct accel_exit){ .kind = ACCEL_EXIT_EOI, .eoi_vector = run->eoi.vector };
		break;
	case KVM_EXIT_SHUTDOWN:
		*ret = (struct accel_exit){ .kind = ACCEL_EXIT_SHUTDOWN };
		break;
	case KVM_EXIT_HYPERV:
	case KVM_EXIT_SYSTEM_EVENT:
		kvm_hyperv_exit(run, ret);
		break;
	case KVM_EXIT_INTR:
		*ret = (struct accel_exit){ .kind = ACCEL_EXIT_NONE };
		break;
	default:
		*ret = (struct accel_exit){ .kind = ACCEL_EXIT_BROKEN,
					    .why = why_broken(run->exit_reason) };
	}
}

int kvm_vcpu_run(struct accel_vcpu *v, struct accel_exit *ret)
{
	int r = ioctl(v->fd, KVM_RUN, 0);
	int err = errno;

	v->run->immediate_exit = 0;
	if (r == 0)
		decode_exit(v->run, ret);
	else if (err == EINTR || err == EAGAIN)
		*ret = (struct accel_exit){ .kind = ACCEL_EXIT_NONE };
	else
		return -err;
	return 0;
}
