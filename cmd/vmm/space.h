/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the vmm can take of its address space, beside guest RAM: bytes. The sum is its
 * limit (policy.c); each part asserts that it keeps to its share where its structures are known.
 */
#ifndef BULKHEAD_VMM_SPACE_H
#define BULKHEAD_VMM_SPACE_H

#include "cmd/vmm/layout.h"
#include "lib/fwcfg/flash.h"

#define VCPU_STACK KIB(128)

/* Its program, its main stack (8 MiB by the usual limit), the heap's rest, the UART's page, firmware and its flash. */
#define SPACE_BASE (MIB(24) + FIRMWARE_MAX + FLASH_SIZE_MAX)
/* A vCPU's stack with its guard page, the thread's own data, heap pages begun: */
#define SPACE_THREAD (VCPU_STACK + KIB(64))
/* and on KVM what it shares with the kernel, and its power-on state; */
#define SPACE_KVM_VCPU MIB(1)
/* The MSRs' power-on values, at an address that the filter names: below all that the kernel chooses. */
#define SPACE_MSRS_AT 0x200000ULL
#define SPACE_MSRS KIB(16)
/* or its registers, TLB and decoded code. */
#define SPACE_SOFT_VCPU MIB(9)
/* What the software CPU notes of a page of guest RAM. */
#define SPACE_SOFT_PAGE 24
/* A device's registers and queues. */
#define SPACE_CHANNEL KIB(256)

#endif
