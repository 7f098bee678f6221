/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev-console's parts together: a 16550 behind vfio-user, a virtio-console behind vhost-user, and
 * the one stream that both talk to.
 *
 * vfio-user region 0 has one page: the 16550's registers at offsets 0 to 7, one byte at a time;
 * other widths and offsets float. LSR's byte can be read in the page that GET_REGION_INFO passes.
 * Interrupt 0 is the 16550's line; its eventfd is written at every rise, and once more when it is set
 * while the line is high.
 *
 * All state is in a page that outlives the process (page.h), and kept there before anything of it
 * shows outside: a successor goes on with it. Region 1 tells a client that was cut off how far its
 * accesses came (VFU_DONE_REGION). What is behind, posted or not, did nothing, and is to be sent again.
 */
#ifndef BULKHEAD_CMD_DEV_CONSOLE_CONSOLE_H
#define BULKHEAD_CMD_DEV_CONSOLE_CONSOLE_H

#include "cmd/dev-console/page.h"
#include "cmd/dev-console/stream.h"
#include "cmd/dev-console/ticker.h"
#include "cmd/dev-console/uart16550.h"
#include "cmd/dev-console/virtio_console.h"
#include "lib/base/log.h"
#include "lib/devkit/vfu_server.h"
#include "lib/devkit/vu_device.h"

#include <stdbool.h>

#define CONSOLE_PAGE 4096

enum console_input { CONSOLE_INPUT_SERIAL, CONSOLE_INPUT_VIRTIO };

struct console_options {
	enum console_input input;
	uint64_t hold_s; /* how long a stream that takes nothing may hold the guest up */
};

struct console {
	struct loop *loop;
	enum console_input input;
	bool settling;
	struct log_gate lost_gate;
	struct stream stream;
	struct ticker seconds; /* on while the stream's peer holds the guest up */
	struct ticker pace;    /* on while input waits for the guest to see an empty receiver */
	struct uart16550 uart;
	struct console_page *page;
	uint32_t done; /* region 1's register */
	struct vfu_region regions[2];
	struct vfu_spec vfu_spec;
	struct vfu_server vfu;
	struct virtio_console virtio;
	struct vu_device vu;
};

/* Before the sandbox. page outlives it: all zero, or as a predecessor left it, and HOSTILE; one that
 * cannot be is said and cleared. hold_s: how long a peer that takes no output may hold the guest up. Sockets are
 * taken over; *ret_what names the step that failed, *ret_why (kept
 * and written later, when a peer's error ends the loop) what the peer did. */
[[nodiscard]] int console_prepare(struct console *c, struct loop *l, enum console_input input,
				  struct console_page *page, uint64_t hold_s, int vfio_user_sock,
				  int vhost_user_sock, const char **ret_what, const char **ret_why);
/* A new stream; taken over, closed on failure. */
[[nodiscard]] int console_attach(struct console *c, int fd);
/* When all is over: takes what the guest still posted, and sends all output to the stream, waiting
 * at most idle_ms for it to take some more; what it did not take is said. */
void console_finish(struct console *c, int idle_ms);

#endif
