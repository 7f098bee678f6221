/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/tls: between its files. */
#ifndef BULKHEAD_TLS_INTERNAL_H
#define BULKHEAD_TLS_INTERNAL_H

#include "lib/tls/tls.h"

#include <openssl/ssl.h>

#define TLS_FILE_MAX 65536U

/* files.c: what is in the files goes into ctx. As tls_open. */
int tls_load(SSL_CTX *ctx, const struct tls_files *f, struct tls_error *e);
int tls_complain(struct tls_error *e, int error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
