/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TPM's registers as its guest finds them: the command response buffer (CRB) of TCG's PC Client Platform TPM
 * Profile (PTP) 1.05, 6.5.3, locality 0 alone. The numbers on which the vmm, its ACPI tables and dev-tpm agree.
 */
#ifndef BULKHEAD_TPM_TPM_H
#define BULKHEAD_TPM_TPM_H

#include "lib/base/be.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TPM_CRB_BASE 0xfed40000U /* the profile's; firmware looks there */
#define TPM_CRB_SIZE 0x1000U	 /* of a locality */

#define TPM_LOC_STATE 0x00U
#define TPM_LOC_CTRL 0x08U
#define TPM_LOC_STS 0x0cU
#define TPM_INTF_ID 0x30U /* 8 bytes */
#define TPM_CTRL_EXT 0x38U
#define TPM_CTRL_REQ 0x40U /* the control area, of which ACPI's TPM2 tells */
#define TPM_CTRL_STS 0x44U
#define TPM_CTRL_CANCEL 0x48U
#define TPM_CTRL_START 0x4cU
#define TPM_INT_ENABLE 0x50U
#define TPM_INT_STS 0x54U
#define TPM_CMD_SIZE 0x58U
#define TPM_CMD_LOW 0x5cU
#define TPM_CMD_HIGH 0x60U
#define TPM_RSP_SIZE 0x64U
#define TPM_RSP_LOW 0x68U
#define TPM_RSP_HIGH 0x6cU
#define TPM_BUFFER_AT 0x80U
#define TPM_BUFFER_LEN (TPM_CRB_SIZE - TPM_BUFFER_AT) /* bytes of a command, and of a response */

/* TPM 2.0 Library, part 1, 18: a tag, the length of all of it, and a code; most significant byte first. */
#define TPM_HEADER_LEN 10U
#define TPM_ST_NO_SESSIONS 0x8001U
#define TPM_ST_SESSIONS 0x8002U
#define TPM_ST_RSP_COMMAND 0x00c4U /* of an answer to a bad tag, as TPM 1.2 has it */
#define TPM_RC_BAD_TAG 0x01eU
#define TPM_RC_COMMAND_SIZE 0x142U

/* The length that the header of a command or response says; 0: none can be so long, or so short. */
static inline uint32_t tpm_length(const uint8_t header[TPM_HEADER_LEN])
{
	const uint32_t n = get_be32(header + 2);

	return n >= TPM_HEADER_LEN && n <= TPM_BUFFER_LEN ? n : 0;
}

static inline uint16_t tpm_tag(const uint8_t header[TPM_HEADER_LEN])
{
	return get_be16(header);
}

#endif
