/* SPDX-License-Identifier: Apache-2.0 */
/* The vfio-user server against clients that behave, and against those that do not. */
#include "lib/base/cleanup.h"
#include "lib/devkit/vfu_server.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE 4096

struct bench {
	struct loop loop;
	struct vfu_region regions[2];
	struct vfu_spec spec;
	struct vfu_server server;
	uint8_t *page;
	int client;
	const char *why;
	uint64_t value; /* what reads give and writes leave */
	unsigned int n_reads, n_writes, n_resets, n_settles;
};

static uint64_t on_read(void *owner, uint32_t region, uint64_t offset, unsigned int width)
{
	struct bench *b = owner;

	assert_int_equal(region, 0);
	assert_true(offset + width <= PAGE && (width == 1 || width == 4));
	b->n_reads++;
	return b->value;
}

static void on_write(void *owner, uint32_t region, uint64_t offset, unsigned int width,
		     uint64_t value)
{
	struct bench *b = owner;

	assert_int_equal(region, 0);
	assert_true(offset + width <= PAGE && (width == 1 || width == 4));
	b->n_writes++;
	b->value = value;
}

static void on_reset(void *owner)
{
	((struct bench *)owner)->n_resets++;
}

static void on_settle(void *owner)
{
	((struct bench *)owner)->n_settles++;
}

static const struct vfu_ops ops = { .read = on_read,
				    .write = on_write,
				    .reset = on_reset,
				    .settle = on_settle };

static void setup(struct bench *b)
{
	int socks[2];

	memset(b, 0, sizeof(*b));
	assert_int_equal(loop_open(&b->loop), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks), 0);
	b->client = socks[0];
	assert_int_equal(vfu_page_create("test", PAGE, &b->regions[0].page_fd, &b->page), 0);
	b->regions[0].size = PAGE;
	b->regions[0].widths = 1 | 4;
	b->regions[0].n_sparse = 1;
	b->regions[0].sparse[0] = (struct vfu_sparse){ 5, 1 };
	b->regions[1] = (struct vfu_region){ .page_fd = -1 };
	b->spec = (struct vfu_spec){ b->regions, 2, 2 };
	assert_int_equal(vfu_server_open(&b->server, &b->spec, &ops, b, &b->loop, socks[1]), 0);
	b->server.ret_why = &b->why;
}

static void teardown(struct bench *b)
{
	vfu_server_close(&b->server);
	closep(&b->client);
	closep(&b->regions[0].page_fd);
	munmap(b->page, PAGE);
	loop_close(&b->loop);
}

/* Runs the loop until it has nothing to do; its status. */
static int run(struct bench *b)
{
	for (int i = 0; i < 100; i++) {
		int r = loop_run_once(&b->loop, 0);

		if (r < 0)
			return r;
	}
	return 0;
}

static void post(struct bench *b, struct vfu_msg *m, const int *fds, size_t n_fds)
{
	assert_int_equal(vfu_send(b->client, m, fds, n_fds), 0);
}

/* Asks and takes the answer into *m; the descriptors that came, at most one, as *ret_fd. */
static void ask_fd(struct bench *b, struct vfu_msg *m, const int *fds, size_t n_fds, int *ret_fd)
{
	uint16_t id = (uint16_t)(0x1230 + m->command);
	uint16_t command = m->command;
	int got[MSG_MAX_FDS];
	size_t n_got = 0;

	m->id = id;
	post(b, m, fds, n_fds);
	assert_int_equal(run(b), 0);
	assert_int_equal(vfu_recv(b->client, m, got, &n_got), 1);
	assert_true(m->reply);
	assert_int_equal(m->id, id);
	assert_int_equal(m->command, command);
	assert_true(n_got <= 1);
	*ret_fd = n_got ? got[0] : -1;
}

static void ask(struct bench *b, struct vfu_msg *m, const int *fds, size_t n_fds)
{
	int fd;

	ask_fd(b, m, fds, n_fds, &fd);
	assert_int_equal(fd, -1);
}

