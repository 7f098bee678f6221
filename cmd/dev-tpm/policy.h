/* SPDX-License-Identifier: Apache-2.0 */
/* dev-tpm's sandbox policy; tpm_declared is the whole. */
#ifndef BULKHEAD_CMD_DEV_TPM_POLICY_H
#define BULKHEAD_CMD_DEV_TPM_POLICY_H

#include "lib/kinds/kind.h"

enum { TPM_FD_VFIO_USER = 4, TPM_FD_STATE, TPM_FD_SWTPM };

/* The file behind TPM_FD_STATE. */
#define TPM_STATE_NAME "tpm-registers" /* as maps and audits show it */
#define TPM_STATE_SIZE UINT64_C(8192)  /* bytes */

/* What the process is told: nothing but its way. */
struct tpm_options {
	uint8_t way;
};

extern const struct sandbox_policy tpm_policy;
extern const struct declared_process tpm_declared;
extern const struct device_kind tpm_kind; /* kind.c */

#endif
