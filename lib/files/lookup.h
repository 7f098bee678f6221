/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses of a name, with the rights and by the configuration of its user. */
#ifndef BULKHEAD_FILES_LOOKUP_H
#define BULKHEAD_FILES_LOOKUP_H

#include <stdbool.h>

#define LOOKUP_PROGRAM "/usr/bin/getent"

/* One of them, as inet_pton takes it. */
typedef bool (*lookup_found)(void *owner, const char *address);

/*
 * The C library would load what its configuration names to look up a name, which a static program is not to: another
 * program does, as its user. 0, also if there are none; -ENOSYS: that program is not there; -ECHILD. host is trusted not to
 * begin with '-'.
 */
[[nodiscard]] int lookup_host(const char *host, lookup_found found, void *owner);

#endif
