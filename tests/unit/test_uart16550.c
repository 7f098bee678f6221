/* SPDX-License-Identifier: Apache-2.0 */
/* The 16550A register by register: widths, values, interrupts, loopback, and both directions full. */
#include "cmd/dev-console/uart16550.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SENT_MAX 1024

struct bench {
	struct uart16550 uart;
	uint8_t page[UART_REGS];
	uint8_t sent[SENT_MAX];
	size_t n_sent;
};

static void on_tx(void *owner, uint8_t byte)
{
	struct bench *b = owner;

	assert_true(b->n_sent < SENT_MAX);
	b->sent[b->n_sent++] = byte;
}

static void setup(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	uart_init(&b->uart, b->page, on_tx, b);
}

static uint8_t get(struct bench *b, unsigned int reg)
{
	return (uint8_t)uart_read(&b->uart, reg, 1);
}

static void set(struct bench *b, unsigned int reg, uint8_t v)
{
	uart_write(&b->uart, reg, 1, v);
	assert_int_equal(b->page[UART_LSR], get(b, UART_LSR));
}

static void receive(struct bench *b, size_t n)
{
	static const uint8_t bytes[UART_FIFO] = "0123456789abcdef";

	assert_int_equal(uart_rx(&b->uart, bytes, n), n);
	assert_int_equal(b->page[UART_LSR] & UART_LSR_DR, UART_LSR_DR);
}

static void test_power_on(void **state)
{
	struct bench b;

	(void)state;
	setup(&b);
	assert_int_equal(get(&b, UART_RBR), 0);
	assert_int_equal(get(&b, UART_IER), 0);
	assert_int_equal(get(&b, UART_IIR), UART_IIR_NONE);
	assert_int_equal(get(&b, UART_LCR), 0);
	assert_int_equal(get(&b, UART_MCR), 0);
	assert_int_equal(get(&b, UART_LSR), 0x60);
	assert_int_equal(get(&b, UART_MSR), 0xb0);
	assert_int_equal(get(&b, UART_SCR), 0);
	assert_false(uart_settle(&b.uart));
}

/* What a write of v to a register reads back as, with DLAB as it is; -1: it has another meaning. */
static int expected(unsigned int reg, bool dlab, uint8_t v)
{
	switch (reg) {
	case 0:
		return dlab ? v : -1;
	case 1:
		return dlab ? v : v & 0x0f;
	case UART_IIR:
		return -1;
	case UART_LCR:
	case UART_SCR:
		return v;
	case UART_MCR:
		return v & 0x1f;
	case UART_LSR:
		return 0x60;
	default:
		return 0xb0; /* MSR: read once before, so no deltas */
	}
}

static void test_every_register_and_value(void **state)
{
	struct bench b;

	(void)state;
	for (unsigned int dlab = 0; dlab < 2; dlab++) {
		for (unsigned int reg = 0; reg < UART_REGS; reg++) {
			for (unsigned int v = 0; v < 256; v++) {
				int want = expected(reg, dlab, (uint8_t)v);

				setup(&b);
				set(&b, UART_LCR, dlab ? UART_LCR_DLAB : 0);
				set(&b, reg, (uint8_t)v);
				if (want >= 0)
					assert_int_equal(get(&b, reg), want);
				assert_int_equal(b.n_sent, reg == UART_THR && !dlab);
				if (b.n_sent)
					assert_int_equal(b.sent[0], v);
			}
		}
	}
}

static void test_divisor_is_apart(void **state)
{
	struct bench b;

	(void)state;
	setup(&b);
	set(&b, UART_IER, 0x05);
	set(&b, UART_LCR, UART_LCR_DLAB | 3);
	set(&b, UART_DLL, 0x12);
	set(&b, UART_DLM, 0x34);
	set(&b, UART_LCR, 3);
	assert_int_equal(get(&b, UART_IER), 0x05);
	assert_int_equal(b.n_sent, 0);
	set(&b, UART_LCR, UART_LCR_DLAB);
	assert_int_equal(get(&b, UART_DLL), 0x12);
	assert_int_equal(get(&b, UART_DLM), 0x34);
}

