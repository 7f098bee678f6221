/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SELinux labels of a VM's processes and objects, by the module in selinux/bulkhead.cil: the domain
 * of each kind of process, the type of each kind of object, and a pair of categories per VM, so that
 * what belongs to one VM is out of reach of another's processes. On a host without SELinux, or
 * without the module, nothing is labelled and nothing else changes. With it every step is mandatory:
 * a label that cannot be had is an error, and the VM does not start.
 *
 * A pair is the VM's own among all VMs of the network namespace, for as long as the supervisor lives:
 * it is drawn at random and reserved by the name of an abstract socket, so that nothing is kept that
 * a crash could leave behind. Between network namespaces chance keeps pairs apart (1 in 523776).
 */
#ifndef BULKHEAD_SANDBOX_SELINUX_H
#define BULKHEAD_SANDBOX_SELINUX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define SELINUX_LABEL_MAX 200
#define SELINUX_WHO_MAX 100

#define SELINUX_START "bulkhead_start_t"
#define SELINUX_SUPERVISOR "bulkhead_supervisor_t"
#define SELINUX_LAUNCHER "bulkhead_launcher_t"
#define SELINUX_PASST "bulkhead_passt_t"
#define SELINUX_PASST_GUARD "bulkhead_passtguard_t"
#define SELINUX_SWITCH "bulkhead_switch_t"
#define SELINUX_SWITCH_KEEPER "bulkhead_switchkeeper_t"
#define SELINUX_SWTPM "bulkhead_swtpm_t"

struct selinux_vm {
	bool on;		   /* false: no label is asked for, by any of these functions */
	char who[SELINUX_WHO_MAX]; /* user and role of the starter: "unconfined_u:unconfined_r" */
	char level[16];		   /* "s0:c12,c700" */
	int pair;		   /* reserves it; or -1 */
};

#define SELINUX_VM_NONE ((struct selinux_vm){ .pair = -1 })

/* NULL, or in a few words why VMs that this process would start are not held by labels. */
const char *selinux_lacks(void);

/* Draws a pair of categories that no other VM has: s->level and s->pair. 0 or a negative errno. */
[[nodiscard]] int selinux_draw_pair(struct selinux_vm *s);
/*
 * Takes a pair, if the host has SELinux with the module, enforcing or not. 0 or a negative errno;
 * *ret is for selinux_vm_close.
 */
[[nodiscard]] int selinux_vm_open(struct selinux_vm *ret);
void selinux_vm_close(struct selinux_vm *s);
/* The labels of a VM that runs, by its supervisor: for what is attached to it. Reserves nothing. */
[[nodiscard]] int selinux_vm_of(int proc_fd, pid_t supervisor, struct selinux_vm *ret);

/* Writes the label of a process in a domain of the VM. */
void selinux_label(const struct selinux_vm *s, const char *domain, char out[SELINUX_LABEL_MAX]);

/*
 * Labels a disk, opened and locked: one that is written gets the VM's pair, a read-only one the type
 * that all may read, unless it has that already. 0 or a negative errno: -EPERM when it is somebody
 * else's file, -EOPNOTSUPP when its file system has no labels. Nothing puts the old label back: when
 * the VM has ended there is no process left with the right to, and after a crash there could be none.
 */
[[nodiscard]] int selinux_label_disk(const struct selinux_vm *s, int fd, bool readonly);
/* The same of a TPM's state: its directory, and each file in it. What is made in it has the label by itself. */
[[nodiscard]] int selinux_label_keys(const struct selinux_vm *s, int fd);

/*
 * These four use /proc by its descriptor, of the host's process ids. The caller of selinux_become
 * has one thread; from then on it, and what it makes, has the VM's level. selinux_at_exec: the
 * label that the next exec gives. selinux_check: -EPERM unless the process, which has executed, has
 * the label.
 */
[[nodiscard]] int selinux_become(const struct selinux_vm *s, int proc_fd, const char *domain);
[[nodiscard]] int selinux_at_exec(int proc_fd, const char *label);
[[nodiscard]] int selinux_check(int proc_fd, pid_t pid, const char *label);
/* Reads the label of a process. -ENODATA: it has none, as without SELinux. */
[[nodiscard]] int selinux_read(int proc_fd, pid_t pid, char out[SELINUX_LABEL_MAX]);

#endif