static void negotiate(struct bench *b)
{
	struct vfu_msg m = { .command = VFIO_USER_VERSION,
			     .version = { .minor = 3, .json = "{\"capabilities\":{}}" } };

	ask(b, &m, NULL, 0);
	assert_false(m.error);
	assert_int_equal(m.version.major, 0);
	assert_int_equal(m.version.minor, 1);
	assert_non_null(strstr(m.version.json, "max_msg_fds"));
}

static void setup_negotiated(struct bench *b)
{
	setup(b);
	negotiate(b);
}

static void test_information(void **state)
{
	struct vfu_msg m = { .command = VFIO_USER_DEVICE_GET_INFO };
	struct bench b;

	(void)state;
	setup_negotiated(&b);
	ask(&b, &m, NULL, 0);
	assert_int_equal(m.device_info.flags, VFIO_DEVICE_FLAGS_RESET);
	assert_int_equal(m.device_info.num_regions, 2);
	assert_int_equal(m.device_info.num_irqs, 2);
	m = (struct vfu_msg){ .command = VFIO_USER_DEVICE_GET_IRQ_INFO, .irq_info.index = 1 };
	ask(&b, &m, NULL, 0);
	assert_int_equal(m.irq_info.flags, VFIO_IRQ_INFO_EVENTFD);
	assert_int_equal(m.irq_info.count, 1);
	m = (struct vfu_msg){ .command = VFIO_USER_DEVICE_GET_IRQ_INFO, .irq_info.index = 2 };
	ask(&b, &m, NULL, 0);
	assert_true(m.error && m.error_no == EINVAL);
	m = (struct vfu_msg){ .command = VFIO_USER_DEVICE_GET_REGION_IO_FDS };
	ask(&b, &m, NULL, 0);
	assert_false(m.error);
	assert_int_equal(m.io_fds.count, 0);
	teardown(&b);
}

