/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory is read once: every read by the device is followed at once by the guest overwriting
 * what was read (CVE-2021-4207, CVE-2015-8550). What comes out must be what the first read saw, and
 * no byte of a ring or a header may be read a second time. The reads are caught by the linker
 * (--wrap).
 */
#include "tests/unit/testdev.h"
#include "tests/unit/testvsock.h"

#include "cmd/dev-blk/blk.h"
#include "cmd/dev-console/virtio_console.h"
#include "cmd/dev-net/net.h"
#include "cmd/dev-rng/rng.h"
#include "lib/base/cleanup.h"

#include <linux/virtio_vsock.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define N 64U
#define ROUNDS 500

static struct testring t;
static struct testdev dev;
static struct virtq vq;
static struct virtq_chain chain;
static uint8_t reads[TR_RAM]; /* of each byte, since the last forget_reads */
static uint8_t *ram = NULL;   /* what is scrambled */
static bool scramble;
static bool keep_rings; /* a device reads the rings' indices more than once, as it must */
static unsigned int seed = 1;

int __real_guest_read(const struct guestmem *mem, gpa_t gpa, void *out, size_t len);
int __wrap_guest_read(const struct guestmem *mem, gpa_t gpa, void *out, size_t len);
int __real_guest_load16(const struct guestmem *mem, gpa_t gpa, uint16_t *ret);
int __wrap_guest_load16(const struct guestmem *mem, gpa_t gpa, uint16_t *ret);

static void was_read(uint64_t gpa, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		reads[gpa + i]++;
		if (scramble && !(keep_rings && gpa + i >= TR_AVAIL && gpa + i < TR_TABLE))
			ram[gpa + i] = (uint8_t)rand_r(&seed);
	}
}

int __wrap_guest_read(const struct guestmem *mem, gpa_t gpa, void *out, size_t len)
{
	int r = __real_guest_read(mem, gpa, out, len);

	if (r == 0)
		was_read(gpa.v, len);
	return r;
}

int __wrap_guest_load16(const struct guestmem *mem, gpa_t gpa, uint16_t *ret)
{
	int r = __real_guest_load16(mem, gpa, ret);

	if (r == 0)
		was_read(gpa.v, sizeof(*ret));
	return r;
}

static void expect_read_once(uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++)
		if (reads[i] > 1)
			fail_msg("byte at 0x%llx was read %u times", (unsigned long long)i,
				 reads[i]);
	memset(reads + from, 0, to - from);
}

static unsigned int below(unsigned int n)
{
	return (unsigned int)rand_r(&seed) % n;
}

/* A random chain in the table at gpa: n descriptors, w of them writable. What it holds goes to
 * pieces. */
static void put_chain(uint64_t table, unsigned int n, unsigned int w, struct virtq_piece *pieces)
{
	for (unsigned int i = 0; i < n; i++) {
		uint64_t addr = TR_DATA + 4096 + below(100000);
		uint32_t len = 1 + below(5000);
		uint16_t flags = (uint16_t)((i + w >= n ? D_WRITE : 0) | (i + 1 < n ? D_NEXT : 0));

		pieces[i] = (struct virtq_piece){ GPA(addr), len };
		testring_put(&t, table, i, addr, len, flags, (uint16_t)(i + 1));
	}
}

static void check_chain(const struct virtq_piece *pieces, unsigned int n, unsigned int w)
{
	assert_int_equal(chain.n_readable, n - w);
	assert_int_equal(chain.n_writable, w);
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(chain.piece[i].gpa.v, pieces[i].gpa.v);
		assert_int_equal(chain.piece[i].len, pieces[i].len);
	}
}

static void test_chains(void **state)
{
	struct virtq_piece pieces[N];

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct virtq_budget budget = { .descriptors = 1000, .bytes = UINT32_MAX };
		unsigned int n = 1 + below(N), w = below(n + 1);
		bool indirect = below(2);

		testring_open(&t, N, below(2), true);
		ram = t.ram;
		virtq_init(&vq, &t.mem);
		assert_int_equal(virtq_start(&vq, &t.layout, 0), 0);
		put_chain(indirect ? TR_TABLE : TR_DESC, n, w, pieces);
		if (indirect)
			testring_desc(&t, 0, TR_TABLE, 16 * n, D_INDIRECT, 0);
		testring_avail(&t, 0);
		memset(reads, 0, sizeof(reads));
		scramble = true;
		assert_int_equal(virtq_pop(&vq, &budget, &chain), 1);
		scramble = false;
		check_chain(pieces, n, w);
		assert_int_equal(chain.head, 0);
		expect_read_once(TR_DESC, TR_DATA);
		testring_close(&t);
	}
}

