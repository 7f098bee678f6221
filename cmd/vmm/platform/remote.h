/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers that a process serves by vfio-user: accesses cost a round trip each. The server is HOSTILE: what breaks
 * the protocol ends the VM with a clear line.
 *
 * A process that has ended is away: vCPUs that access its registers wait, for a minute at most, and all else goes
 * on. Its successor gets what was sent and not carried out; a reset is carried out then. Machine lock held
 * everywhere.
 */
#ifndef BULKHEAD_VMM_PLATFORM_REMOTE_H
#define BULKHEAD_VMM_PLATFORM_REMOTE_H

#include "cmd/vmm/machine.h"
#include "cmd/vmm/platform/vfio_client.h"

struct remote {
	struct machine *m;
	const char *name; /* for messages */
	unsigned int channel;
	struct vfio_client client;
	bool away; /* its process has ended, and its successor is to come */
	struct loop_source hangup;
};

/* Handshake on sock, owned from now on, of a device whose channel is set; as vfio_client_open. */
[[nodiscard]] int remote_open(struct remote *r, struct machine *m, const char *name, int sock,
			      uint64_t min_size, bool has_irq, const char **ret_why);
/* From now on its end is seen. */
[[nodiscard]] int remote_watch(struct remote *r);
/* With its machine, whose loop is still there. */
void remote_close(struct remote *r);

/* False: the access is void, as the guest resets or ends. A vCPU's thread. */
[[nodiscard]] bool remote_is_there(struct remote *r);
/* The same; else a is answered. */
[[nodiscard]] bool remote_carry_out(struct remote *r, struct vfio_access *a);
/* One register, 1 to 8 bytes wide: all ones where the access is void, or nothing. A vCPU's thread. */
uint64_t remote_read(struct remote *r, uint64_t offset, unsigned int width);
void remote_write(struct remote *r, uint64_t offset, unsigned int width, uint64_t value);
/* What came of a message: also 0 if a successor carries it out; else the VM fails of it. */
[[nodiscard]] int remote_outcome(struct remote *r, int error);
[[nodiscard]] int remote_reset(struct remote *r);
/* sock, owned from now on, leads to the successor of a process that has ended or is about to. 0 also if
 * that one has ended meanwhile: the next may come. -EOPNOTSUPP: this device has none; otherwise it broke the
 * protocol or is another device, and the VM cannot go on: *ret_why. Main thread. */
[[nodiscard]] int remote_reconnect(struct remote *r, int sock, const char **ret_why);

#endif
