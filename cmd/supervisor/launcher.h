/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launcher: a child of the supervisor, made when all parts run and before the guest does. It starts a
 * device's process again that has died, with what it was started with at first: executable, words,
 * descriptors, id, label and group. The supervisor, which hears hostile peers, can start nothing itself.
 *
 * It hears one byte at a time, from a pipe: the number of a part. What comes of it is one answer each
 * (answer.h) on a socket that it never reads. Whether it starts anything is its own to say (bounds.h). What
 * it starts is the supervisor's child, as all parts are.
 */
#ifndef BULKHEAD_SUPERVISOR_LAUNCHER_H
#define BULKHEAD_SUPERVISOR_LAUNCHER_H

#include "cmd/supervisor/answer.h"
#include "cmd/supervisor/bounds.h"
#include "cmd/supervisor/open.h"
#include "lib/sandbox/jail.h"
#include "lib/sandbox/selinux.h"

#define LAUNCHER_MAX_CHANNELS 2

/* One part, as it is started again. */
struct launcher_part {
	uint8_t number;
	int pidfd; /* of the process that runs now */
	int exe_fd;
	char *const *argv;		    /* NULL-terminated */
	struct jail_fd given[JAIL_MAX_FDS]; /* but for control channel and channels to the vmm */
	size_t n_given;
	int channels[LAUNCHER_MAX_CHANNELS]; /* to the vmm: their numbers in the part */
	size_t n_channels;
	uid_t id;
	char label[SELINUX_LABEL_MAX]; /* "": none */
};

struct launcher {
	struct jail_process process;
	int requests; /* a pipe of bytes, non-blocking */
	int answers;  /* non-blocking */
};

#define LAUNCHER_NONE \
	((struct launcher){ .process = JAIL_PROCESS_NONE, .requests = -1, .answers = -1 })

/* 0, or a negative errno with *ret_error. */
[[nodiscard]] int launcher_start(const struct jail_host *host, const struct selinux_vm *labels,
				 const struct launcher_part *parts, size_t n, struct launcher *ret,
				 struct open_error *ret_error);
/* Waits until it is confined. As launcher_start; harmless on LAUNCHER_NONE. */
[[nodiscard]] int launcher_await(const struct launcher *l, struct open_error *ret_error);
/* Ends it and waits until it has ended. Harmless on LAUNCHER_NONE. */
void launcher_end(struct launcher *l);
/* Asks for a part. 0, or -EPIPE when it is gone, or -EAGAIN. */
[[nodiscard]] int launcher_ask(const struct launcher *l, uint8_t part);
/*
 * One answer. 1 with its descriptors in fds, in the answer's order, the caller's to close; 0 when the launcher is gone;
 * -EAGAIN; or -EBADMSG with none.
 */
[[nodiscard]] int launcher_hear(const struct launcher *l, struct answer *ret,
				int fds[ANSWER_MAX_FDS], size_t *ret_n_fds);

/* launcher_process.c: the launcher itself, in the child. Does not return. */
void launcher_run(const struct jail_host *host, const struct selinux_vm *labels,
		  const struct launcher_part *parts, size_t n, int requests, int answers,
		  pid_t supervisor) __attribute__((noreturn));

#endif
