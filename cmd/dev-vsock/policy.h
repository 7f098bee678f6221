/* SPDX-License-Identifier: Apache-2.0 */
/* What dev-vsock may still ask of the kernel once it faces the guest; vsock_declared is the whole. */
#ifndef BULKHEAD_DEV_VSOCK_POLICY_H
#define BULKHEAD_DEV_VSOCK_POLICY_H

#include "lib/kinds/kind.h"

enum { VSOCK_FD_VHOST_USER = 4, VSOCK_FD_LISTENER, VSOCK_FD_DIALER };

extern const struct sandbox_policy vsock_policy;
extern const struct declared_process vsock_declared;
extern const struct device_kind vsock_kind; /* kind.c */

#endif