static void test_region_and_its_page(void **state)
{
	struct vfu_msg m = { .command = VFIO_USER_DEVICE_GET_REGION_INFO };
	uint8_t *page;
	struct bench b;
	int fd;

	(void)state;
	setup_negotiated(&b);
	ask_fd(&b, &m, NULL, 0, &fd);
	assert_int_equal(m.region_info.size, PAGE);
	assert_int_equal(m.region_info.flags & 7, 7);
	assert_int_equal(m.region_info.n_sparse, 1);
	assert_int_equal(m.region_info.sparse[0].offset, 5);
	assert_int_equal(m.region_info.sparse[0].size, 1);
	b.page[5] = 0x61;
	page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(page != MAP_FAILED);
	assert_int_equal(page[5], 0x61);
	munmap(page, PAGE);
	/* the client can only look */
	assert_true(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	assert_true(ftruncate(fd, 0) < 0);
	assert_true(write(fd, "x", 1) < 0);
	close(fd);

	m = (struct vfu_msg){ .command = VFIO_USER_DEVICE_GET_REGION_INFO,
			      .region_info = { .argsz = 32 } };
	ask_fd(&b, &m, NULL, 0, &fd);
	assert_int_equal(m.region_info.n_sparse, 0);
	assert_int_equal(m.region_info.argsz, 32 + 16 + 16);
	assert_int_equal(fd, -1); /* none goes without the areas */
	m = (struct vfu_msg){ .command = VFIO_USER_DEVICE_GET_REGION_INFO,
			      .region_info = { .argsz = 32 + 16 + 16 - 1 } };
	ask_fd(&b, &m, NULL, 0, &fd);
	assert_int_equal(m.region_info.n_sparse, 0);
	assert_int_equal(fd, -1);
	m = (struct vfu_msg){ .command = VFIO_USER_DEVICE_GET_REGION_INFO,
			      .region_info = { .argsz = 32 + 16 + 16 } };
	ask_fd(&b, &m, NULL, 0, &fd);
	assert_int_equal(m.region_info.n_sparse, 1);
	assert_true(fd >= 0);
	close(fd);
	m = (struct vfu_msg){ .command = VFIO_USER_DEVICE_GET_REGION_INFO, .region_info.index = 1 };
	ask(&b, &m, NULL, 0);
	assert_int_equal(m.region_info.size, 0);
	assert_int_equal(m.region_info.flags, 0);
	m = (struct vfu_msg){ .command = VFIO_USER_DEVICE_GET_REGION_INFO, .region_info.index = 2 };
	ask(&b, &m, NULL, 0);
	assert_true(m.error && m.error_no == EINVAL);
	teardown(&b);
}

static struct vfu_msg access_msg(uint16_t command, uint32_t region, uint64_t offset, uint32_t count)
{
	struct vfu_msg m = { .command = command,
			     .access = { .region = region, .offset = offset, .count = count } };

	memset(m.access.data, 0x5a, sizeof(m.access.data));
	return m;
}

static void test_accesses(void **state)
{
	struct vfu_msg m = access_msg(VFIO_USER_REGION_WRITE, 0, 8, 4);
	struct bench b;

	(void)state;
	setup_negotiated(&b);
	ask(&b, &m, NULL, 0);
	assert_false(m.error);
	assert_int_equal(m.access.count, 4);
	assert_int_equal(b.value, 0x5a5a5a5a);
	b.value = 0x11223344;
	m = access_msg(VFIO_USER_REGION_READ, 0, PAGE - 4, 4);
	ask(&b, &m, NULL, 0);
	assert_memory_equal(m.access.data, "\x44\x33\x22\x11", 4);
	assert_int_equal(b.n_reads, 1);
	/* other widths float */
	for (uint32_t count = 0; count <= VFU_DATA_MAX; count++) {
		if (count == 1 || count == 4)
			continue;
		m = access_msg(VFIO_USER_REGION_READ, 0, 0, count);
		ask(&b, &m, NULL, 0);
		assert_false(m.error);
		for (uint32_t i = 0; i < count; i++)
			assert_int_equal(m.access.data[i], 0xff);
		m = access_msg(VFIO_USER_REGION_WRITE, 0, 0, count);
		ask(&b, &m, NULL, 0);
		assert_false(m.error);
	}
	assert_int_equal(b.n_reads, 1);
	assert_int_equal(b.n_writes, 1);
	teardown(&b);
}

static void test_accesses_outside(void **state)
{
	static const struct {
		uint32_t region;
		uint64_t offset;
		uint32_t count;
	} rows[] = {
		{ 0, PAGE, 1 },
		{ 0, PAGE - 3, 4 },
		{ 0, ~0ULL, 1 },
		{ 0, ~0ULL - 3, 4 },
		{ 0, 1ULL << 63, 4 },
		{ 0, PAGE + 1, 0 },
		{ 1, 0, 1 },
		{ 1, 0, 4 },
		{ 2, 0, 1 },
		{ ~0U, 0, 4 },
		{ 0, PAGE - 255, 256 },
	};
	struct bench b;

	(void)state;
	setup_negotiated(&b);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (uint16_t command = VFIO_USER_REGION_READ; command <= VFIO_USER_REGION_WRITE;
		     command++) {
			struct vfu_msg m =
				access_msg(command, rows[i].region, rows[i].offset, rows[i].count);

			ask(&b, &m, NULL, 0);
			assert_true(m.error && m.error_no == EINVAL);
		}
	}
	assert_int_equal(b.n_reads + b.n_writes, 0);
	teardown(&b);
}