/* A write of 3 sectors at sector 5 becomes exactly that, whatever the header says afterwards. */
static void test_request(void **state)
{
	static const uint8_t header[16] = { [0] = VIRTIO_BLK_T_OUT, [8] = 5 };
	struct blk_disk disk = { .capacity = 1 << 20, .block = 512, .logical = 512, .n_queues = 1 };
	struct blk_request r;

	(void)state;
	for (int round = 0; round < 100; round++) {
		struct virtq_budget budget = { .descriptors = 1000, .bytes = UINT32_MAX };

		testring_open(&t, N, false, false);
		ram = t.ram;
		virtq_init(&vq, &t.mem);
		assert_int_equal(virtq_start(&vq, &t.layout, 0), 0);
		memcpy(t.ram + TR_DATA, header, sizeof(header));
		testring_desc(&t, 0, TR_DATA, 7, D_NEXT, 1);
		testring_desc(&t, 1, TR_DATA + 7, 9 + 3 * 512, D_NEXT, 2);
		testring_desc(&t, 2, TR_DATA + 8192, 1, D_WRITE, 0);
		testring_avail(&t, 0);
		assert_int_equal(virtq_pop(&vq, &budget, &chain), 1);
		memset(reads, 0, sizeof(reads));
		scramble = true;
		assert_int_equal(blk_parse(&disk, &chain, &r), 0);
		scramble = false;
		assert_int_equal(r.action, BLK_START);
		assert_int_equal(r.io.op, IMAGE_WRITE);
		assert_int_equal(r.io.offset, 5 * 512);
		assert_int_equal(r.io.len, 3 * 512);
		expect_read_once(TR_DESC, TR_RAM);
		testring_close(&t);
	}
}

/* Serves the queue while everything that it reads changes, but for the rings' own words. */
static void run_scrambled(void)
{
	memset(reads, 0, sizeof(reads));
	ram = dev.ring.ram;
	scramble = keep_rings = true;
	dev_queue_run(dev.q);
	scramble = keep_rings = false;
	expect_read_once(TR_DESC, TR_AVAIL);
}

static void nothing(void *owner)
{
	(void)owner;
}

/* What is transmitted is what was there at the first look, in random chains of random pieces. */
static void test_console(void **state)
{
	static struct vu_device vu;
	static struct virtio_console console;
	static struct stream stream;
	static struct stream_page stream_page;
	static uint8_t want[TR_RAM], got[STREAM_OUT_CAP];

	(void)state;
	for (int round = 0; round < 50; round++) {
		struct virtq_piece pieces[8];
		unsigned int n = 1 + below(8);
		uint64_t len = 0;
		uint64_t at = TR_DATA;
		int sock = testdev_open(&dev, N);

		stream_init(&stream, &stream_page, &dev.loop, 1, nothing, NULL);
		virtio_console_init(&console, &stream, false, nothing, nothing, NULL);
		assert_int_equal(vu_device_open(&vu, &virtio_console_spec, &virtio_console_ops,
						&console, &dev.loop, sock),
				 0);
		testdev_start(&dev, &vu, VIRTIO_CONSOLE_TRANSMITQ);
		for (unsigned int i = 0; i < n; i++) {
			pieces[i] = (struct virtq_piece){ GPA(at), 1 + below(5000) };
			testring_desc(&dev.ring, i, at, pieces[i].len, i + 1 < n ? D_NEXT : 0,
				      (uint16_t)(i + 1));
			for (uint32_t k = 0; k < pieces[i].len; k++)
				want[len++] = dev.ring.ram[at++] = (uint8_t)rand_r(&seed);
		}
		testring_avail(&dev.ring, 0);
		run_scrambled();
		expect_read_once(TR_DATA, TR_RAM);
		assert_int_equal(testdev_used(&dev), 1);
		assert_int_equal(testring_load32(&dev.ring, TR_USED + 4), 0);
		assert_int_equal(fifo_get(&stream.out, got, sizeof(got)), len);
		assert_memory_equal(got, want, len);
		vu_device_close(&vu);
		stream_close(&stream);
		testdev_close(&dev);
	}
}

/* Random bytes go where the first look said, and nothing is read back. */
static void test_rng(void **state)
{
	static struct rng rng;
	static uint8_t before[TR_RAM];
	const struct rng_options o = { .rate = 1 << 20 };

	(void)state;
	for (int round = 0; round < 50; round++) {
		uint32_t at = TR_DATA + below(0x10000), len = 1 + below(3000);
		int sock = testdev_open(&dev, N);

		assert_int_equal(rng_prepare(&rng, &o, &dev.loop, sock), 0);
		testdev_start(&dev, &rng.dev, 0);
		testring_desc(&dev.ring, 3, at, len, D_WRITE, 0);
		testring_avail(&dev.ring, 3);
		memcpy(before, dev.ring.ram, TR_RAM);
		run_scrambled();
		assert_int_equal(testdev_used(&dev), 1);
		assert_int_equal(testring_load32(&dev.ring, TR_USED + 4), 3);
		assert_int_equal(testdev_used_len(&dev, 0), len);
		assert_memory_equal(dev.ring.ram + TR_DATA, before + TR_DATA, at - TR_DATA);
		assert_memory_equal(dev.ring.ram + at + len, before + at + len, TR_RAM - at - len);
		vu_device_close(&rng.dev);
		loop_remove(&dev.loop, &rng.timer);
		closep(&rng.timer_fd);
		testdev_close(&dev);
	}
}

