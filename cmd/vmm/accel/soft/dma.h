/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices write to RAM behind the CPUs' backs, and a page of decoded code may be what they write to. The
 * rest of the software CPU asks here, as such a page comes into use, whether its bytes are still those
 * that were decoded.
 *
 * A device's process that can marks each page that it writes to in the VM's log, before it tells the
 * guest. All of them have the log mapped, HOSTILE ones too: a bit that is missing or wrong leaves a guest
 * with old code, or decodes code anew, which whoever may write to its RAM has anyway; a bit is taken by
 * one atomic instruction, and its place is computed from a page of the vmm's own.
 *
 * While somebody writes who has no log, pages are summed up whenever a device may have written.
 */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_DMA_H
#define BULKHEAD_VMM_ACCEL_SOFT_DMA_H

#include "cmd/vmm/accel/soft/soft.h"

/* Before the VM runs: the log, from gpa 0 on. Nobody is known who writes beside it. */
void soft_dma_use_log(struct accel *vm, uint8_t *bits, uint64_t len);
/* Something was written, or may be being written, without a bit; from_now_on: and will be. */
void soft_dma_unlogged(struct accel *vm, bool from_now_on);

/* A device has told the guest of what it wrote; may have written since it was asked to do something. */
void soft_dma_told(struct accel *vm);
void soft_dma_possible(struct accel *vm);

/* Before anything is decoded from the page: a write from now on will be seen. */
void soft_dma_begin(struct accel *vm, struct soft_page *page, const uint8_t *host);
/* The page at gpa is about to be used: what a device wrote there moves its version. Behind the last of
 * several, soft_dma_settle. */
void soft_dma_check(struct accel *vm, struct soft_page *page, const uint8_t *host, uint64_t gpa);
/* What another vCPU's check has found, but not yet said, has been said. */
void soft_dma_settle(struct accel *vm);

#endif
