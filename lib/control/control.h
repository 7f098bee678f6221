/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control protocol: docs/control-protocol.md. Small typed messages over SOCK_SEQPACKET, one
 * message a packet, little-endian. Three kinds of conversation share the codec:
 *
 *   process <-> supervisor   descriptor 3 of every process
 *   command     <-> supervisor   the console's front end of `bulkhead run`
 *   client      <-> supervisor   ps, stop and console, over the VM's listening sockets
 *
 * Which peer may send which type in which state is each receiver's request table, not this file's.
 *
 * Wire: u16 type, u16 reserved (0), u32 payload length, payload. Trailing bytes are errors.
 */
#ifndef BULKHEAD_CONTROL_CONTROL_H
#define BULKHEAD_CONTROL_CONTROL_H

#include "lib/base/log.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum control_type {
	/* process -> supervisor */
	CTL_READY = 1,	     /* sandbox entered, waiting for its channels; once */
	CTL_LOG = 2,	     /* level, text: a line for the user */
	CTL_EVENT = 3,	     /* vmm only: event */
	CTL_DENIED = 4,	     /* number: the filter refused this system call; death follows */
	CTL_FAILED = 5,	     /* text: why the process gives up; it exits next */
	CTL_BUSY = 6,	     /* devices: number of requests that somebody waits for */
	CTL_PLUGGED = 7,     /* vmm: slot; the guest has it. net-switch: a port that it has */
	CTL_NOT_PLUGGED = 8, /* vmm only: text; why the device is not, and will not be */
	CTL_UNPLUGGED = 9,   /* vmm only: slot; the guest has let go of it, and so has the vmm */
	CTL_CONFIG_CHANGED =
		10,	/* dev-console, dev-net: it has taken the size, the link; once for each */
	CTL_LOST = 11,	/* number: vmm, a channel that has ended; net-switch, a port */
	CTL_FOUND = 12, /* vmm only: number of a channel that serves again */
	CTL_AWAY = 13, /* storage-nbd: text; its server is away for too long: what of it is known */
	CTL_BACK = 14, /* storage-nbd: the server is there again */
	CTL_ANNOUNCED =
		15, /* dev-net: its guest has announced itself; once for each CTL_LINK_ANNOUNCE */

	/* supervisor -> process */
	CTL_POWER_BUTTON = 16, /* vmm: press the ACPI power button */
	CTL_CONSOLE = 17,      /* dev-console: 1 descriptor, the stream to serve from now on */
	CTL_CONSOLE_SIZE =
		18,	  /* dev-console: size of the terminal; answered by CTL_CONFIG_CHANGED */
	CTL_CHANNEL = 19, /* vmm: number of a channel, 1 descriptor: to who serves it from now on */
	CTL_PLUG =
		20, /* vmm: number of a new channel, text, what is on the bus; 1 descriptor: to it */
	CTL_UNPLUG = 21, /* vmm: slot; asks the guest to let go of it */
	CTL_PAUSE = 23,	 /* vmm: number, a control_pause: all stands still until CTL_CONTINUE */
	CTL_CONTINUE = 24,
	CTL_LINK = 25,	 /* dev-net: number, control_link bits; answered by CTL_CONFIG_CHANGED */
	CTL_CONFIG = 22, /* vmm: number of the channel whose device's configuration has changed */
	/* dev-tpm: number of times that its TPM was started, 0: it is no more. And of dev-tpm: number of its resets; no
	 * command is under way */
	CTL_TPM = 26,

	/* command or client -> supervisor */
	CTL_QUERY = 32,	  /* answered by CTL_INFO */
	CTL_STOP = 33,	  /* number: 0 presses the power button, 1 ends the VM at once */
	CTL_ATTACH = 34,  /* answered by CTL_ATTACHED */
	CTL_RELEASE = 35, /* the console is given up; answered by CTL_DONE */
	CTL_SIZE = 36,	  /* size of the terminal that shows the console */
	/* text: kind and options of a device to attach; answered by CTL_ADDED once the guest has it */
	CTL_ADD = 37,
	CTL_ADD_FILE = 38, /* the same with 1 descriptor: the file that it serves, locked */
	CTL_REMOVE = 39,   /* text: name of an attached device; CTL_DONE once it has gone */
	CTL_RESUME = 40,   /* a paused VM is to go on; CTL_DONE once it does */
	/* 1 descriptor: the disk that is served from this file is to become larger; answered by CTL_RESIZING */
	CTL_RESIZE = 41,
	CTL_RESIZED =
		42, /* number: 1 the file has its new size, 0 it is as before; CTL_DONE once it is served */
	/* number: which file beside the one of the next CTL_ADD_FILE or CTL_RESIZE, from 1 on, 1 descriptor: it; not
	 * answered */
	CTL_ADD_BESIDE = 43,
	/* number: 1 up, 0 down, text: name of a network card; CTL_DONE once it is so */
	CTL_SET_LINK = 44,
	/* what CTL_RESIZING has allowed goes on: who says nothing for too long is waited for no more; not answered */
	CTL_GOES_ON = 45,

	/* supervisor -> command or client */
	CTL_INFO = 48,	   /* info */
	CTL_ATTACHED = 49, /* 1 descriptor: the console's stream */
	CTL_REFUSED = 50,  /* text: why not */
	CTL_DONE = 51,	   /* the request was carried out */
	CTL_STARTED = 52,  /* command only: the guest runs */
	CTL_ENDED = 53,	   /* event, text: why the VM ended; the supervisor exits next */
	CTL_ENDING = 54,   /* the VM ends: what the console still says is its last */
	CTL_ADDED = 55,	   /* PCI slot in which the guest has it, text: name of the device */
	/* text: the image's format, and of qcow2 after a space its disk's bytes; nobody uses it until CTL_RESIZED */
	CTL_RESIZING = 56,
};

