/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every network card of ours is (VIRTIO 1.2, 5.1), whoever moves its frames: its queues, its configuration space,
 * the options that say so. CARD_OPTIONS are rows of a struct option table, of a struct that has these fields:
 *
 *	uint64_t mac;	 the first byte on the wire is the most significant of six; 0: none was said
 *	uint64_t mtu;	 bytes; 0: none was said
 *	uint64_t speed;	 Mbit/s, as the guest is told
 *	uint64_t queues; pairs of them
 *	bool bare;	 its tap has no headers, and no offloads
 *	bool uso;	 it has that of trains of datagrams
 */
#ifndef BULKHEAD_NETCARD_CARD_H
#define BULKHEAD_NETCARD_CARD_H

#include "lib/options/option.h"

#include <stdint.h>

/* Of the first pair; the others follow it, and behind the last one of those that there are is the control queue: it is number 2
 * for a driver that does not know of more (5.1.2). */
#define NET_RECEIVEQ 0U
#define NET_TRANSMITQ 1U
#define NET_CONTROLQ 2U
#define NET_N_QUEUES 3U
#define NET_PAIRS_MAX 8U
#define NET_QUEUE_MAX 256U
#define NET_CONFIG_LEN 17U /* 5.1.4, up to the duplex */
#define NET_MTU_MIN 68U
#define NET_MTU_MAX 65535U
#define NET_MTU_USUAL 1500U
#define NET_SPEED_MAX INT32_MAX /* Mbit/s */

/* 5.1.4 */
#define CARD_LINK_UP 1U
#define CARD_ANNOUNCE 2U

struct card_config {
	uint64_t mac;
	uint16_t status;
	uint16_t pairs; /* 0: one, and the driver is not told */
	uint16_t mtu;
	uint32_t speed;
};

/* How many descriptors there are from the first on, each a queue of its tap; before any number is used anew. */
unsigned int card_find_taps(int first, int taps[NET_PAIRS_MAX]);
/* NET_CONFIG_LEN bytes. */
void card_config_write(const struct card_config *c, uint8_t *out);

/* clang-format off */
#define CARD_OPTIONS(type_) \
	{ .name = "mac", .type = OPTION_MAC, OPTION_FIELD(type_, mac), .min = 1, .value = "ADDR" }, \
	{ .name = "mtu", .type = OPTION_NUMBER, OPTION_FIELD(type_, mtu), .min = NET_MTU_MIN, \
	  .max = NET_MTU_MAX, .value = "BYTES" }, \
	{ .name = "speed", .type = OPTION_NUMBER, OPTION_FIELD(type_, speed), .min = 0, \
	  .max = NET_SPEED_MAX, .initial = "10000", .value = "MBITS" }, \
	{ .name = "queues", .type = OPTION_NUMBER, OPTION_FIELD(type_, queues), .min = 1, \
	  .max = NET_PAIRS_MAX, .initial = "1", .value = "PAIRS" }, \
	{ .name = "uso", .type = OPTION_ONOFF, OPTION_FIELD(type_, uso), .max = 1, .initial = "off" }
#define CARD_INNER_OPTIONS(type_) \
	{ .name = "bare", .type = OPTION_ONOFF, OPTION_FIELD(type_, bare), .max = 1, .initial = "off", \
	  .flags = OPTION_INNER }
/* clang-format on */

#endif