/* A frame is what was there at the first look, and so is its header, in random pieces. */
static void test_net(void **state)
{
	static struct net net;
	static struct net_page page;
	const struct net_options o = { .mac = 0x525400123456, .mtu = 9000 };
	const char *what;

	(void)state;
	for (int round = 0; round < 50; round++) {
		unsigned int n = 1 + below(8);
		uint64_t at = TR_DATA;
		size_t len = 0;
		uint8_t want[8 * 1000 + 64], got[sizeof(want)];
		int pair[2], sock = testdev_open(&dev, N);

		memset(&page, 0, sizeof(page));
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		assert_int_equal(
			net_prepare(&net, &o, &page, &dev.loop, sock, pair[1], NULL, &what), 0);
		testdev_start(&dev, &net.dev, NET_TRANSMITQ);
		for (unsigned int i = 0; i < n; i++) {
			uint32_t piece = 26 + below(900);

			testring_desc(&dev.ring, i, at, piece, i + 1 < n ? D_NEXT : 0,
				      (uint16_t)(i + 1));
			for (uint32_t k = 0; k < piece; k++, at++) {
				dev.ring.ram[at] =
					at < TR_DATA + NET_HEADER_LEN ? 0 : (uint8_t)rand_r(&seed);
				want[len++] = dev.ring.ram[at];
			}
		}
		testring_avail(&dev.ring, 0);
		run_scrambled();
		expect_read_once(TR_DATA, TR_RAM);
		assert_int_equal(testdev_used(&dev), 1);
		assert_int_equal(read(pair[0], got, sizeof(got)),
				 LINK_LENGTH + len - NET_HEADER_LEN);
		assert_memory_equal(got + LINK_LENGTH, want + NET_HEADER_LEN, len - NET_HEADER_LEN);
		net_close(&net);
		closep(&pair[0]);
		testdev_close(&dev);
	}
}

/* One packet, header first, in random pieces of at least a byte. */
static void put_packet(const uint8_t *bytes, size_t len)
{
	size_t at = 0;

	for (unsigned int i = 0; at < len; i++) {
		size_t most = i == 15 ? len - at : 1 + below(100);
		size_t piece = most < len - at ? most : len - at;

		testring_desc(&dev.ring, i, TR_DATA + at, (uint32_t)piece,
			      at + piece < len ? D_NEXT : 0, (uint16_t)(i + 1));
		at += piece;
	}
	memcpy(dev.ring.ram + TR_DATA, bytes, len);
	testring_avail(&dev.ring, 0);
}

/* A packet's header and data are what was there at the first look. */
static void test_vsock(void **state)
{
	static struct vsock vsock;

	(void)state;
	for (int round = 0; round < 50; round++) {
		uint8_t packet[PACKET_HEADER + 2000], got[2100];
		uint32_t len = 1 + below(2000);
		int sock = testdev_open(&dev, N), client = testvsock_open(&vsock, &dev.loop, sock);
		struct packet p;
		ssize_t line;

		testdev_start(&dev, &vsock.dev, VSOCK_TX);
		testvsock_join(&vsock, &dev.loop, client);
		p = testvsock_packet(&vsock, VIRTIO_VSOCK_OP_RW, len);
		packet_encode(&p, packet);
		for (uint32_t i = 0; i < len; i++)
			packet[PACKET_HEADER + i] = (uint8_t)rand_r(&seed);
		put_packet(packet, PACKET_HEADER + len);
		run_scrambled();
		expect_read_once(TR_DATA, TR_RAM);
		assert_int_equal(testdev_used(&dev), 1);
		line = sizeof("OK 1073741824\n") - 1;
		assert_int_equal(recv(client, got, sizeof(got), MSG_DONTWAIT), line + len);
		assert_memory_equal(got + line, packet + PACKET_HEADER, len);
		testvsock_close(&vsock);
		closep(&client);
		testdev_close(&dev);
	}
}

/* The hook itself works: without it the test would prove nothing. */
static void test_hook(void **state)
{
	uint8_t a[64], b[64];

	(void)state;
	testring_open(&t, N, false, false);
	ram = t.ram;
	memset(reads, 0, sizeof(reads));
	scramble = true;
	assert_int_equal(guest_read(&t.mem, GPA(TR_DATA), a, sizeof(a)), 0);
	assert_int_equal(guest_read(&t.mem, GPA(TR_DATA), b, sizeof(b)), 0);
	scramble = false;
	assert_memory_not_equal(a, b, sizeof(a));
	assert_int_equal(reads[TR_DATA], 2);
	testring_close(&t);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hook),	cmocka_unit_test(test_chains),
		cmocka_unit_test(test_request), cmocka_unit_test(test_console),
		cmocka_unit_test(test_rng),	cmocka_unit_test(test_net),
		cmocka_unit_test(test_vsock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
