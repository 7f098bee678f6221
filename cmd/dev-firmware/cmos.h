/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PC's CMOS memory and its clock (MC146818): 128 bytes behind an index. The clock is the host's, in UTC: what
 * is written to it is taken and forgotten, and there is no alarm and no interrupt. Its update is announced
 * (UIP) in the last CMOS_UPDATE_NS of each second, so that who then sees none has that long to read on.
 */
#ifndef BULKHEAD_CMD_DEV_FIRMWARE_CMOS_H
#define BULKHEAD_CMD_DEV_FIRMWARE_CMOS_H

#include "lib/fwcfg/fwcfg.h"

#include <stdint.h>

#define CMOS_INDEX_MASK 0x7f
#define CMOS_A 0x0a
#define CMOS_B 0x0b
#define CMOS_C 0x0c
#define CMOS_D 0x0d
#define CMOS_CENTURY 0x32
#define CMOS_A_UPDATE 0x80 /* UIP */
#define CMOS_B_24H 0x02
#define CMOS_B_BINARY 0x04
#define CMOS_B_KEPT 0x8f /* no interrupt can be asked for */
#define CMOS_D_VALID 0x80
#define CMOS_PM 0x80 /* of hours, when they are twelve */
#define CMOS_UPDATE_NS 2000000U

struct cmos {
	uint8_t index; /* at most CMOS_INDEX_MASK */
	uint8_t ram[FWCFG_CMOS_LEN];
};

/* As after power-on: A and B as a PC's firmware expects them, and what is said of memory. */
void cmos_reset(struct cmos *c, const uint8_t power_on[FWCFG_CMOS_LEN]);
/* now: nanoseconds since 1970. */
uint8_t cmos_read(const struct cmos *c, uint64_t now_ns);
void cmos_write(struct cmos *c, uint8_t value);

#endif
