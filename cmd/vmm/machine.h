/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine: what every part of the vmm shares. One lock guards all of it but guest RAM; vCPU
 * threads take it for each exit that they handle, the main thread for each event.
 */
#ifndef BULKHEAD_VMM_MACHINE_H
#define BULKHEAD_VMM_MACHINE_H

#include "cmd/vmm/accel/accel.h"
#include "cmd/vmm/bus.h"
#include "cmd/vmm/irq/ioapic.h"
#include "cmd/vmm/pci/vhost_front.h"
#include "lib/base/loop.h"
#include "lib/guestmem/guestmem.h"
#include "lib/smbios/tables.h"
#include "lib/state/state.h"

#include <pthread.h>
#include <signal.h>

struct hotplug;
struct pci_host;
struct firmware_ports;
struct flash;
struct serial;
struct tpm;
struct vcpu;

enum machine_request {
	MACHINE_RUN,	  /* nothing asked */
	MACHINE_RESET,	  /* guest reset */
	MACHINE_POWEROFF, /* guest S5 */
	MACHINE_PANIC,	  /* pvpanic */
	MACHINE_CRASH,	  /* triple fault and the like */
	MACHINE_FAIL,	  /* a device's process broke the protocol, or the host fails */
};

#define MACHINE_OBJECTS_MAX 192
#define MACHINE_CHANNELS_MAX (132 + HOTPLUG_SLOTS) /* to devices' processes */

/* A channel to a device's process, which may be replaced by one to its successor. */
struct machine_channel {
	/* Takes sock. 0, or a negative errno with *ret_why: the VM cannot go on. NULL: no channel yet */
	int (*reconnect)(void *owner, int sock, const char **ret_why);
	/* The device's configuration space may have changed. NULL: it has none */
	void (*config_changed)(void *owner);
	void *owner;
	const char *name; /* of the device, for messages */
};

/* The PM registers of the DSDT: reset, sleep, GED (platform/power.c). */
struct power {
	uint8_t events; /* GED_POWER_BUTTON, GED_PCI_HOTPLUG */
};

/* What the guest finds below 4 GiB (boot/firmware.c). */
struct firmware {
	uint8_t *bytes; /* NULL: a kernel is booted */
	uint64_t size;
	bool loaded;
	uint64_t flash; /* bytes of the flash memory directly below; 0: there is none */
};

struct machine {
	pthread_mutex_t lock;
	const struct accel_ops *ops;
	struct accel *accel;
	struct guestmem mem;  /* uaddr of every region is its gpa */
	int ram_fd;	      /* file offset of low RAM is 0, high follows */
	uint64_t ram_size;    /* bytes */
	struct vhost_log log; /* of what devices write to it, where the accelerator asks */
	unsigned int n_vcpus;
	struct bus pio;
	struct bus mmio;
	struct ioapic ioapic;
	struct power power;
	struct firmware firmware;
	struct smbios_tables smbios; /* what the guest is told of itself */
	struct pci_host *pci;
	struct hotplug *hotplug;
	struct serial *serial;				  /* NULL: none */
	struct firmware_ports *firmware_ports;		  /* of what firmware needs; NULL: none */
	struct flash *flash;				  /* of its variables; NULL: none */
	struct tpm *tpm;				  /* NULL: none */
	struct state_object objects[MACHINE_OBJECTS_MAX]; /* all with state but RAM and vCPUs */
	size_t n_objects;
	struct loop loop; /* the main thread's; its callbacks run with the lock held */
	bool irq_slots[ACCEL_IRQ_SLOTS]; /* taken */
	int control_fd;			 /* the supervisor's channel, for its end; or -1 */
	struct machine_channel channels[MACHINE_CHANNELS_MAX]; /* as the supervisor counts them */
	unsigned int serial_channel;

	enum machine_request request;
	int request_fd; /* eventfd: request was set */
	struct loop_source request_source;
	char why[256]; /* of MACHINE_CRASH and MACHINE_FAIL, for the user */

	/* vcpu.c: all vCPUs stand still while `paused`, and reset themselves when `generation`
	 * has changed since. */
	bool held;    /* by the supervisor; pause.h */
	bool emptied; /* and no device has a ring */
	bool paused;
	unsigned int n_parked;
	unsigned int generation;
	unsigned int n_reset; /* vCPUs that have reset in this generation */
	pthread_cond_t parked;
	pthread_cond_t resumed;
	struct cpu_boot_state boot; /* without firmware */
	struct vcpu *vcpus;
};

