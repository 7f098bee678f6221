/* SPDX-License-Identifier: Apache-2.0 */
/* A page of registers in front of dev-tpm; see tpm.h. */
#include "cmd/vmm/platform/tpm.h"

#include "cmd/vmm/platform/peer.h"
#include "cmd/vmm/platform/remote.h"
#include "lib/tpm/tpm.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct tpm {
	struct remote remote;
};

static uint64_t on_read(void *owner, uint64_t offset, unsigned int width)
{
	return remote_read(&((struct tpm *)owner)->remote, offset, width);
}

static void on_write(void *owner, uint64_t offset, unsigned int width, uint64_t value)
{
	remote_write(&((struct tpm *)owner)->remote, offset, width, value);
}

static const struct bus_ops bus_ops = { .read = on_read, .write = on_write };

/* ---- state: nothing of it is here ---- */

/* Once for each reset that the supervisor was told of before: it starts the TPM. */
static int on_reset(void *object)
{
	return remote_reset(&((struct tpm *)object)->remote);
}

static const struct state_ops state = { .name = "TPM", .reset = on_reset };

static int join(struct tpm *t)
{
	const struct bus_range range = { TPM_CRB_BASE, TPM_CRB_SIZE, &bus_ops, t };
	struct machine *m = t->remote.m;
	int error = remote_reset(&t->remote);

	if (error == 0)
		error = remote_watch(&t->remote);
	if (error == 0)
		error = bus_add(&m->mmio, &range);
	return error < 0 ? error : machine_add_object(m, &state, t);
}

void tpm_close(struct tpm *t)
{
	remote_close(&t->remote);
	free(t);
}

int tpm_open(struct machine *m, unsigned int channel, int sock, struct tpm **ret,
	     const char **ret_why)
{
	struct tpm *t = calloc(1, sizeof(*t));
	int error;

	if (!t) {
		close(sock);
		return -ENOMEM;
	}
	t->remote.channel = channel;
	error = remote_open(&t->remote, m, "TPM", sock, TPM_CRB_SIZE, false, ret_why);
	if (error == 0) {
		error = join(t);
		if (error < 0)
			*ret_why = peer_strerror(error);
	}
	if (error < 0) {
		tpm_close(t);
		return error;
	}
	*ret = t;
	return 0;
}

int tpm_reconnect(struct tpm *t, int sock, const char **ret_why)
{
	return remote_reconnect(&t->remote, sock, ret_why);
}
