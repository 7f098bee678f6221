/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One VM as its supervisor sees it: parts (processes), clients, and how it ends.
 *
 * Every part is HOSTILE once the guest runs. What a part or client may say, and when, is a request
 * table in its file; anything else breaks that peer: a part ends the VM, a client is dropped.
 */
#ifndef BULKHEAD_SUPERVISOR_VM_H
#define BULKHEAD_SUPERVISOR_VM_H

#include "cmd/supervisor/launcher.h"
#include "lib/base/bucket.h"
#include "lib/base/loop.h"
#include "lib/config/config.h"
#include "lib/control/control.h"
#include "lib/declared/declared.h"
#include "lib/names/names.h"
#include "lib/sandbox/jail.h"
#include "lib/sandbox/selinux.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define VM_MAX_PARTS (1 + CONFIG_DEVICES_MAX + CONFIG_SPARES) /* the vmm and the devices */
#define VM_MAX_CLIENTS 8
_Static_assert(1 + VM_MAX_PARTS <= JAIL_IDS_MAX, "an id for each, and the supervisor's");

/* Bits, so that a request table can name several. */
enum vm_state { VM_STARTING = 1, VM_RUNNING = 2, VM_ENDING = 4 };
enum part_state {
	PART_STARTING = 1,
	PART_READY = 2,
	PART_SPENT = 4, /* has said why it ends */
	PART_GONE = 8,
	PART_AWAY = 16,	 /* has ended, and is to be started again */
	PART_ASKED = 32, /* and the launcher was asked to */
};
/* What a part is to the supervisor; what kind of device it is says `device`. */
enum part_kind { PART_VMM = 1, PART_CONSOLE = 2 /* takes the console's stream */, PART_DEVICE = 4 };

#define PART_ANY (PART_VMM | PART_CONSOLE | PART_DEVICE)

/* How much a part may make the user read. */
struct part_lines {
	unsigned int left;
	unsigned int dropped;
	time_t since; /* seconds, monotonic */
};

/* What a part needs to be started again. */
struct part_again {
	char lost[CTL_TEXT_MAX + 1]; /* how it was lost at last, a sentence; "" once it is back */
	bool is_lost;		     /* since its last start */
	bool outside;		     /* killed by another program */
	bool by_itself;		     /* it exited */
	bool ready;		     /* it was, since its last start */
	uint64_t ready_ms;	     /* since when, monotonic */
	struct bucket crashes;
	uint64_t delay_ms; /* before its last start */
	uint64_t due_ms;   /* of PART_AWAY, monotonic */
	uint64_t hung_ms;  /* until when it may end after its channel to the vmm has; 0: any time */
	unsigned int n_asked, n; /* starts that were asked for, and that it came back from */
	bool larger; /* its file was made larger by its user, which the launcher is to know */
	bool waits;  /* for who changes its image; its user has been told */
	uint32_t numbers[LAUNCHER_MAX_CHANNELS]; /* of its channels, as its vmm counts them */
	struct part *peer[LAUNCHER_MAX_CHANNELS]; /* of a channel to another part; NULL: to the vmm */
	size_t n_channels;
	int channels[LAUNCHER_MAX_CHANNELS]; /* to be given to who is at their other ends; or -1 */
};

/* What becomes of a spare part; plug.h. */
enum plug_state {
	PLUG_FREE = 1,	      /* nothing is in it */
	PLUG_STARTING = 2,    /* its process is asked for, or not ready yet */
	PLUG_OFFERED = 4,     /* the vmm has been given it, and has not answered */
	PLUG_THERE = 8,	      /* the guest has it */
	PLUG_ASKED = 16,      /* the guest was asked to let go of it */
	PLUG_ENDING = 32,     /* nobody has it any more; its process is to end */
	PLUG_FORGETTING = 64, /* and the launcher to let go of its file */
	PLUG_BEHIND = 128,    /* of a storage process: its device's state is the one */
};

struct client;