/* Nobody answers to other widths and offsets, and nothing changes. */
static void test_others_float(void **state)
{
	static const unsigned int widths[] = { 1, 2, 4, 8 };
	static const uint64_t offsets[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 255, 4095, ~0ULL };
	struct bench b;

	(void)state;
	for (size_t w = 0; w < 4; w++) {
		for (size_t o = 0; o < sizeof(offsets) / sizeof(offsets[0]); o++) {
			struct uart16550 before;
			uint64_t ones = widths[w] == 8 ? ~0ULL : (1ULL << 8 * widths[w]) - 1;

			if (widths[w] == 1 && offsets[o] < UART_REGS)
				continue;
			setup(&b);
			receive(&b, 1);
			before = b.uart;
			assert_true(uart_read(&b.uart, offsets[o], widths[w]) == ones);
			uart_write(&b.uart, offsets[o], widths[w], 0xa5a5a5a5a5a5a5a5);
			assert_memory_equal(&before, &b.uart, sizeof(before));
			assert_int_equal(b.n_sent, 0);
		}
	}
}

static void test_identification_follows_priority(void **state)
{
	struct bench b;

	(void)state;
	setup(&b);
	set(&b, UART_MCR, 0x02 | UART_MCR_LOOP); /* RTS loops to CTS: delta when undone */
	set(&b, UART_MCR, 0);
	receive(&b, 1);
	set(&b, UART_IER, UART_IER_BITS);
	assert_true(uart_settle(&b.uart));

	assert_int_equal(get(&b, UART_IIR), UART_IIR_RDA);
	assert_int_equal(get(&b, UART_IIR), UART_IIR_RDA); /* reading IIR does not answer it */
	(void)get(&b, UART_RBR);
	assert_int_equal(get(&b, UART_IIR), UART_IIR_THRE);
	assert_int_equal(get(&b, UART_IIR), UART_IIR_MSR); /* reading IIR did answer THRE */
	assert_int_equal(get(&b, UART_IIR), UART_IIR_MSR);
	assert_true(get(&b, UART_MSR) & UART_MSR_DELTAS);
	assert_int_equal(get(&b, UART_IIR), UART_IIR_NONE);
	assert_false(uart_settle(&b.uart));
}

/* Every set of enabled interrupts against every set of pending ones. */
static void test_every_enable_against_every_cause(void **state)
{
	(void)state;
	for (unsigned int ier = 0; ier < 16; ier++) {
		for (unsigned int cause = 0; cause < 8; cause++) {
			struct bench b;
			uint8_t want = UART_IIR_NONE;

			setup(&b);
			uart_set_tx_ready(&b.uart, false);
			if (cause & 1)
				receive(&b, 1);
			if (cause & 2)
				uart_set_tx_ready(&b.uart, true);
			if (cause & 4) {
				set(&b, UART_MCR, UART_MCR_LOOP | 0x01);
				set(&b, UART_MCR, 0);
			}
			set(&b, UART_IER, (uint8_t)ier);
			if ((ier & 8) && (cause & 4))
				want = UART_IIR_MSR;
			/* leaving loopback with no room: THRE was up while looping */
			if ((ier & 2) && (cause & 6))
				want = UART_IIR_THRE;
			if ((ier & 1) && (cause & 1))
				want = UART_IIR_RDA;
			assert_int_equal(uart_settle(&b.uart), want != UART_IIR_NONE);
			assert_int_equal(get(&b, UART_IIR), want);
		}
	}
}

static void test_trigger_levels(void **state)
{
	static const size_t levels[] = { 1, 4, 8, 14 };

	(void)state;
	for (unsigned int t = 0; t < 4; t++) {
		for (size_t n = 1; n <= UART_FIFO; n++) {
			struct bench b;

			setup(&b);
			set(&b, UART_FCR, (uint8_t)(t << 6 | UART_FCR_ENABLE));
			set(&b, UART_IER, UART_IER_ERBFI);
			assert_int_equal(get(&b, UART_IIR), UART_IIR_NONE | UART_IIR_FIFOS);
			receive(&b, n);
			assert_int_equal(get(&b, UART_IIR),
					 (n >= levels[t] ? UART_IIR_RDA : UART_IIR_TIMEOUT) |
						 UART_IIR_FIFOS);
			assert_true(uart_settle(&b.uart));
			for (size_t i = 0; i < n; i++)
				(void)get(&b, UART_RBR);
			assert_int_equal(get(&b, UART_IIR), UART_IIR_NONE | UART_IIR_FIFOS);
		}
	}
}

