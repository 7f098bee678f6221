/* SPDX-License-Identifier: Apache-2.0 */
/* What runs the guest's CPUs; see open.h. */
#include "cmd/supervisor/open.h"

#include "lib/base/cleanup.h"
#include "lib/kvm/host.h"
#include "lib/kvm/speed.h"

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

/* Millions, with one decimal. */
static void say_speed(char *out, size_t cap, const char *what, const struct kvm_speed *s)
{
	const unsigned long long tenths = s->per_second / 100000;

	snprintf(out, cap, "%s (%llu.%llu million instructions a second)", what, tenths / 10,
		 tenths % 10);
}

static int measure(int kvm, struct open_error *e)
{
	struct kvm_speed speed;
	const char *what;
	int r = kvm_speed_measure(kvm, &speed, &what);

	if (r < 0)
		return open_complain(e, r, "/dev/kvm %s: %s", what, strerror(-r));
	if (kvm_speed_is_real(&speed)) {
		say_speed(e->text, sizeof(e->text), "it runs ring 0 on the processor", &speed);
		return 0;
	}
	say_speed(e->text, sizeof(e->text), "/dev/kvm only emulates ring 0", &speed);
	return -ENOTSUP;
}

/* Why it is not KVM is no error here, but the reason for the other. */
static void choose(struct opened *o)
{
	struct open_error why = { "" };
	_cleanup_(closep) int kvm = open_kvm(&why);
	bool real = kvm >= 0 && measure(kvm, &why) == 0;

	if (real)
		o->kvm = take_fd(&kvm);
	snprintf(o->accel_why, sizeof(o->accel_why), "%s runs the guest: %s",
		 real ? "KVM" : "the software CPU", why.text);
}

int open_accel(struct opened *o, enum config_accel accel, struct open_error *e)
{
	if (accel == ACCEL_AUTO)
		choose(o);
	if (accel != ACCEL_KVM)
		return 0;
	o->kvm = open_kvm(e);
	return o->kvm < 0 ? o->kvm : 0;
}
