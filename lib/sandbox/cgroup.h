/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One control group (cgroup v2) per VM: what its processes may use at most, enforced by the kernel
 * and out of their reach.
 *
 *	PLACE/bulkhead/NAME.PID             PID is its keeper's (cmd/supervisor/keeper.c)
 *	PLACE/bulkhead/NAME.PID/supervisor  the supervisor, without limits
 *	PLACE/bulkhead/NAME.PID/guest       vmm and devices, with all limits
 *	PLACE/bulkhead/NAME.PID/network     programs of the host that are the VM's network, or its TPM, with limits of their own
 *	PLACE/bulkhead/segment+NAME.PID     a segment's switch keeper and net-switch, with limits of their own
 *
 * PLACE is the directory that the user named; or else the nearest one around the calling process
 * that was delegated to its user (systemd's Delegate=); or else, for root, the hierarchy's root.
 *
 * As root, the keeper has an id of its own that only keepers take, and for files, of which its filter and
 * Landlock let it only remove empty groups below PLACE, that of PLACE's owner; limits and directories
 * belong to root and that owner. As an ordinary user all are that user's. Where the VM has ids of its own (ids.h), just the two
 * files of its group that starting a process in it needs are given to the VM's supervisor; else
 * all is the limited processes' own, but they cannot name it.
 */
#ifndef BULKHEAD_SANDBOX_CGROUP_H
#define BULKHEAD_SANDBOX_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CGROUP_UNLIMITED UINT64_MAX
#define CGROUP_KEEPER_ID 0x61ffffffU /* below those of VMs (ids.c) */
#define CGROUP_DIALER_ID 0x61fffffeU /* of dialers, likewise (cmd/supervisor/dialer.h) */
#define CGROUP_SWTPM_ID 0x61fffffdU  /* of swtpm, and whose its state is (lib/swtpm) */

/* Controllers, as bits. */
enum { CGROUP_CPU = 1, CGROUP_IO = 2, CGROUP_MEMORY = 4, CGROUP_PIDS = 8 };

struct cgroup_place {
	char path[PATH_MAX];
	unsigned int controllers; /* that VMs there can have */
	bool is_around;		  /* the calling process is in it, or may be */
};

/* Whether a path is of a cgroup v2 hierarchy, wherever that is mounted. */
bool cgroup_is_at(const char *path);

/* Where VMs' groups go. named may be NULL. Changes nothing. 0, or a negative errno with *ret_why
 * why there is no such place, for example "no cgroup v2 at /sys/fs/cgroup". */
[[nodiscard]] int cgroup_find(const char *named, struct cgroup_place *ret, const char **ret_why);

/* A host's block device, and what may be read and written on it a second. */
struct cgroup_device {
	unsigned int major, minor;	   /* of a whole disk */
	uint64_t rbps, wbps, riops, wiops; /* or CGROUP_UNLIMITED */
};

struct cgroup_limits {
	uint64_t memory;      /* bytes of memory, with nothing more in swap; or CGROUP_UNLIMITED */
	uint64_t tasks;	      /* or CGROUP_UNLIMITED */
	uint64_t cpu_percent; /* of one CPU, or CGROUP_UNLIMITED; the network may have as much again */
	uint64_t network_memory, network_tasks; /* likewise */
};

struct cgroup {
	int place; /* PLACE */
	int all;   /* PLACE/bulkhead */
	int vm;	   /* and what is in it */
	int supervisor;
	int guest;
	int network;
	int kill;		 /* guest/cgroup.kill, for writing; or -1 (before Linux 5.14) */
	int kill_network;	 /* that of the network's */
	int events;		 /* guest/memory.events; or -1 */
	char name[NAME_MAX + 1]; /* NAME.PID */
};

/* clang-format off */
#define CGROUP_NONE                                                                              \
	((struct cgroup){ .place = -1, .all = -1, .vm = -1, .supervisor = -1, .guest = -1,       \
			  .network = -1, .kill = -1, .kill_network = -1, .events = -1 })
/* clang-format on */

/*
 * Makes the group of a VM whose keeper is the calling process. Limits without their controller are
 * left out: compare place->controllers. Processes in a place around this one are moved to a group
 * beside the VMs', as no process may be where VMs' groups are. 0, or a negative errno with
 * *ret_what the step; then nothing was left behind.
 */
[[nodiscard]] int cgroup_make(const struct cgroup_place *place, const char *vm_name,
			      const struct cgroup_limits *l, struct cgroup *ret,
			      const char **ret_what);
/*
 * Makes PLACE/bulkhead/NAME.PID by itself, to be used as a descriptor: of what outlives single VMs, as a segment does. PID is the
 * calling process's. Nobody removes it but the next start of a VM or a segment, once no process is in it. Or a negative errno.
 */
[[nodiscard]] int cgroup_make_alone(const struct cgroup_place *place, const char *name,
				    uint64_t memory, uint64_t tasks);
/* As root: whose directories the keeper may remove. */
uid_t cgroup_keeper_file_id(const struct cgroup *g);
/* Lets a process of this id that is in the supervisor's group start others in the guest's. Needs
 * CAP_CHOWN where the id and the files' owner are known. */
[[nodiscard]] int cgroup_give(const struct cgroup *g, uid_t id);
/* Removes groups beside this one whose keeper is gone. Best effort. */
void cgroup_sweep(const struct cgroup *g);
/*
 * Removes the group, whose processes have ended, and PLACE/bulkhead after the last VM; that one
 * stays where the hierarchy's root is PLACE: only root could remove it. 0; -EBUSY when some
 * processes have not ended.
 */
[[nodiscard]] int cgroup_remove(const struct cgroup *g);
void cgroup_close(struct cgroup *g);

/* For want of what memory the kernel has killed in the group. */
enum cgroup_want {
	CGROUP_WANT_UNKNOWN, /* nothing tells */
	CGROUP_WANT_NONE,    /* it has not */
	CGROUP_WANT_LIMIT,   /* it reached its limit */
	CGROUP_WANT_HOST,    /* the host, or a group around it, had no more */
};

/* events is struct cgroup.events, or -1; it tells once. */
enum cgroup_want cgroup_ran_out(int events);

/* The whole disk that a file's bytes are on. -ENODEV when they are on none that can be limited. */
[[nodiscard]] int cgroup_device_of(int fd, unsigned int *ret_major, unsigned int *ret_minor);
/*
 * What is limited of the disks of a VM that runs is limited of this file's disk, too: reads the limits of the
 * group that its supervisor's is beside, and sets them there. supervisor is as this process counts. 0, also when
 * nothing is limited; -ENODEV as above; -ENOENT: there is no such group; or a negative errno.
 */
[[nodiscard]] int cgroup_limit_file_of(pid_t supervisor, int fd);
/* The group that the supervisor of a VM that runs is in, to be used as a descriptor. -ENOENT: there is none of a VM's; or
 * another negative errno. */
[[nodiscard]] int cgroup_open_of(pid_t supervisor);
/* As fork; the child is born in the group, so that nobody waits for the kernel to move anybody. -1: in the caller's. */
pid_t cgroup_fork(int group);
/* The group of a running VM for the programs that are its network, by its supervisor; or -ENOENT: there is none. */
[[nodiscard]] int cgroup_network_of(pid_t supervisor);
/* Limits the group's traffic with one. It has the controller. */
[[nodiscard]] int cgroup_limit_device(const struct cgroup *g, const struct cgroup_device *d);

#endif
