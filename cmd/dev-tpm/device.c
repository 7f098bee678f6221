/* SPDX-License-Identifier: Apache-2.0 */
/* Between a guest and its TPM; see device.h. */
#include "cmd/dev-tpm/device.h"

#include "cmd/dev-tpm/command.h"
#include "lib/base/cleanup.h"
#include "lib/base/log.h"
#include "lib/control/control.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define IMAGE struct tpm_image

/* ---- what outlives the process ---- */

static const struct state_field fields[] = {
	STATE_ANY(IMAGE, resets),
	STATE_ANY(IMAGE, id),
	STATE_BOOL(IMAGE, just_reset),
	STATE_BOOL(IMAGE, open),
	STATE_BOOL(IMAGE, failed),
	STATE_BOOL(IMAGE, stale),
	STATE_RANGE(IMAGE, stage, 0, STAGES - 1),
	STATE_RANGE(IMAGE, crb, 0, CRB_STATES - 1),
	STATE_BOOL(IMAGE, assigned),
	STATE_BOOL(IMAGE, cancel),
	STATE_RANGE(IMAGE, request, 0, CRB_REQ_IDLE),
	STATE_RANGE(IMAGE, taken, 0, TPM_BUFFER_LEN),
};

static const char *check_image(const void *of)
{
	const IMAGE *i = of;

	if (i->stage == STAGE_NONE ? i->stale :
				     i->stale == i->open || (i->open && i->crb != CRB_EXECUTION))
		return "a command that nobody has said";
	if (i->stage == STAGE_TAKEN && i->taken < TPM_HEADER_LEN)
		return "a response that is none";
	if (i->request && i->crb != CRB_EXECUTION)
		return "a state that was asked for of nothing";
	return NULL;
}

const struct state_schema tpm_schema = {
	.name = "dev-tpm",
	.version = 1,
	.size = sizeof(IMAGE),
	.fields = fields,
	.n_fields = ARRAY_SIZE(fields),
	.check = check_image,
};

static void keep(struct tpm_device *t)
{
	const IMAGE image = {
		.resets = t->resets,
		.id = t->id,
		.just_reset = t->just_reset,
		.open = t->open,
		.failed = t->crb.failed,
		.stale = t->stale,
		.stage = (uint8_t)t->stage,
		.crb = (uint8_t)t->crb.state,
		.assigned = t->crb.assigned,
		.cancel = t->crb.cancel,
		.request = t->crb.request,
		.taken = t->taken,
	};

	kept_keep(&t->page->kept, &tpm_schema, &image);
}

static void take(struct tpm_device *t, const IMAGE *i)
{
	t->resets = i->resets;
	t->id = i->id;
	t->just_reset = i->just_reset;
	t->open = i->open;
	t->stale = i->stale;
	t->stage = i->stage;
	t->taken = i->taken;
	t->crb.failed = i->failed;
	t->crb.state = i->crb;
	t->crb.assigned = i->assigned;
	t->crb.cancel = i->cancel;
	t->crb.request = i->request;
}

/* ---- the TPM ---- */

/* What the guest waits for ends, with nothing. */
static void fail(struct tpm_device *t, const char *why)
{
	if (!t->crb.failed)
		log_warning("the TPM has failed until the VM ends: %s", why);
	t->crb.failed = true;
	t->stale = false;
	t->stage = STAGE_NONE;
	loop_remove(t->loop, &t->answers);
	if (t->crb.state == CRB_EXECUTION)
		crb_complete(&t->crb, 0);
	keep(t);
}

/* Nothing is under way: the supervisor may start the TPM. */
static void tell_quiet(const struct tpm_device *t)
{
	const struct control_msg m = { .type = CTL_TPM, .number = t->resets };

	if (!t->crb.failed)
		(void)!control_send(t->control_fd, &m, -1);
}

/* At once and whole, or the TPM has failed: it answered the one before, so who finds no room has not read what it answered, and
 * is not waited for. */
static void submit(struct tpm_device *t)
{
	uint8_t command[TPM_BUFFER_LEN];
	uint32_t code, len;
	struct iovec iov = { command, 0 };
	ssize_t sent;

	memcpy(command, t->crb.buffer, sizeof(command));
	len = command_check(command, &code);
	if (!len) {
		crb_complete(&t->crb, command_refuse(t->crb.buffer, code));
		keep(t);
		return;
	}
	t->stage = STAGE_SENDING;
	keep(t);
	iov.iov_len = len;
	sent = stream_try(t->sock, &iov, 1, true);
	if (sent != (ssize_t)len) {
		fail(t, sent < 0 && sent != -EAGAIN ? "its process is gone" :
						      "its process breaks the protocol");
		return;
	}
	t->stage = STAGE_SENT;
	keep(t);
}

/* A command that the guest has said, or has said before the TPM was started. */
static void run(struct tpm_device *t)
{
	if (t->crb.failed)
		crb_complete(&t->crb, 0);
	else if (t->open)
		submit(t);
	keep(t);
}

static void finish(struct tpm_device *t)
{
	const bool stale = t->stale;

	t->stage = STAGE_NONE;
	t->stale = false;
	if (!stale)
		crb_complete(&t->crb, t->taken);
	keep(t);
	if (stale)
		tell_quiet(t);
}

/* Out of the socket, once it is known what it is. */
static void drop_taken(struct tpm_device *t)
{
	uint8_t bytes[TPM_BUFFER_LEN];

	if (recv(t->sock, bytes, t->taken, MSG_DONTWAIT) == (ssize_t)t->taken)
		finish(t);
	else
		fail(t, "its process breaks the protocol");
}

