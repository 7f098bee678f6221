/* SPDX-License-Identifier: Apache-2.0 */
/* dev-console's parts together; see console.h. */
#include "cmd/dev-console/console.h"

#include "lib/base/cleanup.h"

#include <errno.h>

#define UART_IRQ 0
#define LOST_LINES 3
/* Times STREAM_IN_CAP: more than a peer that has gone can have left in its socket. */
#define INPUT_ROUNDS 128
/* Times VFU_RX_CAP: more than a socket holds, and an end to a client that never stops. */
#define FINISH_PASSES 1024

/* ---- the 16550 between the vfio-user server and the stream ---- */

static void update_room(struct console *c)
{
	uart_set_tx_ready(&c->uart, stream_room(&c->stream) > 0);
}

static void on_tx(void *owner, uint8_t byte)
{
	struct console *c = owner;

	if (stream_put(&c->stream, &byte, 1) == 0)
		log_gated(&c->lost_gate, LOG_LEVEL_WARNING,
			  "serial: the guest writes on although the line is busy; output is lost");
	update_room(c);
}

static uint64_t on_read(void *owner, uint32_t region, uint64_t offset, unsigned int width)
{
	struct console *c = owner;

	(void)region;
	return uart_read(&c->uart, offset, width);
}

static void on_write(void *owner, uint32_t region, uint64_t offset, unsigned int width,
		     uint64_t value)
{
	struct console *c = owner;

	(void)region;
	uart_write(&c->uart, offset, width, value);
}

static void on_reset(void *owner)
{
	struct console *c = owner;

	uart_reset(&c->uart);
}

static void feed_uart(struct console *c)
{
	uint8_t bytes[UART_FIFO];

	while (c->input == CONSOLE_INPUT_SERIAL && uart_rx_space(&c->uart) &&
	       stream_pending(&c->stream))
		(void)!uart_rx(&c->uart, bytes,
			       stream_get(&c->stream, bytes, uart_rx_space(&c->uart)));
}

/* Input goes on its way as long as somebody takes it, and so does what waits in a virtqueue. */
static void move_input(struct console *c)
{
	for (int i = 0; i < INPUT_ROUNDS; i++) {
		size_t before;

		stream_receive(&c->stream);
		before = stream_pending(&c->stream);
		feed_uart(c);
		if (c->vu.loop)
			virtio_console_poke(&c->virtio, &c->vu);
		if (stream_pending(&c->stream) == before)
			return;
	}
}

/*
 * After any event: bytes move as far as they can, then the interrupt, last of all as the page must
 * be right by then. Serving a virtqueue comes back here; once inside is enough.
 */
static void settle(void *owner)
{
	struct console *c = owner;

	if (c->settling)
		return;
	c->settling = true;
	if (stream_settle(&c->stream) < 0)
		loop_stop(c->loop, -EIO);
	move_input(c);
	c->stream.wanted = c->vu.loop && virtio_console_waits(&c->virtio, &c->vu);
	if (stream_settle(&c->stream) < 0)
		loop_stop(c->loop, -EIO);
	update_room(c);
	if (uart_settle(&c->uart))
		vfu_server_irq(&c->vfu, UART_IRQ);
	c->settling = false;
}

static const struct vfu_ops vfu_ops = {
	.read = on_read,
	.write = on_write,
	.reset = on_reset,
	.settle = settle,
};

/* ---- start and end ---- */

static int prepare_uart(struct console *c, int sock, const char **ret_what)
{
	uint8_t *page;
	int r;

	*ret_what = "register page";
	r = vfu_page_create("uart", CONSOLE_PAGE, &c->region.page_fd, &page);
	if (r < 0)
		return r;
	uart_init(&c->uart, page, on_tx, c);
	c->region.size = CONSOLE_PAGE;
	c->region.widths = 1;
	c->region.n_sparse = 1;
	c->region.sparse[0] = (struct vfu_sparse){ .offset = UART_LSR, .size = 1 };
	c->vfu_spec = (struct vfu_spec){ .regions = &c->region, .n_regions = 1, .n_irqs = 1 };
	*ret_what = "vfio-user channel";
	return vfu_server_open(&c->vfu, &c->vfu_spec, &vfu_ops, c, c->loop, sock);
}

static int prepare_virtio(struct console *c, int sock, const char **ret_what)
{
	*ret_what = "vhost-user channel";
	virtio_console_init(&c->virtio, &c->stream, c->input == CONSOLE_INPUT_VIRTIO, settle, c);
	return vu_device_open(&c->vu, &virtio_console_spec, &virtio_console_ops, &c->virtio,
			      c->loop, sock);
}

int console_prepare(struct console *c, struct loop *l, enum console_input input, int vfio_user_sock,
		    int vhost_user_sock, const char **ret_what, const char **ret_why)
{
	int r;

	c->loop = l;
	c->input = input;
	c->settling = false;
	c->lost_gate = LOG_GATE(LOST_LINES);
	c->vu.loop = NULL;
	stream_init(&c->stream, l, settle, c);
	r = prepare_uart(c, vfio_user_sock, ret_what);
	if (r == 0)
		r = prepare_virtio(c, vhost_user_sock, ret_what);
	if (r < 0)
		return r;
	c->vfu.ret_why = ret_why;
	c->vu.ret_why = ret_why;
	return 0;
}

int console_attach(struct console *c, int fd)
{
	int r = stream_attach(&c->stream, fd);

	if (r < 0) {
		closep(&fd);
		return r;
	}
	settle(c);
	return 0;
}

void console_finish(struct console *c, int idle_ms)
{
	for (int i = 0; i < FINISH_PASSES && vfu_server_pass(&c->vfu) > 0; i++)
		;
	stream_finish(&c->stream, idle_ms);
}
