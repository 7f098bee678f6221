/* SPDX-License-Identifier: Apache-2.0 */
/* The 16550A; see uart16550.h. Section numbers are of the PC16550D data sheet. */
#include "cmd/dev-console/uart16550.h"

#include "lib/base/cleanup.h"

#define MSR_CTS 0x10
#define MSR_DSR 0x20
#define MSR_RI 0x40
#define MSR_DCD 0x80
#define MCR_DTR 0x01
#define MCR_RTS 0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08

static bool fifos_on(const struct uart16550 *u)
{
	return u->fcr & UART_FCR_ENABLE;
}

static bool looping(const struct uart16550 *u)
{
	return u->mcr & UART_MCR_LOOP;
}

size_t uart_rx_capacity(const struct uart16550 *u)
{
	return fifos_on(u) ? UART_FIFO : 1;
}

/* 8.4, bits 6 and 7 of FCR */
static size_t rx_trigger(const struct uart16550 *u)
{
	static const uint8_t levels[] = { 1, 4, 8, 14 };

	return fifos_on(u) ? levels[u->fcr >> 6] : 1;
}

static bool thre(const struct uart16550 *u)
{
	return looping(u) || u->tx_ready;
}

static uint8_t lsr(const struct uart16550 *u)
{
	return (uint8_t)((fifo_used(&u->rx) ? UART_LSR_DR : 0) |
			 (thre(u) ? UART_LSR_THRE | UART_LSR_TEMT : 0));
}

static void publish(struct uart16550 *u)
{
	if (u->page)
		__atomic_store_n(&u->page[UART_LSR], lsr(u), __ATOMIC_RELEASE);
}

/* 8.5, table IV: the highest of the pending and enabled sources */
static uint8_t source(const struct uart16550 *u)
{
	size_t used = fifo_used(&u->rx);

	if ((u->ier & UART_IER_ERBFI) && used)
		return used >= rx_trigger(u) ? UART_IIR_RDA : UART_IIR_TIMEOUT;
	if ((u->ier & UART_IER_ETBEI) && u->thre_pending)
		return UART_IIR_THRE;
	if ((u->ier & UART_IER_EDSSI) && u->msr_deltas)
		return UART_IIR_MSR;
	return UART_IIR_NONE;
}

/* After every change: others see LSR, and the line's falls are remembered. */
static void changed(struct uart16550 *u)
{
	if (source(u) == UART_IIR_NONE)
		u->fell = true;
	publish(u);
}

/* 8.7 and its loopback: the four modem inputs, as MSR's upper half */
static uint8_t modem_lines(const struct uart16550 *u)
{
	if (!looping(u))
		return MSR_DCD | MSR_DSR | MSR_CTS;
	return (uint8_t)((u->mcr & MCR_RTS ? MSR_CTS : 0) | (u->mcr & MCR_DTR ? MSR_DSR : 0) |
			 (u->mcr & MCR_OUT1 ? MSR_RI : 0) | (u->mcr & MCR_OUT2 ? MSR_DCD : 0));
}

/* ---- reads ---- */

static uint8_t read_rbr(struct uart16550 *u)
{
	uint8_t byte = 0;

	(void)!fifo_get(&u->rx, &byte, 1);
	return byte;
}

static uint8_t read_ier(struct uart16550 *u)
{
	return u->ier;
}

static uint8_t read_iir(struct uart16550 *u)
{
	uint8_t id = source(u);

	if (id == UART_IIR_THRE)
		u->thre_pending = false;
	if (id == UART_IIR_NONE) /* with another cause the handler comes round once more */
		uart_rx_tick(u);
	return (uint8_t)(id | (fifos_on(u) ? UART_IIR_FIFOS : 0));
}

static uint8_t read_lcr(struct uart16550 *u)
{
	return u->lcr;
}

static uint8_t read_mcr(struct uart16550 *u)
{
	return u->mcr;
}

static uint8_t read_lsr(struct uart16550 *u)
{
	return lsr(u);
}

static uint8_t read_msr(struct uart16550 *u)
{
	uint8_t v = (uint8_t)(modem_lines(u) | u->msr_deltas);

	u->msr_deltas = 0;
	return v;
}

static uint8_t read_scr(struct uart16550 *u)
{
	return u->scr;
}

