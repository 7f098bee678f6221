/* SPDX-License-Identifier: Apache-2.0 */
/* A TPM's registers (lib/tpm), carried to dev-tpm; remote.h says how. */
#ifndef BULKHEAD_VMM_PLATFORM_TPM_H
#define BULKHEAD_VMM_PLATFORM_TPM_H

#include "cmd/vmm/machine.h"

struct tpm;

/* Handshake on sock (owned from now on), resets the device, and claims its page. */
[[nodiscard]] int tpm_open(struct machine *m, unsigned int channel, int sock, struct tpm **ret,
			   const char **ret_why);
/* As remote_reconnect. */
[[nodiscard]] int tpm_reconnect(struct tpm *t, int sock, const char **ret_why);
/* With its machine, whose loop is still there. */
void tpm_close(struct tpm *t);

#endif
