/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each process of a VM is declared to be: what it may ask of the kernel, what it holds and
 * maps, and what whoever takes it over has gained. Each process's row is in its own folder's
 * policy.c and its main runs with the same data; here is the shape, for those that hold the running
 * processes against it, explain it, and write it into the documents.
 */
#ifndef BULKHEAD_DECLARED_DECLARED_H
#define BULKHEAD_DECLARED_DECLARED_H

#include "lib/base/fd.h"
#include "lib/sandbox/sandbox.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The keeper's exit status when a signal ended the supervisor: this and the signal's number. */
#define KEEPER_STATUS_SIGNAL 128

/* The kernel's clocks of one process: of all its time, and of that in user mode. passt is the third in its namespace of process ids:
 * behind its guard, and its own first one. */
#define DECLARED_CLOCK_OF(pid, which) ((int64_t)(~(uint64_t)(pid) << 3 | (which)))
#define PASST_CLOCK_BOTH DECLARED_CLOCK_OF(3, 0)
#define PASST_CLOCK_USER DECLARED_CLOCK_OF(3, 1)

/* The numbers of handed-over descriptors: the supervisor places them there. 3 is FD_CONTROL. */
enum {
	KEEPER_FD_PLACE = 3, /* directories of the VM's control group (lib/sandbox/cgroup.h) */
	KEEPER_FD_ALL,
	KEEPER_FD_VM,
	KEEPER_FD_KILL, /* its cgroup.kill */
	KEEPER_FD_KILL_NETWORK,

	NET_KEEPER_FD_VM = 3, /* the pidfd of its first process */
	NET_KEEPER_FD_READY,  /* until it is confined */
	NET_KEEPER_FD_ROUTE,
	NET_KEEPER_FD_NFTABLES,

	LAUNCHER_FD_SUPERVISOR = 3, /* its requests, and the answers */
	LAUNCHER_FD_PROC,
	LAUNCHER_FD_GROUP, /* that new processes are born in, where there is one */
	LAUNCHER_FD_GIVEN, /* and up: what its parts are started with again, and their pidfds */

	SWITCH_KEEPER_FD_FIRST = 3, /* a channel to the command that started it: the first to ask */
	SWITCH_KEEPER_FD_LISTENER,  /* and others', by the segment's name */
	SWITCH_KEEPER_FD_EXE,	    /* net-switch, until it runs */

	PASST_GUARD_FD_STREAM = 3, /* passt's end */
	PASST_GUARD_FD_ENDED,	   /* a signalfd */
	PASST_GUARD_FD_READY,	   /* until it is confined */

	DIALER_FD_CLIENTS = 3, /* and up, one of each storage process that has an address */

	SUPERVISOR_FD_FRONT = 3, /* the command's control channel */
	SUPERVISOR_FD_STREAM =
		4, /* the console's stream, unless there is no console in the command */
	SUPERVISOR_FD_LAUNCHER, /* its channel to its launcher */
	SUPERVISOR_FD_SEED,	/* a disk that the command has made, until it is copied */
	SUPERVISOR_FD_LINKS,	/* and up: streams that the command was started with, for devices */

	VMM_FD_KVM = 4,
	VMM_FD_KERNEL = 5,
	VMM_FD_INITRD = 6,
	VMM_FD_RAM = 7,
	VMM_FD_ITEMS = 8,     /* what firmware is told, until it is written */
	VMM_FD_FLASH = 9,     /* what the guest reads of a flash memory, until it is mapped */
	VMM_FD_LOG = 10,      /* which pages of guest RAM devices write to */
	VMM_FD_IDENTITY = 11, /* what the guest is told of itself, until it is read */
	VMM_FD_CHANNELS = 12, /* and up, one a device */
};

/* Where the dialer has the addresses that it may connect to: see cmd/supervisor/dialer.h. */
#define DIALER_TABLE 0x10000000000ULL
#define DIALER_ADDRESS_LEN 128U /* bytes of each */
#define DIALER_PATH_AT \
	16U /* in those that are paths, so that none is connected to with another's length */
#define DIALER_TABLE_LEN 65536U

/* Where the net keeper has what it may tell the kernel: pages of messages, each with zeros behind it to its length. */
#define NET_KEEPER_ROUTE 0x10000000000ULL
#define NET_KEEPER_NFTABLES (NET_KEEPER_ROUTE + NET_KEEPER_PAGE_LEN)
#define NET_KEEPER_PAGE_LEN 4096U
#define NET_KEEPER_MESSAGE_LEN 128U

/* Where a process lives. */
enum declared_place {
	DECLARED_USER,	     /* in its user's namespaces and root: the command, the keeper */
	DECLARED_SUPERVISOR, /* namespaces but pid and network its own, an empty root */
	DECLARED_LAUNCHER,   /* in the supervisor's namespaces and root, with its id */
	DECLARED_JAIL,	     /* every namespace its own, an empty root */
};

/* Threads beside the main one. */
struct declared_thread {
	const char *name;
	const struct sandbox_policy *policy; /* its filter */
	const char *accel;		     /* only with this accelerator; NULL: always */
	bool each_vcpu;			     /* one a virtual CPU, else one or `n` */
	unsigned int n;
	bool no_ring; /* only in a process that has no io_uring, since its host has none */
	/* what it is in until its process is ready, and then gives up; NULL: it is in its filter at once */
	const struct sandbox_policy *at_first;
};

/* Descriptors that have no number of their own: it opened them, or they came in messages. */
struct declared_held {
	/* how /proc/PID/fd names it, up to where it differs; or "cgroup:" and the name of a file of
	 * a control group; or "server:", a connection out of the host's network namespace */
	const char *link;
	unsigned int most; /* 0: as many as its limit of descriptors allows */
	const char *name;
};

