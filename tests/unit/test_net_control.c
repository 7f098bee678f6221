/* SPDX-License-Identifier: Apache-2.0 */
/* dev-net's control queue: commands that are wrong in any way, lists at their bounds, what a predecessor left, and which
 * frames pass. */
#include "lib/netcard/control.h"
#include "lib/netcard/net_features.h"
#include "tests/unit/testring.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#define MAC 0x525400123456ULL
#define ALL (NET_FEATURES | NET_TAP_FEATURES | NET_USO_FEATURES | NET_MQ_FEATURES)
#define PAIRS 4U
#define ANSWER_AT (TR_DATA + 0x20000U)

enum { RX, MACS, VLAN, ANNOUNCE, MQ, OFFLOADS };

static struct testring ring;
static struct virtq vq;
static struct virtq_chain chain;
static struct control c, before;
static uint8_t data[0x10000];
static size_t len;

static int setup(void **state)
{
	(void)state;
	testring_open(&ring, 16, false, false);
	virtq_init(&vq, &ring.mem);
	assert_int_equal(virtq_start(&vq, &ring.layout, 0), 0);
	control_init(&c, MAC);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	virtq_stop(&vq);
	testring_close(&ring);
	return 0;
}

/* A chain of data's first n bytes, if any, and room for an answer, if any. */
static int run_chain(uint64_t features, uint32_t n, uint32_t room)
{
	struct virtq_budget budget = { 16, 1 << 20 };
	int r;

	memcpy(ring.ram + TR_DATA, data, n);
	testring_desc(&ring, 0, TR_DATA, n, room ? D_NEXT : 0, 1);
	testring_desc(&ring, 1, ANSWER_AT, room, D_WRITE, 0);
	testring_avail(&ring, n ? 0 : 1);
	assert_int_equal(virtq_pop(&vq, &budget, &chain), 1);
	before = c;
	r = control_run(&c, features, PAIRS, &chain);
	assert_int_equal(virtq_push(&vq, chain.head, 0), 0);
	if (r != CONTROL_OK)
		assert_memory_equal(&c, &before, sizeof(c));
	return r;
}

static void begin(uint8_t class, uint8_t command)
{
	data[0] = class;
	data[1] = command;
	len = 2;
}

static void put(uint64_t v, unsigned int bytes)
{
	for (; bytes; bytes--, v >>= 8)
		data[len++] = (uint8_t)v;
}

static void put_macs(uint32_t n, uint8_t first)
{
	put(n, 4);
	for (uint32_t i = 0; i < n; i++) {
		memset(data + len, 0, FILTER_MAC_LEN);
		data[len] = first;
		data[len + 4] = (uint8_t)(i >> 8);
		data[len + 5] = (uint8_t)i;
		len += FILTER_MAC_LEN;
	}
}

static int run(void)
{
	return run_chain(ALL, (uint32_t)len, 1);
}

/* ---- hostile ---- */

static void without_a_header_or_an_answer(void **state)
{
	(void)state;
	begin(RX, 0);
	put(0, 1);
	assert_int_equal(run_chain(ALL, 0, 1), -EBADMSG);
	assert_int_equal(run_chain(ALL, 1, 1), -EBADMSG);
	assert_int_equal(run_chain(ALL, (uint32_t)len, 0), -EBADMSG);
	assert_int_equal(run(), CONTROL_OK);
}

static void outside_of_ram(void **state)
{
	struct virtq_budget budget = { 16, 1 << 20 };

	(void)state;
	testring_desc(&ring, 0, TR_RAM - 1, 3, D_NEXT, 1);
	testring_desc(&ring, 1, ANSWER_AT, 1, D_WRITE, 0);
	testring_avail(&ring, 0);
	assert_int_equal(virtq_pop(&vq, &budget, &chain), 1);
	assert_int_equal(control_run(&c, ALL, PAIRS, &chain), -EFAULT);
}

