/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What libcrypto would use the C library for and is never to: code that is loaded, names that are looked up. The
 * executables that have TLS are linked with these in the place of the C library's (--wrap, meson.build), which therefore
 * are not in them at all.
 */
#include <netdb.h>
#include <stddef.h>

void *__wrap_dlopen(const char *name, int flags);
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		       struct addrinfo **res);
struct hostent *__wrap_gethostbyname(const char *name);

void *__wrap_dlopen(const char *name, int flags)
{
	(void)name;
	(void)flags;
	return NULL;
}

int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		       struct addrinfo **res)
{
	(void)node;
	(void)service;
	(void)hints;
	(void)res;
	return EAI_FAIL;
}

struct hostent *__wrap_gethostbyname(const char *name)
{
	(void)name;
	return NULL;
}
