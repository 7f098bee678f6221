/* SPDX-License-Identifier: Apache-2.0 */
/* Ports in front of dev-firmware; see firmware_ports.h. */
#include "cmd/vmm/platform/firmware_ports.h"

#include "cmd/vmm/platform/peer.h"
#include "cmd/vmm/platform/remote.h"
#include "lib/base/cleanup.h"
#include "lib/fwcfg/fwcfg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Ports that lie in the region as they do on the bus. */
struct window {
	struct firmware_ports *r;
	uint64_t at; /* in the region */
};

static const struct {
	uint64_t port, len, at;
} windows[] = {
	{ PORT_CMOS, 2, FWREGS_CMOS },
	{ PORT_FWCFG, 2, FWREGS_SELECTOR },
	{ PORT_PM_TIMER, 4, FWREGS_TIMER },
};

struct firmware_ports {
	struct remote remote;
	struct window windows[ARRAY_SIZE(windows)];
};

static uint64_t window_read(void *owner, uint64_t offset, unsigned int width)
{
	const struct window *w = owner;

	return remote_read(&w->r->remote, w->at + offset, width);
}

static void window_write(void *owner, uint64_t offset, unsigned int width, uint64_t value)
{
	const struct window *w = owner;

	remote_write(&w->r->remote, w->at + offset, width, value);
}

/* What is not read for a guest that resets or ends, it does not see either. */
static void read_items(const struct window *w, uint32_t n, uint8_t *data)
{
	memset(data, 0xff, n);
	while (n) {
		const uint32_t len = n < VFU_DATA_MAX ? n : VFU_DATA_MAX;
		struct vfio_access a = vfio_access_read(FWREGS_DATA, len);

		if (!remote_is_there(&w->r->remote) || !remote_carry_out(&w->r->remote, &a))
			return;
		memcpy(data, a.m.access.data, len);
		data += len;
		n -= len;
	}
}

static void window_read_run(void *owner, uint64_t offset, unsigned int width, uint32_t n,
			    uint8_t *data)
{
	const struct window *w = owner;

	if (width == 1 && w->at + offset == FWREGS_DATA) {
		read_items(w, n, data);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		const uint64_t v = window_read(owner, offset, width);

		memcpy(data + (size_t)i * width, &v, width);
	}
}

static const struct bus_ops window_ops = { .read = window_read,
					   .write = window_write,
					   .read_run = window_read_run };

/* ---- state: nothing of it is here ---- */

static int firmware_ports_reset(void *object)
{
	return remote_reset(&((struct firmware_ports *)object)->remote);
}

static const struct state_ops firmware_ports_state = { .name = "registers",
						       .reset = firmware_ports_reset };

static int join(struct firmware_ports *r)
{
	struct machine *m = r->remote.m;
	int error = remote_reset(&r->remote);

	if (error == 0)
		error = remote_watch(&r->remote);
	for (size_t i = 0; i < ARRAY_SIZE(windows) && error == 0; i++) {
		const struct bus_range range = { windows[i].port, windows[i].len, &window_ops,
						 &r->windows[i] };

		r->windows[i] = (struct window){ r, windows[i].at };
		error = bus_add(&m->pio, &range);
	}
	return error < 0 ? error : machine_add_object(m, &firmware_ports_state, r);
}

void firmware_ports_close(struct firmware_ports *r)
{
	remote_close(&r->remote);
	free(r);
}

int firmware_ports_open(struct machine *m, unsigned int channel, int sock,
			struct firmware_ports **ret, const char **ret_why)
{
	struct firmware_ports *r = calloc(1, sizeof(*r));
	int error;

	if (!r) {
		close(sock);
		return -ENOMEM;
	}
	r->remote.channel = channel;
	error = remote_open(&r->remote, m, "firmware's registers", sock, FWREGS_SIZE, false,
			    ret_why);
	if (error == 0) {
		error = join(r);
		if (error < 0)
			*ret_why = peer_strerror(error);
	}
	if (error < 0) {
		firmware_ports_close(r);
		return error;
	}
	*ret = r;
	return 0;
}

int firmware_ports_reconnect(struct firmware_ports *r, int sock, const char **ret_why)
{
	return remote_reconnect(&r->remote, sock, ret_why);
}