static void take_response(struct tpm_device *t, const uint8_t *data, size_t n)
{
	if (!t->stale)
		memcpy(t->crb.buffer, data, n);
	t->taken = (uint32_t)n;
	t->stage = STAGE_TAKEN;
	keep(t);
	drop_taken(t);
}

/* Everything that is there stays there until it is a response as a whole. */
static int on_answer(struct loop_source *src, uint32_t events)
{
	struct tpm_device *t = src->owner;
	uint8_t data[TPM_BUFFER_LEN + 1];
	ssize_t n = recv(t->sock, data, sizeof(data), MSG_DONTWAIT | MSG_PEEK);
	int r;

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	r = n > 0 ? command_check_response(data, (size_t)n) : -EPIPE;
	if (r == -EPIPE)
		fail(t, "its process is gone");
	else if (r < 0 || t->stage != STAGE_SENT)
		fail(t, "its process breaks the protocol");
	else if (r > 0)
		take_response(t, data, (size_t)n);
	return 0;
}

void tpm_started(struct tpm_device *t, uint32_t number)
{
	if (number == 0) {
		fail(t, "its process is gone");
		return;
	}
	if (t->open || t->crb.failed || t->stage != STAGE_NONE || number != t->resets)
		return;
	t->open = true;
	if (t->crb.state == CRB_EXECUTION)
		run(t);
	keep(t);
}

/* ---- registers ---- */

/* A reset that comes again with its id has not been answered, and was carried out. */
static void note_access(struct tpm_device *t)
{
	if (!t->just_reset)
		return;
	t->just_reset = false;
	keep(t);
}

static uint64_t on_read(void *owner, uint32_t region, uint64_t offset, unsigned int width)
{
	struct tpm_device *t = owner;
	uint64_t v = 0;

	if (region != 0)
		return 0; /* nothing is known to be done: each access may be made twice */
	note_access(t);
	for (unsigned int i = 0; i < width; i++)
		v |= (uint64_t)crb_byte(&t->crb, offset + i) << (8 * i);
	return v;
}

static void on_write(void *owner, uint32_t region, uint64_t offset, unsigned int width,
		     uint64_t value)
{
	struct tpm_device *t = owner;

	if (region != 0)
		return;
	note_access(t);
	if (crb_write(&t->crb, offset, width, value))
		run(t);
	else
		keep(t);
}

static void on_reset(void *owner)
{
	struct tpm_device *t = owner;

	if (t->just_reset && t->id == t->vfu.id)
		return;
	crb_reset(&t->crb);
	t->resets++;
	t->id = t->vfu.id;
	t->just_reset = true;
	t->open = false;
	t->stale = t->stage != STAGE_NONE;
	keep(t);
	if (!t->stale)
		tell_quiet(t);
}

static const struct vfu_ops ops = { .read = on_read, .write = on_write, .reset = on_reset };

/* ---- the beginning ---- */

/* What was written may not have been sent; what was taken may still be there. */
static void go_on(struct tpm_device *t)
{
	uint8_t byte;

	if (t->stage == STAGE_SENDING)
		fail(t, "nobody knows whether a command was sent to it");
	else if (t->stage == STAGE_TAKEN && recv(t->sock, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 1)
		drop_taken(t);
	else if (t->stage == STAGE_TAKEN)
		finish(t);
	else if (!t->open && t->resets && !t->stale)
		tell_quiet(t);
	else if (t->open && t->crb.state == CRB_EXECUTION && t->stage == STAGE_NONE)
		run(t);
}

void tpm_begin(struct tpm_device *t)
{
	char why[STATE_WHY_MAX];
	IMAGE image;
	int kept = kept_load(&t->page->kept, &tpm_schema, &image, why);

	if (kept < 0) {
		log_warning("what is kept of the registers cannot be: %s", why);
		kept_clear(&t->page->kept);
	}
	kept_begin(&t->page->kept, &tpm_schema);
	if (kept > 0)
		take(t, &image);
	else
		crb_reset(&t->crb);
	if (kept < 0)
		fail(t, "what is kept of it cannot be");
	else if (t->crb.failed)
		loop_remove(t->loop, &t->answers);
	else
		go_on(t);
}

int tpm_open(struct tpm_device *t, struct tpm_kept *page, struct loop *loop, int vfu, int swtpm,
	     int control_fd)
{
	int r;

	*t = (struct tpm_device){ .page = page,
				  .crb = { .buffer = page->buffer },
				  .sock = swtpm,
				  .control_fd = control_fd,
				  .loop = loop,
				  .answers = { .fd = -1 } };
	t->regions[0] =
		(struct vfu_region){ .size = TPM_CRB_SIZE, .widths = 1 | 2 | 4 | 8, .page_fd = -1 };
	t->regions[VFU_DONE_REGION] =
		(struct vfu_region){ .size = VFU_DONE_SIZE, .widths = 4, .page_fd = -1 };
	t->spec = (struct vfu_spec){ .regions = t->regions, .n_regions = ARRAY_SIZE(t->regions) };
	r = loop_add(loop, &t->answers, swtpm, EPOLLIN | EPOLLET, on_answer, t);
	if (r < 0)
		return r;
	r = vfu_server_open(&t->vfu, &t->spec, &ops, t, loop, vfu);
	if (r < 0)
		loop_remove(loop, &t->answers);
	return r;
}
