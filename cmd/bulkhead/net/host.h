/* SPDX-License-Identifier: Apache-2.0 */
/* Interfaces of the host's, by the calls that its kernel has for them. Each: 0, or a negative errno. */
#ifndef BULKHEAD_CMD_BULKHEAD_NET_HOST_H
#define BULKHEAD_CMD_BULKHEAD_NET_HOST_H

#include <stdbool.h>

#define INTERFACE_NAME_MAX 16U /* with its 0 */

/* Whether that driver made it: "bridge". */
bool host_is_driven_by(const char *name, const char *driver);
[[nodiscard]] int host_join_bridge(const char *bridge, unsigned int port);
/* That of another one. */
[[nodiscard]] int host_copy_mtu(const char *from, const char *to);
/* The host itself has no address there, and says nothing by itself. */
void host_be_silent(const char *name);
[[nodiscard]] int host_set_up(const char *name);
bool host_is_up(const char *name);
/* As host_make_name makes them. */
bool host_is_own_name(const char *name);
/* A name that nobody has had, so that nothing that was left over is of it. */
void host_make_name(char out[INTERFACE_NAME_MAX]);

#endif
