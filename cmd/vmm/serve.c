/* SPDX-License-Identifier: Apache-2.0 */
/* The main thread once the vmm is confined; see serve.h. */
#include "cmd/vmm/serve.h"

#include "cmd/vmm/boot/boot.h"
#include "cmd/vmm/boot/firmware.h"
#include "cmd/vmm/event.h"
#include "cmd/vmm/pause.h"
#include "cmd/vmm/pci/hotplug.h"
#include "cmd/vmm/pci/pci.h"
#include "cmd/vmm/platform/firmware_ports.h"
#include "cmd/vmm/platform/flash.h"
#include "cmd/vmm/platform/serial.h"
#include "cmd/vmm/platform/tpm.h"
#include "cmd/vmm/vcpu.h"
#include "lib/base/cleanup.h"
#include "lib/base/cmdline.h"
#include "lib/control/control.h"
#include "lib/declared/declared.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

struct server {
	struct machine *m;
	const struct vmm_args *args;
	struct boot_source boot;
	int control_fd;
	struct loop_source control;
};

static void say_event(const struct server *s, enum control_event event)
{
	const struct control_msg msg = { .type = CTL_EVENT, .number = event };

	(void)!control_send(s->control_fd, &msg, -1);
}

/* ---- the supervisor's messages ---- */

static int on_power_button(struct server *s, const struct control_msg *msg, int *fd)
{
	(void)msg;
	(void)fd;
	power_event(s->m, GED_POWER_BUTTON);
	return 0;
}

static void say_slot(const struct server *s, enum control_type type, unsigned int slot)
{
	const struct control_msg msg = { .type = type, .number = slot };

	(void)!control_send(s->control_fd, &msg, -1);
}

static int on_config(struct server *s, const struct control_msg *msg, int *fd)
{
	(void)fd;
	return machine_config_changed(s->m, msg->number);
}

static int on_channel(struct server *s, const struct control_msg *msg, int *fd)
{
	return machine_reconnect(s->m, msg->number, take_fd(fd)) == -EBADMSG ? -EBADMSG : 0;
}

static int on_plug(struct server *s, const struct control_msg *msg, int *fd)
{
	struct control_msg no = { .type = CTL_NOT_PLUGGED };
	struct vmm_virtio device;
	const char *why = "?";
	int slot;

	if (vmm_virtio_parse(&device, msg->text) < 0)
		return -EBADMSG;
	slot = hotplug_add(s->m->hotplug, &device, msg->number, take_fd(fd), &why);
	if (slot >= 0) {
		say_slot(s, CTL_PLUGGED, (unsigned int)slot);
		return 0;
	}
	no.text_len = strnlen(why, CTL_TEXT_MAX);
	memcpy(no.text, why, no.text_len);
	(void)!control_send(s->control_fd, &no, -1);
	return 0;
}

static int on_unplug(struct server *s, const struct control_msg *msg, int *fd)
{
	(void)fd;
	hotplug_ask(s->m->hotplug, msg->number);
	return 0;
}

static int fail_still(struct server *s, int r, const char *what)
{
	if (r < 0 && r != -EBADMSG)
		machine_fail(s->m, "%s: %s", what, strerrordesc_np(-r));
	return r == -EBADMSG ? r : 0;
}

static int on_pause(struct server *s, const struct control_msg *msg, int *fd)
{
	(void)fd;
	if (msg->number > CTL_PAUSE_VCPUS)
		return -EBADMSG;
	return fail_still(s, machine_pause(s->m, msg->number == CTL_PAUSE_ALL),
			  "a device does not stop");
}

/* What the guest asked for before it stood still is due now. */
static int on_continue(struct server *s, const struct control_msg *msg, int *fd)
{
	int r = machine_continue(s->m);

	(void)msg, (void)fd;
	if (r == 0 && s->m->request != MACHINE_RUN)
		loop_stop(&s->m->loop, 0);
	return fail_still(s, r, "a device does not go on");
}

static void on_gone(void *owner, unsigned int slot)
{
	say_slot(owner, CTL_UNPLUGGED, slot);
}

static const struct {
	enum control_type type;
	int (*handle)(struct server *s, const struct control_msg *msg, int *fd);
} requests[] = {
	{ CTL_POWER_BUTTON, on_power_button },
	{ CTL_CONFIG, on_config },
	{ CTL_CHANNEL, on_channel },
	{ CTL_PLUG, on_plug },
	{ CTL_UNPLUG, on_unplug },
	{ CTL_PAUSE, on_pause },
	{ CTL_CONTINUE, on_continue },
};

static int on_control(struct loop_source *src, uint32_t events)
{
	struct server *s = src->owner;
	struct control_msg msg;
	_cleanup_(closep) int fd = -1;
	int r = control_recv(s->control_fd, &msg, &fd);

	(void)events;
	if (r == -EAGAIN)
		return 0;
	if (r <= 0)
		return r < 0 ? r : -EPIPE; /* nobody left to serve */
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
		if (requests[i].type == msg.type)
			return requests[i].handle(s, &msg, &fd);
	return -EBADMSG;
}

