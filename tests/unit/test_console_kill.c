/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A console that may be killed behind any instruction. It runs in a child, one instruction at a time;
 * behind each, what a successor would make of the page is held against what its peers have seen: how
 * many bytes the terminal got and gave, and how far the guest's accesses, or its rings, came. So no
 * instant is left at which a byte would be lost or come twice.
 */
#include "tests/unit/unit.h"

#include "cmd/dev-console/console.h"
#include "tests/unit/testdev.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#define N 8
#define OUT_OFFSET offsetof(struct console_page, stream.out)
#define LOOK_AT (OUT_OFFSET + 16384) /* bytes of the page that a test can change */

static const char *why;

static struct console_page *new_page(void)
{
	void *p = mmap(NULL, sizeof(struct console_page), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

static size_t queued(int fd)
{
	int n = 0;

	assert_int_equal(ioctl(fd, FIONREAD, &n), 0);
	return (size_t)n;
}

/* What a successor starts with; nobody knows its page yet. False: nothing was kept so far. */
static bool succeed(const struct console_page *page, struct stream *stream,
		    struct console_image *image)
{
	static struct console_page copy;
	static char text[STATE_WHY_MAX];
	int r;

	memcpy(&copy, page, LOOK_AT);
	r = console_page_load(&copy, image, text);
	why = text;
	if (r == 0)
		return false;
	stream_init(stream, &copy.stream, NULL, 1, NULL, NULL);
	if (r > 0)
		r = stream_resume(stream, image->out_tail, image->in_head, image->peer, &why);
	if (r < 0)
		fail_msg("%s", why);
	return true;
}

/* Runs `act` in a child, and `check` behind each of its instructions. Returns how many there were. */
static unsigned int walk(void (*act)(void), void (*check)(void))
{
	unsigned int steps = 0;
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 || raise(SIGSTOP) != 0)
			_exit(3);
		act();
		_exit(0);
	}
	for (;;) {
		assert_int_equal(waitpid(child, &status, 0), child);
		if (!WIFSTOPPED(status))
			break;
		check();
		steps++;
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	check();
	return steps;
}

/* ---- the 16550: accesses that were sent beforehand ---- */

#define N_ACCESSES 24
#define N_TYPED 40

static struct bench {
	struct console console;
	struct console_page *page;
	struct loop loop;
	int vmm, terminal, input; /* our ends, and the console's own for what it has left */
	size_t n_accesses;
	bool is_put[N_ACCESSES + 1], is_get[N_ACCESSES + 1]; /* by id, from 1 on */
	size_t first_reply;
	uint8_t typed[N_TYPED];
	size_t n_seen; /* different states */
	uint64_t last_seen;
} b;

static void send_access(uint8_t reg, int value, bool posted)
{
	struct vfu_msg m = { .id = (uint16_t)++b.n_accesses,
			     .command = value < 0 ? VFIO_USER_REGION_READ : VFIO_USER_REGION_WRITE,
			     .no_reply = posted,
			     .access = { .offset = reg, .count = 1, .data = { (uint8_t)value } } };

	assert_int_equal(vfu_send(b.vmm, &m, NULL, 0), 0);
	b.is_put[m.id] = reg == UART_THR && value >= 0;
	b.is_get[m.id] = reg == UART_RBR && value < 0;
}

static uint8_t out_byte(size_t n)
{
	return (uint8_t)(n * 37 + 5);
}

static void prepare_uart_bench(void)
{
	struct vfu_msg version = { .id = 0,
				   .command = VFIO_USER_VERSION,
				   .version = { .minor = 1 } };
	int vfu[2], vhost[2], terminal[2];
	const char *what, *told = NULL;
	size_t n_put = 0;

	memset(&b, 0, sizeof(b));
	b.page = new_page();
	make_pair(SOCK_STREAM, vfu);
	make_pair(SOCK_STREAM, vhost);
	make_pair(SOCK_STREAM, terminal);
	assert_int_equal(loop_open(&b.loop), 0);
	assert_int_equal(console_prepare(&b.console, &b.loop, CONSOLE_INPUT_SERIAL, b.page, 9,
					 vfu[1], vhost[1], &what, &told),
			 0);
	b.vmm = vfu[0];
	b.terminal = terminal[0];
	b.input = terminal[1];
	for (size_t i = 0; i < N_TYPED; i++)
		b.typed[i] = (uint8_t)(i + 100);
	assert_int_equal(vfu_send(b.vmm, &version, NULL, 0), 0);
	send_access(UART_FCR, UART_FCR_ENABLE, false);
	send_access(UART_SCR, 0x77, false);
	assert_int_equal(write(b.terminal, b.typed, N_TYPED / 2), N_TYPED / 2);
	assert_int_equal(vfu_server_pass(&b.console.vfu), 1);
	assert_int_equal(console_attach(&b.console, dup(b.input)), 0);
	assert_int_equal(write(b.terminal, b.typed + N_TYPED / 2, N_TYPED / 2), N_TYPED / 2);
	for (int i = 0; i < 5; i++)
		send_access(UART_THR, out_byte(n_put++), true);
	for (int i = 0; i < 4; i++)
		send_access(UART_RBR, -1, false);
	for (int i = 0; i < 3; i++)
		send_access(UART_THR, out_byte(n_put++), i & 1);
	send_access(UART_SCR, -1, false);
}

static void act_uart(void)
{
	while (vfu_server_pass(&b.console.vfu) > 0)
		;
	if (b.console.vfu.why)
		_exit(2);
}

static size_t count_to(const bool *which, unsigned int id)
{
	size_t n = 0;

	for (unsigned int i = 1; i <= id; i++)
		n += which[i];
	return n;
}

static void check_uart(void)
{
	static struct stream s;
	struct console_image image;
	uint8_t got[N_TYPED + UART_FIFO];
	size_t n_put, n_got, in_uart, left = queued(b.input);
	unsigned int done;

	assert_true(succeed(b.page, &s, &image));
	done = image.done & 0xffff;
	n_put = count_to(b.is_put, done);
	n_got = count_to(b.is_get, done);
	/* output: all that was accepted, what the terminal has seen taken off */
	assert_int_equal(s.out_tail, n_put);
	assert_int_equal(s.out_tail - fifo_used(&s.out), queued(b.terminal));
	for (size_t i = 0; i < fifo_used(&s.out); i++)
		assert_int_equal(s.out.data[s.out.head + i], out_byte(s.out.head + i));
	/* input: what is in the receiver and behind it goes on where the guest has read to */
	in_uart = image.uart.rx_used;
	memcpy(got, image.uart.rx, in_uart);
	in_uart += stream_peek(&s, got + in_uart, N_TYPED);
	assert_int_equal(s.in_head + fifo_used(&s.in), N_TYPED - left);
	assert_int_equal(n_got + in_uart, N_TYPED - left);
	assert_memory_equal(got, b.typed + n_got, in_uart);
	assert_int_equal(image.uart.scr, 0x77);
	b.n_seen += b.last_seen != (image.done ^ s.in_head << 32);
	b.last_seen = image.done ^ s.in_head << 32;
}

static void test_uart_killed_behind_any_instruction(void **state)
{
	(void)state;
	prepare_uart_bench();
	print_message("%u instructions\n", walk(act_uart, check_uart));
	assert_true(b.n_seen > 12);
	assert_int_equal(queued(b.terminal), 8);
	assert_int_equal(queued(b.input), 0);
	munmap(b.page, sizeof(*b.page));
}

/* ---- virtio-console: chains that were made available beforehand ---- */

static const uint32_t lens[] = { 5, 5000, 1 };

static struct vbench {
	struct testdev dev;
	struct stream stream;
	struct virtio_console virtio;
	struct vu_device vu;
	struct console_page *page;
	unsigned int queue;
	int terminal, ours;
	size_t n_typed;
} v;

static void nothing(void *owner)
{
	(void)owner;
}

static void keep_virtio(void *owner)
{
	const struct console_image image = { .virtio = v.virtio.half,
					     .out_tail = v.stream.out_tail,
					     .in_head = v.stream.in_head };

	(void)owner;
	console_page_keep(v.page, &image);
}

static void open_virtio(unsigned int queue)
{
	int pair[2], sock = testdev_open(&v.dev, N);

	v.queue = queue;
	v.page = new_page();
	console_page_begin(v.page);
	make_pair(SOCK_STREAM, pair);
	v.terminal = pair[0];
	v.ours = pair[1];
	stream_init(&v.stream, &v.page->stream, &v.dev.loop, 1, nothing, NULL);
	virtio_console_init(&v.virtio, &v.stream, true, nothing, keep_virtio, NULL);
	assert_int_equal(vu_device_open(&v.vu, &virtio_console_spec, &virtio_console_ops, &v.virtio,
					&v.dev.loop, sock),
			 0);
	for (uint16_t i = 0; i < ARRAY_SIZE(lens); i++) {
		bool in = queue == VIRTIO_CONSOLE_RECEIVEQ;

		testring_desc(&v.dev.ring, i, TR_DATA + i * 0x4000U, lens[i], in ? D_WRITE : 0, 0);
		testring_avail(&v.dev.ring, i);
	}
	testdev_start(&v.dev, &v.vu, queue);
}

static void close_virtio(void)
{
	vu_device_close(&v.vu);
	stream_close(&v.stream);
	testdev_close(&v.dev);
	closep(&v.terminal);
	closep(&v.ours);
	munmap(v.page, sizeof(*v.page));
}

static void act_transmit(void)
{
	dev_queue_run(v.dev.q);
}

/* As begin_transmit of the successor, which gets the chains that are not in the used ring. */
static void check_transmit(void)
{
	static struct stream s;
	struct console_image image;
	uint16_t used = testdev_used(&v.dev);
	uint64_t behind = 0;

	if (!succeed(v.page, &s, &image)) {
		assert_int_equal(used, 0);
		return;
	}
	for (uint16_t i = 0; i < used; i++)
		behind += lens[i];
	if (image.virtio.sending && image.virtio.tx_head == used && image.virtio.tx_used == used)
		behind += image.virtio.sent;
	assert_int_equal(s.out_tail, behind);
}

static void test_transmit_killed_behind_any_instruction(void **state)
{
	(void)state;
	open_virtio(VIRTIO_CONSOLE_TRANSMITQ);
	print_message("%u instructions\n", walk(act_transmit, check_transmit));
	assert_int_equal(testdev_used(&v.dev), ARRAY_SIZE(lens));
	close_virtio();
}

static void act_receive(void)
{
	stream_receive(&v.stream);
	dev_queue_run(v.dev.q);
}

static void check_receive(void)
{
	static struct stream s;
	struct console_image image;
	uint16_t used = testdev_used(&v.dev);
	uint64_t given = 0;

	if (!succeed(v.page, &s, &image)) {
		assert_int_equal(used, 0);
		return;
	}
	for (uint16_t i = 0; i < used; i++)
		given += testdev_used_len(&v.dev, i);
	if (image.virtio.giving && image.virtio.rx_used != used)
		stream_skip(&s, image.virtio.given);
	assert_int_equal(s.in_head, given);
	assert_int_equal(s.in_head + fifo_used(&s.in), v.n_typed - queued(v.ours));
}

static void test_receive_killed_behind_any_instruction(void **state)
{
	static const uint8_t typed[2000] = { 1, 2, 3 };

	(void)state;
	open_virtio(VIRTIO_CONSOLE_RECEIVEQ);
	assert_int_equal(stream_attach(&v.stream, dup(v.ours)), 0);
	v.n_typed = sizeof(typed);
	assert_int_equal(write(v.terminal, typed, sizeof(typed)), sizeof(typed));
	print_message("%u instructions\n", walk(act_receive, check_receive));
	assert_int_equal(testdev_used(&v.dev), 2);
	close_virtio();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uart_killed_behind_any_instruction),
		cmocka_unit_test(test_transmit_killed_behind_any_instruction),
		cmocka_unit_test(test_receive_killed_behind_any_instruction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