static uint8_t read_dll(struct uart16550 *u)
{
	return u->dll;
}

static uint8_t read_dlm(struct uart16550 *u)
{
	return u->dlm;
}

/* ---- writes ---- */

static void write_thr(struct uart16550 *u, uint8_t v)
{
	u->thre_pending = false;
	changed(u); /* the line may fall here and rise below: two edges on the pin */
	if (!looping(u))
		u->tx(u->owner, v);
	else if (fifo_used(&u->rx) < uart_rx_capacity(u))
		(void)!fifo_put(&u->rx, &v, 1);
	u->thre_pending = thre(u);
}

/* Enabling the interrupt while THRE is up raises it at once. */
static void write_ier(struct uart16550 *u, uint8_t v)
{
	v &= UART_IER_BITS;
	if ((v & ~u->ier & UART_IER_ETBEI) && thre(u))
		u->thre_pending = true;
	u->ier = v;
}

/* What there was to transmit has left already, so that clearing the transmitter does nothing. */
static void write_fcr(struct uart16550 *u, uint8_t v)
{
	bool toggled = (v ^ u->fcr) & UART_FCR_ENABLE;

	if (toggled || (v & UART_FCR_CLEAR_RX && v & UART_FCR_ENABLE))
		fifo_clear(&u->rx);
	u->fcr = v & UART_FCR_ENABLE ? v & (UART_FCR_ENABLE | UART_FCR_TRIGGER) : 0;
}

static void write_lcr(struct uart16550 *u, uint8_t v)
{
	u->lcr = v;
}

static void write_mcr(struct uart16550 *u, uint8_t v)
{
	uint8_t before = modem_lines(u);
	bool was_thre = thre(u);
	uint8_t flipped;

	u->mcr = v & UART_MCR_BITS;
	flipped = before ^ modem_lines(u);
	if (before & flipped & MSR_RI)
		u->msr_deltas |= MSR_RI >> 4; /* the trailing edge only */
	u->msr_deltas |= (flipped & (MSR_CTS | MSR_DSR | MSR_DCD)) >> 4;
	if (!was_thre && thre(u))
		u->thre_pending = true;
}

static void write_scr(struct uart16550 *u, uint8_t v)
{
	u->scr = v;
}

static void write_dll(struct uart16550 *u, uint8_t v)
{
	u->dll = v;
}

static void write_dlm(struct uart16550 *u, uint8_t v)
{
	u->dlm = v;
}

static void write_nothing(struct uart16550 *u, uint8_t v)
{
	(void)u, (void)v;
}

/* ---- the dispatcher ---- */

struct uart_register {
	uint8_t (*read)(struct uart16550 *u);
	void (*write)(struct uart16550 *u, uint8_t v);
};

/* [DLAB][offset], accesses of one byte */
static const struct uart_register registers[2][UART_REGS] = {
	{
		[UART_RBR] = { read_rbr, write_thr },
		[UART_IER] = { read_ier, write_ier },
		[UART_IIR] = { read_iir, write_fcr },
		[UART_LCR] = { read_lcr, write_lcr },
		[UART_MCR] = { read_mcr, write_mcr },
		[UART_LSR] = { read_lsr, write_nothing },
		[UART_MSR] = { read_msr, write_nothing },
		[UART_SCR] = { read_scr, write_scr },
	},
	{
		[UART_DLL] = { read_dll, write_dll },
		[UART_DLM] = { read_dlm, write_dlm },
		[UART_IIR] = { read_iir, write_fcr },
		[UART_LCR] = { read_lcr, write_lcr },
		[UART_MCR] = { read_mcr, write_mcr },
		[UART_LSR] = { read_lsr, write_nothing },
		[UART_MSR] = { read_msr, write_nothing },
		[UART_SCR] = { read_scr, write_scr },
	},
};

static const struct uart_register *decode(const struct uart16550 *u, uint64_t offset,
					  unsigned int width)
{
	if (width != 1 || offset >= UART_REGS)
		return NULL;
	return &registers[u->lcr & UART_LCR_DLAB ? 1 : 0][offset];
}

