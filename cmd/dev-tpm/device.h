/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TPM's registers (crb.h) between a vmm and the process that is the TPM, swtpm: one command at a time goes to it, of a
 * length and tag that a command has, and what comes back is taken if it is one response. swtpm is HOSTILE: it reads a guest's
 * bytes. This process has no key, and of swtpm what its guest has: a way to say commands of locality 0.
 *
 * A TPM that starts anew has forgotten what was measured. So it does that only where the guest does: after a reset
 * no command passes until the one under way has ended, the supervisor was told so, and has started the TPM (CTL_TPM), which it
 * does once for each reset that the vmm tells it of. A TPM that has ended has FAILED until the VM ends: registers say so, and no
 * other comes in its place.
 *
 * The state is in memory that outlives the process, with the buffer behind it. A successor goes on, also with a
 * command under way; but one that may or may not have been sent is a failure of the TPM, as it cannot be known.
 */
#ifndef BULKHEAD_CMD_DEV_TPM_DEVICE_H
#define BULKHEAD_CMD_DEV_TPM_DEVICE_H

#include "cmd/dev-tpm/crb.h"
#include "lib/devkit/kept.h"
#include "lib/devkit/vfu_server.h"

enum stage {
	STAGE_NONE,    /* swtpm has nothing to do */
	STAGE_SENDING, /* it may have a command */
	STAGE_SENT,    /* it has one */
	STAGE_TAKEN,   /* its response is in the buffer, and may be in the socket still */
	STAGES
};

/* What a successor goes on with. */
struct tpm_image {
	uint32_t resets; /* of the device, the one before its guest's first step counted */
	uint16_t id;	 /* of the last reset's message */
	uint8_t just_reset;
	uint8_t open; /* commands pass */
	uint8_t failed;
	uint8_t stale; /* the response that is awaited is nobody's */
	uint8_t stage;
	uint8_t crb; /* enum crb_state */
	uint8_t assigned, cancel, request;
	uint32_t taken; /* bytes, of STAGE_TAKEN */
};

extern const struct state_schema tpm_schema;

/* The page, as the supervisor makes it. */
struct tpm_kept {
	struct kept kept;
	uint8_t buffer[TPM_BUFFER_LEN];
};

struct tpm_device {
	struct crb crb;
	struct tpm_kept *page;
	int sock;	/* to swtpm */
	int control_fd; /* to the supervisor */
	struct loop *loop;
	struct loop_source answers;
	uint32_t resets, taken;
	uint16_t id;
	bool just_reset, open, stale;
	enum stage stage;
	struct vfu_region regions[2];
	struct vfu_spec spec;
	struct vfu_server vfu;
};

/* Before the sandbox: takes the sockets over and joins the loop. */
[[nodiscard]] int tpm_open(struct tpm_device *t, struct tpm_kept *page, struct loop *loop, int vfu,
			   int swtpm, int control_fd);
/* In it: page is all zero, or as a predecessor left it, and HOSTILE; one that cannot be is said, and the TPM has failed. */
void tpm_begin(struct tpm_device *t);
/* CTL_TPM of the supervisor: its TPM was started that often; 0: it is no more. */
void tpm_started(struct tpm_device *t, uint32_t number);

#endif
