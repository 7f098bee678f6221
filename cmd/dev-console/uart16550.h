/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A 16550A (National Semiconductor PC16550D), the registers and their interrupt. Pure: bytes out go
 * to a callback, bytes in and room for bytes out come from the owner, time does not pass.
 *
 * Where it differs from the chip:
 *   - The line is perfect and has no speed. Divisor and line format are stored and mean nothing,
 *     there are no overrun, parity or framing errors and no break; so LSR has no bit that a read
 *     would clear, and the receiver line status interrupt never comes.
 *   - LSR.THRE and TEMT go together and say whether the owner has room in reserve.
 *   - The character timeout needs no time: bytes below the trigger level time out at once.
 *   - DCD, DSR and CTS are always on, RI off (but in loopback).
 *   - The interrupt line is the chip's INTR pin; OUT2 does not gate it.
 *   - Input waits outside while the receiver is full or loops back; none is lost by overrun. A driver
 *     reads until it sees the receiver empty, in an interrupt's handler that is an edge's. The chip's
 *     line is slow enough for that; here the owner holds back until it is so (uart_rx_due).
 */
#ifndef BULKHEAD_CMD_DEV_CONSOLE_UART16550_H
#define BULKHEAD_CMD_DEV_CONSOLE_UART16550_H

#include "lib/base/fifo.h"
#include "lib/state/state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UART_REGS 8
#define UART_FIFO 16 /* bytes towards the guest */

/* Register offsets; the first three mean something else with LCR.DLAB, and FCR is IIR's write. */
#define UART_RBR 0
#define UART_THR 0
#define UART_DLL 0
#define UART_IER 1
#define UART_DLM 1
#define UART_IIR 2
#define UART_FCR 2
#define UART_LCR 3
#define UART_MCR 4
#define UART_LSR 5
#define UART_MSR 6
#define UART_SCR 7

#define UART_IER_ERBFI 0x01
#define UART_IER_ETBEI 0x02
#define UART_IER_EDSSI 0x08
#define UART_IER_BITS 0x0f

#define UART_IIR_NONE 0x01
#define UART_IIR_MSR 0x00
#define UART_IIR_THRE 0x02
#define UART_IIR_RDA 0x04
#define UART_IIR_TIMEOUT 0x0c
#define UART_IIR_FIFOS 0xc0

#define UART_FCR_ENABLE 0x01
#define UART_FCR_CLEAR_RX 0x02
#define UART_FCR_TRIGGER 0xc0

#define UART_LCR_DLAB 0x80
#define UART_MCR_LOOP 0x10
#define UART_MCR_BITS 0x1f
#define UART_LSR_DR 0x01
#define UART_LSR_THRE 0x20
#define UART_LSR_TEMT 0x40
#define UART_MSR_DELTAS 0x0f

struct uart16550 {
	void (*tx)(void *owner, uint8_t byte); /* a byte leaves; may call uart_set_tx_ready */
	void *owner;
	uint8_t *page; /* LSR is kept at its offset here, for others to read; or NULL */
	uint8_t ier, fcr, lcr, mcr, msr_deltas, scr, dll, dlm;
	bool tx_ready;	   /* the owner has room in reserve */
	bool thre_pending; /* THRE came up and neither IIR's read nor THR's write answered it */
	bool line;	   /* the interrupt line when uart_settle last looked */
	bool fell;	   /* it has been low since */
	bool rx_seen;	   /* the guest has seen the end of what the receiver last took */
	struct fifo rx;
	uint8_t rx_buf[UART_FIFO];
};

/* What outlives the process. tx_ready is the owner's to say again, and the line rises anew. */
struct uart_image {
	uint8_t ier, fcr, lcr, mcr, msr_deltas, scr, dll, dlm;
	uint8_t thre_pending, rx_seen;
	uint8_t rx_used;
	uint8_t rx[UART_FIFO]; /* oldest first */
};

/* Rows of a schema whose image has a struct uart_image as a member. */
#define UART_STATE(type, u)                                                                       \
	STATE_BITS(type, u.ier, UART_IER_BITS),                                                   \
		STATE_BITS(type, u.fcr, UART_FCR_ENABLE | UART_FCR_TRIGGER),                      \
		STATE_ANY(type, u.lcr), STATE_BITS(type, u.mcr, UART_MCR_BITS),                   \
		STATE_BITS(type, u.msr_deltas, UART_MSR_DELTAS), STATE_ANY(type, u.scr),          \
		STATE_ANY(type, u.dll), STATE_ANY(type, u.dlm), STATE_BOOL(type, u.thre_pending), \
		STATE_BOOL(type, u.rx_seen), STATE_RANGE(type, u.rx_used, 0, UART_FIFO),          \
		STATE_ANYS(type, u.rx)
/* Fields against each other: NULL, or what is wrong. */
[[nodiscard]] const char *uart_image_check(const struct uart_image *image);
void uart_save(const struct uart16550 *u, struct uart_image *ret);
/* The image is legal. */
void uart_load(struct uart16550 *u, const struct uart_image *image);

/* page is at least UART_REGS bytes, or NULL. As after uart_reset, with tx_ready. */
void uart_init(struct uart16550 *u, uint8_t *page, void (*tx)(void *owner, uint8_t byte),
	       void *owner);
/* To the state of power-on; bytes in the receiver are gone. */
void uart_reset(struct uart16550 *u);

/*
 * The guest's accesses. Any other width than 1, and offsets from UART_REGS on, float: all ones of
 * that width (1, 2, 4 or 8 bytes), and nothing.
 */
[[nodiscard]] uint64_t uart_read(struct uart16550 *u, uint64_t offset, unsigned int width);
void uart_write(struct uart16550 *u, uint64_t offset, unsigned int width, uint64_t value);

/* Whether the owner has so much room that a guest that honours THRE cannot overrun it. */
void uart_set_tx_ready(struct uart16550 *u, bool ready);
/* How many bytes the receiver holds: UART_FIFO, or 1 with the FIFOs off. */
[[nodiscard]] size_t uart_rx_capacity(const struct uart16550 *u);
/* How many bytes the receiver takes now; 0 in loopback. */
[[nodiscard]] size_t uart_rx_space(const struct uart16550 *u);
/*
 * Whether more input may come without keeping the guest in its handler for ever: there is room, and
 * either no interrupt tells of input, so that the guest polls, or IIR has said that there is no cause
 * since the receiver last took bytes. For a guest that does not ask IIR the owner calls uart_rx_tick
 * after a while.
 */
[[nodiscard]] bool uart_rx_due(const struct uart16550 *u);
/* Time has passed: that the receiver is empty counts as seen. */
void uart_rx_tick(struct uart16550 *u);
/* Takes at most uart_rx_space bytes and returns how many. */
[[nodiscard]] size_t uart_rx(struct uart16550 *u, const uint8_t *data, size_t len);
/*
 * After a run of the calls above: whether the line has gone from low to high since the last time,
 * so that one edge is to be signalled. The page is up to date before this returns.
 */
[[nodiscard]] bool uart_settle(struct uart16550 *u);

#endif
