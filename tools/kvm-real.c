/* SPDX-License-Identifier: Apache-2.0
 *
 * kvm-real: does /dev/kvm run a guest's kernel on the processor? By the same measurement as
 * `bulkhead run --accel auto`. Exit status 0: it does; 1: it does not, or cannot be used.
 */
#include "lib/kvm/host.h"
#include "lib/kvm/speed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static int say_no(const char *what, const char *why)
{
	printf("kvm-real: no: %s%s%s\n", what, *why ? ": " : "", why);
	return 1;
}

int main(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	struct kvm_speed_vm vm;
	struct kvm_speed speed;
	const char *what;
	int r;

	if (kvm < 0)
		return say_no("/dev/kvm", strerror(errno));
	if (kvm_host_check(kvm, &what) < 0)
		return say_no(what, "");
	r = kvm_speed_measure(&vm, kvm, &speed, &what);
	kvm_speed_close(&vm);
	if (r < 0)
		return say_no(what, strerror(-r));
	printf("kvm-real: %s: a guest's ring 0 runs %.1f million instructions a second\n",
	       kvm_speed_is_real(&speed) ? "yes" : "no, emulated", (double)speed.per_second * 1e-6);
	return kvm_speed_is_real(&speed) ? 0 : 1;
}
