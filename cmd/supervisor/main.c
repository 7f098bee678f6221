/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervisor: one VM's life. Opens what the user named, starts the VM's processes, watches them,
 * answers the command and clients, and ends everything when anything ends.
 *
 * Trust: argv and the command trusted; messages of every process of the VM HOSTILE; clients are the
 * user's own, their messages checked all the same.
 * Holds: 3 the command's channel, 4 the console's stream (optional); pidfds and control channels,
 * the listening sockets. Not for long: kernel, initrd, disks, /dev/kvm.
 */
#include "cmd/supervisor/bringup.h"
#include "cmd/supervisor/dialer.h"
#include "cmd/supervisor/start.h"
#include "lib/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RUNTIME_WORD "--runtime-dir="
#define SEED_WORD "--seed"
#define EXIT_START 1 /* nothing was started, or not for long */

/* The command shows it; without one it goes to standard error. */
static int give_up(const struct open_error *e)
{
	struct control_msg m = { .type = CTL_ENDED, .number = CTL_EVENT_FAILED };

	m.text_len = strnlen(e->text, CTL_TEXT_MAX);
	memcpy(m.text, e->text, m.text_len);
	if (control_send(SUPERVISOR_FD_FRONT, &m, -1) < 0)
		fprintf(stderr, "bulkhead: %s\n", e->text);
	return EXIT_START;
}

static int parse(int argc, char **argv, struct vm *vm, struct vm_config *c, struct open_error *e)
{
	struct config_error ce;
	unsigned long long since = 0;
	int skip = argc > 1 && sscanf(argv[1], "--since=%llu", &since) == 1 ? 2 : 1;
	const size_t len = strlen(RUNTIME_WORD);
	bool seed;

	if (argc > skip && strncmp(argv[skip], RUNTIME_WORD, len) == 0)
		vm->runtime = argv[skip++] + len;
	seed = argc > skip && strcmp(argv[skip], SEED_WORD) == 0;
	skip += seed;
	vm->since_ns = since;
	config_init(c);
	if (config_parse_words(c, argc - skip, argv + skip, &ce) < 0 || config_check(c, &ce) < 0)
		return open_complain(e, -EINVAL, "%s", ce.text);
	if (seed && config_add_seed(c, &ce) < 0)
		return open_complain(e, -EINVAL, "%s", ce.text);
	return c->name ? 0 : open_complain(e, -EINVAL, "--name: a VM must have one");
}

static void vm_init(struct vm *vm, const struct vm_config *config)
{
	vm->config = config;
	vm->state = VM_STARTING;
	vm->pid = getpid();
	vm->launcher = LAUNCHER_NONE;
	vm->labels = SELINUX_VM_NONE;
	vm->dialer = JAIL_PROCESS_NONE;
	vm->stream = vm->null = vm->keeper = vm->memory_events = -1;
	vm->answers.fd = vm->launcher_exit.fd = vm->restarts.fd = vm->gone.fd = vm->dialer_exit.fd =
		-1;
	vm->listeners[0].fd = vm->listeners[1].fd = vm->front.fd = vm->tpm.control.fd = -1;
}

/* Standard error while its user's files can still be opened; the lines of the end must not wait for it. */
static int adopt(struct vm *vm, struct open_error *e)
{
	int r;

	(void)fd_unshare_output(STDERR_FILENO);
	r = fds_adopt(supervisor_declared.fds, supervisor_declared.n_fds, NULL);
	if (r < 0)
		return open_complain(e, r,
				     "the command's channel is missing: start it by bulkhead run");
	/* its place is kept for the channel to the launcher; start.c */
	(void)dup2(SUPERVISOR_FD_FRONT, SUPERVISOR_FD_LAUNCHER);
	vm->stream = fcntl(SUPERVISOR_FD_STREAM, F_GETFD) < 0 ? -1 : SUPERVISOR_FD_STREAM;
	return 0;
}

static int serve(struct vm *vm)
{
	int r = loop_run(&vm->loop);

	parts_kill(vm);
	if (r < 0)
		vm_end(vm, WEIGHT_EXIT, CTL_EVENT_FAILED, "the supervisor's loop failed (%d)", -r);
	clients_tell_ended(vm);
	return vm_exit_status(vm);
}

int main(int argc, char **argv)
{
	static struct vm vm;
	static struct vm_config config;
	static struct bringup b = { .config = &config };
	struct open_error e = { "" };
	int r;

	if (argc > 1 && strcmp(argv[1], DIALER_WORD) == 0)
		return dial_main(argv);
	vm_init(&vm, &config);
	r = adopt(&vm, &e); /* 1 close others */
	if (r == 0)
		r = parse(argc, argv, &vm, &config, &e); /* 2 words only */
	if (r == 0)
		r = bringup_host(&b, &vm, &e); /* 3 ids and a control group */
	if (r == 0)
		r = bringup_open(&b, &vm, &e); /* 4 all that has a path */
	if (r == 0)
		r = bringup_start(&b, &vm, &e); /* 5 the VM's processes */
	if (r == 0)
		r = bringup_confine(&vm, &e); /* 6 no way back */
	if (r < 0) {
		parts_kill(&vm);
		return give_up(&e);
	}
	return serve(&vm); /* 7 hostile from here */
}