static void test_receiver_is_bounded(void **state)
{
	uint8_t bytes[10 * UART_FIFO];
	struct bench b;

	(void)state;
	for (unsigned int fifos = 0; fifos < 2; fifos++) {
		size_t cap = fifos ? UART_FIFO : 1;
		size_t sizes[] = { cap - 1, cap, cap + 1, 10 * cap };

		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)i;
		for (size_t i = 0; i < 4; i++) {
			size_t want = sizes[i] < cap ? sizes[i] : cap;

			setup(&b);
			set(&b, UART_FCR, (uint8_t)fifos);
			assert_int_equal(uart_rx_space(&b.uart), cap);
			assert_int_equal(uart_rx(&b.uart, bytes, sizes[i]), want);
			assert_int_equal(uart_rx_space(&b.uart), cap - want);
			for (size_t k = 0; k < want; k++)
				assert_int_equal(get(&b, UART_RBR), k);
			assert_int_equal(get(&b, UART_LSR) & UART_LSR_DR, 0);
			assert_int_equal(get(&b, UART_RBR), 0);
		}
	}
}

static void test_fifo_control(void **state)
{
	struct bench b;

	(void)state;
	setup(&b);
	set(&b, UART_FCR, UART_FCR_ENABLE);
	receive(&b, 5);
	set(&b, UART_FCR, UART_FCR_ENABLE); /* no clear asked for */
	assert_true(get(&b, UART_LSR) & UART_LSR_DR);
	set(&b, UART_FCR, UART_FCR_ENABLE | UART_FCR_CLEAR_RX);
	assert_false(get(&b, UART_LSR) & UART_LSR_DR);
	receive(&b, 5);
	set(&b, UART_FCR, 0); /* turning them off clears them */
	assert_false(get(&b, UART_LSR) & UART_LSR_DR);
	assert_int_equal(get(&b, UART_IIR) & UART_IIR_FIFOS, 0);
	/* the bits above are not programmed while bit 0 is off */
	set(&b, UART_FCR, UART_FCR_TRIGGER);
	set(&b, UART_FCR, UART_FCR_ENABLE);
	set(&b, UART_IER, UART_IER_ERBFI);
	receive(&b, 1);
	assert_int_equal(get(&b, UART_IIR), UART_IIR_RDA | UART_IIR_FIFOS);
}

static void test_loopback_data(void **state)
{
	struct bench b;

	(void)state;
	setup(&b);
	set(&b, UART_FCR, UART_FCR_ENABLE);
	set(&b, UART_MCR, UART_MCR_LOOP);
	assert_int_equal(uart_rx_space(&b.uart), 0); /* the outside is cut off */
	assert_int_equal(uart_rx(&b.uart, (const uint8_t *)"x", 1), 0);
	for (unsigned int i = 0; i < 10 * UART_FIFO; i++)
		set(&b, UART_THR, (uint8_t)i);
	assert_int_equal(b.n_sent, 0);
	for (unsigned int i = 0; i < UART_FIFO; i++)
		assert_int_equal(get(&b, UART_RBR), i);
	assert_int_equal(get(&b, UART_LSR), 0x60);
	set(&b, UART_FCR, 0); /* without FIFOs there is room for one */
	for (unsigned int i = 0; i < 10 * UART_FIFO; i++)
		set(&b, UART_THR, (uint8_t)(7 + i));
	assert_int_equal(get(&b, UART_RBR), 7);
	assert_int_equal(get(&b, UART_LSR), 0x60);
	assert_int_equal(get(&b, UART_RBR), 0);
}