struct plug {
	enum plug_state state;
	unsigned int number;  /* among the VM's devices of its kind, from 1 on */
	uint32_t channel;     /* of this part, whatever is in it */
	uint32_t slot;	      /* that the guest has it in */
	struct part *with;    /* of a card the relay behind it, of that the card; or NULL */
	struct client *asker; /* who waits for it to come or to go; or NULL */
	bool held;	      /* the launcher has what it was given */
	bool failed;	      /* it does not come: why says it */
	char why[CTL_TEXT_MAX + 1];
};

struct vm;

/*
 * A device and the storage process behind it have a channel to one another. Whichever is started again comes with a
 * new one, whose other end goes to the one that lives: pair.c.
 */

/* A network card's link on its way to the guest; link.c. */
struct card_link {
	bool down;		  /* as its user has said */
	bool due;		  /* the device is to be told */
	bool announce;		  /* and that its guest is to announce itself */
	bool awaited;		  /* it has not answered that */
	bool changed;		  /* the vmm is to look */
	unsigned int n_announces; /* that it may still say */
	struct client *asker;	  /* who waits; or NULL */
};

struct part {
	struct vm *vm;
	enum part_kind kind;
	const struct device_kind *device; /* NULL: the vmm */
	enum part_state state;
	char name[24];
	const char *program; /* the executable's name */
	int exe_fd;
	struct jail_process process;
	struct loop_source exit_src;
	int control; /* -1 once closed */
	struct loop_source control_src;
	uint32_t channel;  /* number of its virtio device's channel, from 0 on */
	bool killed;	   /* by this supervisor */
	bool left;	   /* its channel ended before that: it is ending */
	bool over;	   /* it has ended, but who traces it has its status first */
	unsigned int busy; /* requests that it last said it still finishes; 0: none */
	bool progressed;   /* the VM ends, and they became fewer since patience began */
	time_t busy_told;  /* when that was last said to the user, monotonic; 0: never */
	struct part_lines lines;
	struct part_again again;
	char away[CTL_WHY_MAX +
		  1];	 /* of a storage process: why it is without its server; "": it is not */
	char format[16]; /* of its image, which can be made larger; "": it has none, or that cannot */
	bool spare;	 /* for a device that is attached */
	struct plug plug;
	struct card_link link;
};

struct client {
	struct vm *vm;
	struct loop_source src;		/* fd -1: slot is free */
	int beside[KIND_FILES_MAX - 1]; /* files of what it attaches next; or -1 */
};

/* Why the VM ends. A reason that says more replaces one that says less. */
enum weight { WEIGHT_NONE, WEIGHT_EXIT, WEIGHT_WORDS, WEIGHT_SIGNAL, WEIGHT_DENIED, WEIGHT_FINAL };

struct verdict {
	enum weight weight;
	enum control_event event;
	char text[CTL_TEXT_MAX + 1];
};

/* The terminal's size on its way to the guest. */
struct size {
	uint32_t wanted; /* a control_size: what who has the console said last; 0: nothing yet */
	uint32_t told;	 /* what dev-console was told last; 0: nothing */
	bool awaited;	 /* it has not answered that */
	bool changed;	 /* the vmm is to look */
};

/* A disk that is to become larger: resize.c. */
enum resize_state { RESIZE_NONE, RESIZE_SOUGHT, RESIZE_ENDING, RESIZE_OPEN, RESIZE_BACK };

struct resize {
	enum resize_state state;
	struct part *part;    /* the device, from ENDING on */
	struct part *file;    /* who has the image: it, or the storage process behind it */
	struct client *asker; /* if he is still there */
	pid_t pid;	      /* his */
	uint64_t heard_ms;    /* of OPEN: when he last said something, monotonic */
	char size[24];	      /* bytes of its disk, as the launcher has it noted; "": it has not */
};

/* The VM's TPM, and how often each of those has said that it is to be started; tpm.c. */
struct vm_tpm {
	struct loop_source control; /* swtpm's channel; fd -1: there is none */
	uint32_t resets;	    /* of the guest, its start counted */
	uint32_t quiet;		    /* dev-tpm's resets, when no command was under way */
	uint32_t asked;		    /* of swtpm, which has not answered; 0: nothing */
	uint32_t started;	    /* that the TPM was started for */
	bool failed;
	bool due; /* dev-tpm is to be told */
};

