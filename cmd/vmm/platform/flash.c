/* SPDX-License-Identifier: Apache-2.0 */
/* Writes to a flash memory; see flash.h. */
#include "cmd/vmm/platform/flash.h"

#include "cmd/vmm/platform/peer.h"
#include "cmd/vmm/platform/remote.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct flash {
	struct remote remote;
};

/* Of an accelerator that does not read it as memory: none does. */
static uint64_t flash_read(void *owner, uint64_t offset, unsigned int width)
{
	return remote_read(&((struct flash *)owner)->remote, offset, width);
}

static void flash_write(void *owner, uint64_t offset, unsigned int width, uint64_t value)
{
	remote_write(&((struct flash *)owner)->remote, offset, width, value);
}

static const struct bus_ops flash_ops = { .read = flash_read, .write = flash_write };

/* ---- state: nothing of it is here ---- */

static int flash_reset(void *object)
{
	return remote_reset(&((struct flash *)object)->remote);
}

static const struct state_ops flash_state = { .name = "flash", .reset = flash_reset };

static int join(struct flash *f)
{
	struct machine *m = f->remote.m;
	const struct bus_range range = { FIRMWARE_END - m->firmware.size - m->firmware.flash,
					 m->firmware.flash, &flash_ops, f };
	int error = remote_reset(&f->remote);

	if (error == 0)
		error = remote_watch(&f->remote);
	if (error == 0)
		error = bus_add(&m->mmio, &range);
	return error < 0 ? error : machine_add_object(m, &flash_state, f);
}

void flash_close(struct flash *f)
{
	remote_close(&f->remote);
	free(f);
}

int flash_open(struct machine *m, unsigned int channel, int sock, struct flash **ret,
	       const char **ret_why)
{
	struct flash *f = calloc(1, sizeof(*f));
	int error;

	if (!f) {
		close(sock);
		return -ENOMEM;
	}
	f->remote.channel = channel;
	error = remote_open(&f->remote, m, "firmware's variables", sock, m->firmware.flash, false,
			    ret_why);
	if (error == 0) {
		error = join(f);
		if (error < 0)
			*ret_why = peer_strerror(error);
	}
	if (error < 0) {
		flash_close(f);
		return error;
	}
	*ret = f;
	return 0;
}

int flash_reconnect(struct flash *f, int sock, const char **ret_why)
{
	return remote_reconnect(&f->remote, sock, ret_why);
}