/* Each right command, with each number of bytes but the right one. */
static void cut_and_too_long(void **state)
{
	static const struct {
		uint8_t class, command, bytes;
	} every[] = { { RX, 0, 1 },   { RX, 1, 1 },	 { RX, 2, 1 },	 { RX, 3, 1 },
		      { RX, 4, 1 },   { RX, 5, 1 },	 { MACS, 1, 6 }, { VLAN, 0, 2 },
		      { VLAN, 1, 2 }, { OFFLOADS, 0, 8 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(every); i++)
		for (unsigned int n = 0; n < 300; n++) {
			begin(every[i].class, every[i].command);
			memset(data + len, 0, n);
			len += n;
			assert_int_equal(run(), n == every[i].bytes ? CONTROL_OK : CONTROL_ERR);
		}
}

static void unknown(void **state)
{
	(void)state;
	for (unsigned int class = 0; class < 256; class ++)
		for (unsigned int command = 0; command < 256; command++) {
			bool known = (class == RX && command < 6) ||
				     (class == MACS && command < 2) ||
				     (class == VLAN && command < 2) ||
				     (class == OFFLOADS && command == 0);

			begin((uint8_t) class, (uint8_t)command);
			if (!known)
				assert_int_equal(run(), CONTROL_ERR);
		}
}

/* What was not chosen is not there. */
static void not_negotiated(void **state)
{
	static const struct {
		uint8_t class, command, bytes;
		unsigned int feature;
	} every[] = { { RX, 0, 1, VIRTIO_NET_F_CTRL_RX },
		      { RX, 5, 1, VIRTIO_NET_F_CTRL_RX_EXTRA },
		      { MACS, 0, 8, VIRTIO_NET_F_CTRL_RX },
		      { MACS, 1, 6, VIRTIO_NET_F_CTRL_MAC_ADDR },
		      { VLAN, 0, 2, VIRTIO_NET_F_CTRL_VLAN },
		      { OFFLOADS, 0, 8, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(every); i++) {
		begin(every[i].class, every[i].command);
		put(0, every[i].bytes);
		assert_int_equal(run_chain(ALL & ~BIT(every[i].feature), (uint32_t)len, 1),
				 CONTROL_ERR);
		assert_int_equal(run(), CONTROL_OK);
	}
}

static void values_that_cannot_be(void **state)
{
	(void)state;
	for (unsigned int on = 2; on < 256; on++) {
		begin(RX, 0);
		put(on, 1);
		assert_int_equal(run(), CONTROL_ERR);
	}
	begin(VLAN, 0);
	put(4096, 2);
	assert_int_equal(run(), CONTROL_ERR);
	begin(VLAN, 1);
	put(0xffff, 2);
	assert_int_equal(run(), CONTROL_ERR);
	begin(MACS, 1);
	put(0x01, 6); /* its first byte says a group */
	assert_int_equal(run(), CONTROL_ERR);
}

/* Counts beyond the buffer, far beyond, and so large that their bytes would wrap. */
static void tables_that_lie(void **state)
{
	static const uint32_t counts[] = { 2, 3, 65, 0x10000, 0x2aaaaaab, 0x80000000, 0xffffffff };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		for (int second = 0; second < 2; second++) {
			begin(MACS, 0);
			put_macs(1, 0x02);
			if (second)
				put_macs(1, 0x01);
			else
				put(0, 2);
			memcpy(data + (second ? 12 : 2), &counts[i], 4);
			assert_int_equal(run(), CONTROL_ERR);
		}
}

static void tables_cut_anywhere(void **state)
{
	size_t whole;

	(void)state;
	begin(MACS, 0);
	put_macs(3, 0x02);
	put_macs(2, 0x01);
	whole = len;
	for (len = 2; len < whole; len++)
		assert_int_equal(run(), CONTROL_ERR);
	assert_int_equal(run(), CONTROL_OK);
	data[len++] = 0;
	assert_int_equal(run(), CONTROL_ERR);
}

/* ---- bounds ---- */

static bool passes_to(const char *mac, uint32_t vlan)
{
	uint8_t head[FILTER_HEAD] = { 0 };

	memcpy(head, mac, FILTER_MAC_LEN);
	head[12] = 0x81;
	head[14] = (uint8_t)(0xe0 | vlan >> 8);
	head[15] = (uint8_t)vlan;
	return filter_passes(&c.filter, true, head, sizeof(head));
}

static bool passes(const char *mac)
{
	return passes_to(mac, 0);
}

static void promiscuous(bool on)
{
	begin(RX, 0);
	put(on, 1);
	assert_int_equal(run(), CONTROL_OK);
}

static void tables_at_their_bound(void **state)
{
	(void)state;
	promiscuous(false);
	begin(MACS, 0);
	put_macs(FILTER_MACS_MAX, 0x02);
	put_macs(FILTER_MACS_MAX, 0x01);
	assert_int_equal(run(), CONTROL_OK);
	assert_int_equal(c.filter.uni.n, FILTER_MACS_MAX);
	assert_true(passes("\x02\0\0\0\0\x3f") && passes("\x01\0\0\0\0\x3f"));
	assert_false(passes("\x02\0\0\0\0\x40") || passes("\x01\0\0\0\0\x40"));

	/* more: all of that sort */
	begin(MACS, 0);
	put_macs(FILTER_MACS_MAX + 1, 0x02);
	put_macs(1, 0x01);
	assert_int_equal(run(), CONTROL_OK);
	assert_true(passes("\x02\0\0\0\0\x77") && passes("\x01\0\0\0\0\0"));
	assert_false(passes("\x01\0\0\0\0\x01"));
	begin(MACS, 0);
	put_macs(0, 0);
	put_macs(8000, 0x01);
	assert_int_equal(run(), CONTROL_OK);
	assert_true(passes("\x01\xff\0\0\0\0"));
	assert_false(passes("\x02\0\0\0\0\0"));
}

static void receive_modes(void **state)
{
	static const char broadcast[] = "\xff\xff\xff\xff\xff\xff",
			  own[] = "\x52\x54\0\x12\x34\x56", other[] = "\x52\x54\0\x12\x34\x57",
			  group[] = "\x01\0\x5e\0\0\x01";
	static const struct {
		uint8_t mode;
		bool own, other, group, broadcast;
	} rows[] = { { 0, true, true, true, true },    { 1, true, false, true, true },
		     { 2, true, true, false, true },   { 3, true, false, false, true },
		     { 4, false, false, false, true }, { 5, true, false, false, false } };

	(void)state;
	assert_true(passes(other)); /* nothing has been said yet */
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		promiscuous(false);
		begin(RX, rows[i].mode);
		put(1, 1);
		assert_int_equal(run(), CONTROL_OK);
		assert_int_equal(passes(own), rows[i].own);
		assert_int_equal(passes(other), rows[i].other);
		assert_int_equal(passes(group), rows[i].group);
		assert_int_equal(passes(broadcast), rows[i].broadcast);
		begin(RX, rows[i].mode);
		put(0, 1);
		assert_int_equal(run(), CONTROL_OK);
	}
}

static void own_address(void **state)
{
	(void)state;
	promiscuous(false);
	begin(MACS, 1);
	put(0x060504030202, 6);
	assert_int_equal(run(), CONTROL_OK);
	assert_true(passes("\x02\x02\x03\x04\x05\x06"));
	assert_false(passes("\x52\x54\0\x12\x34\x56"));
}

static void vlans(void **state)
{
	static const char own[] = "\x52\x54\0\x12\x34\x56";
	uint8_t cut[17] = "\x52\x54\0\x12\x34\x56", whole[FILTER_HEAD] = { 0 };

	(void)state;
	promiscuous(false);
	for (unsigned int vlan = 1; vlan < FILTER_VLANS; vlan += vlan < 10 ? 1 : 813) {
		assert_false(passes_to(own, vlan));
		begin(VLAN, 0);
		put(vlan, 2);
		assert_int_equal(run(), CONTROL_OK);
		assert_true(passes_to(own, vlan));
		assert_false(passes_to(own, vlan + 1 == FILTER_VLANS ? 1 : vlan + 1));
		begin(VLAN, 1);
		put(vlan, 2);
		assert_int_equal(run(), CONTROL_OK);
		assert_false(passes_to(own, vlan));
	}
	/* a priority alone; a tag that is cut off */
	assert_true(passes_to(own, 0));
	cut[12] = 0x81;
	cut[15] = 7;
	assert_true(filter_passes(&c.filter, true, cut, sizeof(cut)));
	assert_false(passes_to(own, 7));
	/* VLANs were not negotiated */
	memcpy(whole, cut, sizeof(cut));
	assert_false(filter_passes(&c.filter, true, whole, sizeof(whole)));
	assert_true(filter_passes(&c.filter, false, whole, sizeof(whole)));
}

static void offloads(void **state)
{
	const uint64_t csum = BIT(VIRTIO_NET_F_GUEST_CSUM), tso = BIT(VIRTIO_NET_F_GUEST_TSO4),
		       ecn = BIT(VIRTIO_NET_F_GUEST_ECN);
	static const uint64_t never[] = { BIT(VIRTIO_NET_F_CSUM),
					  BIT(VIRTIO_NET_F_HOST_TSO4),
					  BIT(VIRTIO_NET_F_MAC),
					  BIT(63),
					  BIT(10),
					  BIT(54) };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(never); i++) {
		begin(OFFLOADS, 0);
		put(never[i], 8);
		assert_int_equal(run(), CONTROL_ERR);
	}
	begin(OFFLOADS, 0);
	put(tso, 8); /* without a checksum that is left to be done */
	assert_int_equal(run(), CONTROL_ERR);
	begin(OFFLOADS, 0);
	put(csum | ecn, 8);
	assert_int_equal(run(), CONTROL_ERR);
	begin(OFFLOADS, 0);
	put(csum | tso, 8);
	assert_int_equal(run(), CONTROL_OK);
	assert_int_equal(c.off, NET_GUEST_OFFLOADS & ~(csum | tso));
	/* which the driver has not chosen */
	assert_int_equal(run_chain(ALL & ~tso, (uint32_t)len, 1), CONTROL_ERR);
	begin(OFFLOADS, 0);
	put(NET_GUEST_OFFLOADS, 8);
	assert_int_equal(run(), CONTROL_OK);
	assert_int_equal(c.off, 0);
}