struct vm {
	const struct vm_config *config;
	bool soft; /* the software CPU runs the guest */
	struct loop loop;
	enum vm_state state;
	enum control_event event; /* the guest's last; 0 while it starts */
	struct verdict verdict;
	struct part parts[VM_MAX_PARTS];
	size_t n_parts;
	/* the vmm's channel, and 1, of each device that another's program serves; 0: it is ours */
	uint32_t foreign[CONFIG_DEVICES_MAX];
	int stream;		  /* the console's, which dev-console has too; or -1 */
	struct loop_source front; /* fd -1: no command is there */
	struct loop_source signals;
	struct loop_source timer;
	struct loop_source listeners[NAMES_PLACES]; /* fd -1: not there */
	struct loop_source gone;		    /* its keeper's pidfd, which tells its end */
	struct launcher launcher;
	struct loop_source answers, launcher_exit; /* of it; fd -1: there is none */
	struct loop_source restarts;		   /* the timer of parts that are away */
	struct jail_process
		dialer; /* of disks that were there from the start; pidfd -1: there is none */
	struct loop_source dialer_exit;
	bool attachable[KINDS_MAX];  /* the launcher has the program of that kind */
	int keeper;		     /* that pidfd until it is watched, or -1: there is none */
	int memory_events;	     /* of its control group, or -1 */
	int claims[JAIL_BLOCKS_MAX]; /* keep its ids from other VMs, never read; or -1 */
	struct client clients[VM_MAX_CLIENTS];
	struct client *attached;   /* who has the console, beside the command */
	bool front_attached;	   /* the command has it */
	bool paused;		   /* a device has died too often, or a server is away */
	char why[CTL_WHY_MAX + 1]; /* of the two, at first */
	bool resuming;		   /* and is tried again */
	struct client *resumer;	   /* who has asked for that, if he is still there */
	struct resize resize;
	struct size size;
	struct vm_tpm tpm;
	uid_t owner;	     /* whose clients are served */
	const char *runtime; /* its user's $XDG_RUNTIME_DIR, or NULL */
	pid_t pid;
	unsigned int signals_seen;
	bool stopping;	      /* the power button was pressed, and the timer bounds the wait */
	time_t running_since; /* monotonic */
	struct selinux_vm labels;
	int null;	   /* /dev/null for a detached VM's standard error; or -1 */
	uint64_t since_ns; /* when the command was started, monotonic; 0: unknown */
};

/* ---- end.c: how it ends ---- */

/* Notes why the VM ends and, the first time, begins to end it: the vmm first, then the devices,
 * which get a moment to finish their output. */
