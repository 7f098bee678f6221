/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user's network for a card, by Debian's passt in a process of its own: it has the host's network with the rights of the
 * user (as root: of nobody), and of the VM one stream of frames alone. It confines itself (an empty root, namespaces, a
 * filter), and ends when its stream does.
 */
#ifndef BULKHEAD_CMD_BULKHEAD_PASST_H
#define BULKHEAD_CMD_BULKHEAD_PASST_H

#include "lib/config/config.h"

/* Starts one with the arguments that the device's way has for it, and waits until it serves. Its stream's other end, or a
 * negative errno with the reason. */
[[nodiscard]] int passt_open(const struct config_device *d, const char **ret_why);

#endif
