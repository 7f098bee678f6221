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
#define SECOND_NS 1000000000U
/* After this an empty receiver counts as seen, for a guest that does not ask IIR. */
#define PACE_NS 4000000U

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

/* ---- what outlives the process ---- */

static void keep(void *owner)
{
	struct console *c = owner;
	struct console_image image = { .done = c->done,
				       .out_tail = c->stream.out_tail,
				       .in_head = c->stream.in_head,
				       .peer = stream_has_peer(&c->stream),
				       .virtio = c->virtio.half };

	uart_save(&c->uart, &image.uart);
	console_page_keep(c->page, &image);
}

/* 1; 0: nothing is kept; or -EBADMSG and the like with *ret_why. */
static int resume(struct console *c, char text[STATE_WHY_MAX], const char **ret_why)
{
	struct console_image image;
	int r = console_page_load(c->page, &image, text);

	*ret_why = text;
	if (r <= 0)
		return r;
	r = stream_resume(&c->stream, image.out_tail, image.in_head, image.peer, ret_why);
	if (r < 0)
		return r;
	uart_load(&c->uart, &image.uart);
	c->virtio.half = image.virtio;
	c->done = image.done;
	return 1;
}

/* As after power-on, where nothing is kept or nothing that can be. */
static void begin(struct console *c)
{
	char text[STATE_WHY_MAX];
	const char *why;

	if (resume(c, text, &why) < 0) {
		log_warning("what is kept of the console cannot be (%s): it starts anew", why);
		console_page_clear(c->page);
	}
	console_page_begin(c->page);
}

/* The access is carried out; what is kept says so before its client can see it. */
static void done(struct console *c, uint8_t value)
{
	c->done = VFU_DONE_ANY | (uint32_t)value << VFU_DONE_VALUE_SHIFT | c->vfu.id;
	keep(c);
}

static uint64_t on_read(void *owner, uint32_t region, uint64_t offset, unsigned int width)
{
	struct console *c = owner;
	uint64_t value;

	if (region != 0)
		return c->done;
	value = uart_read(&c->uart, offset, width);
	done(c, (uint8_t)value);
	return value;
}

static void on_write(void *owner, uint32_t region, uint64_t offset, unsigned int width,
		     uint64_t value)
{
	struct console *c = owner;

	if (region != 0)
		return;
	uart_write(&c->uart, offset, width, value);
	done(c, 0);
}

static void on_reset(void *owner)
{
	struct console *c = owner;

	uart_reset(&c->uart);
	done(c, 0);
}

static void feed_uart(struct console *c)
{
	uint8_t bytes[UART_FIFO];

	while (c->input == CONSOLE_INPUT_SERIAL && uart_rx_due(&c->uart) &&
	       stream_pending(&c->stream))
		(void)!uart_rx(&c->uart, bytes,
			       stream_get(&c->stream, bytes, uart_rx_space(&c->uart)));
}

/* Input that waits although there is room for it. */
static bool input_is_paced(const struct console *c)
{
	return c->input == CONSOLE_INPUT_SERIAL && stream_pending(&c->stream) &&
	       !uart_rx_due(&c->uart) && uart_rx_space(&c->uart) == uart_rx_capacity(&c->uart);
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
		keep(c); /* before the room is used again */
	}
}

static void say_dropped(struct console *c)
{
	if (!c->stream.dropped || c->stream.stalled)
		return;
	log_warning("%llu bytes of output were dropped, as nobody read them",
		    (unsigned long long)c->stream.dropped);
	c->stream.dropped = 0;
}

static int set_tickers(struct console *c)
{
	int r = ticker_set(&c->seconds, stream_holds(&c->stream));

	return r < 0 ? r : ticker_set(&c->pace, input_is_paced(c));
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
	keep(c); /* before it is sent */
	if (stream_settle(&c->stream) < 0)
		loop_stop(c->loop, -EIO);
	move_input(c);
	c->stream.wanted = c->vu.loop && virtio_console_waits(&c->virtio, &c->vu);
	if (stream_settle(&c->stream) < 0)
		loop_stop(c->loop, -EIO);
	update_room(c);
	say_dropped(c);
	if (set_tickers(c) < 0)
		loop_stop(c->loop, -EIO);
	keep(c);
	if (vfu_server_has_irq(&c->vfu, UART_IRQ) && uart_settle(&c->uart))
		vfu_server_irq(&c->vfu, UART_IRQ);
	c->settling = false;
}

static void on_second(void *owner, uint64_t periods)
{
	struct console *c = owner;

	if (stream_tick(&c->stream, periods))
		log_warning("nobody reads the console: the guest goes on, and the oldest of its "
			    "output is dropped");
	settle(c);
}

static void on_pace(void *owner, uint64_t periods)
{
	struct console *c = owner;

	(void)periods;
	uart_rx_tick(&c->uart);
	settle(c);
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
	r = vfu_page_create("uart", CONSOLE_PAGE, &c->regions[0].page_fd, &page);
	if (r < 0)
		return r;
	uart_init(&c->uart, page, on_tx, c);
	c->regions[0].size = CONSOLE_PAGE;
	c->regions[0].widths = 1;
	c->regions[0].n_sparse = 1;
	c->regions[0].sparse[0] = (struct vfu_sparse){ .offset = UART_LSR, .size = 1 };
	c->regions[VFU_DONE_REGION] =
		(struct vfu_region){ .size = VFU_DONE_SIZE, .widths = 4, .page_fd = -1 };
	c->vfu_spec = (struct vfu_spec){ .regions = c->regions,
					 .n_regions = ARRAY_SIZE(c->regions),
					 .n_irqs = 1 };
	*ret_what = "vfio-user channel";
	return vfu_server_open(&c->vfu, &c->vfu_spec, &vfu_ops, c, c->loop, sock);
}

static int prepare_virtio(struct console *c, int sock, const char **ret_what)
{
	*ret_what = "vhost-user channel";
	virtio_console_init(&c->virtio, &c->stream, c->input == CONSOLE_INPUT_VIRTIO, settle, keep,
			    c);
	return vu_device_open(&c->vu, &virtio_console_spec, &virtio_console_ops, &c->virtio,
			      c->loop, sock);
}

static int prepare_tickers(struct console *c, const char **ret_what)
{
	int r;

	*ret_what = "timers";
	r = ticker_open(&c->seconds, c->loop, SECOND_NS, on_second, c);
	return r < 0 ? r : ticker_open(&c->pace, c->loop, PACE_NS, on_pace, c);
}

int console_prepare(struct console *c, struct loop *l, enum console_input input,
		    struct console_page *page, uint64_t hold_s, int vfio_user_sock,
		    int vhost_user_sock, const char **ret_what, const char **ret_why)
{
	int r;

	c->loop = l;
	c->input = input;
	c->settling = false;
	c->lost_gate = LOG_GATE(LOST_LINES);
	c->vu.loop = NULL;
	c->page = page;
	c->done = 0;
	stream_init(&c->stream, &page->stream, l, hold_s, settle, c);
	r = prepare_tickers(c, ret_what);
	if (r == 0)
		r = prepare_uart(c, vfio_user_sock, ret_what);
	if (r == 0)
		r = prepare_virtio(c, vhost_user_sock, ret_what);
	if (r < 0)
		return r;
	c->vfu.ret_why = ret_why;
	c->vu.ret_why = ret_why;
	begin(c);
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
	if (c->stream.attached)
		c->stream.dropped += fifo_used(&c->stream.out);
	c->stream.stalled = false;
	say_dropped(c);
}