/* ---- start ---- */

static void note_channel(struct machine *m, unsigned int channel, const struct machine_channel *c)
{
	if (channel < MACHINE_CHANNELS_MAX)
		m->channels[channel] = *c;
}

static int reconnect_serial(void *owner, int sock, const char **ret_why)
{
	return serial_reconnect(owner, sock, ret_why);
}

static int add_serial(struct server *s)
{
	const char *why = NULL;
	struct machine *m = s->m;
	int r;

	m->serial_channel = (unsigned int)(s->args->serial_fd - VMM_FD_CHANNELS);
	r = serial_open(m, s->args->serial_fd, &m->serial, &why);
	if (r < 0)
		return control_fail(s->control_fd, "serial console: %s",
				    why ? why : strerrordesc_np(-r));
	note_channel(m, m->serial_channel,
		     &(struct machine_channel){ .reconnect = reconnect_serial,
						.owner = m->serial,
						.name = "serial console" });
	return 0;
}

static int reconnect_registers(void *owner, int sock, const char **ret_why)
{
	return firmware_ports_reconnect(owner, sock, ret_why);
}

static int add_registers(struct server *s)
{
	const unsigned int channel = (unsigned int)(s->args->registers_fd - VMM_FD_CHANNELS);
	const char *why = NULL;
	struct machine *m = s->m;
	int r = firmware_ports_open(m, channel, s->args->registers_fd, &m->firmware_ports, &why);

	if (r < 0)
		return control_fail(s->control_fd, "firmware's registers: %s",
				    why ? why : strerrordesc_np(-r));
	note_channel(m, channel,
		     &(struct machine_channel){ .reconnect = reconnect_registers,
						.owner = m->firmware_ports,
						.name = "firmware's registers" });
	return 0;
}

static int reconnect_flash(void *owner, int sock, const char **ret_why)
{
	return flash_reconnect(owner, sock, ret_why);
}

static int add_flash(struct server *s)
{
	const unsigned int channel = (unsigned int)(s->args->flash_fd - VMM_FD_CHANNELS);
	const char *why = NULL;
	struct machine *m = s->m;
	int r = flash_open(m, channel, s->args->flash_fd, &m->flash, &why);

	if (r < 0)
		return control_fail(s->control_fd, "firmware's variables: %s",
				    why ? why : strerrordesc_np(-r));
	note_channel(m, channel,
		     &(struct machine_channel){ .reconnect = reconnect_flash,
						.owner = m->flash,
						.name = "firmware's variables" });
	return 0;
}

static int reconnect_tpm(void *owner, int sock, const char **ret_why)
{
	return tpm_reconnect(owner, sock, ret_why);
}

static int add_tpm(struct server *s)
{
	const unsigned int channel = (unsigned int)(s->args->tpm_fd - VMM_FD_CHANNELS);
	const char *why = NULL;
	struct machine *m = s->m;
	int r = tpm_open(m, channel, s->args->tpm_fd, &m->tpm, &why);

	if (r < 0)
		return control_fail(s->control_fd, "TPM: %s", why ? why : strerrordesc_np(-r));
	if (channel < MACHINE_CHANNELS_MAX)
		m->channels[channel] = (struct machine_channel){ .reconnect = reconnect_tpm,
								 .owner = m->tpm,
								 .name = "TPM" };
	return 0;
}

static int add_devices(struct server *s)
{
	const char *why = NULL;
	int r = s->args->serial_fd < 0 ? 0 : add_serial(s);

	if (r == 0 && s->args->registers_fd >= 0)
		r = add_registers(s);
	if (r == 0 && s->args->flash_fd >= 0)
		r = add_flash(s);
	if (r == 0 && s->args->tpm_fd >= 0)
		r = add_tpm(s);

	pci_host_expect(s->m->pci, (unsigned int)s->args->n_virtio);
	for (size_t i = 0; i < s->args->n_virtio && r == 0; i++) {
		const struct vmm_virtio *d = &s->args->virtio[i];

		r = virtio_pci_add(s->m, &d->type, (unsigned int)(d->fd - VMM_FD_CHANNELS), d->fd,
				   PCI_SLOT_COLD, &why);
		if (r < 0)
			return control_fail(s->control_fd, "virtio %s: %s", d->name,
					    why ? why : strerrordesc_np(-r));
	}
	return r;
}

static int load(struct server *s)
{
	const char *why = NULL;
	int r = s->args->firmware ? firmware_load(s->m, VMM_FD_KERNEL, &why) :
				    boot_load(&s->m->mem, &s->boot, &s->m->boot, &why);

	if (r < 0)
		return control_fail(s->control_fd, "%s", why ? why : strerrordesc_np(-r));
	return 0;
}

/* ---- what the guest asks for ---- */

