/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev-console's state page from a predecessor that the guest took over: what is accepted is within
 * every bound, works, and is kept as what it was. The first byte says whether the headers are right.
 */
#include "tests/fuzz/fuzz.h"

#include "cmd/dev-console/page.h"

#include <string.h>

#define HEAD offsetof(struct console_page, stream.in)

static struct console_page page;
static struct stream stream;

static void nothing(void *owner, uint8_t byte)
{
	(void)owner, (void)byte;
}

static void use(const struct console_image *image)
{
	static uint8_t bytes[STREAM_OUT_CAP];
	struct console_image again;
	char why[STATE_WHY_MAX];
	struct uart16550 u;

	require(fifo_used(&stream.out) <= STREAM_OUT_CAP && fifo_used(&stream.in) <= STREAM_IN_CAP);
	(void)!stream_put(&stream, bytes, 5000);
	(void)!stream_peek(&stream, bytes, sizeof(bytes));
	(void)!stream_get(&stream, bytes, sizeof(bytes));
	require(fifo_used(&stream.in) == 0);
	uart_init(&u, NULL, nothing, NULL);
	uart_load(&u, &image->uart);
	require(fifo_used(&u.rx) <= uart_rx_capacity(&u));
	uart_save(&u, &again.uart);
	require(again.uart.rx_used == image->uart.rx_used && again.uart.fcr == image->uart.fcr);
	for (unsigned int reg = 0; reg < 2 * UART_REGS; reg++) {
		(void)!uart_read(&u, reg % UART_REGS, 1);
		uart_write(&u, reg % UART_REGS, 1, reg);
	}
	console_page_keep(&page, image);
	require(console_page_load(&page, &again, why) == 1);
	require(memcmp(&again, image, sizeof(again)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct console_image image;
	char text[STATE_WHY_MAX];
	const char *why;

	memset(&page, 0, HEAD);
	if (size < 1)
		return 0;
	memcpy(&page, data + 1, size - 1 < HEAD ? size - 1 : HEAD);
	if (data[0] & 1)
		console_page_begin(&page);
	stream_init(&stream, &page.stream, NULL, 1, NULL, NULL);
	if (console_page_load(&page, &image, text) > 0 &&
	    stream_resume(&stream, image.out_tail, image.in_head, image.peer, &why) == 0)
		use(&image);
	return 0;
}