/* ---- pairs of queues ---- */

static int set_pairs(unsigned int n, unsigned int bytes)
{
	begin(MQ, 0);
	put(n, bytes);
	return run();
}

static void pairs(void **state)
{
	(void)state;
	assert_int_equal(c.pairs, 1);
	assert_int_equal(set_pairs(0, 2), CONTROL_ERR);
	assert_int_equal(set_pairs(PAIRS + 1, 2), CONTROL_ERR);
	assert_int_equal(set_pairs(0x8000, 2), CONTROL_ERR);
	assert_int_equal(set_pairs(0xffff, 2), CONTROL_ERR);
	assert_int_equal(set_pairs(2, 1), CONTROL_ERR);
	assert_int_equal(set_pairs(2, 3), CONTROL_ERR);
	begin(MQ, 0);
	assert_int_equal(run(), CONTROL_ERR);
	begin(MQ, 1); /* RSS, which is not offered */
	put(2, 2);
	assert_int_equal(run(), CONTROL_ERR);
	begin(MQ, 0);
	put(2, 2);
	assert_int_equal(run_chain(ALL & ~BIT(VIRTIO_NET_F_MQ), (uint32_t)len, 1), CONTROL_ERR);
	assert_int_equal(set_pairs(PAIRS, 2), CONTROL_OK);
	assert_int_equal(c.pairs, PAIRS);
	assert_int_equal(set_pairs(1, 2), CONTROL_OK);
	assert_int_equal(c.pairs, 1);
}

