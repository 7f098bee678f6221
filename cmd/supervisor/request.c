/* SPDX-License-Identifier: Apache-2.0 */
/* What may be asked of a VM: by the command, by clients, by signals; see vm.h. */
#include "cmd/supervisor/vm.h"

#include "lib/base/cleanup.h"

#include <sys/timerfd.h>

void vm_kill(struct vm *vm, const char *who)
{
	if (vm->state == VM_ENDING)
		vm_end_hard(vm);
	else
		vm_end(vm, WEIGHT_FINAL, CTL_EVENT_KILLED, "the VM was ended by %s", who);
}

/* The first time counts: asking again does not give the guest more. */
static void bound_wait(struct vm *vm)
{
	const struct itimerspec t = { .it_value = { .tv_sec = vm->config->stop_timeout_s } };

	if (vm->stopping || !vm->config->stop_timeout_s)
		return;
	vm->stopping = true;
	(void)timerfd_settime(vm->timer.fd, 0, &t, NULL);
}

void vm_press_power(struct vm *vm, bool bounded)
{
	const struct control_msg m = { .type = CTL_POWER_BUTTON };
	const struct part *vmm = vm_part(vm, PART_VMM);

	if (vm->state == VM_STARTING)
		vm_kill(vm, "a request before its guest ran");
	if (vm->state != VM_RUNNING)
		return;
	if (vm->paused) {
		vm_end(vm, WEIGHT_FINAL, CTL_EVENT_KILLED,
		       "the VM was ended while it was paused, as no guest could power it off");
		return;
	}
	if (bounded)
		bound_wait(vm);
	if (vmm && tell_peer(vmm->control, &m, -1) < 0)
		tell(vm, NULL, LOG_LEVEL_WARNING, "the vmm does not take the power button");
}

int vm_give_stream(struct vm *vm, int fd)
{
	const struct control_msg m = { .type = CTL_CONSOLE };
	const struct part *console = vm_part(vm, PART_CONSOLE);
	int r = tell_peer(console->control, &m, fd);

	closep(&vm->stream);
	vm->stream = fd;
	if (r < 0)
		closep(&vm->stream);
	return r;
}

void vm_forget_stream(struct vm *vm)
{
	closep(&vm->stream);
}
