/* SPDX-License-Identifier: Apache-2.0 */
/* What may pass between a guest and its TPM. Pure. */
#ifndef BULKHEAD_CMD_DEV_TPM_COMMAND_H
#define BULKHEAD_CMD_DEV_TPM_COMMAND_H

#include "lib/tpm/tpm.h"

/* The length of the command in the buffer; or 0, and *ret_code is what a TPM says to it. */
[[nodiscard]] uint32_t command_check(const uint8_t buffer[TPM_BUFFER_LEN], uint32_t *ret_code);
/* A response without anything but that code; its length. */
uint32_t command_refuse(uint8_t buffer[TPM_BUFFER_LEN], uint32_t code);
/* Of n bytes that have come: 1, they are a response; 0, it is longer; -EBADMSG: they are none. */
[[nodiscard]] int command_check_response(const uint8_t *data, size_t n);

#endif