static void test_loopback_modem(void **state)
{
	struct bench b;

	(void)state;
	for (unsigned int mcr = 0; mcr < 16; mcr++) {
		uint8_t want = (uint8_t)((mcr & 2 ? 0x10 : 0) | (mcr & 1 ? 0x20 : 0) |
					 (mcr & 4 ? 0x40 : 0) | (mcr & 8 ? 0x80 : 0));
		uint8_t flipped = (0xb0 ^ want) & 0xb0;

		setup(&b);
		set(&b, UART_MCR, (uint8_t)(UART_MCR_LOOP | mcr));
		assert_int_equal(get(&b, UART_MSR), want | flipped >> 4);
		assert_int_equal(get(&b, UART_MSR), want);
		set(&b, UART_MCR, UART_MCR_LOOP);
		/* of RI the trailing edge is told */
		assert_int_equal(get(&b, UART_MSR), want >> 4);
		set(&b, UART_MCR, 0);
		assert_int_equal(get(&b, UART_MSR), 0xb0 | 0x0b);
	}
}

/* Many accesses, one signal; a fall in between is an edge of its own. */
static void test_edges(void **state)
{
	struct bench b;

	(void)state;
	setup(&b);
	set(&b, UART_FCR, UART_FCR_ENABLE);
	set(&b, UART_IER, UART_IER_ERBFI | UART_IER_ETBEI);
	assert_true(uart_settle(&b.uart));
	assert_false(uart_settle(&b.uart)); /* still high: no second edge */
	for (int i = 0; i < 16; i++)
		set(&b, UART_THR, 'x'); /* each lets the line fall and rise */
	assert_true(uart_settle(&b.uart));
	assert_false(uart_settle(&b.uart));
	receive(&b, 2); /* high all the time */
	assert_false(uart_settle(&b.uart));
	(void)get(&b, UART_IIR);
	(void)get(&b, UART_RBR);
	(void)get(&b, UART_RBR);
	assert_int_equal(get(&b, UART_IIR), UART_IIR_THRE | UART_IIR_FIFOS);
	assert_false(uart_settle(&b.uart));
	receive(&b, 1);
	assert_true(uart_settle(&b.uart));
}

/* What a driver's handler does: as long as there is a cause, all of the receiver. Bounded, as Linux is. */
static size_t handle_interrupt(struct bench *b, void (*refill)(struct bench *b))
{
	size_t n = 0;

	for (unsigned int pass = 0; pass < 512; pass++) {
		bool none = get(b, UART_IIR) & UART_IIR_NONE;

		refill(b);
		if (none)
			return n;
		while (b->page[UART_LSR] & UART_LSR_DR) {
			(void)get(b, UART_RBR);
			refill(b);
			n++;
		}
	}
	return SIZE_MAX; /* kept for ever */
}

static void refill_as_due(struct bench *b)
{
	if (uart_rx_due(&b->uart))
		receive(b, uart_rx_space(&b->uart));
}

/* Input without an end: each handler comes to its end, and a new edge calls it again. */
static void test_input_lets_the_handler_go(void **state)
{
	struct bench b;

	(void)state;
	setup(&b);
	set(&b, UART_FCR, UART_FCR_ENABLE);
	set(&b, UART_IER, UART_IER_ERBFI);
	refill_as_due(&b);
	for (int i = 0; i < 1000; i++) {
		assert_true(uart_settle(&b.uart));
		assert_int_equal(handle_interrupt(&b, refill_as_due), UART_FIFO);
	}
}

