/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VM's TPM, an swtpm, which is started anew for each reset of the guest, and never else: what was measured is lost with
 * each start. Two must say so: the vmm, that its guest resets, and dev-tpm, that no command is under way, as one that
 * came behind a start would be carried out by what has forgotten who said it. A TPM that ends is told to the user, and none comes in
 * its place. swtpm is HOSTILE: each answer is taken where one is due, and is a number. See vm.h.
 */
#include "cmd/supervisor/vm.h"

#include "cmd/supervisor/bringup.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/swtpm/swtpm.h"
#include "lib/tpm/ptm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static struct part *tpm_part(struct vm *vm)
{
	for (size_t i = 0; i < vm->n_parts; i++)
		if (vm->parts[i].device && vm->parts[i].device->tpm_fd)
			return &vm->parts[i];
	return NULL;
}

static void tell_device(struct vm *vm)
{
	struct vm_tpm *t = &vm->tpm;
	const struct control_msg m = { .type = CTL_TPM, .number = t->failed ? 0 : t->started };

	if (t->due)
		t->due = !part_tell(tpm_part(vm), &m);
}

static void fail(struct vm *vm, const char *why)
{
	char line[160];

	loop_remove(&vm->loop, &vm->tpm.control);
	if (vm->tpm.failed || vm->state == VM_ENDING)
		return;
	snprintf(line, sizeof(line),
		 "the TPM has failed (%s): the guest is without it until the VM is started again",
		 why);
	tell(vm, NULL, LOG_LEVEL_WARNING, line);
	vm->tpm.failed = true;
	vm->tpm.due = true;
}

static void start_anew(struct vm *vm)
{
	uint8_t request[PTM_REQUEST_MAX];
	struct iovec iov = { request, ptm_encode(PTM_INIT, 0, request) };

	vm->tpm.asked = vm->tpm.resets;
	if (stream_try(vm->tpm.control.fd, &iov, 1, true) != (ssize_t)iov.iov_len)
		fail(vm, "its process is gone or takes no request");
}

void tpm_step(struct vm *vm)
{
	struct vm_tpm *t = &vm->tpm;

	if (!t->failed && !t->asked && t->quiet == t->resets && t->started != t->resets)
		start_anew(vm);
	tell_device(vm);
}

void tpm_rebooted(struct vm *vm)
{
	vm->tpm.resets++;
	tpm_step(vm);
}

int tpm_on_quiet(struct part *p, const struct control_msg *m)
{
	struct vm_tpm *t = &p->vm->tpm;

	if (!p->device || !p->device->tpm_fd || m->number == 0)
		return -EBADMSG;
	t->quiet = m->number;
	t->due = t->failed || t->quiet == t->started; /* a successor asks again */
	tpm_step(p->vm);
	return 0;
}

static int on_control(struct loop_source *src, uint32_t events)
{
	struct vm *vm = src->owner;
	struct vm_tpm *t = &vm->tpm;
	uint8_t answer[PTM_ANSWER_MAX];
	int fds[MSG_MAX_FDS];
	size_t n_fds = 0;
	uint64_t nothing;
	ssize_t n = msg_recv(src->fd, answer, sizeof(answer), fds, &n_fds, MSG_DONTWAIT);

	(void)events;
	if (n == -EAGAIN)
		return 0;
	if (n > 0)
		fds_close(fds, n_fds);
	if (n <= 0)
		fail(vm, "its process is gone");
	else if (!t->asked || ptm_decode(PTM_INIT, answer, (size_t)n, &nothing) < 0)
		fail(vm, "it does not start");
	else
		t->started = t->asked;
	t->asked = 0;
	t->due = true;
	tpm_step(vm);
	return 0;
}

int tpm_watch(struct vm *vm, int control)
{
	vm->tpm.resets = 1;
	return loop_add(&vm->loop, &vm->tpm.control, control, EPOLLIN, on_control, vm);
}

/* ---- the start ---- */

static int start(struct bringup *b, size_t i, const struct selinux_vm *labels, struct open_error *e)
{
	const struct config_device *d = &b->config->devices[i];
	_cleanup_(closep) int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct swtpm_birth birth = { b->group.network, proc, labels };
	struct swtpm_channels channels;
	char dir[CONFIG_PATH_MAX + 1], why[SWTPM_WHY_MAX] = "";
	int r;

	if (proc < 0)
		return open_complain(e, -errno, "/proc: %s", strerror(errno));
	snprintf(dir, sizeof(dir), "%.*s", (int)d->to.path_len, d->to.path);
	r = swtpm_open(dir, &birth, &channels, why);
	if (r < 0)
		return open_complain(e, r, "--%s: %s=%s: %s", d->kind->word,
				     kind_way(d->kind, d->options)->word, dir, why);
	b->o.links[i][0] = channels.commands;
	b->o.tpm = channels.control;
	return 0;
}

int bringup_tpm(struct bringup *b, const struct vm *vm, struct open_error *e)
{
	int r = 0;

	for (size_t i = 0; i < b->config->n_devices && r == 0; i++)
		if (config_is_on(&b->config->devices[i], KIND_OPENS_SWTPM))
			r = start(b, i, &vm->labels, e);
	return r;
}
