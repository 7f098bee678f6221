/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launcher: a child of the supervisor, made when all parts run and before the guest does. It starts a
 * device's process again that has died, with what it was started with at first: executable, words,
 * descriptors, id, label and group. And it starts one that is attached, in a spare part: of a kind whose
 * executable was opened before the guest ran, with an id, label and group that are the VM's, words that it
 * makes itself of the options, and the one file that it was sent. The supervisor, which hears hostile peers,
 * can start nothing itself.
 *
 * It hears one bounded message at a time (ask.h), and answers each (answer.h). Whether it starts anything is
 * its own to say (bounds.h). What it starts is the supervisor's child, as all parts are.
 */
#ifndef BULKHEAD_SUPERVISOR_LAUNCHER_H
#define BULKHEAD_SUPERVISOR_LAUNCHER_H

#include "cmd/supervisor/answer.h"
#include "cmd/supervisor/ask.h"
#include "cmd/supervisor/bounds.h"
#include "cmd/supervisor/open.h"
#include "cmd/supervisor/words.h"
#include "lib/kinds/kind.h"
#include "lib/sandbox/jail.h"
#include "lib/sandbox/selinux.h"

#define LAUNCHER_MAX_CHANNELS 2

/* One part, as it is started again; or a spare one, which has a number and an id. */
struct launcher_part {
	uint8_t number;
	bool spare; /* it is, or was before a device was attached */
	int pidfd;  /* of the process that runs now */
	int exe_fd;
	char *const *argv; /* NULL-terminated; NULL: a spare one, with nothing in it */
	struct jail_fd given[JAIL_MAX_FDS]; /* but for control channel and channels to the vmm */
	size_t n_given;
	int channels[LAUNCHER_MAX_CHANNELS]; /* to the vmm: their numbers in the part */
	size_t n_channels;
	uid_t id;
	char label[SELINUX_LABEL_MAX]; /* "": none */
};

struct launcher {
	struct jail_process process;
	int sock; /* non-blocking */
};

#define LAUNCHER_NONE ((struct launcher){ .process = JAIL_PROCESS_NONE, .sock = -1 })

/* What it is made with: the parts, and the executables of the kinds that may be attached (-1: not). */
struct launcher_kit {
	struct launcher_part parts[BOUNDS_MAX_PARTS];
	size_t n;
	int programs[KINDS_MAX];
	const struct vm_config *config;
};

/* Forks it, to work on its copy of the kit. 0, or a negative errno with *ret_error. */
[[nodiscard]] int launcher_start(const struct jail_host *host, const struct selinux_vm *labels,
				 struct launcher_kit *kit, struct launcher *ret,
				 struct open_error *ret_error);
/* Waits until it is confined. As launcher_start; harmless on LAUNCHER_NONE. */
[[nodiscard]] int launcher_await(const struct launcher *l, struct open_error *ret_error);
/* Ends it and waits until it has ended. Harmless on LAUNCHER_NONE. */
void launcher_end(struct launcher *l);
/* Asks; fd goes with it unless it is -1, and stays the caller's. 0, or -EPIPE when it is gone, or -EAGAIN. */
[[nodiscard]] int launcher_ask(const struct launcher *l, const struct ask *a, int fd);
/* Those files beside the one of the next question that are there: KIND_FILES_MAX - 1, or -1. As launcher_ask. */
[[nodiscard]] int launcher_ask_beside(const struct launcher *l, const int *beside);
/*
 * One answer. 1 with its descriptors in fds, in the answer's order, the caller's to close; 0 when the launcher is gone;
 * -EAGAIN; or -EBADMSG with none.
 */
[[nodiscard]] int launcher_hear(const struct launcher *l, struct answer *ret,
				int fds[ANSWER_MAX_FDS], size_t *ret_n_fds);

/* launcher_files.c: the whole of a file or block device, open for just what is to be done with it. */
bool launcher_can_serve(int fd, bool readonly);
/* A channel to a dialer. */
bool launcher_can_dial(int fd);
/* What a device can be joined to in that way. */
bool launcher_can_link(int fd, const struct kind_way *way);
/* The part whose disk is served from the file, which is open to be read and written; or NULL. Whoever shows it could
 * open it so; the supervisor can open none. Of the parts some may be NULL. */
struct launcher_part *launcher_find(struct launcher_part *const parts[BOUNDS_MAX_PARTS], int fd);
/* Whether just those files were shown beside it (KIND_FILES_MAX - 1, or -1) that the part can change as well. */
bool launcher_has_beside(struct launcher_part *part, const int *beside);
/* Whether somebody changes what it serves, by a file that he has opened himself (image_change_lock). */
bool launcher_is_changing(struct launcher_part *part);
/* How large what it serves was when its first process noted that, in bytes. False: none has. */
bool launcher_noted_size(struct launcher_part *part, uint64_t *ret);
/* Memory of its own that outlives its process, for one that is attached; where the device wants any of it. 0 or a negative
 * errno. */
[[nodiscard]] int launcher_give_state(struct launcher_part *part, const struct device_kind *kind,
				      const struct config_device *d, bool has_files,
				      bool is_device);
/* What the part's first process noted for all after it is as the first one finds it. 0 or a negative errno. */
[[nodiscard]] int launcher_renew_note(struct launcher_part *part);

/* The words of what is attached. */
struct launcher_spare {
	char text[1024];
	char *argv[WORDS_MAX + 1];
};

/* What a spare part is filled with. */
struct launcher_filling {
	const struct ask *ask;
	int *fd, *beside; /* KIND_FILES_MAX - 1 of these; or -1; what goes into the part is taken */
	int *inner; /* the stream of a card to the relay behind it, from that one's ASK_BEHIND on; or -1 */
	struct launcher_spare *spare;
	const int *programs;
	const struct selinux_vm *labels;
	const struct vm_config *config;
};

/* launcher_fill.c: what ASK_NEW or ASK_BEHIND says, or why not, and then the part is as it was. */
enum bounds_refusal launcher_fill(struct launcher_part *part, const struct launcher_filling *f);
/* Its file and its last process, both no more. */
void launcher_empty(struct launcher_part *part);

/* launcher_process.c: the launcher itself, in the child. Does not return. */
void launcher_run(const struct jail_host *host, const struct selinux_vm *labels,
		  struct launcher_kit *kit, int sock, pid_t supervisor) __attribute__((noreturn));

#endif
