/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page: dev-console's state, in shared memory that the supervisor makes, and gives to each
 * dev-console of the VM in turn. It is right at every instant, so that a process that was killed
 * anywhere has a successor that goes on as if nothing had been: no byte is lost or doubled.
 *
 * The image is kept as lib/devkit/kept.h says. The rings lie in here as they are; stream.h says how they
 * agree with it.
 *
 * HOSTILE to a successor, whose predecessor may have been taken over by the guest: each number is read
 * once and checked, and all that it can do is what a guest can do with the device.
 */
#ifndef BULKHEAD_CMD_DEV_CONSOLE_PAGE_H
#define BULKHEAD_CMD_DEV_CONSOLE_PAGE_H

#include "cmd/dev-console/stream.h"
#include "cmd/dev-console/uart16550.h"
#include "cmd/dev-console/virtio_console.h"
#include "lib/devkit/kept.h"

struct console_image {
	struct uart_image uart;
	struct virtio_console_image virtio;
	uint32_t done; /* console.h, region 1 */
	uint64_t out_tail, in_head;
	uint8_t peer; /* a stream is to come again */
};

struct console_page {
	struct kept kept;
	struct stream_page stream;
};

extern const struct state_schema console_schema;

/*
 * Before the sandbox: maps the file that fd is, of at least that size and sealed against shrinking. 0;
 * -EINVAL for a file that is not so, or the error of fstat or mmap.
 */
[[nodiscard]] int console_page_map(int fd, struct console_page **ret);
/* Once, after console_page_load or _clear: what is the same in each image. */
void console_page_begin(struct console_page *p);
/* From now on this is what a successor gets. */
void console_page_keep(struct console_page *p, const struct console_image *image);
/* 1 with the image; 0 when nothing is kept; or as state_load. */
[[nodiscard]] int console_page_load(const struct console_page *p, struct console_image *ret,
				    char why[STATE_WHY_MAX]);
/* Nothing is kept, and the rings are empty. */
void console_page_clear(struct console_page *p);

#endif