/* Sets up lock, loop, buses and RAM, which is the shared-memory file ram_fd of ram_size bytes; the
 * descriptor is the machine's from then on. */
[[nodiscard]] int machine_open(struct machine *m, const struct accel_ops *ops, int ram_fd,
			       uint64_t ram_size, unsigned int n_vcpus);
/* Gives the accelerator the RAM; after ops->open. */
[[nodiscard]] int machine_add_ram(struct machine *m);
/* Gives the accelerator, where it has use for it, the log of what devices write to RAM, and has them keep it.
 * fd is the machine's from then on. 0, or as fd_map_shared. */
[[nodiscard]] int machine_keep_log(struct machine *m, int fd);
/* A device that keeps none, or has ended without a word, may have written; from_now_on: it may again. */
void machine_unlogged(struct machine *m, bool from_now_on);
/* Zeroes all of guest RAM by giving its pages back to the host. Nothing may be using it. */
[[nodiscard]] int machine_clear_ram(struct machine *m);

/* From now on the object is reset with the machine. -ENOSPC. */
[[nodiscard]] int machine_add_object(struct machine *m, const struct state_ops *ops, void *object);
/* And from now on it is not. */
void machine_remove_object(struct machine *m, const void *object);
/* All objects to power-on, the last added first; vCPUs reset themselves, in their own threads
 * (vcpus_resume). The first error. */
[[nodiscard]] int machine_reset(struct machine *m);

/* An irqfd slot that nobody has; -ENOSPC when there are no more. */
[[nodiscard]] int machine_irq_slot(struct machine *m);
void machine_irq_slot_free(struct machine *m, unsigned int slot);

/* What the guest asked for; the main thread acts on it. Any thread, lock held. The first request
 * stands until it was carried out, but for a failure, which nothing outweighs. */
void machine_request(struct machine *m, enum machine_request what);
/* Requests MACHINE_FAIL (or CRASH) with a line for the user; returns. Lock held. */
void machine_fail(struct machine *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void machine_crash(struct machine *m, const char *why);
/* The process behind a channel is gone: the supervisor is told, and sends its successor or ends the VM. */
void machine_lost(struct machine *m, unsigned int channel);
/* Its successor serves. */
void machine_found(struct machine *m, unsigned int channel);
/* The successor's channel; takes sock. 0; -EBADMSG: there is no such channel; -EIO after machine_fail. */
[[nodiscard]] int machine_reconnect(struct machine *m, unsigned int channel, int sock);
/* The configuration space of the device behind it, which may have gone, may have changed. -EBADMSG: there is no such channel. */
[[nodiscard]] int machine_config_changed(struct machine *m, unsigned int channel);

/*
 * Waits without the lock until fd is readable; *left is what is left of the limit. The caller leaves
 * the machine in a state that others may see. 0, -ETIMEDOUT, or -EPIPE: there is no supervisor any
 * more. Lock held on return.
 */
[[nodiscard]] int machine_wait(struct machine *m, int fd, struct timespec *left);

/*
 * Waits without the lock, in the middle of an access, for what machine_wake tells of. A vCPU's thread;
 * it counts as standing still while the machine is paused. False: the guest resets or ends, and the
 * access is void. Lock held on return.
 */
[[nodiscard]] bool machine_hold(struct machine *m);
/* The same in the main thread: until the next machine_wake, or for no reason. */
void machine_sleep(struct machine *m);
void machine_wake(struct machine *m);

/* Counts an event of an eventfd that a device shares, without the lock. A vCPU's thread. Lock held
 * on return. */
void machine_count_event(struct machine *m, int eventfd);

/* platform/power.c, platform/pvpanic.c: claim their ports. pvpanic has no state. */
[[nodiscard]] int power_open(struct machine *m);
/* Tells the guest by the GED: GED_POWER_BUTTON, or GED_PCI_HOTPLUG. */
void power_event(struct machine *m, uint8_t event);
[[nodiscard]] int pvpanic_open(struct machine *m);

/* platform/reset_flag.c: whether the guest left word of a warm reboot. */
bool reset_flag_is_warm(const struct machine *m);

#endif
