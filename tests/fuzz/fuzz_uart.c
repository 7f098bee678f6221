/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 16550 under any run of accesses, input and room: the page says what LSR says, IIR names a
 * source that is enabled, the receiver stays within its size, and no byte is made or lost.
 */
#include "cmd/dev-console/uart16550.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bench {
	struct uart16550 uart;
	uint8_t page[UART_REGS];
	size_t n_sent;
	uint8_t last_sent;
};

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void on_tx(void *owner, uint8_t byte)
{
	struct bench *b = owner;

	b->n_sent++;
	b->last_sent = byte;
	if (byte == 0xee)
		uart_set_tx_ready(&b->uart, false);
}

static void check(struct bench *b)
{
	size_t used = fifo_used(&b->uart.rx);
	uint8_t lsr = (uint8_t)uart_read(&b->uart, UART_LSR, 1);

	require(b->page[UART_LSR] == lsr);
	require(!(lsr & ~(UART_LSR_DR | UART_LSR_THRE | UART_LSR_TEMT)));
	require(used <= UART_FIFO && !(lsr & UART_LSR_DR) == !used);
	require(uart_rx_space(&b->uart) + used <= UART_FIFO);
	require(!uart_rx_due(&b->uart) || uart_rx_space(&b->uart));
	require(b->uart.ier <= UART_IER_BITS && b->uart.mcr <= UART_MCR_BITS);
}

static void do_write(struct bench *b, uint8_t reg, uint8_t v)
{
	bool thr = reg == UART_THR && !(b->uart.lcr & UART_LCR_DLAB);
	bool loop = b->uart.mcr & UART_MCR_LOOP;
	size_t sent = b->n_sent, used = fifo_used(&b->uart.rx);

	uart_write(&b->uart, reg, 1, v);
	require(b->n_sent - sent == (thr && !loop));
	if (thr && !loop)
		require(b->last_sent == v);
	if (reg != UART_FCR && !(thr && loop))
		require(fifo_used(&b->uart.rx) == used);
}

static void do_read(struct bench *b, uint8_t reg)
{
	static const uint8_t needs[] = { UART_IER_EDSSI, UART_IER_ETBEI, UART_IER_ERBFI };
	size_t used = fifo_used(&b->uart.rx);
	bool rbr = reg == UART_RBR && !(b->uart.lcr & UART_LCR_DLAB);
	uint8_t v = (uint8_t)uart_read(&b->uart, reg, 1);

	require(fifo_used(&b->uart.rx) == used - (rbr && used));
	if (reg == UART_IIR && !(v & UART_IIR_NONE))
		require(b->uart.ier & needs[v >> 1 & 3]);
	/* no cause and an empty receiver: more may come */
	if (reg == UART_IIR && v & UART_IIR_NONE && !used && uart_rx_space(&b->uart))
		require(uart_rx_due(&b->uart));
}

static void do_rx(struct bench *b, uint8_t n, uint8_t seed)
{
	uint8_t bytes[256];
	size_t space = uart_rx_space(&b->uart);

	memset(bytes, seed, sizeof(bytes));
	require(uart_rx(&b->uart, bytes, n) == (n < space ? n : space));
	if (n && space && b->uart.ier & UART_IER_ERBFI)
		require(!uart_rx_due(&b->uart));
}

/* Edges only go up: no second one while the line stays high. */
static void do_settle(struct bench *b)
{
	bool edge = uart_settle(&b->uart);

	require(!edge || b->uart.line);
	require(!uart_settle(&b->uart));
}

/* A successor is told apart by nothing but its line, which rises anew. */
static void do_successor(struct bench *b)
{
	struct uart_image image, again;
	bool ready = b->uart.tx_ready;

	uart_save(&b->uart, &image);
	require(!uart_image_check(&image));
	uart_init(&b->uart, b->page, on_tx, b);
	uart_load(&b->uart, &image);
	b->uart.tx_ready = ready;
	uart_save(&b->uart, &again);
	require(memcmp(&image, &again, sizeof(image)) == 0);
	check(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bench b = { 0 };

	uart_init(&b.uart, b.page, on_tx, &b);
	for (size_t i = 0; i + 2 < size; i += 3) {
		uint8_t reg = data[i] >> 3 & 7, v = data[i + 1];

		switch (data[i] & 7) {
		case 0:
		case 1:
			do_write(&b, reg, v);
			break;
		case 2:
			do_read(&b, reg);
			break;
		case 3:
			do_rx(&b, v, data[i + 2]);
			break;
		case 4:
			uart_set_tx_ready(&b.uart, v & 1);
			break;
		case 5:
			uart_write(&b.uart, (uint64_t)v << reg, 1U << (data[i + 2] & 3), v);
			(void)!uart_read(&b.uart, (uint64_t)v << reg, 1U << (data[i + 2] & 3));
			break;
		case 6:
			do_settle(&b);
			break;
		default:
			uart_rx_tick(&b.uart);
			if (v == 0xff)
				uart_reset(&b.uart);
			else if (v & 1)
				do_successor(&b);
		}
		check(&b);
	}
	return 0;
}
