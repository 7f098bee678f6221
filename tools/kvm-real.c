/* SPDX-License-Identifier: Apache-2.0
 *
 * kvm-real: does /dev/kvm run a guest's kernel on the processor, or emulate it instruction by
 * instruction? Some hosts offer the latter, about a hundred times too slow to boot anything.
 *
 * Times a loop of a real-mode guest (ring 0 by definition). Exit status 0: real; 1: not usable.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define LOOPS 60000	    /* fits the guest's 16-bit counter */
#define LOOP_INSTRUCTIONS 4 /* in the loop's body */
#define LEAST_PER_SECOND 10e6

/* mov cx, LOOPS; again: inc ax; nop; dec cx; jnz again; hlt */
static const uint8_t guest_code[] = { 0xb9, LOOPS & 0xff, LOOPS >> 8, 0x40, 0x90,
				      0x49, 0x75, 0xfb,		      0xf4 };

static int fail(const char *what)
{
	printf("kvm-real: no: %s: %s\n", what, strerror(errno));
	return 1;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Points the vCPU at the start of its page, in real mode with all segments at 0. */
static int rewind_vcpu(int vcpu)
{
	struct kvm_regs regs = { .rip = 0, .rflags = 2 };
	struct kvm_sregs sregs;

	if (ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
		return -1;
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0)
		return -1;
	return ioctl(vcpu, KVM_SET_REGS, &regs);
}

int main(void)
{
	struct kvm_userspace_memory_region region = { .memory_size = 4096 };
	struct kvm_run *run;
	double start, rate, best = 0;
	int kvm, vm, vcpu, run_size;
	uint8_t *page;

	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		return fail("/dev/kvm");
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		return fail("cannot create a VM");
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return fail("no memory");
	memcpy(page, guest_code, sizeof(guest_code));
	region.userspace_addr = (uintptr_t)page;
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	run_size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (vcpu < 0 || run_size < 0 || ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return fail("cannot set up a VM");
	run = mmap(NULL, (size_t)run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED)
		return fail("cannot map the vCPU");

	/* The first round pays for page tables and cold caches; the best of three counts. */
	for (int round = 0; round < 3; round++) {
		if (rewind_vcpu(vcpu) < 0)
			return fail("cannot set registers");
		start = now();
		if (ioctl(vcpu, KVM_RUN, 0) < 0)
			return fail("cannot run");
		if (run->exit_reason != KVM_EXIT_HLT) {
			printf("kvm-real: no: unexpected exit %u\n", run->exit_reason);
			return 1;
		}
		rate = LOOPS * (double)LOOP_INSTRUCTIONS / (now() - start);
		if (rate > best)
			best = rate;
	}
	printf("kvm-real: %s: a guest's ring 0 runs %.1f million instructions a second\n",
	       best >= LEAST_PER_SECOND ? "yes" : "no, emulated", best * 1e-6);
	return best >= LEAST_PER_SECOND ? 0 : 1;
}
