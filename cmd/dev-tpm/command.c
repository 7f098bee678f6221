/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of commands and responses; see command.h. */
#include "cmd/dev-tpm/command.h"

#include "lib/base/be.h"

#include <errno.h>
#include <string.h>

uint32_t command_check(const uint8_t buffer[TPM_BUFFER_LEN], uint32_t *ret_code)
{
	const uint16_t tag = tpm_tag(buffer);
	const uint32_t len = tpm_length(buffer);

	*ret_code = TPM_RC_COMMAND_SIZE;
	if (tag == TPM_ST_NO_SESSIONS || tag == TPM_ST_SESSIONS)
		return len;
	*ret_code = TPM_RC_BAD_TAG;
	return 0;
}

uint32_t command_refuse(uint8_t buffer[TPM_BUFFER_LEN], uint32_t code)
{
	put_be16(buffer, code == TPM_RC_BAD_TAG ? TPM_ST_RSP_COMMAND : TPM_ST_NO_SESSIONS);
	put_be32(buffer + 2, TPM_HEADER_LEN);
	put_be32(buffer + 6, code);
	return TPM_HEADER_LEN;
}

int command_check_response(const uint8_t *data, size_t n)
{
	uint16_t tag;
	uint32_t len;

	if (n < TPM_HEADER_LEN)
		return 0;
	tag = tpm_tag(data);
	len = tpm_length(data);
	if ((tag != TPM_ST_NO_SESSIONS && tag != TPM_ST_SESSIONS && tag != TPM_ST_RSP_COMMAND) ||
	    !len || n > len)
		return -EBADMSG;
	return n == len;
}
