/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rates of a disk as options: of the disk, for what the user says, and of the storage process that
 * enforces them. Rows of a struct option table; `type` has a struct throttle_rates `field`.
 */
#ifndef BULKHEAD_STORAGEKIT_RATES_H
#define BULKHEAD_STORAGEKIT_RATES_H

#include "lib/options/option.h"
#include "lib/storagekit/throttle.h"

/* clang-format off */
#define STORAGE_RATE(type_, field_, name_, what, kind, word, more) \
	{ .name = name_, .type = kind, OPTION_FIELD(type_, field_.rate[what]), \
	  .min = 1, .max = THROTTLE_RATE_MAX, .value = word, .flags = (more) }
#define STORAGE_RATE_OPTIONS(type_, field_, more) \
	STORAGE_RATE(type_, field_, "iops", THROTTLE_OPS, OPTION_NUMBER, "N", more), \
	STORAGE_RATE(type_, field_, "iops-read", THROTTLE_OPS_READ, OPTION_NUMBER, "N", more), \
	STORAGE_RATE(type_, field_, "iops-write", THROTTLE_OPS_WRITE, OPTION_NUMBER, "N", more), \
	STORAGE_RATE(type_, field_, "bps", THROTTLE_BYTES, OPTION_SIZE, "SIZE", more), \
	STORAGE_RATE(type_, field_, "bps-read", THROTTLE_BYTES_READ, OPTION_SIZE, "SIZE", more), \
	STORAGE_RATE(type_, field_, "bps-write", THROTTLE_BYTES_WRITE, OPTION_SIZE, "SIZE", more), \
	{ .name = "burst", .type = OPTION_NUMBER, OPTION_FIELD(type_, field_.burst_s), .min = 1, \
	  .max = THROTTLE_BURST_MAX, .initial = "1", .value = "SECONDS", \
	  .flags = (more) }
/* clang-format on */

static inline bool throttle_rates_bound(const struct throttle_rates *r)
{
	for (unsigned int i = 0; i < THROTTLE_KINDS; i++)
		if (r->rate[i])
			return true;
	return false;
}

#endif
