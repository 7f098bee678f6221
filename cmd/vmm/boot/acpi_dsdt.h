/* SPDX-License-Identifier: Apache-2.0 */
/* The DSDT's body. */
#ifndef BULKHEAD_VMM_BOOT_ACPI_DSDT_H
#define BULKHEAD_VMM_BOOT_ACPI_DSDT_H

#include "cmd/vmm/boot/acpi.h"
#include "lib/base/bytes.h"

/* Appends the AML that follows the table's header. */
void acpi_dsdt_build(struct bytes_writer *w, const struct acpi_config *cfg);

#endif