static void test_when_input_is_due(void **state)
{
	struct bench b;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		setup(&b);
		set(&b, UART_FCR, UART_FCR_ENABLE);
		set(&b, UART_IER, UART_IER_ERBFI);
		assert_true(uart_rx_due(&b.uart)); /* the first comes at once */
		receive(&b, 2);
		assert_false(uart_rx_due(&b.uart));
		(void)get(&b, UART_IIR);
		(void)uart_read(&b.uart, UART_LSR, 1);
		(void)uart_read(&b.uart, UART_RBR, 1);
		uart_rx_tick(&b.uart);
		(void)uart_read(&b.uart, UART_RBR, 1);
		(void)uart_read(&b.uart, UART_LSR, 1); /* most looks at it go to the page */
		assert_false(uart_rx_due(&b.uart));    /* empty, and the handler may come round */
		if (i == 0)
			(void)get(&b, UART_IIR);
		else
			uart_rx_tick(&b.uart);
		assert_true(uart_rx_due(&b.uart));
	}
	/* a guest that polls gets it as there is room */
	set(&b, UART_IER, 0);
	receive(&b, 2);
	assert_true(uart_rx_due(&b.uart));
	receive(&b, UART_FIFO - 2);
	assert_false(uart_rx_due(&b.uart));
	set(&b, UART_MCR, UART_MCR_LOOP);
	assert_false(uart_rx_due(&b.uart));
	uart_reset(&b.uart);
	assert_true(uart_rx_due(&b.uart));
}

/* With another cause the handler comes round once more, so that more input would keep it. */
static void test_another_cause_is_not_the_end(void **state)
{
	struct bench b;

	(void)state;
	setup(&b);
	set(&b, UART_FCR, UART_FCR_ENABLE);
	set(&b, UART_IER, UART_IER_ERBFI | UART_IER_ETBEI);
	receive(&b, 1);
	(void)get(&b, UART_RBR);
	set(&b, UART_THR, 'x');
	assert_false(uart_rx_due(&b.uart));
	assert_int_equal(uart_read(&b.uart, UART_IIR, 1), UART_IIR_THRE | UART_IIR_FIFOS);
	assert_false(uart_rx_due(&b.uart));
	assert_int_equal(uart_read(&b.uart, UART_IIR, 1), UART_IIR_NONE | UART_IIR_FIFOS);
	assert_true(uart_rx_due(&b.uart));
}

static void test_transmitter_follows_room(void **state)
{
	struct bench b;

	(void)state;
	setup(&b);
	set(&b, UART_IER, UART_IER_ETBEI);
	assert_int_equal(get(&b, UART_IIR), UART_IIR_THRE);
	uart_set_tx_ready(&b.uart, false);
	assert_int_equal(b.page[UART_LSR], 0);
	set(&b, UART_THR, 'a'); /* was on its way */
	assert_int_equal(b.n_sent, 1);
	assert_int_equal(get(&b, UART_IIR), UART_IIR_NONE);
	assert_false(uart_settle(&b.uart));
	uart_set_tx_ready(&b.uart, true);
	assert_int_equal(b.page[UART_LSR], 0x60);
	assert_true(uart_settle(&b.uart));
	assert_int_equal(get(&b, UART_IIR), UART_IIR_THRE);
}

static void test_reset(void **state)
{
	struct bench b;

	(void)state;
	setup(&b);
	receive(&b, 1);
	for (unsigned int i = 1; i < UART_REGS; i++)
		set(&b, i, 0xff);
	uart_reset(&b.uart);
	assert_false(uart_settle(&b.uart));
	assert_int_equal(b.page[UART_LSR], 0x60);
	assert_int_equal(get(&b, UART_LCR), 0);
	assert_int_equal(get(&b, UART_IER), 0);
	assert_int_equal(get(&b, UART_IIR), UART_IIR_NONE);
	assert_int_equal(get(&b, UART_MSR), 0xb0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_power_on),
		cmocka_unit_test(test_every_register_and_value),
		cmocka_unit_test(test_divisor_is_apart),
		cmocka_unit_test(test_others_float),
		cmocka_unit_test(test_identification_follows_priority),
		cmocka_unit_test(test_every_enable_against_every_cause),
		cmocka_unit_test(test_trigger_levels),
		cmocka_unit_test(test_receiver_is_bounded),
		cmocka_unit_test(test_fifo_control),
		cmocka_unit_test(test_loopback_data),
		cmocka_unit_test(test_loopback_modem),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_input_lets_the_handler_go),
		cmocka_unit_test(test_when_input_is_due),
		cmocka_unit_test(test_another_cause_is_not_the_end),
		cmocka_unit_test(test_transmitter_follows_room),
		cmocka_unit_test(test_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