static void test_posted_writes_settle_once(void **state)
{
	struct bench b;

	(void)state;
	setup_negotiated(&b);
	b.n_settles = 0;
	for (int i = 0; i < 50; i++) {
		struct vfu_msg m = access_msg(VFIO_USER_REGION_WRITE, 0, 0, 1);

		m.no_reply = true;
		post(&b, &m, NULL, 0);
	}
	assert_int_equal(run(&b), 0);
	assert_int_equal(b.n_writes, 50);
	assert_int_equal(b.n_settles, 1);
	assert_true(recv(b.client, &(char){ 0 }, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
	teardown(&b);
}

static void test_interrupts(void **state)
{
	struct vfu_msg m = { .command = VFIO_USER_DEVICE_SET_IRQS,
			     .set_irqs = { .flags = VFIO_IRQ_SET_DATA_EVENTFD |
						    VFIO_IRQ_SET_ACTION_TRIGGER,
					   .index = 1,
					   .count = 1 } };
	int fd = eventfd(0, EFD_CLOEXEC);
	uint64_t n = 0;
	struct bench b;

	(void)state;
	setup_negotiated(&b);
	vfu_server_irq(&b.server, 1); /* nobody there yet */
	ask(&b, &m, &fd, 1);
	assert_false(m.error);
	vfu_server_irq(&b.server, 1);
	vfu_server_irq(&b.server, 0);
	vfu_server_irq(&b.server, 77);
	assert_int_equal(read(fd, &n, sizeof(n)), sizeof(n));
	assert_int_equal(n, 1);
	/* a counter that is full must not stop the server */
	n = ~0ULL - 1;
	assert_int_equal(write(fd, &n, sizeof(n)), sizeof(n));
	vfu_server_irq(&b.server, 1);
	m = (struct vfu_msg){ .command = VFIO_USER_DEVICE_SET_IRQS,
			      .set_irqs = { .flags = VFIO_IRQ_SET_DATA_NONE |
						     VFIO_IRQ_SET_ACTION_TRIGGER,
					    .index = 1 } };
	ask(&b, &m, NULL, 0);
	assert_false(m.error);
	assert_int_equal(b.server.irq_fd[1], -1);
	teardown(&b);
	close(fd);
}

static void test_interrupts_refused(void **state)
{
	const uint32_t good = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	const struct {
		uint32_t flags, index, start, count;
		size_t n_fds;
	} rows[] = {
		{ good, 2, 0, 1, 1 },
		{ good, ~0U, 0, 1, 1 },
		{ good, 0, 1, 1, 1 },
		{ good, 0, ~0U, 1, 1 },
		{ good, 0, 0, 2, 1 },
		{ good, 0, 0, 0, 1 },
		{ good, 0, 0, ~0U, 1 },
		{ good, 0, 0, 1, 0 },
		{ VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_MASK, 0, 0, 1, 1 },
		{ VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0, 1, 0 },
		{ VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0, 1, 0 },
		{ VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0, 0, 1 },
		{ ~0U, 0, 0, 1, 1 },
		{ 0, 0, 0, 0, 0 },
	};
	int fd = eventfd(0, EFD_CLOEXEC);
	struct bench b;

	(void)state;
	setup_negotiated(&b);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vfu_msg m = { .command = VFIO_USER_DEVICE_SET_IRQS,
				     .set_irqs = { rows[i].flags, rows[i].index, rows[i].start,
						   rows[i].count } };

		ask(&b, &m, &fd, rows[i].n_fds);
		assert_true(m.error && m.error_no == EINVAL);
		assert_int_equal(b.server.irq_fd[0], -1);
	}
	teardown(&b);
	close(fd);
}

static void test_reset_and_maps(void **state)
{
	struct vfu_msg m = { .command = VFIO_USER_DEVICE_RESET };
	int fd = memfd_create("ram", MFD_CLOEXEC);
	struct bench b;

	(void)state;
	setup_negotiated(&b);
	ask(&b, &m, NULL, 0);
	assert_false(m.error);
	assert_int_equal(b.n_resets, 1);
	m = (struct vfu_msg){ .command = VFIO_USER_DMA_MAP, .dma = { .flags = 3, .size = PAGE } };
	ask(&b, &m, &fd, 1);
	assert_false(m.error);
	assert_int_equal(b.server.n_fds, 0);
	m = (struct vfu_msg){ .command = VFIO_USER_DMA_UNMAP, .dma = { .size = PAGE } };
	ask(&b, &m, NULL, 0);
	assert_false(m.error);
	teardown(&b);
	close(fd);
}

static void expect_end(struct bench *b)
{
	assert_int_equal(run(b), -EBADMSG);
	assert_non_null(b->why);
	assert_int_equal(b->server.channel.fd, -1);
	teardown(b);
}

/* Each command but VERSION before VERSION, and VERSION twice. */
static void test_order(void **state)
{
	(void)state;
	for (uint16_t command = VFIO_USER_DMA_MAP; command <= VFIO_USER_DEVICE_RESET; command++) {
		struct vfu_msg m = { .command = command };
		struct bench b;

		if (command > VFIO_USER_REGION_WRITE && command < VFIO_USER_DEVICE_RESET)
			continue;
		setup(&b);
		post(&b, &m, NULL, 0);
		expect_end(&b);
		assert_int_equal(b.n_reads + b.n_writes + b.n_resets, 0);
	}
	{
		struct vfu_msg m = { .command = VFIO_USER_VERSION };
		struct bench b;

		setup_negotiated(&b);
		post(&b, &m, NULL, 0);
		expect_end(&b);
	}
}

static void test_protocol_errors(void **state)
{
	const struct {
		struct vfu_msg m;
		size_t n_fds;
		bool negotiated;
	} rows[] = {
		{ { .command = VFIO_USER_VERSION, .version = { .major = 1 } }, 0, false },
		{ { .command = VFIO_USER_VERSION, .no_reply = true }, 0, false },
		{ { .command = VFIO_USER_VERSION }, 1, false },
		{ { .command = VFIO_USER_DEVICE_RESET }, 1, true },
		{ { .command = VFIO_USER_DEVICE_GET_INFO, .no_reply = true }, 0, true },
		{ { .command = VFIO_USER_REGION_READ, .no_reply = true }, 0, true },
		{ { .command = VFIO_USER_REGION_WRITE, .no_reply = true }, 1, true },
		{ { .command = VFIO_USER_DEVICE_RESET, .reply = true }, 0, true },
		{ { .command = VFIO_USER_DMA_MAP }, 2, true },
		{ { .command = VFIO_USER_DMA_MAP }, MSG_MAX_FDS, true },
	};
	int fds[MSG_MAX_FDS];

	(void)state;
	for (size_t i = 0; i < MSG_MAX_FDS; i++)
		fds[i] = STDIN_FILENO;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vfu_msg m = rows[i].m;
		struct bench b;

		setup(&b);
		if (rows[i].negotiated)
			negotiate(&b);
		post(&b, &m, fds, rows[i].n_fds);
		expect_end(&b);
	}
}

