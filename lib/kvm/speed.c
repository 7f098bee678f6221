/* SPDX-License-Identifier: Apache-2.0 */
/* Measures a guest's ring 0; see speed.h. */
#include "lib/kvm/speed.h"

#include "lib/base/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE 4096
#define SHORT_LOOPS 16
#define SHORT_ROUNDS 4 /* the first pays for page tables and cold caches */
#define LONG_LOOPS 516
#define MORE_INSTRUCTIONS ((LONG_LOOPS - SHORT_LOOPS) * 4ULL)

/* In real mode, which is ring 0. again: inc ax; nop; dec cx; jnz again; hlt */
static const uint8_t guest_code[] = { 0x40, 0x90, 0x49, 0x75, 0xfb, 0xf4 };

bool kvm_speed_note(struct kvm_speed *s, uint64_t instructions, uint64_t ns)
{
	uint64_t per_second = instructions * 1000000000U / (ns ? ns : 1);

	if (per_second > s->per_second)
		s->per_second = per_second;
	return ++s->rounds >= KVM_SPEED_ROUNDS || kvm_speed_is_real(s);
}

bool kvm_speed_is_real(const struct kvm_speed *s)
{
	return s->per_second >= KVM_SPEED_REAL;
}

void kvm_speed_close(struct kvm_speed_vm *p)
{
	if (p->run)
		munmap(p->run, p->run_len);
	closep(&p->vcpu);
	closep(&p->vm);
	if (p->page)
		munmap(p->page, PAGE);
	*p = KVM_SPEED_VM_NONE;
}

/* The guest's one page of memory, at address 0. */
static int add_page(struct kvm_speed_vm *p)
{
	struct kvm_userspace_memory_region region = { .memory_size = PAGE };
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return -errno;
	p->page = page;
	memcpy(p->page, guest_code, sizeof(guest_code));
	region.userspace_addr = (uintptr_t)page;
	return ioctl(p->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -errno : 0;
}

static int map_run(struct kvm_speed_vm *p, int kvm_fd)
{
	int len = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	void *run;

	if (len < (int)sizeof(*p->run))
		return len < 0 ? -errno : -ENOTSUP;
	run = mmap(NULL, (size_t)len, PROT_READ | PROT_WRITE, MAP_SHARED, p->vcpu, 0);
	if (run == MAP_FAILED)
		return -errno;
	p->run = run;
	p->run_len = (size_t)len;
	return 0;
}

/* Real mode with its code at address 0. */
static int set_segments(struct kvm_speed_vm *p)
{
	struct kvm_sregs sregs;

	if (ioctl(p->vcpu, KVM_GET_SREGS, &sregs) < 0)
		return -errno;
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	return ioctl(p->vcpu, KVM_SET_SREGS, &sregs) < 0 ? -errno : 0;
}

static int vm_open(struct kvm_speed_vm *p, int kvm_fd, const char **ret_what)
{
	int r;

	*ret_what = "cannot create a VM";
	do
		p->vm = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	while (p->vm < 0 && errno == EINTR);
	if (p->vm < 0)
		return -errno;
	*ret_what = "cannot give a VM memory";
	r = add_page(p);
	if (r < 0)
		return r;
	*ret_what = "cannot create a vCPU";
	p->vcpu = ioctl(p->vm, KVM_CREATE_VCPU, 0);
	if (p->vcpu < 0)
		return -errno;
	r = map_run(p, kvm_fd);
	return r < 0 ? r : set_segments(p);
}

static uint64_t thread_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/* Runs the loop so many times; *ret_ns is what it took. */
static int run_loops(struct kvm_speed_vm *p, uint16_t loops, uint64_t *ret_ns)
{
	const struct kvm_regs regs = { .rip = 0, .rflags = 2, .rcx = loops };
	uint64_t start;
	int r;

	assert(p->run);
	if (ioctl(p->vcpu, KVM_SET_REGS, &regs) < 0)
		return -errno;
	start = thread_ns();
	do
		r = ioctl(p->vcpu, KVM_RUN, 0);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	*ret_ns = thread_ns() - start;
	return p->run->exit_reason == KVM_EXIT_HLT ? 0 : -ENOTSUP;
}

/* What entering the guest and coming back takes, and little more: the least of some. */
static int measure_exit(struct kvm_speed_vm *p, uint64_t *ret_ns)
{
	uint64_t ns = 0, least = UINT64_MAX;

	for (int i = 0; i < SHORT_ROUNDS; i++) {
		int r = run_loops(p, SHORT_LOOPS, &ns);

		if (r < 0)
			return r;
		if (ns < least)
			least = ns;
	}
	*ret_ns = least;
	return 0;
}

static int measure(struct kvm_speed_vm *p, struct kvm_speed *s)
{
	uint64_t exit_ns = 0, ns = 0;
	int r = measure_exit(p, &exit_ns);

	while (r == 0) {
		r = run_loops(p, LONG_LOOPS, &ns);
		if (r == 0 && kvm_speed_note(s, MORE_INSTRUCTIONS, ns > exit_ns ? ns - exit_ns : 0))
			return 0;
	}
	return r;
}

int kvm_speed_measure(struct kvm_speed_vm *p, int kvm_fd, struct kvm_speed *ret,
		      const char **ret_what)
{
	struct kvm_speed s = { 0 };
	int r;

	*p = KVM_SPEED_VM_NONE;
	r = vm_open(p, kvm_fd, ret_what);
	if (r < 0)
		return r;
	*ret_what = "cannot run a loop of real-mode code";
	r = measure(p, &s);
	if (r < 0)
		return r;
	*ret = s;
	return 0;
}