static int reset_machine(struct server *s)
{
	struct machine *m = s->m;
	int r;

	vcpus_pause(m);
	hotplug_settle(m->hotplug);
	r = machine_reset(m);
	if (r < 0)
		return control_fail(s->control_fd, "a device does not reset: %s",
				    strerrordesc_np(-r));
	r = machine_clear_ram(m);
	if (r < 0)
		return control_fail(s->control_fd, "guest RAM cannot be cleared: %s",
				    strerrordesc_np(-r));
	if (load(s))
		return 1;
	m->request = MACHINE_RUN;
	vcpus_resume(m, true);
	return 0;
}

enum verdict { GO_ON, END, FAILED };

/*
 * A kernel that panics before its pvpanic driver is loaded can still reboot (panic=-1) and leave word that
 * it was no ordinary reboot (cmdline.h).
 */
static bool panicked(const struct server *s)
{
	return cmdline_tells_panic(s->args->cmdline) && reset_flag_is_warm(s->m);
}

static enum verdict on_reset(struct server *s)
{
	if (panicked(s)) {
		say_event(s, CTL_EVENT_PANIC);
		if (s->args->on_panic == VMM_STOP)
			return END;
	}
	say_event(s, CTL_EVENT_REBOOT);
	if (s->args->on_reboot == VMM_STOP)
		return END;
	return reset_machine(s) ? FAILED : GO_ON;
}

static enum verdict on_panic(struct server *s)
{
	say_event(s, CTL_EVENT_PANIC);
	if (s->args->on_panic == VMM_STOP)
		return END;
	s->m->request = MACHINE_RUN;
	vcpus_resume(s->m, false);
	return GO_ON;
}

static enum verdict on_crash(struct server *s)
{
	struct control_msg m = { .type = CTL_LOG, .number = LOG_LEVEL_ERROR };

	static_assert(sizeof(s->m->why) <= sizeof(m.text));
	m.text_len = strlen(s->m->why);
	memcpy(m.text, s->m->why, m.text_len);
	(void)!control_send(s->control_fd, &m, -1);
	say_event(s, CTL_EVENT_CRASH);
	return END;
}

static enum verdict carry_out(struct server *s)
{
	event_clear(s->m->request_fd);
	s->m->loop.stopped = false;
	if (s->m->held && s->m->request != MACHINE_FAIL)
		return GO_ON; /* it waits */
	if (s->m->serial && s->m->request != MACHINE_FAIL)
		serial_flush(s->m->serial);
	switch (s->m->request) {
	case MACHINE_RUN:
		return GO_ON;
	case MACHINE_RESET:
		return on_reset(s);
	case MACHINE_POWEROFF:
		say_event(s, CTL_EVENT_POWEROFF);
		return END;
	case MACHINE_PANIC:
		return on_panic(s);
	case MACHINE_CRASH:
		return on_crash(s);
	case MACHINE_FAIL:
		control_fail(s->control_fd, "%s", s->m->why);
		return FAILED;
	}
	return FAILED;
}

/* Waits without the lock, then delivers with it: the callbacks touch what vCPUs touch. */
static int run_events(struct server *s)
{
	struct machine *m = s->m;
	struct pollfd p = { .fd = m->loop.epfd, .events = POLLIN };
	enum verdict v = GO_ON;
	int r = 0;

	while (v == GO_ON && r >= 0) {
		pthread_mutex_unlock(&m->lock);
		(void)ppoll(&p, 1, NULL, NULL);
		pthread_mutex_lock(&m->lock);
		r = loop_run_once(&m->loop, 0);
		if (r >= 0 && m->loop.stopped)
			v = carry_out(s);
	}
	if (r == -EPIPE)
		return 1;
	if (r < 0)
		return control_fail(s->control_fd, "the event loop failed: %s",
				    strerrordesc_np(-r));
	return v == END ? 0 : 1;
}

int vmm_serve(struct machine *m, const struct vmm_args *args, int control_fd)
{
	struct server s = {
		.m = m,
		.args = args,
		.control_fd = control_fd,
		.boot = { .kernel_fd = VMM_FD_KERNEL,
			  .initrd_fd = args->initrd_fd,
			  .cmdline = args->cmdline,
			  .ram_size = m->ram_size,
			  .n_vcpus = m->n_vcpus,
			  .serial = args->serial_fd >= 0,
			  .tpm = args->tpm_fd >= 0,
			  .smbios = &m->smbios },
	};
	int r;

	pthread_mutex_lock(&m->lock);
	m->control_fd = control_fd;
	hotplug_tell(m->hotplug, on_gone, &s);
	r = loop_add(&m->loop, &s.control, control_fd, EPOLLIN, on_control, &s);
	if (r < 0)
		return control_fail(control_fd, "event loop: %s", strerrordesc_np(-r));
	if (add_devices(&s) || load(&s))
		return 1;
	say_event(&s, CTL_EVENT_RUNNING);
	vcpus_resume(m, true);
	return run_events(&s);
}