static void test_malformed_bytes(void **state)
{
	static const uint8_t rows[][VFU_HEADER_LEN] = {
		{ 0, 0, 4, 0, 15, 0, 0, 0 }, /* shorter than its header */
		{ 0, 0, 4, 0, 0, 0, 0, 0 },	    { 0, 0, 4, 0, 255, 255, 255, 255 },
		{ 0, 0, 4, 0, 17, 2, 0, 0 },	    /* one byte above the largest */
		{ 0, 0, 4, 0, 16, 0, 0, 0 },	    /* GET_INFO without its payload */
		{ 0, 0, 13, 0, 16, 0, 0, 0, 2 },    /* unknown type */
		{ 0, 0, 13, 0, 16, 0, 0, 0, 0x40 }, /* unknown flag */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct bench b;

		setup_negotiated(&b);
		assert_int_equal(write(b.client, rows[i], sizeof(rows[i])), sizeof(rows[i]));
		expect_end(&b);
	}
}

static void test_unknown_command(void **state)
{
	static const uint8_t wire[] = {
		7, 0, 99, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4
	};
	struct vfu_msg m = { .command = VFIO_USER_DEVICE_RESET };
	uint8_t reply[VFU_HEADER_LEN];
	struct bench b;

	(void)state;
	setup_negotiated(&b);
	assert_int_equal(write(b.client, wire, sizeof(wire)), sizeof(wire));
	assert_int_equal(run(&b), 0);
	assert_int_equal(recv(b.client, reply, sizeof(reply), MSG_DONTWAIT), sizeof(reply));
	assert_int_equal(reply[2], 99);
	assert_int_equal(reply[8], VFU_FLAG_TYPE_REPLY | VFU_FLAG_ERROR);
	assert_int_equal(reply[12], EOPNOTSUPP);
	ask(&b, &m, NULL, 0); /* and goes on */
	assert_int_equal(b.n_resets, 1);
	teardown(&b);
}

