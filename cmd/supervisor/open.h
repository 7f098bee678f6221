/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything of a VM that has a path or a name, opened and checked before anything starts. Files are
 * opened with the rights of the user who asked.
 */
#ifndef BULKHEAD_SUPERVISOR_OPEN_H
#define BULKHEAD_SUPERVISOR_OPEN_H

#include "cmd/supervisor/dialer.h"
#include "lib/config/config.h"
#include "lib/kvm/probe.h"
#include "lib/names/names.h"
#include "lib/sandbox/selinux.h"

#define ACCEL_WHY_MAX 500

/* A mapped file, for a copy of it; label.c. */
struct boot_file {
	const void *bytes;
	size_t len; /* 0: none */
};

struct opened {
	int kernel;		       /* or firmware, */
	uint64_t firmware_size;	       /* of so many bytes */
	uint64_t flash_size;	       /* of the flash with its variables; 0: there is none */
	int initrd;		       /* -1: none */
	int identity;		       /* what the guest is told of itself */
	int kvm;		       /* -1: the software CPU */
	struct kvm_probe probe;	       /* what measured it, still ending */
	char accel_why[ACCEL_WHY_MAX]; /* for `--accel auto` what was chosen and why, else "" */
	/* what they are joined to: the command's stream or tap's queues, or a passt's stream; or -1 */
	int links[CONFIG_DEVICES_MAX][KIND_LINK_FDS_EACH];
	int files[CONFIG_DEVICES_MAX]; /* of the configuration's devices; -1: it has none */
	int foreign[CONFIG_DEVICES_MAX]; /* their sockets, for those that another's program serves; or -1 */
	int meets[CONFIG_DEVICES_MAX]; /* what the host's programs connect to; or -1 */
	int reach[CONFIG_DEVICES_MAX]; /* channels to the dialer, for what their guest reaches; or -1 */
	int more[CONFIG_DEVICES_MAX][KIND_FILES_MAX - 1]; /* beside each; -1 likewise */
	int tpm;		      /* the channel by which its TPM is started; or -1 */
	int listeners[NAMES_PLACES];  /* of the VM's name */
	struct dialer dialer;	      /* of devices that are a server's, or reach sockets */
	int vmm, programs[KINDS_MAX]; /* executables; those of kinds_all */
	struct boot_file kernel_map, initrd_map, seed_map;
	struct boot_file identity_map; /* until `identity` is there */
};

/* One line that says what is wrong, and where it can be said, what would be right. */
struct open_error {
	char text[400];
};

void opened_init(struct opened *o);
/* runtime as for open_listeners; other_ids: the processes will not run as the user. 0 or a negative errno with *ret_error; what was
 * opened stays for opened_close. */
[[nodiscard]] int opened_open(struct opened *o, const struct vm_config *c, const char *runtime,
			      bool other_ids, struct open_error *ret_error);
/* Closes everything but the listeners; the probe is the caller's to end. */
void opened_close(struct opened *o);

/*
 * accel.c: sets o->kvm and o->accel_why. What runs the guest's CPUs is KVM where it is asked for, or
 * `auto` finds a real one; a missing or slow KVM is an error only when KVM itself is asked for, or
 * what only KVM has.
 */
[[nodiscard]] int open_accel(struct opened *o, const struct vm_config *c,
			     struct open_error *ret_error);

/*
 * label.c: takes the VM's labels, if the host has them, and labels its disks. Kernel and initrd are
 * nobody's to label: once the caller has become SELINUX_START, boot_copy puts copies of them, which
 * have the VM's label, in their place. So it does with a disk that the command has made, on any host: its pages count
 * as the VM's then, and nobody else holds it.
 */
[[nodiscard]] int open_labels(struct opened *o, const struct vm_config *c, struct selinux_vm *ret,
			      struct open_error *ret_error);
[[nodiscard]] int boot_copy(struct opened *o, struct open_error *ret_error);
/* A memfd of that name with those bytes, never to change; or a negative errno. */
[[nodiscard]] int boot_seal(const char *name, const struct boot_file *f);

/* identity.c: reads credentials, with the rights of the user who asked, and notes what the guest is told of itself;
 * identity_seal makes the memfd of it that the vmm reads, which has the caller's label, and leaves no other copy. */
[[nodiscard]] int identity_open(struct opened *o, const struct vm_config *c,
				struct open_error *ret_error);
[[nodiscard]] int identity_seal(struct opened *o, struct open_error *ret_error);

/* names.c */
/* runtime: its user's $XDG_RUNTIME_DIR, or NULL. As names_listen. */
[[nodiscard]] int open_listeners(const char *name, const char *runtime, int ret[NAMES_PLACES],
				 struct open_error *ret_error);
/* The socket of the VM's name and that word; the name is taken already. */
[[nodiscard]] int open_meeting(const char *name, const char *word, const char *runtime, int *ret,
			       struct open_error *ret_error);
/* An executable beside this one: ../NAME/NAME in a build tree, NAME when installed. by_others: its
 * owner's right to execute it is not enough. */
[[nodiscard]] int open_program(const char *name, bool by_others, struct open_error *ret_error);
int open_complain(struct open_error *e, int error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