uint64_t uart_read(struct uart16550 *u, uint64_t offset, unsigned int width)
{
	const struct uart_register *reg = decode(u, offset, width);
	uint8_t v;

	if (!reg)
		return width >= 8 ? ~0ULL : (1ULL << (8 * width)) - 1;
	v = reg->read(u);
	changed(u);
	return v;
}

void uart_write(struct uart16550 *u, uint64_t offset, unsigned int width, uint64_t value)
{
	const struct uart_register *reg = decode(u, offset, width);

	if (!reg)
		return;
	reg->write(u, (uint8_t)value);
	changed(u);
}

/* ---- the owner's side ---- */

void uart_set_tx_ready(struct uart16550 *u, bool ready)
{
	bool was_thre = thre(u);

	u->tx_ready = ready;
	if (!was_thre && thre(u))
		u->thre_pending = true;
	changed(u);
}

size_t uart_rx_space(const struct uart16550 *u)
{
	size_t used = fifo_used(&u->rx);

	if (looping(u) || used >= uart_rx_capacity(u))
		return 0;
	return uart_rx_capacity(u) - used;
}

bool uart_rx_due(const struct uart16550 *u)
{
	if (!uart_rx_space(u))
		return false;
	return !(u->ier & UART_IER_ERBFI) || u->rx_seen;
}

void uart_rx_tick(struct uart16550 *u)
{
	if (!fifo_used(&u->rx))
		u->rx_seen = true;
}

size_t uart_rx(struct uart16550 *u, const uint8_t *data, size_t len)
{
	size_t space = uart_rx_space(u);
	size_t n = fifo_put(&u->rx, data, len < space ? len : space);

	u->rx_seen &= n == 0;
	changed(u);
	return n;
}

bool uart_settle(struct uart16550 *u)
{
	bool high = source(u) != UART_IIR_NONE;
	bool edge = high && (!u->line || u->fell);

	u->line = high;
	u->fell = !high;
	return edge;
}

void uart_reset(struct uart16550 *u)
{
	u->ier = u->fcr = u->lcr = u->mcr = u->msr_deltas = u->scr = u->dll = u->dlm = 0;
	u->thre_pending = false;
	u->rx_seen = true;
	fifo_clear(&u->rx);
	changed(u);
}

const char *uart_image_check(const struct uart_image *image)
{
	const struct uart16550 u = { .fcr = image->fcr };

	if (image->fcr && !fifos_on(&u))
		return "uart.fcr has a trigger level without FIFOs";
	if (image->rx_used > uart_rx_capacity(&u))
		return "uart.rx_used is more than the receiver holds";
	return NULL;
}

void uart_save(const struct uart16550 *u, struct uart_image *ret)
{
	struct fifo rx = u->rx;

	*ret = (struct uart_image){ .ier = u->ier,
				    .fcr = u->fcr,
				    .lcr = u->lcr,
				    .mcr = u->mcr,
				    .msr_deltas = u->msr_deltas,
				    .scr = u->scr,
				    .dll = u->dll,
				    .dlm = u->dlm,
				    .thre_pending = u->thre_pending,
				    .rx_seen = u->rx_seen,
				    .rx_used = (uint8_t)fifo_used(&u->rx) };
	(void)!fifo_get(&rx, ret->rx, sizeof(ret->rx));
}

/* That the line rises anew costs at most an interrupt without a cause; one too few could hang. */
void uart_load(struct uart16550 *u, const struct uart_image *image)
{
	u->ier = image->ier;
	u->fcr = image->fcr;
	u->lcr = image->lcr;
	u->mcr = image->mcr;
	u->msr_deltas = image->msr_deltas;
	u->scr = image->scr;
	u->dll = image->dll;
	u->dlm = image->dlm;
	u->thre_pending = image->thre_pending;
	u->rx_seen = image->rx_seen;
	fifo_clear(&u->rx);
	(void)!fifo_put(&u->rx, image->rx, image->rx_used);
	u->line = false;
	changed(u);
}

void uart_init(struct uart16550 *u, uint8_t *page, void (*tx)(void *owner, uint8_t byte),
	       void *owner)
{
	*u = (struct uart16550){ .tx = tx, .owner = owner, .page = page, .tx_ready = true };
	fifo_init(&u->rx, u->rx_buf, sizeof(u->rx_buf));
	uart_reset(u);
	u->line = false;
}