/* ---- what a predecessor left ---- */

static struct control_kept kept;

static void assert_fresh(void)
{
	struct control fresh;

	control_init(&fresh, MAC);
	control_load(&c, &kept, MAC, PAIRS);
	assert_memory_equal(&c, &fresh, sizeof(c));
}

static void kept_and_loaded(void **state)
{
	(void)state;
	memset(&kept, 0, sizeof(kept));
	assert_fresh();
	for (unsigned int vlan = 1; vlan < 5; vlan++) {
		promiscuous(false);
		begin(VLAN, 0);
		put(vlan, 2);
		assert_int_equal(run(), CONTROL_OK);
		control_keep(&c, &kept);
		before = c;
		memset(&c, 0xff, sizeof(c));
		control_load(&c, &kept, MAC, PAIRS);
		assert_memory_equal(&c, &before, sizeof(c));
	}
}

/* A process that ends while it writes has not written. */
static void half_written(void **state)
{
	(void)state;
	memset(&kept, 0, sizeof(kept));
	promiscuous(false);
	control_keep(&c, &kept);
	memset(&kept.copy[~kept.current & 1], 0xff, sizeof(c) / 2);
	before = c;
	control_load(&c, &kept, MAC, PAIRS);
	assert_memory_equal(&c, &before, sizeof(c));
}

static void kept_that_cannot_be(void **state)
{
	struct control *k = &kept.copy[0];

	(void)state;
#define LIE(field, value)                       \
	do {                                    \
		memset(&kept, 0, sizeof(kept)); \
		control_init(k, MAC);           \
		k->field = (value);             \
		assert_fresh();                 \
	} while (0)
	LIE(begun, 2);
	LIE(pairs, 0);
	LIE(pairs, PAIRS + 1);
	LIE(filter.rx, 0x40);
	LIE(filter.uni.n, FILTER_MACS_MAX + 1);
	LIE(filter.uni.all, 2);
	LIE(filter.multi.n, 255);
	LIE(filter.multi.all, 255);
	LIE(off, BIT(VIRTIO_NET_F_CSUM));
	LIE(off, UINT64_MAX);
	memset(&kept, 0xff, sizeof(kept));
	assert_fresh();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(without_a_header_or_an_answer),
		T(outside_of_ram),
		T(cut_and_too_long),
		T(unknown),
		T(not_negotiated),
		T(values_that_cannot_be),
		T(tables_that_lie),
		T(tables_cut_anywhere),
		T(tables_at_their_bound),
		T(receive_modes),
		T(own_address),
		T(vlans),
		T(offloads),
		T(pairs),
		T(kept_and_loaded),
		T(half_written),
		T(kept_that_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