enum control_event {
	CTL_EVENT_RUNNING = 1, /* first vCPU entry is next */
	CTL_EVENT_POWEROFF = 2,
	CTL_EVENT_REBOOT = 3,
	CTL_EVENT_PANIC = 4,  /* the guest said that its kernel panicked (pvpanic) */
	CTL_EVENT_CRASH = 5,  /* triple fault, or an exit that the vmm cannot continue from */
	CTL_EVENT_KILLED = 6, /* ended from outside */
	CTL_EVENT_FAILED = 7, /* a process failed */
	CTL_EVENT_PAUSED = 8, /* as a state of CTL_INFO only */
};

/* What stands still. */
enum control_pause {
	CTL_PAUSE_ALL = 0,   /* no vCPU runs, and no device has a ring */
	CTL_PAUSE_VCPUS = 1, /* devices keep their rings: one would not give them back */
};

/* Of CTL_LINK. */
enum control_link {
	CTL_LINK_UP = 1,
	CTL_LINK_ANNOUNCE = 2, /* the guest is to tell the network where it is */
};

#define CTL_TEXT_MAX 400 /* bytes, without NUL */
#define CTL_NAME_MAX 64
#define CTL_ATTACHED_MAX 128
#define CTL_WHY_MAX 128
#define CTL_WIRE_MAX 512 /* bytes of a whole packet */

struct control_info {
	char name[CTL_NAME_MAX + 1];
	uint32_t pid; /* of the supervisor, as the host counts */
	uint32_t cpus;
	uint64_t memory;		     /* bytes */
	uint64_t uptime_s;		     /* seconds since the guest was first entered */
	uint32_t state;			     /* the last control_event, 0 while it starts */
	uint32_t processes;		     /* processes alive */
	uint32_t soft;			     /* 1: the software CPU runs the guest, 0: KVM */
	uint32_t restarts;		     /* of processes that had died */
	char attached[CTL_ATTACHED_MAX + 1]; /* names of attached devices: "disk-2,rng-2" */
	char why[CTL_WHY_MAX + 1];	     /* it is paused; "": it is not */
};

struct control_msg {
	enum control_type type;
	uint32_t number; /* level of LOG, event of EVENT and ENDED, call of DENIED, how of STOP, requests of BUSY,
			  * channel of CONFIG from 0 on, a control_size, a control_pause */
	struct control_info info;
	size_t text_len;
	char text[CTL_TEXT_MAX + 1]; /* always NUL-terminated after decode; printable ASCII only */
};

/* Columns in the low 16 bits, rows in the high ones. Neither is 0 in a message. */
static inline uint32_t control_size(uint16_t columns, uint16_t rows)
{
	return columns | (uint32_t)rows << 16;
}

static inline uint16_t control_columns(uint32_t size)
{
	return (uint16_t)size;
}

static inline uint16_t control_rows(uint32_t size)
{
	return (uint16_t)(size >> 16);
}

/* Bytes written to out, or -EMSGSIZE, or -EINVAL for a message that cannot be said. */
[[nodiscard]] int control_encode(const struct control_msg *m, void *out, size_t cap);
/*
 * 0, or -EBADMSG. Text bytes outside printable ASCII become '?', so that it may be shown.
 */
[[nodiscard]] int control_decode(const void *data, size_t len, struct control_msg *ret);
/* How many descriptors a message of this type carries: 0 or 1. */
[[nodiscard]] size_t control_n_fds(enum control_type type);

/* I/O, apart from the codec. fd is passed with the message if it is not -1; not closed. */
[[nodiscard]] int control_send(int sock, const struct control_msg *m, int fd);
/*
 * One message. *ret_fd is its descriptor, or -1. Returns 1, 0 when the peer is gone, -EAGAIN, or
 * -EBADMSG (also for a descriptor too many or missing; none is left open).
 */
[[nodiscard]] int control_recv(int sock, struct control_msg *ret, int *ret_fd);

/* A log_sink that sends CTL_LOG; ctx is a pointer to the control descriptor. Failure is silent: a
 * supervisor that is gone ends the process soon enough. */
void control_log_sink(void *ctx, enum log_level level, const char *line, size_t len);
/* Says CTL_FAILED with a formatted text (cut at CTL_TEXT_MAX) and returns 1, for main to return. */
int control_fail(int sock, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
