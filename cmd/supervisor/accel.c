/* SPDX-License-Identifier: Apache-2.0 */
/* What runs the guest's CPUs; see open.h. */
#include "cmd/supervisor/open.h"

#include "lib/base/cleanup.h"
#include "lib/kvm/host.h"
#include "lib/kvm/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static int open_kvm(struct open_error *e)
{
	_cleanup_(closep) int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	const char *why;
	int r;

	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return open_complain(e, -errno, "/dev/kvm: no right to use it: join the group kvm");
	if (fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO))
		return open_complain(e, -errno,
				     "/dev/kvm: not there: load kvm_intel or kvm_amd, and "
				     "see that the firmware has virtualisation on");
	if (fd < 0)
		return open_complain(e, -errno, "/dev/kvm: %s", strerror(errno));
	r = kvm_host_check(fd, &why);
	if (r < 0)
		return open_complain(e, r, "%s", why);
	return take_fd(&fd);
}

static int measure(struct kvm_probe *probe, int kvm, struct open_error *e)
{
	char what[KVM_PROBE_WHAT_MAX];
	struct kvm_speed speed;
	int r = kvm_probe_run(probe, kvm, &speed, what);

	if (r < 0)
		return open_complain(e, r, "/dev/kvm %s: %s", what, strerror(-r));
	if (!kvm_speed_is_real(&speed))
		return open_complain(
			e, -ENOTSUP,
			"/dev/kvm only emulates ring 0 (%.1f million instructions a second)",
			(double)speed.per_second * 1e-6);
	open_complain(e, 0, "/dev/kvm runs ring 0 on the processor");
	return 0;
}

/* Why it is not KVM is no error here, but the reason for the other. */
static void choose(struct opened *o)
{
	struct open_error why = { "" };
	_cleanup_(closep) int kvm = open_kvm(&why);
	bool real = kvm >= 0 && measure(&o->probe, kvm, &why) == 0;

	if (real)
		o->kvm = take_fd(&kvm);
	snprintf(o->accel_why, sizeof(o->accel_why), "%s runs the guest: %s",
		 real ? "KVM" : "the software CPU", why.text);
}

static int check_hyperv(const struct opened *o, struct open_error *e)
{
	const char *lacks = o->kvm < 0 ? NULL : kvm_host_lacks_hyperv(o->kvm);

	if (o->kvm < 0)
		return open_complain(e, -ENOTSUP, "--hyperv: KVM alone has it, and %s",
				     o->accel_why);
	return lacks ? open_complain(e, -ENOTSUP, "--hyperv: %s (Linux 5.14 has it): leave it out",
				     lacks) :
		       0;
}

int open_accel(struct opened *o, const struct vm_config *c, struct open_error *e)
{
	if (c->accel == ACCEL_AUTO)
		choose(o);
	if (c->accel == ACCEL_KVM) {
		o->kvm = open_kvm(e);
		if (o->kvm < 0)
			return o->kvm;
	}
	return c->hyperv ? check_hyperv(o, e) : 0;
}