/* Shared mappings; private ones are its executable, heap and stacks. */
struct declared_map {
	const char *link; /* how /proc/PID/maps names it, up to where it differs */
	bool writable;
	const char *name;
};

/* One thing that whoever takes the process over has. */
struct declared_gain {
	const char *holds;
	const char
		*guest_had; /* how a guest has the same without taking anything; NULL: it has not */
	const char *reason; /* without guest_had: why the process must hold it, and what bounds it */
};

/*
 * Address space of a process that maps guest RAM, beside that: bytes, the sum of what it can need.
 * All zero: the policy's limit holds. A device starts with its limit, the vmm takes its own.
 */
struct declared_space {
	uint64_t base; /* its program, main stack and heap */
	uint64_t each_vcpu;
	uint64_t each_soft_vcpu; /* the same of the software CPU */
	uint64_t each_channel;	 /* one a device */
	uint64_t each_soft_page; /* of guest RAM, where the software CPU runs the guest */
};

/* Its program takes 1 to 3 MiB, its main stack can take 8 (the usual RLIMIT_STACK). */
#define DECLARED_DEVICE_SPACE              \
	{                                  \
		.base = (uint64_t)16 << 20 \
	}

/* What such a limit depends on. */
struct declared_machine {
	uint64_t memory; /* bytes of guest RAM */
	unsigned int vcpus;
	unsigned int channels; /* of the vmm to its devices */
	bool soft;	       /* the software CPU runs the guest */
};

struct declared_process {
	const char *name;    /* its executable's, unless there is a program */
	const char *program; /* whose executable it runs; NULL: one of its own name */
	const char *domain;  /* SELinux's; NULL: that of whoever started it */
	const char *job;
	const char *hostile; /* whose bytes it reads */
	enum declared_place place;
	const char *note;  /* what an audit says wherever there is one; NULL: nothing */
	bool guest_facing; /* none of its calls may take a path, a process id or a socket address */
	const struct sandbox_policy *policy; /* the main thread's filter, the process's limits */
	const struct declared_thread *threads;
	size_t n_threads;
	const struct fd_row *fds; /* beside 0, 1 and 2, which are /dev/null in a jail */
	size_t n_fds;
	int channels_from; /* one socket a device from this number up; 0: none */
	int given_from;	   /* what others are started with, from this number up; 0: none */
	const struct declared_held *held;
	size_t n_held;
	const struct declared_map *maps;
	size_t n_maps;
	unsigned int
		spare_channels; /* of devices that may come while it runs: its limits have room for them */
	unsigned int
		fds_each_channel; /* more descriptors than the policy's limit, for each channel */
	struct declared_space space; /* guest RAM and this is its limit of address space */
	bool fsize_of_image; /* limit of file size: what a writable image is or can become; false: the policy's */
	const struct declared_gain *gains;
	size_t n_gains;
};

/* Of the log of the pages that devices write to: a bit for each 4096 bytes up to the end of guest RAM,
 * whose addresses leave out the fourth GiB, in whole pages. */
static inline uint64_t declared_log_len(uint64_t memory)
{
	const uint64_t bits = (memory + ((uint64_t)1 << 30)) >> 12;

	return (bits / 8 + 4095) & ~(uint64_t)4095;
}

/* A process's limit of address space in a machine: bytes, or SB_UNSET. A device that is given the log again
 * has it twice for a moment. */
static inline uint64_t declared_address_space(const struct declared_process *d,
					      const struct declared_machine *m)
{
	const struct declared_space *s = &d->space;
	uint64_t sum = m->memory + 2 * declared_log_len(m->memory) + s->base +
		       (m->channels + d->spare_channels) * s->each_channel;

	if (!s->base)
		return d->policy->limits.as;
	if (!m->soft)
		return sum + m->vcpus * s->each_vcpu;
	return sum + m->vcpus * s->each_soft_vcpu + (m->memory >> 12) * s->each_soft_page;
}

/* The same of descriptors. */
static inline uint64_t declared_descriptors(const struct declared_process *d, unsigned int channels)
{
	return d->policy->limits.nofile +
	       (uint64_t)d->fds_each_channel * (channels + d->spare_channels);
}

extern const struct declared_process relay_declared;
extern const struct declared_process keeper_declared;
extern const struct declared_process net_keeper_declared;
extern const struct declared_process dialer_declared;
extern const struct declared_process supervisor_declared;
extern const struct declared_process launcher_declared;
extern const struct declared_process vmm_declared;

/* These and the device processes, in the order in which they are started and shown. The list is made
 * by the build (cmd/meson.build) for programs that need all. */
extern const struct declared_process *const declared_all[];
extern const size_t n_declared_all;

/* Processes that belong to no VM: those of `bulkhead image`, which end soon, and those of a segment of VMs. */
extern const struct declared_process image_relay_declared;
extern const struct declared_process image_starter_declared;
extern const struct declared_process image_tool_declared;
extern const struct declared_process image_import_declared;
extern const struct declared_process image_seed_declared;
extern const struct declared_process image_fetch_declared;
extern const struct declared_process image_digest_declared;
extern const struct declared_process switch_keeper_declared;
extern const struct declared_process net_switch_declared;
extern const struct declared_process passt_guard_declared; /* of a VM's network */
extern const struct declared_process *const declared_tools[];
extern const size_t n_declared_tools;

/* The process whose executable has the name, or NULL. */
const struct declared_process *declared_find(const char *name);

#endif
