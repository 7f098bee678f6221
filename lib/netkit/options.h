/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is said of the frames of a network card, as options: of the card, for the user, and of the net-relay behind
 * it, which holds the guest to them. NETKIT_OPTIONS are rows of a struct option table; `type` has a struct
 * netkit_options `field`. Directions are the guest's: in is to it, out from it.
 */
#ifndef BULKHEAD_NETKIT_OPTIONS_H
#define BULKHEAD_NETKIT_OPTIONS_H

#include "lib/frames/guard.h"
#include "lib/options/option.h"
#include "lib/storagekit/throttle.h"

struct netkit_options {
	struct throttle_rates rates; /* READ: in, WRITE: out */
	struct addr ip4, ip6;	     /* :: is none: what the network gives is the guest's */
	struct dest dests[GUARD_DESTS_MAX];
	uint8_t n_dests;
	bool guard;	 /* even if nothing else wants it */
	bool restricted; /* to answers, and to the destinations */
	bool link_local; /* may be reached */
	bool public;	 /* addresses alone, and its name servers */
};

/* Whether anything of it is to be held to. */
bool netkit_is_wanted(const struct netkit_options *o);
/* As the guard has them; mac: as OPTION_MAC stores it. */
void netkit_rules(const struct netkit_options *o, uint64_t mac, struct guard_rules *ret);

/* Of OPTION_OWN, whose owner is the struct netkit_options. */
int netkit_set_ip(void *owner, const char *value, const char **ret_why);
bool netkit_put_ip(const void *owner, unsigned int i, char *out, size_t cap);
int netkit_set_dest(void *owner, const char *value, const char **ret_why);
bool netkit_put_dest(const void *owner, unsigned int i, char *out, size_t cap);

/* clang-format off */
#define NETKIT_RATE(type_, field_, name_, what, kind, word, more) \
	{ .name = name_, .type = kind, OPTION_FIELD(type_, field_.rates.rate[what]), \
	  .min = 1, .max = THROTTLE_RATE_MAX, .value = word, .flags = (more) }
#define NETKIT_OPTIONS(type_, field_, more) \
	{ .name = "guard", .type = OPTION_ONOFF, OPTION_FIELD(type_, field_.guard), .max = 1, \
	  .initial = "off", .flags = (more) }, \
	{ .name = "ip", .type = OPTION_OWN, .own_at = offsetof(type_, field_), .value = "ADDR", \
	  .set = netkit_set_ip, .put = netkit_put_ip, .flags = (more) | OPTION_ADDS_UP }, \
	{ .name = "restrict", .type = OPTION_ONOFF, OPTION_FIELD(type_, field_.restricted), .max = 1, \
	  .initial = "off", .flags = (more) }, \
	{ .name = "allow", .type = OPTION_OWN, .own_at = offsetof(type_, field_), \
	  .value = "CIDR[:PORTS]", .set = netkit_set_dest, .put = netkit_put_dest, \
	  .flags = (more) | OPTION_ADDS_UP }, \
	{ .name = "public", .type = OPTION_ONOFF, OPTION_FIELD(type_, field_.public), .max = 1, \
	  .initial = "off", .flags = (more) }, \
	{ .name = "link-local", .type = OPTION_ONOFF, OPTION_FIELD(type_, field_.link_local), .max = 1, \
	  .initial = "off", .flags = (more) }, \
	NETKIT_RATE(type_, field_, "packets-in", THROTTLE_OPS_READ, OPTION_NUMBER, "N", more), \
	NETKIT_RATE(type_, field_, "packets-out", THROTTLE_OPS_WRITE, OPTION_NUMBER, "N", more), \
	NETKIT_RATE(type_, field_, "bytes-in", THROTTLE_BYTES_READ, OPTION_SIZE, "SIZE", more), \
	NETKIT_RATE(type_, field_, "bytes-out", THROTTLE_BYTES_WRITE, OPTION_SIZE, "SIZE", more), \
	{ .name = "burst", .type = OPTION_NUMBER, OPTION_FIELD(type_, field_.rates.burst_s), .min = 1, \
	  .max = THROTTLE_BURST_MAX, .initial = "1", .value = "N", .flags = (more) }
/* clang-format on */

#endif
