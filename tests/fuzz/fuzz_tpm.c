/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev-tpm under any run of accesses, with anything kept and any bytes of an swtpm: what swtpm gets is one whole command at a time, none
 * before it was started, and none once the TPM has failed. Input: whether the page is made of it, its bytes for that, then
 * steps of four bytes.
 */
#include "cmd/dev-tpm/command.h"
#include "cmd/dev-tpm/device.h"

#include "lib/base/cleanup.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEP_LEN 4

static struct tpm_kept page;
static struct tpm_device t;
static int swtpm;
static bool has_command; /* swtpm has one that it has not answered */

static void require(bool ok)
{
	if (!ok)
		abort();
}

static size_t take(const uint8_t **data, size_t *size, void *to, size_t len)
{
	size_t n = len < *size ? len : *size;

	memcpy(to, *data, n);
	*data += n;
	*size -= n;
	return n;
}

static void hear(void)
{
	uint8_t command[TPM_BUFFER_LEN + 1];
	uint32_t code;
	ssize_t n = recv(swtpm, command, sizeof(command), MSG_DONTWAIT);

	if (n <= 0)
		return;
	require(!has_command && t.open && !t.crb.failed);
	require((uint32_t)n == command_check(command, &code));
	has_command = true;
}

/* A response of that many bytes behind its header, or bytes that are none. */
static void say(const uint8_t s[STEP_LEN])
{
	uint8_t r[TPM_HEADER_LEN + 255] = { 0x80, 0x01, 0,
					    0,	  0,	(uint8_t)(TPM_HEADER_LEN + s[1] % 200) };
	size_t n = r[5];

	if (s[2] & 1)
		memcpy(r, s, STEP_LEN);
	if (s[2] & 2)
		n = s[3] + 1U;
	(void)!send(swtpm, r, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	has_command = false;
	while (!t.crb.failed && t.answers.fd >= 0 &&
	       recv(t.sock, r, 1, MSG_DONTWAIT | MSG_PEEK) > 0) {
		(void)!t.answers.fn(&t.answers, 0);
		if (t.stage == STAGE_SENT)
			break; /* the rest is to come */
	}
}

static void step(uint16_t id, const uint8_t s[STEP_LEN])
{
	static const uint16_t registers[] = { TPM_LOC_CTRL,	 TPM_CTRL_REQ,	  TPM_CTRL_START,
					      TPM_CTRL_CANCEL,	 TPM_BUFFER_AT,	  TPM_BUFFER_AT + 2,
					      TPM_BUFFER_AT + 6, TPM_CRB_SIZE - 4 };
	const unsigned int width = s[0] & 8 ? 4 : 1U << (s[0] >> 6);
	uint64_t at = s[0] & 8 ? registers[s[1] & 7] : (s[1] | (uint64_t)s[2] << 8) % TPM_CRB_SIZE;

	t.vfu.id = id;
	if (width > TPM_CRB_SIZE - at)
		at = TPM_CRB_SIZE - width;
	switch (s[0] & 7) {
	case 0:
	case 1:
		t.vfu.ops->write(&t, 0, at, width, s[3] | (uint64_t)s[2] << 24);
		break;
	case 2:
		(void)t.vfu.ops->read(&t, 0, at, width);
		break;
	case 3:
		say(s);
		break;
	case 4:
		t.vfu.ops->reset(&t);
		break;
	case 5:
		tpm_started(&t, s[1] & 1 ? t.resets : s[3]);
		break;
	case 6: /* a command of that length and kind, at once */
		t.vfu.ops->write(&t, 0, TPM_LOC_CTRL, 4, CRB_LOC_REQUEST);
		t.vfu.ops->write(&t, 0, TPM_CTRL_REQ, 4, CRB_REQ_READY);
		t.vfu.ops->write(&t, 0, TPM_BUFFER_AT, 8,
				 0x0180 | (uint64_t)s[2] << 32 | (uint64_t)s[1] << 40);
		t.vfu.ops->write(&t, 0, TPM_CTRL_START, 4, CRB_START);
		break;
	default:
		tpm_begin(&t); /* as a successor does */
	}
	hear();
	require(!t.crb.request || t.crb.state == CRB_EXECUTION);
	require(t.crb.state < CRB_STATES && t.stage < STAGES && t.taken <= TPM_BUFFER_LEN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t how = 0, s[STEP_LEN];
	int vfu[2], tpm[2], control[2];
	struct loop loop;

	take(&data, &size, &how, 1);
	memset(&page, 0, sizeof(page));
	if (how & 1)
		take(&data, &size, &page, sizeof(page.kept));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, vfu) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, tpm) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0 ||
	    loop_open(&loop) < 0)
		return 0;
	swtpm = tpm[1];
	has_command = false;
	require(tpm_open(&t, &page, &loop, vfu[0], tpm[0], control[0]) == 0);
	tpm_begin(&t);
	has_command = t.stage != STAGE_NONE;
	for (uint16_t id = 1; take(&data, &size, s, sizeof(s)) == sizeof(s); id++) {
		uint8_t said[512];

		step(id, s);
		while (recv(control[1], said, sizeof(said), MSG_DONTWAIT) > 0)
			;
	}
	vfu_server_close(&t.vfu);
	loop_close(&loop);
	close(tpm[0]);
	close(tpm[1]);
	close(vfu[1]);
	close(control[0]);
	close(control[1]);
	return 0;
}