void vm_end(struct vm *vm, enum weight weight, enum control_event event, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Goes on with ending after a part is gone; stops the loop once all are. */
void vm_end_step(struct vm *vm);
/* What the parts have not done by now is done to them. */
void vm_end_hard(struct vm *vm);
/* Patience is over: who makes progress gets more of it, the others are ended. */
void vm_end_overdue(struct vm *vm);
/* The supervisor's exit status; docs/bulkhead.1. */
int vm_exit_status(const struct vm *vm);

/* ---- part.c: what parts say and how they die ---- */

/* Puts a started part into the loop. */
[[nodiscard]] int part_watch(struct part *p);
/* The same of one without a control channel: what has never run. */
[[nodiscard]] int part_watch_end(struct part *p);
/* What a part is lost of: the VM ends of it, or, once the part has ended, it is started again. The first
 * that is said counts. */
void part_lose(struct part *p, enum weight weight, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
struct part *vm_part(struct vm *vm, enum part_kind kind);
/* Lets a part see the end of its channel; what it says until it ends is still heard. */
void part_finish(struct part *p);
void part_kill(struct part *p);
/* Whether the user is to read one more line of it: there are so many a second. */
[[nodiscard]] bool part_may_speak(struct part *p);

/* ---- pair.c: a device and the storage process behind it ---- */

/* Of a storage process its device; of others they themselves. */
struct part *pair_device(const struct part *p);
/* The storage process behind it, or NULL. */
struct part *pair_behind(const struct part *p);
/* Two that are to be started, as device and storage process; or a pair that is none any more. */
void pair_tie(struct part *device, struct part *storage);
void pair_untie(struct part *device);
/* It is a storage process whose device has not ended: that ends first. */
bool pair_is_needed(const struct part *p);
/* A part was started again: its new channel goes to its peer, now or once that is there. */
void pair_began(struct part *p);
/* A part is ready: the same. */
void pair_ready(struct part *p);

/* ---- restart.c: devices that have died are started again ---- */

void restart_init(struct part *p);
/* Puts the launcher into the loop. */
[[nodiscard]] int restart_watch(struct vm *vm);
/* Whether a part that dies now is one that is started again. */
bool restart_can(const struct part *p);
/* Its channel to the vmm has ended, and so will it; or it serves the vmm. */
void restart_hung(struct part *p);
void restart_served(struct part *p);
/* Of a part that has ended, with again.lost: it is started again, or lost for good. */
void restart_begin(struct part *p);
/* A part is ready: if it was started again, it gets what it had, and its vmm its channels. */
void restart_ready(struct part *p);
/* Of an attached device that is to end, and has been told: it is killed if it does not. */
void restart_await_end(struct part *p);
/* The VM ends: who has not been asked for stays away. */
void restart_stop(struct vm *vm);
/* Nor is the launcher waited for any more. */
void restart_abandon(struct vm *vm);
/* One that was given up while the VM is paused is tried anew; nothing about others. */
void restart_retry(struct part *p);
/* Somebody does. */
void restart_now(struct part *p);
/* Something else has a time at which it is due. */
void restart_remind(struct vm *vm);

/* ---- pause.c: a VM that waits for its user ---- */

/* Of a part that has ended: until somebody wants it again. */
void pause_part(struct part *p);
/* A device that was there from the start has died too often: all stands still, if the user wants that. False: he does not, or it cannot. */
[[nodiscard]] bool pause_begin(struct part *p, const char *why);
/* What a storage process says of its server: the vCPUs stand still until the user wants them to go on. -EBADMSG: that
 * is not its to say. */
[[nodiscard]] int pause_on_away(struct part *p, const struct control_msg *m);
[[nodiscard]] int pause_on_back(struct part *p, const struct control_msg *m);
/* Why it is paused; "": it is not. */
const char *pause_why(const struct vm *vm);
/* Tries what has died again, and answers the client once the VM goes on, or does not. NULL, or why not. */
[[nodiscard]] const char *pause_resume(struct vm *vm, struct client *c);
/* A part is ready: it may have been what the VM waits for. */
void pause_step(struct vm *vm);
/* The client is gone. */
void pause_forget(struct vm *vm, const struct client *c);

/* ---- resize.c: a disk that becomes larger ---- */

/* What the part's device says of its image. */
void resize_note(struct part *p, const struct config_device *d);
/* What a client asks: for the disk that is served from a file; to go on, with a larger one or as before. NULL: it
 * is answered later; or why not. */
[[nodiscard]] const char *resize_ask(struct vm *vm, struct client *c, int fd);
[[nodiscard]] const char *resize_done(struct vm *vm, const struct client *c, bool larger);
/* Who was told to go on does so. */
void resize_goes_on(struct vm *vm, const struct client *c);
/* When he has been silent for too long, monotonic; 0: nobody is waited for. */
uint64_t resize_due(const struct vm *vm);
/* Then the disk is taken back. */
void resize_take_back(struct vm *vm);
/* Somebody still has the part's image open to change it: it is started once he does no more. */
void resize_hold(struct part *p);
/* The launcher knows which disk, or that there is none. -EBADMSG: nobody asked. */
[[nodiscard]] int resize_on_found(struct vm *vm, const struct answer *a);
/* Whether the part, or the one before or behind it, waits for a command, or a command for it. */
bool resize_has(const struct part *p);
/* Its process has ended: true when that was wanted. */
bool resize_ended(struct part *p, int status);
/* The vmm has it again. */
void resize_served(struct part *p);
/* It does not come back; the launcher is gone; so is the client. */
void resize_lost(struct part *p, const char *why);
void resize_alone(struct vm *vm);
void resize_leave(struct vm *vm, const struct client *c);

/* ---- request.c: what may be asked of the VM, by whomever ---- */

/* Presses the ACPI power button; a VM whose guest cannot be asked yet ends at once. bounded: so does
 * one that has not ended by --stop-timeout; a client waits by a time of its own. */
void vm_press_power(struct vm *vm, bool bounded);
/* Ends the VM at once. */
void vm_kill(struct vm *vm, const char *who);
/* Gives dev-console a stream; takes fd, which is kept for one that is started again. */
[[nodiscard]] int vm_give_stream(struct vm *vm, int fd);
/* Nobody is at its other end any more, or is to be told its end by this process. */
void vm_forget_stream(struct vm *vm);

/* ---- size.c: the terminal's size on its way to the guest ---- */

/* What who has the console says. */
void size_want(struct vm *vm, uint32_t size);
/* dev-console is ready, and knows no size; it may be another one than before. */
void size_begin(struct vm *vm);
/* dev-console answers. -EBADMSG: nobody asked. */
[[nodiscard]] int size_on_taken(struct part *p, const struct control_msg *m);
/* Sends what is due and can be sent now; what cannot is waited for. */
void size_step(struct vm *vm);

/* ---- link.c: links of network cards, up and down ---- */

/* The link of the card of that name: NULL, and the asker has its answer once the device is so; or why not. */
[[nodiscard]] const char *link_set(struct vm *vm, struct client *asker, const char *name, bool up);
/* The part is ready, and the vmm does not have it yet. */
void link_begin(struct part *p);
/* What it says. -EBADMSG: nobody asked. */
[[nodiscard]] int link_on_taken(struct part *p, const struct control_msg *m);
[[nodiscard]] int link_on_announced(struct part *p, const struct control_msg *m);
/* As size_step. */
void link_step(struct vm *vm);
/* It does not come back; the client is gone. */
void link_lost(struct part *p, const char *why);
void link_leave(struct vm *vm, const struct client *c);

/* ---- watch.c: signals, the timer, the keeper ---- */

/* Opens the loop and puts all into it that is not a process of the VM: also the command, and listeners. */
[[nodiscard]] int vm_watch(struct vm *vm, const int listeners[NAMES_PLACES]);

/* ---- client.c: the command and the clients ---- */

/* Puts the command's channel, if there is one, and the listening sockets into the loop. */
[[nodiscard]] int clients_watch(struct vm *vm, int front, const int listeners[NAMES_PLACES]);
/* Tells the command that the guest runs, and lets go of it when it does not stay. */
void clients_tell_started(struct vm *vm);
/* Tells who has the console that what it still says is its last. */
void clients_tell_ending(struct vm *vm);
/* Tells everybody how it ended. */
void clients_tell_ended(struct vm *vm);

/* ---- tell.c: lines and messages that never wait ---- */

/* One line on standard error, if it takes it now. who may be NULL. What was left out is counted, and
 * said with the next line that is taken. */
void tell(const struct vm *vm, const char *who, enum log_level level, const char *text);
/* Tells the user, not too often, that the part still finishes requests. */
void part_tell_busy(struct part *p);
/* The same, of one that was killed and is still there. */
void part_tell_killed(struct part *p);
/* Sends if the peer takes it now, else -EAGAIN. As control_send. */
[[nodiscard]] int tell_peer(int sock, const struct control_msg *m, int fd);
/* False: it is not there, or takes it later, which is waited for: size_step and link_step follow. */
[[nodiscard]] bool part_tell(struct part *p, const struct control_msg *m);

/* ---- tpm.c: the TPM starts when its guest does ---- */

[[nodiscard]] int tpm_watch(struct vm *vm, int control);
/* The guest resets. */
void tpm_rebooted(struct vm *vm);
/* What dev-tpm says: after so many resets no command is under way. -EBADMSG: it is none. */
[[nodiscard]] int tpm_on_quiet(struct part *p, const struct control_msg *m);
/* A part takes messages again. */
void tpm_step(struct vm *vm);

/* ---- policy.c ---- */

extern const struct sandbox_policy supervisor_policy;

#endif