/* However the bytes arrive, descriptors stay with their message. */
static void test_one_byte_at_a_time(void **state)
{
	struct vfu_msg m = { .command = VFIO_USER_DEVICE_SET_IRQS,
			     .no_reply = true,
			     .set_irqs = { .flags = VFIO_IRQ_SET_DATA_EVENTFD |
						    VFIO_IRQ_SET_ACTION_TRIGGER,
					   .count = 1 } };
	int fd = eventfd(0, EFD_CLOEXEC);
	uint8_t wire[VFU_HEADER_LEN + VFU_PAYLOAD_MAX];
	struct bench b;
	int len;

	(void)state;
	setup_negotiated(&b);
	len = vfu_encode(&m, wire, sizeof(wire));
	assert_true(len > 0);
	for (int i = 0; i < len; i++) {
		struct iovec iov = { &wire[i], 1 };

		assert_int_equal(msg_send(b.client, &iov, 1, &fd, i == 0), 0);
		if (i % 3 == 0)
			assert_int_equal(run(&b), 0);
	}
	m = (struct vfu_msg){ .command = VFIO_USER_DEVICE_RESET };
	ask(&b, &m, NULL, 0);
	assert_true(b.server.irq_fd[0] >= 0);
	assert_int_equal(b.server.n_fds, 0);
	teardown(&b);
	close(fd);
}

static void test_client_goes(void **state)
{
	struct vfu_msg m = access_msg(VFIO_USER_REGION_WRITE, 0, 0, 1);
	struct bench b;

	(void)state;
	setup_negotiated(&b);
	m.no_reply = true;
	post(&b, &m, NULL, 0);
	closep(&b.client);
	assert_int_equal(loop_run(&b.loop), 0);
	assert_int_equal(b.n_writes, 1); /* what was posted counts */
	assert_null(b.why);
	teardown(&b);
}

static void test_client_goes_in_a_message(void **state)
{
	struct bench b;

	(void)state;
	setup_negotiated(&b);
	assert_int_equal(write(b.client, "\1\0\4", 3), 3);
	assert_int_equal(run(&b), 0);
	shutdown(b.client, SHUT_WR);
	expect_end(&b);
}

/* A client that asks and never reads is let go; the server does not wait for it. */
static void test_replies_pile_up(void **state)
{
	struct bench b;
	int r = 0;

	(void)state;
	setup_negotiated(&b);
	for (int i = 0; i < 100000 && r == 0; i++) {
		struct vfu_msg m = access_msg(VFIO_USER_REGION_READ, 0, 0, VFU_DATA_MAX);

		post(&b, &m, NULL, 0);
		r = loop_run_once(&b.loop, 0);
	}
	assert_int_equal(r, -EBADMSG);
	teardown(&b);
}

static void test_specs_that_cannot_be(void **state)
{
	struct vfu_region region = { .page_fd = -1, .n_sparse = 1 };
	struct vfu_spec specs[] = { { &region, 1, 0 }, { NULL, 0, VFU_MAX_IRQS + 1 } };
	struct vfu_server s;
	struct loop l;

	(void)state;
	assert_int_equal(loop_open(&l), 0);
	for (size_t i = 0; i < ARRAY_SIZE(specs); i++)
		assert_int_equal(vfu_server_open(&s, &specs[i], &ops, NULL, &l, 0), -EINVAL);
	loop_close(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_information),
		cmocka_unit_test(test_region_and_its_page),
		cmocka_unit_test(test_accesses),
		cmocka_unit_test(test_accesses_outside),
		cmocka_unit_test(test_posted_writes_settle_once),
		cmocka_unit_test(test_interrupts),
		cmocka_unit_test(test_interrupts_refused),
		cmocka_unit_test(test_reset_and_maps),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_protocol_errors),
		cmocka_unit_test(test_malformed_bytes),
		cmocka_unit_test(test_unknown_command),
		cmocka_unit_test(test_one_byte_at_a_time),
		cmocka_unit_test(test_client_goes),
		cmocka_unit_test(test_client_goes_in_a_message),
		cmocka_unit_test(test_replies_pile_up),
		cmocka_unit_test(test_specs_that_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
